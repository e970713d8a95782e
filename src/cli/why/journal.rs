//! Where labels were in a registry without a journal, as the histories of rollouts tell.

use super::Client;
use crate::cli::client::view;
use crate::cli::wire::{LabelChange, PolicyPrompt, Rollout};
use serde_json::Value;
use std::collections::BTreeMap;

/// Who moved a label where nobody saw it.
const SOMEBODY: &str = "somebody";

/// Label changes by the history of every rollout of a policy, newest first, as a journal has them.
///
/// What others did between two rollouts is seen when the next one begins.
pub(super) async fn changes(client: &Client, policy: &PolicyPrompt) -> anyhow::Result<Vec<LabelChange>> {
    let of_policy = [("policy", policy.policy.as_str())];
    let rollouts = client
        .pages_of(&["v1", "rollouts"], &of_policy, "rollouts", "before")
        .await?;
    let mut told = Told::default();
    for rollout in rollouts.iter().rev() {
        let rollout: Rollout = view(rollout)?;
        let path = ["v1", "rollouts", rollout.id.as_str(), "audit"];
        let records = client.pages(&path, "records", "after", usize::MAX).await?;
        told.rollout(policy, &rollout, &records);
    }
    told.changes.reverse();
    Ok(told.changes)
}

/// What was told so far, oldest first.
#[derive(Default)]
pub(super) struct Told {
    at: BTreeMap<String, Option<u32>>,
    pub(super) changes: Vec<LabelChange>,
}

impl Told {
    /// What one rollout tells: where it found the labels, and how they moved.
    pub(super) fn rollout(&mut self, policy: &PolicyPrompt, rollout: &Rollout, records: &[Value]) {
        let cause = |record: &Value, key: &str| text(&record["event"]["cause"][key]);
        let begun = records.first();
        let by = begun.and_then(|record| cause(record, "by").or_else(|| cause(record, "actor")));
        let why = begun.and_then(|record| text(&record["text"]));
        let found = format!("found so when {} began", rollout.id);
        let (control, treatment) = (&policy.control.label, &policy.treatment.label);
        let at = &rollout.started_at;
        self.note(control, Some(rollout.stable), at, None, &found, None);
        let is_asked_for = begun.is_some_and(|record| cause(record, "code").as_deref() == Some("operator"));
        if !is_asked_for {
            let why = why.as_deref().unwrap_or(&found);
            self.note(
                treatment,
                Some(rollout.candidate),
                at,
                by.as_deref(),
                why,
                Some(rollout),
            );
        }
        let (mut actor, mut reason) = (None, String::new());
        for record in records {
            let at = text(&record["at"]).unwrap_or_default();
            let event = &record["event"];
            match text(&event["code"]).as_deref() {
                Some("moved") => {
                    actor = cause(record, "actor");
                    reason = text(&record["text"]).unwrap_or_default();
                    if cause(record, "code").as_deref() == Some("foreign_move")
                        && let Some(label) = cause(record, "label")
                    {
                        let found = number(&event["cause"]["found"]);
                        let by = cause(record, "by");
                        self.note(
                            &label,
                            found,
                            &at,
                            by.as_deref(),
                            "by a foreign hand",
                            Some(rollout),
                        );
                    }
                }
                Some("label_move") if event["outcome"]["code"] == "confirmed" => {
                    let label = text(&event["label"]).unwrap_or_default();
                    let by = actor.as_deref().unwrap_or("serin");
                    self.note(
                        &label,
                        number(&event["to"]),
                        &at,
                        Some(by),
                        &reason,
                        Some(rollout),
                    );
                }
                // Attempts, refusals and caches move no label.
                Some(_) | None => {}
            }
        }
    }

    fn note(
        &mut self,
        label: &str,
        to: Option<u32>,
        at: &str,
        by: Option<&str>,
        reason: &str,
        rollout: Option<&Rollout>,
    ) {
        let from = self.at.get(label).copied();
        if from == Some(to) {
            return;
        }
        self.at.insert(label.to_owned(), to);
        self.changes.push(LabelChange {
            label: label.to_owned(),
            from: from.flatten(),
            to,
            at: at.to_owned(),
            actor: by.unwrap_or(SOMEBODY).to_owned(),
            reason: reason.to_owned(),
            rollout: rollout.map(|rollout| rollout.id.clone()),
        });
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

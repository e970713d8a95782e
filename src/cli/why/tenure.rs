//! Stays of versions under labels, from the journal of label changes.

use crate::cli::client::view;
use crate::cli::wire::{LabelChange, MetricEvidence, Rollout};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One stay of a version under a label.
#[derive(Debug, Clone)]
pub(super) struct Tenure {
    pub(super) registry: String,
    pub(super) label: String,
    pub(super) version: u32,
    pub(super) from: String,
    /// None while it lasts.
    pub(super) until: Option<String>,
    pub(super) actor: String,
    pub(super) reason: String,
    /// The rollout on whose behalf it began.
    pub(super) rollout: Option<String>,
    /// What rollouts found out about the version while it lasted.
    pub(super) comparisons: Vec<Comparison>,
}

/// What one rollout found out about its candidate.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    pub(super) rollout: Rollout,
    /// The metrics as the server shows them.
    metrics: Vec<Value>,
    /// The same, read.
    pub(super) evidence: Vec<MetricEvidence>,
}

/// The stays that a journal, newest change first, tells of: by label, the newest first.
pub(super) fn tenures(registry: &str, changes: &[LabelChange]) -> Vec<Tenure> {
    let mut by_label: BTreeMap<&str, Vec<Tenure>> = BTreeMap::new();
    for change in changes.iter().rev() {
        let stays = by_label.entry(&change.label).or_default();
        let held = stays.last_mut().filter(|stay| stay.until.is_none());
        if held.as_ref().map(|stay| stay.version) == change.to {
            continue;
        }
        if let Some(held) = held {
            held.until = Some(change.at.clone());
        }
        stays.extend(change.to.map(|version| Tenure {
            registry: registry.to_owned(),
            label: change.label.clone(),
            version,
            from: change.at.clone(),
            until: None,
            actor: change.actor.clone(),
            reason: change.reason.clone(),
            rollout: change.rollout.clone(),
            comparisons: Vec::new(),
        }));
    }
    by_label
        .into_values()
        .flat_map(|stays| stays.into_iter().rev())
        .collect()
}

impl Tenure {
    /// Whether it lasted at a moment from `begin` to `end` (without an end, until now).
    fn overlaps(&self, begin: &str, end: Option<&str>) -> bool {
        let moment = |text: &str| text.parse::<Timestamp>().ok();
        let ended = |end: Option<&str>| end.map_or(Some(Timestamp::MAX), moment);
        let all = (
            moment(&self.from),
            ended(self.until.as_deref()),
            moment(begin),
            ended(end),
        );
        match all {
            (Some(from), Some(until), Some(begin), Some(end)) => from <= end && begin <= until,
            _ => false,
        }
    }

    /// All of it, for programs.
    pub(super) fn json(&self) -> Value {
        let comparisons: Vec<Value> = self.comparisons.iter().map(Comparison::json).collect();
        json!({
            "registry": self.registry,
            "label": self.label,
            "version": self.version,
            "from": self.from,
            "until": self.until,
            "actor": self.actor,
            "reason": self.reason,
            "rollout": self.rollout,
            "comparisons": comparisons,
        })
    }
}

impl Comparison {
    /// Of a rollout and the metrics that it shows; an error when those cannot be read.
    pub(super) fn new(rollout: Rollout, metrics: Vec<Value>) -> anyhow::Result<Self> {
        let evidence = metrics.iter().map(view).collect::<anyhow::Result<_>>()?;
        Ok(Self {
            rollout,
            metrics,
            evidence,
        })
    }

    /// Whether the rollout tried the version while it held the label.
    pub(super) fn concerns(&self, tenure: &Tenure) -> bool {
        let end = self.rollout.is_over().then_some(self.rollout.changed_at.as_str());
        self.rollout.candidate == tenure.version && tenure.overlaps(&self.rollout.started_at, end)
    }

    fn json(&self) -> Value {
        json!({
            "rollout": self.rollout.id,
            "policy": self.rollout.policy,
            "versus": self.rollout.stable,
            "phase": self.rollout.phase.code,
            "metrics": self.metrics,
        })
    }
}

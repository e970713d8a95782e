//! The three forms of a notification.
//!
//! - Standard Webhooks 1.0 (standardwebhooks.com): `type`, `timestamp`, `data`.
//! - Slack's incoming webhooks: `text`, and `blocks` where they are understood; Mattermost and Rocket.Chat
//!   take the text.
//! - Alertmanager's API version 2, `postableAlerts`.

use super::told::Told;
use crate::policy::NotifyOn;
use crate::rollout::explain;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// How long an alert stands in Alertmanager after it was delivered: nothing calls it off.
const ALERT_STANDS: SignedDuration = SignedDuration::from_hours(1);
/// Longest text of a section in Slack, in characters; its own limit is 3,000.
const SLACK_CHARS_MAX: usize = 2_800;

#[derive(Serialize)]
struct Standard<'a> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    policy: &'a str,
    owner: Option<&'a str>,
    prompt: &'a str,
    rollout: String,
    generation: u64,
    stable: u32,
    candidate: u32,
    phase: &'static str,
    /// From 1.
    step: Option<usize>,
    steps: usize,
    /// Share of users in treatment, from 0 to 1.
    exposure: f64,
    cause: &'static str,
    reason: String,
    text: String,
}

/// The body as Standard Webhooks has it.
pub(super) fn standard(told: &Told<'_>) -> serde_json::Result<Vec<u8>> {
    let (policy, state) = (told.policy, told.state);
    serde_json::to_vec(&Standard {
        kind: format!("rollout.{}", told.on.as_str()),
        timestamp: told.at.to_string(),
        data: Data {
            policy: policy.name.as_str(),
            owner: policy.owner.as_deref(),
            prompt: policy.prompt.as_str(),
            rollout: state.id.to_string(),
            generation: state.generation.get(),
            stable: state.stable.get(),
            candidate: state.candidate.get(),
            phase: state.phase.as_str(),
            step: state.phase.step().map(|step| step + 1),
            steps: policy.steps.len(),
            exposure: f64::from(told.exposure.ppm()) / 1e6,
            cause: explain::cause_word(told.cause),
            reason: explain::cause(told.cause),
            text: told.sentence(),
        },
    })
}

#[derive(Serialize)]
struct Slack {
    text: String,
    blocks: [Block; 2],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Block {
    Section { text: Words },
    Context { elements: [Words; 1] },
}

#[derive(Serialize)]
struct Words {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
}

impl Words {
    fn new(text: String) -> Self {
        Self { kind: "mrkdwn", text }
    }
}

/// The body of an incoming webhook of Slack.
pub(super) fn slack(told: &Told<'_>) -> serde_json::Result<Vec<u8>> {
    let mark = match told.on {
        NotifyOn::Started => ":hatching_chick:",
        NotifyOn::Advanced => ":arrow_upper_right:",
        NotifyOn::Paused => ":double_vertical_bar:",
        NotifyOn::RolledBack => ":leftwards_arrow_with_hook:",
        NotifyOn::Promoted => ":white_check_mark:",
    };
    let policy = told.policy;
    let text: String = escaped(&told.sentence()).chars().take(SLACK_CHARS_MAX).collect();
    let owner = policy
        .owner
        .as_deref()
        .map(|owner| format!(" · {}", escaped(owner)));
    let context = format!(
        "policy `{}` · rollout `{}`{}",
        policy.name,
        told.state.id,
        owner.unwrap_or_default()
    );
    serde_json::to_vec(&Slack {
        text: format!("{mark} *{}*: {text}", policy.name),
        blocks: [
            Block::Section {
                text: Words::new(format!("{mark} *{}*\n{text}", policy.name)),
            },
            Block::Context {
                elements: [Words::new(context)],
            },
        ],
    })
}

/// Text in which Slack sees no links, mentions or entities.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: &'a str,
}

/// One alert for Alertmanager, which stands for an hour from `now` on.
pub(super) fn alertmanager(told: &Told<'_>, now: Timestamp) -> serde_json::Result<Vec<u8>> {
    let (policy, state) = (told.policy, told.state);
    let severity = match told.on {
        NotifyOn::RolledBack | NotifyOn::Paused => "warning",
        NotifyOn::Started | NotifyOn::Advanced | NotifyOn::Promoted => "info",
    };
    let mut labels = BTreeMap::from([
        ("alertname", "SerinRollout".to_owned()),
        ("event", told.on.as_str().to_owned()),
        ("policy", policy.name.to_string()),
        ("prompt", policy.prompt.to_string()),
        ("rollout", state.id.to_string()),
        ("candidate", told.candidate().to_string()),
        ("severity", severity.to_owned()),
    ]);
    if let Some(owner) = &policy.owner {
        labels.insert("owner", owner.to_string());
    }
    // Events of one kind that repeat within a rollout are alerts of their own.
    labels.insert("generation", state.generation.to_string());
    let annotations = BTreeMap::from([
        (
            "summary",
            format!("{}: {}", policy.name, explain::place(&state.phase)),
        ),
        ("description", told.sentence()),
    ]);
    serde_json::to_vec(&[Alert {
        labels,
        annotations,
        starts_at: told.at.to_string(),
        ends_at: &now.saturating_add(ALERT_STANDS).unwrap_or(now).to_string(),
    }])
}

//! What the CLI reads of the API's answers: the parts that it shows, and nothing else.
//!
//! These types are the CLI's own, so that a server may tell more than this program knows.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A sentence with its code.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Told {
    /// A stable word.
    pub(crate) code: String,
    /// The same as an English sentence.
    pub(crate) text: String,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Phase {
    /// A stable word.
    pub(crate) code: String,
    /// The same as an English sentence.
    pub(crate) text: String,
    /// The step of the ladder, from 1, while it is in one.
    step: Option<usize>,
    /// What a pause interrupted.
    from: Option<Resumable>,
}

/// A phase that a pause interrupted.
#[derive(Debug, Clone, Deserialize)]
struct Resumable {
    step: Option<usize>,
}

impl Phase {
    /// The step of the ladder, from 1, that users are in.
    pub(crate) fn step(&self) -> Option<usize> {
        self.step.or_else(|| self.from.as_ref()?.step)
    }
}

/// One run of a policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rollout {
    pub(crate) id: String,
    pub(crate) policy: String,
    pub(crate) stable: u32,
    pub(crate) candidate: u32,
    pub(crate) phase: Phase,
    /// Share of users in treatment.
    pub(crate) exposure: Option<f64>,
    /// Why it does not move.
    pub(crate) stay: Option<Told>,
    /// When it began.
    #[serde(default)]
    pub(crate) started_at: String,
    /// When the present phase or step began.
    pub(crate) changed_at: String,
    /// Exposure of each step.
    pub(crate) ladder: Option<Vec<f64>>,
    pub(crate) verdict: Option<String>,
    /// What applications may serve after a rollback.
    pub(crate) after_rollback: Option<Sentence>,
}

/// A sentence.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Sentence {
    /// As people read it.
    pub(crate) text: String,
}

impl Rollout {
    /// Whether nothing happens to it any more by itself.
    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self.phase.code.as_str(),
            "promoted" | "rolled_back" | "superseded"
        )
    }
}

/// Rollouts, newest first.
#[derive(Debug, Deserialize)]
pub(crate) struct Rollouts {
    pub(crate) rollouts: Vec<Rollout>,
}

/// The server at a glance.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) policies: Vec<PolicyLine>,
    pub(crate) problems: Vec<PolicyProblem>,
    pub(crate) troubles: Vec<Trouble>,
}

/// A policy at a glance.
#[derive(Debug, Deserialize)]
pub(crate) struct PolicyLine {
    pub(crate) policy: String,
    pub(crate) rollout: Option<Rollout>,
}

/// A policy and the prompt that it steers.
#[derive(Debug, Deserialize)]
pub(crate) struct PolicyPrompt {
    #[serde(rename = "name")]
    pub(crate) policy: String,
    pub(crate) prompt: String,
    pub(crate) registry: String,
    pub(crate) control: LabelPlace,
    pub(crate) treatment: LabelPlace,
}

/// A label that a policy steers.
#[derive(Debug, Deserialize)]
pub(crate) struct LabelPlace {
    pub(crate) label: String,
}

/// What changes with the labels of a prompt.
#[derive(Debug, Deserialize)]
pub(crate) struct PromptParents {
    pub(crate) labels: Vec<LabelParents>,
    /// Why there may be others.
    pub(crate) gap: Option<String>,
}

/// What changes with a label.
#[derive(Debug, Deserialize)]
pub(crate) struct LabelParents {
    pub(crate) label: String,
    pub(crate) parents: Parents,
}

/// Prompts that take in a label.
#[derive(Debug, Deserialize)]
pub(crate) struct Parents {
    pub(crate) labels: Vec<Parent>,
    /// How many more there are.
    pub(crate) more: usize,
}

/// A prompt that takes in a label, by one of its own.
#[derive(Debug, Deserialize)]
pub(crate) struct Parent {
    pub(crate) prompt: String,
    pub(crate) label: String,
}

/// A mistake, or something to think about, in a policy file.
#[derive(Debug, Deserialize)]
pub(crate) struct PolicyProblem {
    pub(crate) code: String,
    pub(crate) severity: String,
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// A part of the world that does not answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Trouble {
    pub(crate) code: String,
    pub(crate) registry: Option<String>,
    pub(crate) cache: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) error: String,
}

/// One entry of a rollout's history.
#[derive(Debug, Deserialize)]
pub(crate) struct AuditRecord {
    pub(crate) at: String,
    pub(crate) event: Event,
    /// What happened, as an English sentence.
    pub(crate) text: String,
}

/// What happened.
#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) code: String,
    /// Why a rollout moved.
    pub(crate) cause: Option<Told>,
    /// The numbers that a move rests on.
    pub(crate) assessment: Option<Assessment>,
    /// What came of a label move.
    pub(crate) outcome: Option<Outcome>,
    /// Why a person asked for what was refused.
    pub(crate) reason: Option<String>,
}

/// What came of a label move.
#[derive(Debug, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) code: String,
}

/// The numbers of a rollout.
#[derive(Debug, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) assessment: Option<Assessment>,
}

/// The conclusion over all metrics at one moment.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Assessment {
    pub(crate) verdict: String,
    pub(crate) log_e_combined: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) threshold_non_inferior: Option<f64>,
    pub(crate) threshold_limit: Option<f64>,
    #[serde(default)]
    pub(crate) data: DataQuality,
    pub(crate) metrics: Vec<MetricEvidence>,
}

/// Whether the data can carry a verdict.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DataQuality {
    pub(crate) users: SampleRatio,
    pub(crate) excluded: SampleRatio,
    pub(crate) threshold: Option<f64>,
    pub(crate) fallback: PerArm,
    pub(crate) out_of_range: PerArm,
}

/// Whether users came to the arms as planned.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SampleRatio {
    pub(crate) control: u64,
    pub(crate) treatment: u64,
    pub(crate) expected: Option<f64>,
    pub(crate) log_e: Option<f64>,
}

/// A number for each arm.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PerArm {
    pub(crate) control: u64,
    pub(crate) treatment: u64,
}

/// What one metric shows; differences are treatment − control.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetricEvidence {
    pub(crate) metric: String,
    pub(crate) role: String,
    pub(crate) control: ArmEvidence,
    pub(crate) treatment: ArmEvidence,
    #[serde(default)]
    pub(crate) quantiles: Vec<QuantileEvidence>,
    /// Whether difference, interval and margin are ratios of the control's mean.
    #[serde(default)]
    pub(crate) relative: bool,
    pub(crate) difference: Option<f64>,
    pub(crate) interval: Option<Interval>,
    pub(crate) margin: Option<f64>,
    pub(crate) log_e_worse: Option<f64>,
    pub(crate) log_e_non_inferior: Option<f64>,
    pub(crate) log_e_limit: Option<f64>,
    #[serde(default)]
    pub(crate) past: Option<PastEvidence>,
    pub(crate) verdict: String,
}

/// What the candidate shows against control as it was.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PastEvidence {
    pub(crate) limit: Option<f64>,
    pub(crate) treated: u64,
    pub(crate) log_e: Option<f64>,
    pub(crate) threshold: Option<f64>,
}

/// Numbers of one arm.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ArmEvidence {
    pub(crate) count: u64,
    pub(crate) mean: Option<f64>,
    /// How many values were cut before they were added up.
    #[serde(default)]
    pub(crate) clipped: u64,
}

/// What one quantile of a metric shows.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuantileEvidence {
    pub(crate) quantile: f64,
    pub(crate) control: Option<f64>,
    pub(crate) treatment: Option<f64>,
    #[serde(default)]
    pub(crate) control_interval: Interval,
    #[serde(default)]
    pub(crate) treatment_interval: Interval,
    pub(crate) verdict: String,
}

/// An interval; an end is missing where it is unbounded.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Interval {
    pub(crate) lower: Option<f64>,
    pub(crate) upper: Option<f64>,
}

/// What a user gets, or why nothing.
#[derive(Debug, Deserialize)]
pub(crate) struct AssignmentOutcome {
    pub(crate) assignment: Option<Assignment>,
    pub(crate) problem: Option<ItemProblem>,
}

/// What a user gets.
#[derive(Debug, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) policy: String,
    pub(crate) arm: String,
    pub(crate) label: String,
    pub(crate) version: Option<u32>,
    pub(crate) reason: String,
    pub(crate) attribute: Option<String>,
}

/// Why one item of a request was refused.
#[derive(Debug, Deserialize)]
pub(crate) struct ItemProblem {
    pub(crate) code: String,
    pub(crate) detail: String,
}

/// A prompt in a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptSummary {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) newest: u32,
    pub(crate) updated_at: String,
    pub(crate) labels: BTreeMap<String, u32>,
    pub(crate) protected: Vec<String>,
}

/// One immutable version of a prompt.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptVersion {
    pub(crate) name: String,
    pub(crate) version: u32,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) prompt: Template,
    pub(crate) config: serde_json::Map<String, serde_json::Value>,
    pub(crate) semantic_version: Option<String>,
    pub(crate) reason: String,
    pub(crate) author: String,
    pub(crate) created_at: String,
    pub(crate) owner: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) variables: Vec<String>,
    pub(crate) placeholders: Vec<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) evaluations: Vec<Evaluation>,
}

/// A text, or the items of a chat.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Template {
    /// One string.
    Text(String),
    /// Messages and placeholders.
    Chat(Vec<ChatItem>),
}

/// An item of a chat.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ChatItem {
    /// A message.
    Message {
        /// Who says it.
        role: String,
        /// What.
        content: String,
    },
    /// A place that the application fills with messages.
    Placeholder {
        /// Its name.
        placeholder: String,
    },
}

/// Scores of one version on one dataset.
#[derive(Debug, Deserialize)]
pub(crate) struct Evaluation {
    pub(crate) dataset: String,
    pub(crate) at: String,
    pub(crate) actor: String,
    pub(crate) scores: BTreeMap<String, f64>,
}

/// A label change.
#[derive(Debug, Deserialize)]
pub(crate) struct LabelChange {
    pub(crate) label: String,
    pub(crate) from: Option<u32>,
    pub(crate) to: Option<u32>,
    pub(crate) at: String,
    pub(crate) actor: String,
    pub(crate) reason: String,
    pub(crate) rollout: Option<String>,
}

/// A token, without its secret part.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: String,
}

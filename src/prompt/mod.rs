//! What a prompt is: immutable versions with their metadata, variables as a contract, labels.
//!
//! Pure: the embedded registry and the stores build on it, and neither knows the other.

use crate::ids::{Actor, Generation, Justification, Label, MetricName, PromptName, RolloutId, Version};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One immutable version of a prompt, as a registry holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptVersion {
    /// The prompt.
    pub prompt: PromptName,
    /// The number, counted from 1.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub author: Actor,
    /// What it says.
    pub draft: Draft,
    /// Evaluation scores, newest last.
    pub evaluations: Vec<Evaluation>,
}

/// What somebody wants to be a version.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The text.
    pub template: Template,
    /// Semantic version, where the author gives one (`MAJOR.MINOR.PATCH`).
    pub semantic_version: Option<SemanticVersion>,
    /// Why it was made: one sentence at least.
    pub reason: Justification,
    /// Model, temperature, response format, tools: an arbitrary JSON object.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// The team that answers for the prompt.
    pub owner: Option<Arc<str>>,
    /// Free words to search by.
    pub tags: BTreeSet<Arc<str>>,
}

/// The text of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// One string with `{{variables}}`.
    Text(Arc<str>),
    /// Messages, each with `{{variables}}`.
    Chat(Vec<ChatItem>),
}

/// An item of a chat template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatItem {
    /// A message.
    Message {
        /// `system`, `user`, `assistant`, …
        role: Arc<str>,
        /// With `{{variables}}`.
        content: Arc<str>,
    },
    /// A place that the application fills with messages.
    Placeholder {
        /// Its name.
        name: Arc<str>,
    },
}

/// A semantic version without pre-release or build parts (semver.org 2.0.0, items 2 and 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SemanticVersion {
    /// Purpose, audience or output structure changed.
    pub major: u32,
    /// Instructions, examples or guardrails were added.
    pub minor: u32,
    /// Wording changed.
    pub patch: u32,
}

/// Scores of one version on one dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The dataset.
    pub dataset: Arc<str>,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who recorded it.
    pub actor: Actor,
    /// By metric.
    pub scores: BTreeMap<MetricName, f64>,
}

/// A label change in a registry's journal.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelChange {
    /// Position in the journal, from 1.
    pub sequence: u64,
    /// The prompt.
    pub prompt: PromptName,
    /// The label.
    pub label: Label,
    /// Where it pointed; none when it is new.
    pub from: Option<Version>,
    /// Where it points; none when it was removed.
    pub to: Option<Version>,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Why.
    pub reason: Justification,
    /// The rollout and generation on whose behalf, where Serin moved it.
    pub rollout: Option<(RolloutId, Generation)>,
}

/// A label change that somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelRequest {
    /// The prompt.
    pub prompt: PromptName,
    /// The label.
    pub label: Label,
    /// Where it must point now for the change to be made; `None` does not care.
    pub expect: Option<Option<Version>>,
    /// Where it is to point; none removes it.
    pub to: Option<Version>,
    /// Who asks.
    pub actor: Actor,
    /// Why.
    pub reason: Justification,
    /// The rollout and generation on whose behalf, where Serin asks.
    pub rollout: Option<(RolloutId, Generation)>,
    /// Whether the asker may move protected labels.
    pub may_move_protected: bool,
}

/// Versions that somebody wants nobody to fetch any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Withdrawal {
    /// The prompt.
    pub prompt: PromptName,
    /// The versions.
    pub versions: BTreeSet<Version>,
    /// The labels that point at them, as the asker knows them: they are removed.
    pub labels: BTreeSet<Label>,
    /// Who asks.
    pub actor: Actor,
    /// Why.
    pub reason: Justification,
    /// Whether the asker may remove protected labels.
    pub may_move_protected: bool,
}

/// What a list of prompts shows of each.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptSummary {
    /// The prompt.
    pub prompt: PromptName,
    /// `text` or `chat`; fixed by the first version.
    pub kind: TemplateKind,
    /// The newest version.
    pub newest: Version,
    /// When the newest version was created.
    pub updated_at: Timestamp,
    /// Where each label points.
    pub labels: BTreeMap<Label, Version>,
    /// The labels that only Serin and administrators move.
    pub protected: BTreeSet<Label>,
}

/// Which kind of template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// One string.
    Text,
    /// Messages.
    Chat,
}

/// What can go wrong between a prompt and whoever keeps it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PromptError {
    /// No such prompt.
    #[error("there is no prompt `{0}`")]
    UnknownPrompt(PromptName),
    /// No such version.
    #[error("prompt `{prompt}` has no version {version}")]
    UnknownVersion {
        /// The prompt.
        prompt: PromptName,
        /// The version.
        version: Version,
    },
    /// The label points nowhere; Serin never falls back to another one.
    #[error("prompt `{prompt}` has no label `{label}`")]
    UnknownLabel {
        /// The prompt.
        prompt: PromptName,
        /// The label.
        label: Label,
    },
    /// Another prompt is put together from the version.
    #[error("prompt `{prompt}` is part of prompt `{by}`: change that one first")]
    Referred {
        /// The prompt.
        prompt: PromptName,
        /// The prompt that refers to it.
        by: PromptName,
    },
    /// The label is protected, and the asker may not move it.
    #[error(
        "label `{label}` of prompt `{prompt}` is protected: only Serin and tokens with the scope `admin` move it"
    )]
    Protected {
        /// The prompt.
        prompt: PromptName,
        /// The label.
        label: Label,
    },
    /// The label is not where the asker expects it.
    #[error("label `{label}` of prompt `{prompt}` points at {}, not at {}", shown(*found), shown(*expected))]
    LabelElsewhere {
        /// The prompt.
        prompt: PromptName,
        /// The label.
        label: Label,
        /// Where the asker expects it.
        expected: Option<Version>,
        /// Where it is.
        found: Option<Version>,
    },
    /// An older generation of a rollout asked after a newer one had.
    #[error("generation {asked} of rollout {rollout} is stale: the label was moved for generation {seen}")]
    Stale {
        /// The rollout.
        rollout: RolloutId,
        /// The asker's generation.
        asked: Generation,
        /// The newest one in the journal.
        seen: Generation,
    },
    /// The label was moved for a newer rollout since.
    #[error("label `{label}` was moved for rollout {by} since: rollout {rollout} has no say in it any more")]
    Overtaken {
        /// The label.
        label: Label,
        /// The rollout that asks.
        rollout: RolloutId,
        /// The newer one.
        by: RolloutId,
    },
    /// The label is computed.
    #[error("label `{0}` always names the newest version: it cannot be set, removed or protected")]
    ReservedLabel(Label),
    /// The draft breaks a rule.
    #[error("{0}")]
    InvalidDraft(String),
    /// The store cannot be asked now: it is overloaded, or closed.
    #[error("the store is not available: {0}")]
    StoreAway(String),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
}

fn shown(version: Option<Version>) -> String {
    version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"))
}

/// Labels that have moved, of any prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// The newest entry of all journals; 0 when there is none.
    pub newest: u64,
    /// Every label of each prompt of which one has moved: where it points, and who moved it there.
    pub labels: BTreeMap<PromptName, BTreeMap<Label, (Version, Actor)>>,
}

/// Where the embedded registry keeps its prompts; every store is one.
///
/// Each method is one transaction. A change is durable when its method returns.
#[async_trait]
pub trait PromptStore: Send + Sync {
    /// Adds a version, numbered one above the newest, and sets `labels` on it.
    ///
    /// Refuses a draft of another kind than the first version's ([`PromptError::InvalidDraft`]).
    async fn create_version(
        &self,
        prompt: &PromptName,
        draft: Draft,
        author: Actor,
        labels: Vec<LabelRequest>,
    ) -> Result<PromptVersion, PromptError>;

    /// One version.
    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, PromptError>;

    /// All versions, newest first, from below `before` on; at most `limit`.
    async fn versions(
        &self,
        prompt: &PromptName,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<PromptVersion>, PromptError>;

    /// When each version of a prompt was created.
    async fn version_times(&self, prompt: &PromptName) -> Result<BTreeMap<Version, Timestamp>, PromptError>;

    /// All prompts by name, from after `after` on; at most `limit`.
    async fn prompts(
        &self,
        after: Option<&PromptName>,
        limit: usize,
    ) -> Result<Vec<PromptSummary>, PromptError>;

    /// One prompt; [`PromptError::UnknownPrompt`] when there is none.
    async fn prompt(&self, prompt: &PromptName) -> Result<PromptSummary, PromptError>;

    /// Changes a label, checks protection, expectation and generation, and writes the journal; the
    /// same request repeated changes nothing and succeeds.
    async fn change_label(&self, request: LabelRequest) -> Result<LabelChange, PromptError>;

    /// Changes several labels as [`Self::change_label`] does, all of them or none.
    async fn change_labels(&self, requests: Vec<LabelRequest>) -> Result<Vec<LabelChange>, PromptError>;

    /// The journal of a prompt, newest first, from below `before` on; at most `limit`.
    async fn history(
        &self,
        prompt: &PromptName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LabelChange>, PromptError>;

    /// What the journals of all prompts have behind the entry `after`, 0 being before the first; none when
    /// that is more than `prompts_max` prompts.
    async fn moved_since(&self, after: u64, prompts_max: usize) -> Result<Option<Moved>, PromptError>;

    /// The texts that take in other prompts and that labels point at, with the journals' newest entry, 0
    /// being before the first; none when that is still `known`.
    async fn compositions(
        &self,
        known: Option<u64>,
    ) -> Result<Option<(u64, parents::Compositions)>, PromptError>;

    /// Protects a label, or lifts its protection.
    async fn protect_label(
        &self,
        prompt: &PromptName,
        label: &Label,
        protected: bool,
    ) -> Result<(), PromptError>;

    /// Takes versions out of use, all or none: nobody fetches or labels them any more, and their numbers
    /// are not used again. The history keeps them.
    ///
    /// Refuses versions that other prompts refer to ([`PromptError::Referred`]), and those that a label
    /// points at which the request does not name ([`PromptError::LabelElsewhere`]).
    async fn withdraw(&self, request: Withdrawal) -> Result<(), PromptError>;

    /// Records an evaluation of a version.
    async fn record_evaluation(
        &self,
        prompt: &PromptName,
        version: Version,
        evaluation: Evaluation,
    ) -> Result<(), PromptError>;
}

pub mod composition;
pub mod diff;
pub mod draft;
pub mod labels;
pub mod parents;
pub mod template;

//! Scores that clients of other systems send, and what was served where they were given.
//!
//! They are kept to be read again, and to wait for what is not known yet; what they say of a rollout
//! is counted through [`Store::ingest`](super::Store::ingest) like every observation.

use super::StoreError;
use crate::ids::PolicyName;
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// A score.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// What makes it the same when it is sent again.
    pub id: String,
    /// What is scored: the name of a metric, perhaps.
    pub name: String,
    /// How much.
    pub value: ScoreValue,
    /// What it is about.
    pub about: ScoreSubject,
    /// Where it comes from.
    pub source: ScoreSource,
    /// The environment of the application.
    pub environment: String,
    /// The configuration that it follows.
    pub config: Option<String>,
    /// The queue of people that it was given in.
    pub queue: Option<String>,
    /// A remark.
    pub comment: Option<String>,
    /// What else was sent, without anything that names a user.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// When it was given.
    pub at: Timestamp,
    /// When it arrived first.
    pub created_at: Timestamp,
    /// When it arrived last.
    pub updated_at: Timestamp,
    /// Whether it is not known yet what was served where it was given.
    pub waiting: bool,
}

/// The value of a score.
#[derive(Debug, Clone, PartialEq)]
pub enum ScoreValue {
    /// A number.
    Number(f64),
    /// Yes or no.
    Truth(bool),
    /// One of a few words.
    Category(String),
    /// A text.
    Text(String),
    /// What should have been said.
    Correction(String),
}

/// Which kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScoreKind {
    /// A number.
    Numeric,
    /// Yes or no.
    Boolean,
    /// One of a few words.
    Categorical,
    /// A text.
    Text,
    /// What should have been said.
    Correction,
}

impl ScoreKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Numeric,
        Self::Boolean,
        Self::Categorical,
        Self::Text,
        Self::Correction,
    ];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Numeric => "NUMERIC",
            Self::Boolean => "BOOLEAN",
            Self::Categorical => "CATEGORICAL",
            Self::Text => "TEXT",
            Self::Correction => "CORRECTION",
        }
    }
}

impl ScoreValue {
    /// Which kind it is.
    pub fn kind(&self) -> ScoreKind {
        match self {
            Self::Number(_) => ScoreKind::Numeric,
            Self::Truth(_) => ScoreKind::Boolean,
            Self::Category(_) => ScoreKind::Categorical,
            Self::Text(_) => ScoreKind::Text,
            Self::Correction(_) => ScoreKind::Correction,
        }
    }

    /// The number, where it has one: 0 or 1 for a truth.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Truth(truth) => Some(f64::from(u8::from(*truth))),
            Self::Category(_) | Self::Text(_) | Self::Correction(_) => None,
        }
    }

    /// The words, where it has any.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Number(_) | Self::Truth(_) => None,
            Self::Category(words) | Self::Text(words) | Self::Correction(words) => Some(words),
        }
    }
}

/// What a score is about: one at least is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScoreSubject {
    /// A request as the application traced it.
    pub trace: Option<String>,
    /// A part of it, such as one call of a model.
    pub observation: Option<String>,
    /// A conversation.
    pub session: Option<String>,
    /// A run over a dataset.
    pub dataset_run: Option<String>,
}

/// Where a score comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScoreSource {
    /// A program.
    Api,
    /// A person.
    Annotation,
    /// A judge.
    Eval,
}

impl ScoreSource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Api, Self::Annotation, Self::Eval];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::Annotation => "ANNOTATION",
            Self::Eval => "EVAL",
        }
    }
}

/// Which scores are asked for; what is empty or none does not matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoreFilter {
    /// Any of these ids.
    pub ids: BTreeSet<String>,
    /// Any of these names.
    pub names: BTreeSet<String>,
    /// Any of these sources.
    pub sources: BTreeSet<ScoreSource>,
    /// Any of these kinds.
    pub kinds: BTreeSet<ScoreKind>,
    /// Any of these environments.
    pub environments: BTreeSet<String>,
    /// Any of these configurations.
    pub configs: BTreeSet<String>,
    /// Any of these queues.
    pub queues: BTreeSet<String>,
    /// About any of these traces.
    pub traces: BTreeSet<String>,
    /// About any of these parts.
    pub observations: BTreeSet<String>,
    /// About any of these sessions.
    pub sessions: BTreeSet<String>,
    /// About any of these runs.
    pub dataset_runs: BTreeSet<String>,
    /// Any of these words.
    pub words: BTreeSet<String>,
    /// A number that compares like this.
    pub numbers: Vec<(Comparison, f64)>,
    /// Given at this time or later.
    pub from: Option<Timestamp>,
    /// Given before this time.
    pub to: Option<Timestamp>,
}

/// How a number compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`.
    Equal,
    /// `!=`.
    Unequal,
    /// `<`.
    Below,
    /// `<=`.
    AtMost,
    /// `>`.
    Above,
    /// `>=`.
    AtLeast,
}

impl Comparison {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Equal,
        Self::Unequal,
        Self::Below,
        Self::AtMost,
        Self::Above,
        Self::AtLeast,
    ];

    /// The sign, as formulas write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// Which part of the scores that pass a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScorePage {
    /// Only those that arrived before this one, which an earlier page ended with.
    pub before: Option<u64>,
    /// How many of the first ones are left out.
    pub skip: usize,
    /// At most so many.
    pub limit: usize,
}

/// What was served where a model was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The trace.
    pub trace: String,
    /// The part of it; empty for the whole.
    pub observation: String,
    /// The conversation that it belongs to.
    pub session: Option<String>,
    /// The policy that steers the prompt which was used.
    pub policy: PolicyName,
    /// What an observation of it counts for.
    pub receipt: String,
}

/// Where scores are kept; every store is one.
///
/// Each method is one transaction, durable when it returns.
#[async_trait]
pub trait ScoreStore: Send + Sync {
    /// Keeps scores. One whose id is known takes the place of the one before, and waits no more if that
    /// one did not. The oldest ones go when there are very many.
    async fn keep_scores(&self, scores: Vec<Score>) -> Result<(), StoreError>;

    /// Notes that these scores wait for nothing any more.
    async fn settle_scores(&self, ids: Vec<String>) -> Result<(), StoreError>;

    /// Scores that wait to hear of one of these traces or sessions, in the order in which they came; at
    /// most `limit`.
    async fn waiting_scores(
        &self,
        traces: BTreeSet<String>,
        sessions: BTreeSet<String>,
        limit: usize,
    ) -> Result<Vec<Score>, StoreError>;

    /// Scores that pass, newest first, each with its place in the order of arrival.
    async fn scores(&self, filter: ScoreFilter, page: ScorePage) -> Result<Vec<(u64, Score)>, StoreError>;

    /// How many scores pass.
    async fn count_scores(&self, filter: ScoreFilter) -> Result<usize, StoreError>;

    /// Notes what was served; for the same trace, part and policy the last word counts. The oldest ones
    /// go when there are very many.
    async fn note_servings(&self, servings: Vec<Serving>) -> Result<(), StoreError>;

    /// What was served where each of these scores was given: by the part where it names one that is
    /// known, else by the trace, else by the session.
    async fn servings(&self, of: Vec<ScoreSubject>) -> Result<Vec<Vec<Serving>>, StoreError>;
}

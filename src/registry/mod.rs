//! Where prompts live and labels move: one trait, one file per system.

use crate::ids::{Actor, Label, PromptName, Version};
use crate::prompt::parents::Compositions;
use crate::prompt::{Evaluation, LabelRequest, PromptError, PromptVersion};
use crate::rollout::LabelMove;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What has moved since a registry was asked before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// Labels of these prompts at most.
    Only(BTreeSet<PromptName>),
    /// It cannot tell.
    Unknown,
}

/// A system that keeps prompts and labels.
///
/// Every method may be repeated without harm.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Where those of the labels `wanted` point that the prompt has, and who moved them there if the
    /// registry tells.
    async fn labels(
        &self,
        prompt: &PromptName,
        wanted: &[Label],
        freshness: Freshness,
    ) -> Result<BTreeMap<Label, LabelState>, RegistryError>;

    /// Says that labels are about to be polled, of many prompts maybe.
    ///
    /// A registry that can tell at one stroke what has moved asks here, answers what is then polled from memory, and
    /// says of which prompts it is something else than before. It has one poller, to whom it tells each move once.
    async fn before_polling(&self) -> Moved {
        Moved::Unknown
    }

    /// One version of a prompt.
    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, RegistryError>;

    /// Who wrote a version, where the system tells people apart.
    async fn author(&self, prompt: &PromptName, version: Version) -> Result<Option<Actor>, RegistryError> {
        Ok(Some(self.version(prompt, version).await?.author))
    }

    /// Evaluations recorded for a version, newest last; empty where the system records none.
    async fn evaluations(
        &self,
        prompt: &PromptName,
        version: Version,
    ) -> Result<Vec<Evaluation>, RegistryError>;

    /// Moves a label from `label_move.from` to `label_move.to`, unless it is elsewhere.
    ///
    /// A label that is already at `to` is [`MoveOutcome::InPlace`]: the same move may be sent again
    /// after a lost reply.
    async fn move_label(
        &self,
        label_move: &LabelMove,
        why: &MoveReason,
    ) -> Result<MoveOutcome, RegistryError>;

    /// The texts that take in other prompts, as far as they are known: what changes with a label besides
    /// its own prompt.
    ///
    /// It answers at once. A registry that takes many requests to be looked through answers what it knows,
    /// and says what it does not.
    async fn compositions(&self) -> Result<Arc<Compositions>, RegistryError>;

    /// How long a move that got no answer may still be carried out; zero where stale moves are refused.
    ///
    /// Until then nobody can know that a label which is in place will stay there.
    fn late_moves_within(&self) -> Duration {
        Duration::ZERO
    }
}

/// How fresh an answer about labels must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A label move or a person waits for it.
    Now,
    /// Somebody says that it has changed; nobody waits.
    Told,
    /// One of many looks: a registry that counts its requests may repeat what it heard just before.
    Polled,
}

/// Where a label points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelState {
    /// The version.
    pub version: Version,
    /// Who moved it there, where the system tells.
    pub by: Option<Actor>,
}

/// A version for an application.
#[derive(Debug, Clone)]
pub struct Served {
    /// The version.
    pub version: Arc<PromptVersion>,
    /// The labels that it had when it was read.
    pub labels: Arc<[Label]>,
    /// Where it comes from.
    pub source: ReadFrom,
    /// How long ago it was read.
    pub age: Duration,
    /// Why it could not be read anew just before.
    pub failure: Option<RegistryError>,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// The registry was asked.
    Registry,
    /// It was read lately.
    Cache,
    /// It was read a while ago, and the registry is being asked.
    Stale,
}

impl ReadFrom {
    /// The word for it in answers and counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Cache => "cache",
            Self::Stale => "stale",
        }
    }
}

/// What a registry's journal says of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveReason {
    /// Who: Serin, or the operator on whose command.
    pub actor: Actor,
    /// Why, in a sentence.
    pub reason: crate::ids::Justification,
}

/// What came of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It was moved.
    Moved,
    /// It was there already.
    InPlace,
    /// It was neither at `from` nor at `to`, or somebody had undone this very move: it was left there.
    Elsewhere {
        /// Where it is; none when the label is gone.
        found: Option<Version>,
    },
}

/// What can go wrong with a registry.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RegistryError {
    /// There is no such prompt or version.
    #[error("{0}")]
    NotFound(String),
    /// The registry refused; the same request will be refused again.
    #[error("the registry refused: {0}")]
    Refused(String),
    /// The registry did not answer, or failed; it may answer later.
    #[error("the registry is unavailable: {0}")]
    Unavailable(String),
}

impl From<PromptError> for RegistryError {
    fn from(error: PromptError) -> Self {
        let words = error.to_string();
        match error {
            PromptError::UnknownPrompt(_)
            | PromptError::UnknownVersion { .. }
            | PromptError::UnknownLabel { .. } => Self::NotFound(words),
            PromptError::Protected { .. }
            | PromptError::Referred { .. }
            | PromptError::LabelElsewhere { .. }
            | PromptError::Stale { .. }
            | PromptError::Overtaken { .. }
            | PromptError::ReservedLabel(_)
            | PromptError::InvalidDraft(_) => Self::Refused(words),
            PromptError::Store(_) | PromptError::StoreAway(_) => Self::Unavailable(words),
        }
    }
}

/// The request that a registry with a journal of its own makes of a move.
fn request_for(label_move: &LabelMove, why: &MoveReason) -> LabelRequest {
    LabelRequest {
        prompt: label_move.prompt.clone(),
        label: label_move.label.clone(),
        expect: Some(label_move.from),
        to: Some(label_move.to),
        actor: why.actor.clone(),
        reason: why.reason.clone(),
        rollout: Some((label_move.rollout, label_move.generation)),
        may_move_protected: true,
    }
}

pub mod embedded;
pub mod in_memory;
pub mod langfuse;

pub use self::langfuse::Langfuse;
pub use self::langfuse::webhook::{HookRefused, HookSecret};

//! Where prompts live and labels move: one trait, one file per system.

use crate::ids::{Actor, Label, PromptName, Version};
use crate::prompt::{Evaluation, LabelRequest, PromptError, PromptVersion};
use crate::rollout::LabelMove;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// A system that keeps prompts and labels.
///
/// Every method may be repeated without harm.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Where every label of a prompt points, and who moved it there if the registry tells.
    async fn labels(&self, prompt: &PromptName) -> Result<BTreeMap<Label, LabelState>, RegistryError>;

    /// One version of a prompt.
    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, RegistryError>;

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
}

/// Where a label points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelState {
    /// The version.
    pub version: Version,
    /// Who moved it there, where the system tells.
    pub by: Option<Actor>,
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

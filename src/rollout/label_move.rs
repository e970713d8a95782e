//! Label changes that a transition asks for, and what else they change.

use crate::ids::{Generation, Label, PromptName, RolloutId, Version};

/// A label change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMove {
    /// The prompt.
    pub prompt: PromptName,
    /// The label.
    pub label: Label,
    /// Where it is expected to point before; none when there is no such label yet.
    pub from: Option<Version>,
    /// Where it points after.
    pub to: Version,
    /// The rollout that asks.
    pub rollout: RolloutId,
    /// Its generation; a registry that keeps a journal refuses an older one.
    pub generation: Generation,
    /// What else changes with it, as far as it was known when the move was committed.
    pub parents: Parents,
}

/// Prompts whose texts take in a label of another, and change for all of their users when it moves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parents {
    /// Their labels, by prompt; at most [`Parents::TOLD_MAX`].
    pub labels: Vec<(PromptName, Label)>,
    /// How many more there are.
    pub more: usize,
    /// Why there may be others; none when these are all.
    pub gap: Option<String>,
}

impl Parents {
    /// Most labels that are told by name.
    pub const TOLD_MAX: usize = 20;

    /// Those of a registry, as many as are told.
    pub fn new(labels: impl IntoIterator<Item = (PromptName, Label)>, gap: Option<&str>) -> Self {
        let mut labels: Vec<_> = labels.into_iter().collect();
        let more = labels.len().saturating_sub(Self::TOLD_MAX);
        labels.truncate(Self::TOLD_MAX);
        Self {
            labels,
            more,
            gap: gap.map(str::to_owned),
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

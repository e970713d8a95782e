//! What is kept of a rollout: its history, and how far its evidence has been read.

use super::fallback::Fallback;
use super::{Command, LabelMove, Notice, NoticeOutcome, Refusal, Transition};
use crate::ids::{CacheName, Label, PolicyName, RegistryName, RolloutId, Tick, Version};
use jiff::Timestamp;

/// One entry of a rollout's history; append-only.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Position in the whole history, from 1.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// The rollout.
    pub rollout: RolloutId,
    /// Its policy.
    pub policy: PolicyName,
    /// What happened.
    pub event: AuditEvent,
}

/// What an [`AuditRecord`] tells.
#[derive(Debug, Clone, PartialEq)]
pub enum AuditEvent {
    /// A transition was committed.
    Moved(Box<Transition>),
    /// A label move was tried, and this came of it.
    LabelMove {
        /// The move.
        label_move: LabelMove,
        /// What came of it.
        outcome: LabelMoveOutcome,
    },
    /// The registry was away for longer than a moment, or is back.
    Registry {
        /// Which.
        registry: RegistryName,
        /// Since when it did not answer.
        since: Timestamp,
        /// Its words; none when it answers again.
        error: Option<String>,
    },
    /// The keys of a label that had moved were cleared in a cache of applications, or were to be.
    Cache {
        /// The cache.
        cache: CacheName,
        /// The label.
        label: Label,
        /// Where the label points; none when it is gone.
        version: Option<Version>,
        /// What came of it.
        outcome: CacheOutcome,
    },
    /// Applications were not served as usual, or are again.
    Fallback(Fallback),
    /// A notification was tried, and this came of it.
    Notice {
        /// The notification.
        notice: Notice,
        /// What came of it.
        outcome: NoticeOutcome,
    },
    /// A person's command was refused.
    Refused {
        /// The command.
        command: Command,
        /// Why.
        refusal: Refusal,
    },
}

/// What came of clearing a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheOutcome {
    /// The keys are not what they were before the move.
    Cleared,
    /// The cache failed; it is tried again.
    Failed {
        /// Its words.
        error: String,
    },
}

/// What came of a label move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelMoveOutcome {
    /// Read back: the label is where it should be.
    Confirmed,
    /// The label was elsewhere than expected; it was left there.
    Foreign {
        /// Where it is; none when the label is gone.
        found: Option<Version>,
    },
    /// A later transition made it void before it was confirmed.
    Superseded,
    /// The registry failed; it is tried again.
    Failed {
        /// Its words.
        error: String,
    },
}

/// How far the engine has read, so that a restart goes on from there.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The last tick that is in `engine`.
    pub through: Tick,
    /// The engine's state, as `analysis::engine` writes it.
    pub engine: Vec<u8>,
}

//! Notifications that are committed, and not delivered yet.

use super::StoreError;
use crate::ids::PolicyName;
use crate::rollout::{AuditRecord, Notice, NoticeOutcome};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

/// Notifications that may wait at once; what comes beyond is given up as it is committed.
pub const NOTICES_WAITING_MAX: u64 = 10_000;

/// Notifications of one policy that were refused at least once, and those that wait behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingNotices {
    /// The policy.
    pub policy: PolicyName,
    /// How many wait.
    pub waiting: u64,
    /// Why one of them was refused last.
    pub error: String,
}

/// Number of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId(pub u64);

/// A notification that is not finished, with what it tells of.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingNotice {
    /// Its number: they are numbered in the order of what they tell.
    pub id: NoticeId,
    /// Whom to tell, and of what.
    pub notice: Notice,
    /// The transition, as the history has it.
    pub record: AuditRecord,
    /// The text of the policy that the rollout runs under.
    pub policy_source: Arc<str>,
    /// How often it was tried.
    pub attempts: u32,
}

/// Keeps the notifications that transitions ask for.
///
/// They are added with their transition by [`Store::begin`](super::Store::begin) and
/// [`Store::commit`](super::Store::commit).
#[async_trait]
pub trait NoticeStore: Send + Sync {
    /// Notifications that may be tried at `now`, oldest first, at most `limit`: of each rollout and each
    /// place in its policy the oldest one that is not finished, so that their order is kept.
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<PendingNotice>, StoreError>;

    /// What cannot be delivered at present, by policy.
    async fn failing_notices(&self) -> Result<Vec<FailingNotices>, StoreError>;

    /// Counts an attempt, records what came of it, and has a failed one wait until `due_at`.
    ///
    /// Failures go into the history as those of label moves do: the first one, changed words, and every
    /// power of two. An outcome of a notification that is finished changes nothing.
    async fn record_notice(
        &self,
        at: Timestamp,
        notice: NoticeId,
        outcome: NoticeOutcome,
        due_at: Timestamp,
    ) -> Result<(), StoreError>;
}

//! What must outlive the process: rollouts and their history, tallies, prompts, tokens, the secret.
//!
//! The traits are small and have no SQL in their signatures; one test suite holds every store.

use crate::analysis::{Observation, TickTally};
use crate::ids::{
    Arm, Cluster, Exposure, Generation, MetricName, PolicyName, Revision, RolloutId, Tick, UserHash,
};
use crate::prompt::{PromptError, PromptStore};
use crate::rollout::{
    AuditEvent, AuditRecord, Checkpoint, LabelMove, LabelMoveOutcome, RolloutState, Transition,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

mod clearings;
mod notices;
mod points;
mod rows;
mod scores;
pub mod sqlite;

pub use self::clearings::{Clearing, ClearingStore, SeenLabel};
pub use self::notices::{FailingNotices, NOTICES_WAITING_MAX, NoticeId, NoticeStore, PendingNotice};
pub use self::points::{MetricPoint, POINTS_MAX, Point, PointStore, ROLLOUTS_CHARTED_MAX};
pub use self::scores::{
    Comparison, Score, ScoreFilter, ScoreKind, ScorePage, ScoreSource, ScoreStore, ScoreSubject, ScoreValue,
    Serving,
};

/// A store.
///
/// Each method is one transaction, durable when it returns.
#[async_trait]
pub trait Store: PromptStore + ScoreStore + PointStore + ClearingStore + NoticeStore + 'static {
    /// The server's secret, made at first call.
    async fn secret(&self) -> Result<Secret, StoreError>;

    /// What the controller must know to go on after a start: every rollout that is not over, the
    /// last one of each policy that is, and every effect that is not finished.
    async fn load(&self) -> Result<Loaded, StoreError>;

    /// Creates a rollout with its first audit record and effects, and keeps its policy's text.
    /// What is handed back are its label moves; notifications are for [`NoticeStore`].
    ///
    /// The record is a transition from [`Phase::Pending`](crate::rollout::Phase::Pending), without
    /// numbers.
    ///
    /// [`StoreError::AlreadyRunning`] when the policy has a rollout that is not over.
    async fn begin(&self, start: NewRollout) -> Result<Begun, StoreError>;

    /// Commits a transition, its audit record, its effects and a checkpoint as one.
    ///
    /// When the rollout is over by it, its tallies are deleted (the numbers are in the record), and its
    /// users are forgotten by and by.
    ///
    /// [`StoreError::Stale`] when the rollout's generation is not the one before `transition.to`'s.
    async fn commit(
        &self,
        at: Timestamp,
        transition: &Transition,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Vec<PendingEffect>, StoreError>;

    /// Counts an attempt and records what came of it: a failed effect waits for the next one, any other
    /// is finished.
    ///
    /// A failure goes into the history when it is the first one, when the words differ from those of the
    /// attempt before, and at every power of two of attempts, so that a registry that is away for days
    /// does not fill it. An outcome of an effect that is finished changes nothing.
    async fn record_effect(
        &self,
        at: Timestamp,
        effect: EffectId,
        outcome: LabelMoveOutcome,
    ) -> Result<(), StoreError>;

    /// Appends an audit record that changes no state; [`StoreError::UnknownRollout`] without a rollout.
    async fn record_event(
        &self,
        at: Timestamp,
        rollout: RolloutId,
        event: AuditEvent,
    ) -> Result<(), StoreError>;

    /// Keeps how far the engine has read, and deletes the ticks that it holds.
    ///
    /// `checkpoint.through` must be closed. A checkpoint older than the one that is stored changes
    /// nothing.
    async fn save_checkpoint(&self, rollout: RolloutId, checkpoint: Checkpoint) -> Result<(), StoreError>;

    /// The newest checkpoint of a rollout.
    async fn checkpoint(&self, rollout: RolloutId) -> Result<Option<Checkpoint>, StoreError>;

    /// Adds observations to their tallies, and who was observed to the headcount, all or none; an id or
    /// idempotency key seen before (in the last 7 days at least, or earlier in the batch) adds nothing.
    ///
    /// An observation of a rollout that is over is noted by its id and added to nothing.
    /// [`StoreError::KeyReused`] when the key came with another body, [`StoreError::Overloaded`] at once
    /// when too much waits already.
    async fn ingest(&self, batch: Batch) -> Result<BatchReceipt, StoreError>;

    /// The ticks of a rollout after `after` that are closed: nothing is added to them any more, not even
    /// after a restart with a clock that went back.
    ///
    /// When there are very many, [`ClosedTicks::through`] is the last one that is handed out, and the rest
    /// is for the next call.
    async fn closed_ticks(&self, rollout: RolloutId, after: Option<Tick>) -> Result<ClosedTicks, StoreError>;

    /// One rollout's state.
    async fn rollout(&self, rollout: RolloutId) -> Result<Option<RolloutState>, StoreError>;

    /// Rollouts, newest first, from below `before` on; of one policy, or of all.
    async fn rollouts(
        &self,
        policy: Option<&PolicyName>,
        before: Option<RolloutId>,
        limit: usize,
    ) -> Result<Vec<RolloutState>, StoreError>;

    /// A rollout's history, oldest first, from after `after` on.
    async fn audit(
        &self,
        rollout: RolloutId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError>;

    /// The text of a policy that some rollout ran under.
    async fn policy_source(&self, revision: &Revision) -> Result<Option<Arc<str>>, StoreError>;

    /// Adds a token; [`StoreError::NameTaken`] when the name is in use.
    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError>;

    /// All tokens that are not revoked, by name.
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError>;

    /// Revokes a token; false when there is none of that name. The name may be used again.
    async fn revoke_token(&self, name: &str) -> Result<bool, StoreError>;
}

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data.
    #[error("the data in `{path}` is in use by another `serin serve`")]
    Busy {
        /// The directory.
        path: String,
    },
    /// Another controller was faster.
    #[error("rollout {rollout} is at generation {found}, not at {expected}")]
    Stale {
        /// The rollout.
        rollout: RolloutId,
        /// What the caller thought.
        expected: Generation,
        /// What is stored.
        found: Generation,
    },
    /// The policy has a rollout that is not over.
    #[error("policy `{policy}` has a rollout that is not over: {rollout}")]
    AlreadyRunning {
        /// The policy.
        policy: PolicyName,
        /// The rollout.
        rollout: RolloutId,
    },
    /// The rollout does not exist.
    #[error("there is no rollout {0}")]
    UnknownRollout(RolloutId),
    /// The effect does not exist.
    #[error("there is no effect {}", .0.0)]
    UnknownEffect(EffectId),
    /// The notification does not exist.
    #[error("there is no notification {}", .0.0)]
    UnknownNotice(NoticeId),
    /// A token of that name exists.
    #[error("there is a token named `{0}` already")]
    NameTaken(String),
    /// The same idempotency key came with another body.
    #[error("the idempotency key was used with another body before")]
    KeyReused,
    /// The store's own failure.
    #[error("the store failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is stored cannot be understood.
    #[error("the store holds {what} that cannot be read: {why}")]
    Corrupt {
        /// What.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// The queue to the writer is full.
    #[error("the store's queue is full")]
    Overloaded,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// The message with those of its causes, as one line for a log or a person.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            source = cause.source();
        }
        line
    }
}

impl From<StoreError> for PromptError {
    fn from(error: StoreError) -> Self {
        let line = error.chain();
        if matches!(error, StoreError::Overloaded | StoreError::Closed) {
            return Self::StoreAway(line);
        }
        // The words "the store failed" are the prompt error's own.
        Self::Store(
            line.strip_prefix("the store failed: ")
                .unwrap_or(&line)
                .to_owned(),
        )
    }
}

/// 32 random bytes, made at first start; keys are derived from it.
#[derive(Clone)]
pub struct Secret(pub [u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What the controller must know to go on after a start.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Running rollouts, and the last ended one of each policy.
    pub rollouts: Vec<RolloutState>,
    /// Effects that are not finished, oldest first.
    pub effects: Vec<PendingEffect>,
}

/// A rollout to be created.
#[derive(Debug, Clone)]
pub struct NewRollout {
    /// The state to store; its id is ignored and given by the store.
    pub state: RolloutState,
    /// The policy's text, kept under `state.revision`.
    pub policy_source: Arc<str>,
    /// Why it begins.
    pub cause: crate::rollout::Cause,
    /// What to do after the commit; the rollout's id is filled in by the store.
    pub effects: Vec<crate::rollout::Effect>,
    /// When.
    pub at: Timestamp,
}

/// A rollout that was created.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// Its state, with the id that the store gave it.
    pub state: RolloutState,
    /// Its effects, with their numbers.
    pub effects: Vec<PendingEffect>,
}

/// Number of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

/// An effect that is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEffect {
    /// Its number.
    pub id: EffectId,
    /// What to do.
    pub label_move: LabelMove,
    /// How often it was tried.
    pub attempts: u32,
}

/// Observations of one request, attributed and folded.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The request's idempotency key, where it has one.
    pub key: Option<BatchKey>,
    /// What to count, with the ids that make repeats harmless.
    pub observations: Vec<Counted>,
    /// What would be counted, if it could be.
    pub exclusions: Vec<Exclusion>,
}

/// The idempotency key of a request, and a fingerprint of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchKey {
    /// SHA-256 of the key (with the token's name), so that its length is bounded.
    pub key: [u8; 32],
    /// SHA-256 of the body.
    pub body: [u8; 32],
    /// The answer to repeat.
    pub answer: Answer,
}

/// The answer to a request, whole but for the number of duplicates, which the store alone knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What stands before the number.
    pub before: Arc<str>,
    /// What stands after it.
    pub after: Arc<str>,
}

impl Answer {
    /// The answer when `duplicates` of the request's observations were counted before.
    pub fn with_duplicates(&self, duplicates: usize) -> String {
        let Self { before, after } = self;
        format!("{before}{duplicates}{after}")
    }
}

/// One observation that is to be counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// The rollout.
    pub rollout: RolloutId,
    /// The arm that was served.
    pub arm: Arm,
    /// The user's cluster.
    pub cluster: Cluster,
    /// Who was observed, for the sample ratio; none where that is not known or does not matter.
    pub sight: Option<Sight>,
    /// Values by metric, in range, as their tallies add them up.
    pub values: Vec<(MetricName, Observation)>,
    /// First 128 bits of SHA-256 over policy and id, where the sender gave an id.
    pub id: Option<[u8; 16]>,
}

/// A user, to be counted once for each rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// The user's keyed hash.
    pub user: UserHash,
    /// The share of users that was planned for treatment when this one was assigned; none where that
    /// is not known: then the user is noted, and never counted.
    pub planned: Option<Exposure>,
}

/// An observation that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exclusion {
    /// The rollout.
    pub rollout: RolloutId,
    /// The arm that was served.
    pub arm: Arm,
    /// Why it is left out.
    pub cause: ExclusionCause,
    /// Who was observed, as in [`Counted::sight`].
    pub sight: Option<Sight>,
}

/// Why an observation is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExclusionCause {
    /// The application served a fallback of its own.
    Fallback,
    /// A value is out of range.
    OutOfRange,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchReceipt {
    /// It is counted; `duplicates` holds the positions of observations whose id was seen before.
    Counted {
        /// Positions in the batch.
        duplicates: Vec<usize>,
    },
    /// The idempotency key was seen before: this is the answer given then.
    Repeated {
        /// The answer.
        answer: Arc<str>,
    },
}

/// Ticks that nothing is added to any more.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedTicks {
    /// The last closed tick that this reaches to, with observations or without.
    pub through: Tick,
    /// Those with observations, in order.
    pub ticks: Vec<TickTally>,
}

/// A token; only the hash of its secret part is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name: the actor of what is done with it.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Ask for assignments and prompts.
    Assign,
    /// Send observations.
    Observe,
    /// Run rollouts, create prompts, move unprotected labels.
    Operate,
    /// Everything, protected labels and tokens included.
    Admin,
}

impl Scope {
    /// All of them, weakest first.
    pub const ALL: [Self; 4] = [Self::Assign, Self::Observe, Self::Operate, Self::Admin];

    /// The word in the CLI and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assign => "assign",
            Self::Observe => "observe",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

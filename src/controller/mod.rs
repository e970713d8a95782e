//! Makes reality match what `rollout::decide` says: one tick after the other.
//!
//! This file holds what the rest of the shell sees of the controller: the [`Board`] to read, and
//! the [`ControllerHandle`] to ask through.

use crate::analysis::Assessment;
use crate::assignment::snapshot::Snapshot;
use crate::ids::{Actor, Exposure, Justification, PolicyName, RegistryName, RolloutId, Tick, Version};
use crate::policy::Policy;
use crate::policy::problem::Problem;
use crate::registry::RegistryError;
use crate::rollout::{Command, ObservedLabels, Refusal, RolloutState, StayReason};
use crate::store::StoreError;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// What the controller knows, for everybody to read; replaced whole after each change.
#[derive(Debug, Clone, Default)]
pub struct Board {
    /// By policy.
    pub policies: BTreeMap<PolicyName, Arc<PolicyStatus>>,
    /// Files of the policy folder that were refused, and warnings of those that were not.
    pub problems: Vec<Problem>,
    /// When the policy folder was last read.
    pub loaded_at: Option<Timestamp>,
    /// When the last tick ended.
    pub ticked_at: Option<Timestamp>,
    /// Why the last tick could not do its work, by part; empty when it could.
    pub troubles: Vec<Trouble>,
}

/// A part of the world that does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A registry.
    Registry {
        /// Which.
        registry: RegistryName,
        /// Its words.
        error: String,
    },
    /// The store.
    Store {
        /// Its words.
        error: String,
    },
}

/// One policy as it stands.
#[derive(Debug, Clone)]
pub struct PolicyStatus {
    /// The policy in force for the next rollout.
    pub policy: Arc<Policy>,
    /// Where the labels point, as last read.
    pub labels: Option<ObservedLabels>,
    /// Why the labels could not be read.
    pub registry_error: Option<String>,
    /// The running rollout, or the last one.
    pub rollout: Option<Arc<RolloutStatus>>,
    /// Whether the file is gone while its rollout runs.
    pub removed: bool,
}

/// One rollout as it stands.
#[derive(Debug, Clone)]
pub struct RolloutStatus {
    /// The policy under which it runs, which may be older than the one in force.
    pub policy: Arc<Policy>,
    /// Its state.
    pub state: RolloutState,
    /// Share of users in treatment.
    pub exposure: Exposure,
    /// Why it does not move.
    pub stay: StayReason,
    /// The numbers, since the first closed tick.
    pub assessment: Option<Arc<Assessment>>,
    /// The last tick that is in the numbers.
    pub through: Option<Tick>,
}

/// Asks the controller; cheap to clone.
#[derive(Debug, Clone)]
pub struct ControllerHandle {
    requests: mpsc::Sender<Request>,
    board: Arc<ArcSwap<Board>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    changes: watch::Receiver<u64>,
}

/// Requests that may wait for the controller at once.
pub const REQUESTS_QUEUED_MAX: usize = 256;

#[derive(Debug)]
pub(crate) enum Request {
    Start {
        start: StartRequest,
        reply: oneshot::Sender<Result<RolloutState, CommandError>>,
    },
    Command {
        rollout: RolloutId,
        command: Command,
        reply: oneshot::Sender<Result<RolloutState, CommandError>>,
    },
}

/// A rollout that a person asks for.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// The policy.
    pub policy: PolicyName,
    /// The candidate; `None` takes the version that the treatment label points at.
    pub candidate: Option<Version>,
    /// Who asks.
    pub actor: Actor,
    /// Why.
    pub reason: Justification,
}

/// Why a request to the controller failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No such policy.
    #[error("there is no policy `{0}`")]
    UnknownPolicy(PolicyName),
    /// No such rollout.
    #[error("there is no rollout {0}")]
    UnknownRollout(RolloutId),
    /// The command makes no sense in the rollout's phase.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The rollout cannot start.
    #[error("{0}")]
    StartRefused(String),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many requests wait.
    #[error("the controller has too many requests waiting")]
    Overloaded,
    /// The server is stopping.
    #[error("the controller has stopped")]
    Stopped,
}

impl ControllerHandle {
    /// What the controller knows.
    pub fn board(&self) -> Arc<Board> {
        self.board.load_full()
    }

    /// What assignments are answered from; held for the length of one answer.
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Changes whenever board or snapshot were replaced.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Starts a rollout.
    pub async fn start(&self, start: StartRequest) -> Result<RolloutState, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Start { start, reply }, answer).await
    }

    /// Hands a person's command to a rollout.
    pub async fn command(&self, rollout: RolloutId, command: Command) -> Result<RolloutState, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.ask(
            Request::Command {
                rollout,
                command,
                reply,
            },
            answer,
        )
        .await
    }

    async fn ask(
        &self,
        request: Request,
        answer: oneshot::Receiver<Result<RolloutState, CommandError>>,
    ) -> Result<RolloutState, CommandError> {
        self.requests.try_send(request).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => CommandError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopped,
        })?;
        answer.await.unwrap_or(Err(CommandError::Stopped))
    }
}

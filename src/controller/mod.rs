//! Makes reality match what `rollout::decide` says: one tick after the other.
//!
//! This file holds what the rest of the shell sees of the controller: the [`Board`] to read, and
//! the [`ControllerHandle`] to ask through.

pub mod book;
mod caches;
mod composed;
mod control;
mod execute;
mod fallbacks;
mod labels;
mod outages;
mod publish;
mod rest;
mod running;
mod start;
mod tick;
mod unheard;

pub use caches::CacheStatus;
pub use control::{Controller, Parts};

use crate::analysis::Assessment;
use crate::assignment::snapshot::Snapshot;
use crate::ids::{
    Actor, CacheName, Exposure, Justification, Label, PolicyName, PromptName, RegistryName, RolloutId, Tick,
    Version,
};
use crate::policy::Policy;
use crate::policy::problem::Problem;
use crate::registry::RegistryError;
use crate::rollout::aftermath::Aftermath;
use crate::rollout::fallback::FallbackKind;
use crate::rollout::{Command, ObservedLabels, Refusal, RolloutState, StayReason};
use crate::store::{FailingNotices, StoreError};
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
    pub problems: Arc<[Problem]>,
    /// When the policy folder was last read.
    pub loaded_at: Option<Timestamp>,
    /// When the last tick ended.
    pub ticked_at: Option<Timestamp>,
    /// Why the last tick could not do its work, by part; empty when it could.
    pub troubles: Vec<Trouble>,
    /// The caches of applications that follow labels.
    pub caches: BTreeMap<CacheName, CacheStatus>,
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
    /// A cache of applications that is to follow a label.
    Cache {
        /// Which.
        cache: CacheName,
        /// Its words.
        error: String,
    },
    /// The store.
    Store {
        /// Its words.
        error: String,
    },
    /// Whoever is to be told of a policy's rollouts.
    Notices {
        /// The policy.
        policy: PolicyName,
        /// Notifications that wait.
        waiting: u64,
        /// Why the last one was not taken.
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
    /// What the registry shows to be unwise about it.
    pub warnings: Vec<Problem>,
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
    /// Its label moves that are committed and not confirmed by read-back yet.
    pub moves_unconfirmed: usize,
    /// What applications may serve after a rollback.
    pub aftermath: Aftermath,
}

/// Asks the controller; cheap to clone.
#[derive(Debug, Clone)]
pub struct ControllerHandle {
    requests: mpsc::Sender<Request>,
    board: Arc<ArcSwap<Board>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    changes: watch::Receiver<u64>,
    caches: caches::Shown,
    failing: Arc<ArcSwap<Vec<FailingNotices>>>,
    fallbacks: fallbacks::Noted,
}

/// Requests that may wait for the controller at once.
pub const REQUESTS_QUEUED_MAX: usize = 256;

/// What is asked of the controller; it answers each request once, where there is something to answer.
#[derive(Debug)]
pub enum Request {
    /// Start a rollout.
    Start {
        /// Which.
        start: StartRequest,
        /// Takes the new rollout, or why there is none.
        reply: oneshot::Sender<Result<RolloutState, CommandError>>,
    },
    /// Hand a person's command to a rollout.
    Command {
        /// The rollout.
        rollout: RolloutId,
        /// The command.
        command: Command,
        /// Takes the rollout as it is after the command, or why nothing was done.
        reply: oneshot::Sender<Result<RolloutState, CommandError>>,
    },
    /// Read the labels of a prompt anew with the next tick; there is no reply.
    Look {
        /// The registry that has it.
        registry: RegistryName,
        /// The prompt.
        prompt: PromptName,
    },
}

/// The controller's end of a [`ControllerHandle`]: it takes the requests and publishes what it knows.
#[derive(Debug)]
pub struct ControllerSide {
    /// Requests, in the order in which they were made; at most [`REQUESTS_QUEUED_MAX`] wait.
    pub requests: mpsc::Receiver<Request>,
    board: Arc<ArcSwap<Board>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    changes: watch::Sender<u64>,
    caches: caches::Shown,
    failing: Arc<ArcSwap<Vec<FailingNotices>>>,
    fallbacks: fallbacks::Noted,
}

/// Both ends of a controller, with an empty board and an empty snapshot.
pub fn channel() -> (ControllerHandle, ControllerSide) {
    let (sender, requests) = mpsc::channel(REQUESTS_QUEUED_MAX);
    let (changed, changes) = watch::channel(0);
    let board = Arc::new(ArcSwap::default());
    let snapshot = Arc::new(ArcSwap::default());
    let caches = caches::Shown::default();
    let failing = Arc::new(ArcSwap::default());
    let fallbacks = fallbacks::Noted::default();
    let handle = ControllerHandle {
        requests: sender,
        board: Arc::clone(&board),
        snapshot: Arc::clone(&snapshot),
        changes,
        caches: Arc::clone(&caches),
        failing: Arc::clone(&failing),
        fallbacks: fallbacks.clone(),
    };
    let side = ControllerSide {
        requests,
        board,
        snapshot,
        changes: changed,
        caches,
        failing,
        fallbacks,
    };
    (handle, side)
}

impl ControllerSide {
    /// What [`ControllerHandle::show_failing_notices`] was told last.
    pub fn notice_troubles(&self) -> Vec<Trouble> {
        let failing = self.failing.load();
        let troubles = failing.iter().map(|failing| Trouble::Notices {
            policy: failing.policy.clone(),
            waiting: failing.waiting,
            error: failing.error.clone(),
        });
        troubles.collect()
    }

    /// Replaces what every handle shows, and tells everybody who waits on
    /// [`ControllerHandle::changes`].
    ///
    /// The snapshot goes first: whoever reads from the board that users were taken out of treatment
    /// can rely on it that nobody is assigned to it any more.
    ///
    /// `None` keeps the snapshot that is there.
    pub fn publish(&self, board: Board, snapshot: Option<Snapshot>) {
        if let Some(snapshot) = snapshot {
            self.snapshot.store(Arc::new(snapshot));
        }
        self.board.store(Arc::new(board));
        self.changes.send_modify(|count| *count += 1);
    }
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

    /// Has the labels of a prompt read anew, because somebody says that one has moved.
    ///
    /// Saying it twice, or wrongly, costs a request to the registry and changes nothing.
    pub fn look(&self, registry: RegistryName, prompt: PromptName) -> Result<(), CommandError> {
        self.send(Request::Look { registry, prompt })
    }

    /// Shows notifications that are not taken, as troubles on the board from its next change on.
    pub fn show_failing_notices(&self, failing: Vec<FailingNotices>) {
        self.failing.store(Arc::new(failing));
    }

    /// Notes that an application did not get the prompt that it asked for, which a policy steers, by the
    /// policy's label or by a version; the history tells of it with the next tick. It waits for nothing.
    pub fn note_fallback(
        &self,
        policy: &PolicyName,
        prompt: &PromptName,
        label: Option<&Label>,
        what: (FallbackKind, &str),
        now: Timestamp,
    ) {
        self.fallbacks.note(policy, prompt, label, what, now);
    }

    fn send(&self, request: Request) -> Result<(), CommandError> {
        self.requests.try_send(request).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => CommandError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopped,
        })
    }

    async fn ask(
        &self,
        request: Request,
        answer: oneshot::Receiver<Result<RolloutState, CommandError>>,
    ) -> Result<RolloutState, CommandError> {
        self.send(request)?;
        answer.await.unwrap_or(Err(CommandError::Stopped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_shown_by_every_handle() {
        let (handle, side) = channel();
        let clone = handle.clone();
        let changes = clone.changes();
        assert!(!changes.has_changed().unwrap());
        let board = Board {
            ticked_at: Some(Timestamp::UNIX_EPOCH),
            ..Board::default()
        };
        let snapshot = Snapshot::new(7, []);
        side.publish(board, Some(snapshot));
        assert_eq!(clone.board().ticked_at, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(handle.snapshot().number(), 7);
        assert!(changes.has_changed().unwrap());
    }

    #[tokio::test]
    async fn requests_beyond_the_bound_and_after_the_end_are_refused() {
        let (handle, side) = channel();
        let start = StartRequest {
            policy: PolicyName::new("greeting").unwrap(),
            candidate: None,
            actor: Actor::serin(),
            reason: Justification::new("to see").unwrap(),
        };
        let waiting: Vec<_> = (0..REQUESTS_QUEUED_MAX)
            .map(|_| {
                tokio::spawn({
                    let (handle, start) = (handle.clone(), start.clone());
                    async move { handle.start(start).await }
                })
            })
            .collect();
        while side.requests.len() < REQUESTS_QUEUED_MAX {
            tokio::task::yield_now().await;
        }
        let refused = handle.start(start.clone()).await;
        assert!(matches!(refused, Err(CommandError::Overloaded)));
        drop(side);
        for answer in waiting {
            assert!(matches!(answer.await.unwrap(), Err(CommandError::Stopped)));
        }
        assert!(matches!(handle.start(start).await, Err(CommandError::Stopped)));
    }
}

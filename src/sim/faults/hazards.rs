//! The places where the controller waits for somebody else, and what can strike there.

use crate::store::StoreError;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What can strike a call to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// It fails, and nothing was done.
    BeforeCall,
    /// It was done, and the caller is told that it failed.
    AfterCall,
}

/// What can strike a label move on its way to the registry or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryFault {
    /// It is done, and the reply is lost.
    LostReply,
    /// It arrives twice.
    Repeated,
    /// It arrives only after the controller has stopped waiting for the reply, if at all.
    SlowRequest,
    /// It is done at once, and the reply comes after the controller has stopped waiting.
    SlowReply,
}

/// What is about to strike; shared by the store and the registry that the controller calls.
///
/// Every call passes two points, one before it is made and one after it was done; a crash can strike
/// at each, so that all orders of "committed" and "acted" are reached.
#[derive(Debug, Default)]
pub struct Hazards {
    ahead: Mutex<Ahead>,
    crash: Notify,
}

#[derive(Debug, Default)]
struct Ahead {
    /// Points that are passed before the controller crashes.
    points_to_crash: Option<u32>,
    /// Calls that succeed before one fails, and how it does.
    store: Option<(u32, StoreFault)>,
    moves: VecDeque<RegistryFault>,
    registry_is_away: bool,
}

/// Faults of label moves that wait at once; more are dropped.
const MOVE_FAULTS_QUEUED_MAX: usize = 8;

impl Hazards {
    /// Has the controller crash after it passed `points` more of them.
    pub fn crash_after(&self, points: u32) {
        self.ahead().points_to_crash = Some(points);
    }

    /// Has a call to the store fail after `calls` that succeed.
    pub fn fail_store_after(&self, calls: u32, fault: StoreFault) {
        self.ahead().store = Some((calls, fault));
    }

    /// Has the next label move that no earlier fault strikes be struck by `fault`.
    pub fn strike_move(&self, fault: RegistryFault) {
        let mut ahead = self.ahead();
        if ahead.moves.len() < MOVE_FAULTS_QUEUED_MAX {
            ahead.moves.push_back(fault);
        }
    }

    /// Takes the registry away, or brings it back.
    pub fn set_registry_away(&self, is_away: bool) {
        self.ahead().registry_is_away = is_away;
    }

    /// Nothing is ahead any more.
    pub fn clear(&self) {
        *self.ahead() = Ahead::default();
    }

    /// Resolves when the controller crashes.
    pub async fn crashed(&self) {
        self.crash.notified().await;
    }

    /// Whether the registry is away.
    pub(super) fn registry_is_away(&self) -> bool {
        self.ahead().registry_is_away
    }

    /// The fault that strikes the label move that is made now.
    pub(super) fn next_move_fault(&self) -> Option<RegistryFault> {
        self.ahead().moves.pop_front()
    }

    /// The fault that strikes the call to the store that is made now.
    pub(super) fn next_store_fault(&self) -> Option<StoreFault> {
        let mut ahead = self.ahead();
        match ahead.store {
            Some((0, fault)) => {
                ahead.store = None;
                Some(fault)
            }
            Some((calls, fault)) => {
                ahead.store = Some((calls - 1, fault));
                None
            }
            None => None,
        }
    }

    /// A place where the controller may crash; then it never returns from here.
    pub(super) async fn point(&self) {
        let crashes = {
            let mut ahead = self.ahead();
            match ahead.points_to_crash {
                Some(0) => {
                    ahead.points_to_crash = None;
                    true
                }
                Some(points) => {
                    ahead.points_to_crash = Some(points - 1);
                    false
                }
                None => false,
            }
        };
        if crashes {
            self.crash.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreFault {
    /// What the caller is told.
    pub(super) fn error(self) -> StoreError {
        StoreError::Failed(match self {
            Self::BeforeCall => "the disk is full (simulated)".into(),
            Self::AfterCall => "the connection broke off (simulated)".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_crash_strikes_at_its_point_and_once() {
        let hazards = Hazards::default();
        hazards.crash_after(2);
        hazards.point().await;
        hazards.point().await;
        let passed = tokio::select! {
            biased;
            () = hazards.crashed() => false,
            () = hazards.point() => true,
        };
        assert!(!passed);
        hazards.point().await;
        let again = tokio::time::timeout(Duration::from_secs(1), hazards.crashed()).await;
        assert!(again.is_err());
    }

    #[test]
    fn a_store_fault_strikes_the_call_that_it_is_due_at() {
        let hazards = Hazards::default();
        hazards.fail_store_after(1, StoreFault::AfterCall);
        assert_eq!(hazards.next_store_fault(), None);
        assert_eq!(hazards.next_store_fault(), Some(StoreFault::AfterCall));
        assert_eq!(hazards.next_store_fault(), None);
    }

    #[test]
    fn what_is_cleared_does_not_strike() {
        let hazards = Hazards::default();
        hazards.strike_move(RegistryFault::LostReply);
        hazards.set_registry_away(true);
        hazards.fail_store_after(0, StoreFault::BeforeCall);
        hazards.clear();
        assert_eq!(hazards.next_move_fault(), None);
        assert!(!hazards.registry_is_away());
        assert_eq!(hazards.next_store_fault(), None);
    }
}

//! The places where the controller waits for somebody else, and what can strike there.

use crate::store::StoreError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Where a fault strikes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// Nothing was done.
    BeforeCall,
    /// It was done, and the caller does not learn it.
    AfterCall,
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
    /// Where the controller crashes at its next label move.
    crash_at_move: Option<Strike>,
    /// Calls that succeed before one fails, and how it does.
    store: Option<(u32, Strike)>,
    /// How the next label move gets no answer.
    silence: Option<Strike>,
}

impl Hazards {
    /// Has the controller crash after it passed `points` more of them.
    pub fn crash_after(&self, points: u32) {
        self.ahead().points_to_crash = Some(points);
    }

    /// Has the controller crash at its next label move, before or after it is done.
    pub fn crash_at_move(&self, strike: Strike) {
        self.ahead().crash_at_move = Some(strike);
    }

    /// Has a call to the store fail after `calls` that succeed.
    pub fn fail_store_after(&self, calls: u32, fault: Strike) {
        self.ahead().store = Some((calls, fault));
    }

    /// Has the next label move get no answer, not even an error.
    pub fn silence_move(&self, strike: Strike) {
        self.ahead().silence = Some(strike);
    }

    /// Nothing is ahead any more.
    pub fn clear(&self) {
        *self.ahead() = Ahead::default();
    }

    /// Resolves when the controller crashes.
    pub async fn crashed(&self) {
        self.crash.notified().await;
    }

    /// How the label move that is made now gets no answer; none when it gets one.
    pub(super) fn next_silence(&self) -> Option<Strike> {
        self.ahead().silence.take()
    }

    /// The fault that strikes the call to the store that is made now.
    pub(super) fn next_store_fault(&self) -> Option<Strike> {
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
        let points = self.ahead().points_to_crash.take();
        self.ahead().points_to_crash = points.and_then(|points| points.checked_sub(1));
        self.crash_if(points == Some(0)).await;
    }

    /// Like [`Self::point`], beside a label move.
    pub(super) async fn move_point(&self, strike: Strike) {
        let due = self.ahead().crash_at_move == Some(strike);
        if due {
            self.ahead().crash_at_move = None;
        }
        self.crash_if(due).await;
        self.point().await;
    }

    async fn crash_if(&self, crashes: bool) {
        if crashes {
            self.crash.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strike {
    /// What the caller of the store is told.
    pub(super) fn store_error(self) -> StoreError {
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
        hazards.fail_store_after(1, Strike::AfterCall);
        assert_eq!(hazards.next_store_fault(), None);
        assert_eq!(hazards.next_store_fault(), Some(Strike::AfterCall));
        assert_eq!(hazards.next_store_fault(), None);
    }

    #[test]
    fn what_is_cleared_does_not_strike() {
        let hazards = Hazards::default();
        hazards.silence_move(Strike::AfterCall);
        hazards.fail_store_after(0, Strike::BeforeCall);
        hazards.clear();
        assert_eq!(hazards.next_silence(), None);
        assert_eq!(hazards.next_store_fault(), None);
    }
}

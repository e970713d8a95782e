//! One rollout as the controller keeps it: its course, read from the store tick by tick.

use super::RolloutStatus;
use crate::ids::Tick;
use crate::policy::Policy;
use crate::rollout::RolloutState;
use crate::rollout::aftermath::Aftermath;
use crate::rollout::course::Course;
use crate::store::{Store, StoreError};
use jiff::Timestamp;
use std::sync::Arc;

/// Ticks between two checkpoints; after a restart at most this many are read again.
const CHECKPOINT_EVERY_TICKS: i64 = 60;

/// One rollout, and how far it is in the store.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) course: Course,
    saved: Option<Tick>,
}

impl Running {
    /// Goes on from the last checkpoint, if there is one.
    pub(super) async fn restore(
        store: &dyn Store,
        policy: Arc<Policy>,
        state: RolloutState,
    ) -> Result<Self, StoreError> {
        let mut running = Self::fresh(policy, state);
        if !running.course.state.phase.is_over() {
            running.recall(store).await?;
        }
        Ok(running)
    }

    /// Takes up the last checkpoint, if nothing was read yet: a person may open a rollout again that was
    /// over when the process started.
    pub(super) async fn recall(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        if self.course.through().is_some() {
            return Ok(());
        }
        if let Some(checkpoint) = store.checkpoint(self.course.state.id).await? {
            self.course
                .resume(&checkpoint)
                .map_err(|error| StoreError::Corrupt {
                    what: "a checkpoint",
                    why: error.to_string(),
                })?;
            self.saved = Some(checkpoint.through);
        }
        Ok(())
    }

    /// A rollout without observations.
    pub(super) fn fresh(policy: Arc<Policy>, state: RolloutState) -> Self {
        Self {
            course: Course::new(policy, state),
            saved: None,
        }
    }

    /// Reads the ticks that have closed since, and keeps a checkpoint from time to time.
    pub(super) async fn read_ticks(&mut self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let newest = Tick::of(now).previous();
        let rollout = self.course.state.id;
        // A store hands out a long backlog in parts.
        let through = loop {
            let closed = store.closed_ticks(rollout, self.course.through()).await?;
            for tick in &closed.ticks {
                self.course.absorb(tick);
            }
            self.course.close_through(closed.through);
            if closed.through >= newest || closed.ticks.is_empty() {
                break closed.through;
            }
        };
        let saved = self.saved.get_or_insert(through);
        if through.second() - saved.second() >= CHECKPOINT_EVERY_TICKS * Tick::SECONDS {
            *saved = through;
            if let Some(checkpoint) = self.course.checkpoint() {
                store.save_checkpoint(rollout, checkpoint).await?;
            }
        }
        Ok(())
    }

    /// Takes over a state that was committed together with a checkpoint.
    pub(super) fn enter(&mut self, state: RolloutState) {
        self.saved = self.course.through();
        self.course.enter(state);
    }

    /// What everybody may see of it; `is_cleared` where Serin clears the caches of applications.
    pub(super) fn status(&self, moves_unconfirmed: usize, is_cleared: bool) -> RolloutStatus {
        let course = &self.course;
        RolloutStatus {
            policy: Arc::clone(&course.policy),
            state: course.state.clone(),
            exposure: course.state.exposure(&course.policy),
            stay: course.stay.clone(),
            assessment: course.assessment.clone(),
            through: course.through(),
            moves_unconfirmed,
            aftermath: Aftermath::of(&course.policy.clients, is_cleared),
        }
    }
}

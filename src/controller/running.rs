//! One rollout in memory: its state, its policy, and the engine that has read its ticks.

use super::RolloutStatus;
use crate::analysis::Assessment;
use crate::analysis::engine::Engine;
use crate::ids::Tick;
use crate::policy::Policy;
use crate::rollout::{Checkpoint, RolloutState, StayReason};
use crate::store::{Store, StoreError};
use jiff::Timestamp;
use std::sync::Arc;

/// Ticks between two checkpoints; after a restart at most this many are read again.
const CHECKPOINT_EVERY_TICKS: i64 = 60;

/// One rollout in memory.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) policy: Arc<Policy>,
    pub(super) state: RolloutState,
    pub(super) stay: StayReason,
    pub(super) assessment: Option<Arc<Assessment>>,
    engine: Engine,
    through: Option<Tick>,
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
        if running.state.phase.is_over() {
            return Ok(running);
        }
        if let Some(checkpoint) = store.checkpoint(running.state.id).await? {
            running.engine =
                Engine::decode(&running.policy, &checkpoint.engine).map_err(|error| StoreError::Corrupt {
                    what: "a checkpoint",
                    why: error.to_string(),
                })?;
            running.through = Some(checkpoint.through);
            running.saved = Some(checkpoint.through);
        }
        Ok(running)
    }

    /// A rollout without observations.
    pub(super) fn fresh(policy: Arc<Policy>, state: RolloutState) -> Self {
        let engine = Engine::new(&policy);
        Self {
            stay: state.first_wait(&policy),
            policy,
            assessment: None,
            engine,
            through: None,
            saved: None,
            state,
        }
    }

    /// Reads the ticks that have closed since, and keeps a checkpoint from time to time.
    pub(super) async fn read_ticks(&mut self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let newest = Tick::of(now).previous();
        // A store hands out a long backlog in parts.
        let through = loop {
            let closed = store.closed_ticks(self.state.id, self.through).await?;
            for tick in &closed.ticks {
                self.engine.absorb(tick);
            }
            self.engine.close_through(closed.through);
            self.through = Some(closed.through);
            if closed.through >= newest || closed.ticks.is_empty() {
                break closed.through;
            }
        };
        let saved = self.saved.get_or_insert(through);
        if through.second() - saved.second() >= CHECKPOINT_EVERY_TICKS * Tick::SECONDS {
            *saved = through;
            let checkpoint = Checkpoint {
                through,
                engine: self.engine.encode(),
            };
            store.save_checkpoint(self.state.id, checkpoint).await?;
        }
        Ok(())
    }

    /// Draws the conclusion of this moment.
    pub(super) fn assess(&self, now: Timestamp) -> Assessment {
        self.engine
            .assess(now, self.state.entered_at, self.state.comparison(&self.policy))
    }

    /// The engine as it stands, to be committed with a transition.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        self.through.map(|through| Checkpoint {
            through,
            engine: self.engine.encode(),
        })
    }

    /// The last conclusion, or one of this moment when there is none yet.
    pub(super) fn latest(&self, now: Timestamp) -> Assessment {
        match &self.assessment {
            Some(assessment) => assessment.as_ref().clone(),
            None => self.assess(now),
        }
    }

    /// Takes over a state that was committed together with [`Self::checkpoint`].
    pub(super) fn enter(&mut self, state: RolloutState) {
        self.saved = self.through;
        self.stay = state.first_wait(&self.policy);
        self.state = state;
    }

    /// What everybody may see of it.
    pub(super) fn status(&self) -> RolloutStatus {
        RolloutStatus {
            policy: Arc::clone(&self.policy),
            state: self.state.clone(),
            exposure: self.state.exposure(&self.policy),
            stay: self.stay.clone(),
            assessment: self.assessment.clone(),
            through: self.through,
        }
    }
}

//! Looks at a world from outside after every tick, and says which invariant is broken.
//!
//! It shares no code with what it checks: the legal ways from phase to phase, for one, are a table of
//! its own.

use super::world::World;
use crate::controller::{PolicyStatus, RolloutStatus};
use crate::ids::{Exposure, Label, RolloutId, Version};
use crate::policy::Policy;
use crate::rollout::{Phase, Resumable, RolloutState};
use crate::store::StoreError;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

mod counts;
mod history;
mod journal;
mod users;
mod writes;

/// An invariant is broken, or could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// An invariant is broken.
    #[error("{rule} [at {at}]: {detail}")]
    Broken {
        /// The invariant, in a few words.
        rule: &'static str,
        /// What the clock showed.
        at: Timestamp,
        /// What was found instead.
        detail: String,
    },
    /// The store behind the hazards failed.
    #[error("the store cannot be looked at")]
    Store(#[from] StoreError),
}

/// Rollouts of one policy that are looked at.
const ROLLOUTS_MAX: usize = 1_000;

/// Watches one policy of a world.
#[derive(Debug)]
pub struct Checker {
    policy: Policy,
    trails: BTreeMap<RolloutId, history::Trail>,
    users: users::Watched,
    /// Entries of the registry's journal that were looked at.
    journal_seen: usize,
    /// Writes of a Langfuse, in a world that has one.
    writes: writes::Writes,
}

/// What one look sees.
struct Look<'w> {
    world: &'w World,
    now: Timestamp,
    status: Option<Arc<PolicyStatus>>,
    /// Whether the controller has just ended a tick in which everything answered.
    is_healthy: bool,
}

impl Look<'_> {
    fn rollout(&self) -> Option<&RolloutStatus> {
        self.status.as_ref()?.rollout.as_deref()
    }

    fn broken(&self, rule: &'static str, detail: impl Into<String>) -> Violation {
        Violation::Broken {
            rule,
            at: self.now,
            detail: detail.into(),
        }
    }
}

impl Checker {
    /// Watches `policy` from the beginning of a world on.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            trails: BTreeMap::new(),
            users: users::Watched::default(),
            journal_seen: 0,
            writes: writes::Writes::default(),
        }
    }

    /// Checks everything that can be seen now.
    pub async fn check(&mut self, world: &World) -> Result<(), Violation> {
        let look = self.look(world);
        for state in world
            .store()
            .rollouts(Some(&self.policy.name), None, ROLLOUTS_MAX)
            .await?
        {
            self.check_history(&look, &state).await?;
        }
        match world.langfuse() {
            Some(model) => self.check_writes(&look, model)?,
            None => self.check_journal(&look)?,
        }
        if let Some(handle) = world.handle() {
            let snapshot = handle.snapshot();
            let route = snapshot.route(self.policy.name.as_str());
            if let (Some(rollout), Some(route)) = (look.rollout(), route) {
                self.check_exposure(&look, rollout, route)?;
            }
            if let Some(route) = route {
                self.users.check(&look, route)?;
            }
        }
        if let Some(rollout) = look.rollout().filter(|_| look.is_healthy) {
            self.check_state(&look, rollout).await?;
            self.check_labels(&look, rollout)?;
            self.check_counts(&look, rollout)?;
        }
        Ok(())
    }

    /// Checks what must hold when nothing is left to do: labels are where the journal says.
    pub fn check_rest(&self, world: &World) -> Result<(), Violation> {
        self.check_rest_of_writes(&self.look(world))
    }

    fn look<'w>(&self, world: &'w World) -> Look<'w> {
        let now = world.now();
        let board = world.handle().map(|handle| handle.board());
        let status = board
            .as_ref()
            .and_then(|board| board.policies.get(&self.policy.name))
            .cloned();
        let answered = status
            .as_ref()
            .is_some_and(|status| status.registry_error.is_none());
        let is_healthy = board.is_some_and(|board| board.troubles.is_empty() && board.ticked_at == Some(now));
        Look {
            world,
            now,
            status,
            is_healthy: is_healthy && answered,
        }
    }

    /// Users are in treatment exactly as far as the phase says; above all, nobody is while a rollout
    /// is taken back.
    fn check_exposure(
        &self,
        look: &Look<'_>,
        rollout: &RolloutStatus,
        route: &crate::assignment::Route,
    ) -> Result<(), Violation> {
        let expected = match &rollout.state.phase {
            Phase::Ramping { step }
            | Phase::Paused {
                from: Resumable::Ramping { step },
                ..
            } => self.policy.exposure_of(*step),
            Phase::Promoting
            | Phase::Watching
            | Phase::Paused {
                from: Resumable::Watching,
                ..
            } => Exposure::EVERYBODY,
            Phase::Pending
            | Phase::Paused {
                from: Resumable::Pending,
                ..
            }
            | Phase::Promoted
            | Phase::RollingBack { .. }
            | Phase::RolledBack { .. }
            | Phase::Superseded { .. } => Exposure::NOBODY,
        };
        let found = route.treatment.as_ref().map_or(Exposure::NOBODY, |treatment| {
            treatment.exposure.min(treatment.holdback.complement())
        });
        if found != expected {
            let detail = format!(
                "{found} in {:?}, which is to have {expected}",
                rollout.state.phase
            );
            return Err(look.broken("exposure follows the phase", detail));
        }
        Ok(())
    }

    /// What is shown is what is stored.
    async fn check_state(&self, look: &Look<'_>, rollout: &RolloutStatus) -> Result<(), Violation> {
        let stored = look.world.store().rollout(rollout.state.id).await?;
        if stored.as_ref() != Some(&rollout.state) {
            let detail = format!("{:?} is stored, {:?} is shown", stored, rollout.state);
            return Err(look.broken("the board shows what is stored", detail));
        }
        Ok(())
    }

    /// While a rollout goes on, its labels are where Serin put them; else somebody else moved them,
    /// and then it does not go on.
    fn check_labels(&self, look: &Look<'_>, rollout: &RolloutStatus) -> Result<(), Violation> {
        let state = &rollout.state;
        let labels = [
            (&self.policy.labels.control, control_at(state)),
            (&self.policy.labels.treatment, treatment_at(state)),
        ];
        for (label, expected) in labels {
            let found = look.world.label(&self.policy.prompt, label);
            if expected.as_ref().is_some_and(|allowed| !allowed.contains(&found)) {
                let detail = format!(
                    "`{label}` is at {found:?} in {:?}, not in {expected:?}",
                    state.phase
                );
                return Err(look.broken("a label that somebody else moved pauses the rollout", detail));
            }
        }
        Ok(())
    }
}

/// Where the control label may point in this phase; none where anybody may move it.
fn control_at(state: &RolloutState) -> Option<Vec<Option<Version>>> {
    match &state.phase {
        Phase::Pending | Phase::Ramping { .. } | Phase::Watching => Some(vec![Some(if state.promoted {
            state.candidate
        } else {
            state.stable
        })]),
        Phase::Promoting => Some(vec![Some(state.stable)]),
        Phase::Paused { .. }
        | Phase::Promoted
        | Phase::RollingBack { .. }
        | Phase::RolledBack { .. }
        | Phase::Superseded { .. } => None,
    }
}

/// Where the treatment label may point in this phase.
fn treatment_at(state: &RolloutState) -> Option<Vec<Option<Version>>> {
    match &state.phase {
        Phase::Pending => Some(vec![Some(state.candidate), Some(state.stable), None]),
        Phase::Ramping { .. } | Phase::Watching => Some(vec![Some(state.candidate)]),
        Phase::Promoting
        | Phase::Paused { .. }
        | Phase::Promoted
        | Phase::RollingBack { .. }
        | Phase::RolledBack { .. }
        | Phase::Superseded { .. } => None,
    }
}

/// A label and a generation that asked for it.
type Ask = (crate::ids::Generation, Label);

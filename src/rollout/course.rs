//! One rollout in memory: its policy, its state, and the engine that has read its ticks.
//!
//! Whoever runs a rollout, for real or in rehearsal, reads ticks into its course, has it judged, and asks
//! it what to do; what is decided is entered once it is fact.

use super::decide::{after, decide};
use super::{Checkpoint, Decision, Input, RolloutState, StayReason};
use crate::analysis::codec::CodecError;
use crate::analysis::engine::Engine;
use crate::analysis::{Assessment, TickTally};
use crate::ids::Tick;
use crate::policy::{Policy, Role};
use jiff::Timestamp;
use std::sync::Arc;

/// One rollout in memory.
#[derive(Debug)]
pub struct Course {
    /// The policy that it runs under.
    pub policy: Arc<Policy>,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it does not move, as far as is known.
    pub stay: StayReason,
    /// The last conclusion; none before the first.
    pub assessment: Option<Arc<Assessment>>,
    engine: Engine,
}

impl Course {
    /// A rollout without observations.
    pub fn new(policy: Arc<Policy>, state: RolloutState) -> Self {
        Self {
            engine: Engine::new(&policy),
            stay: state.first_wait(&policy),
            assessment: None,
            policy,
            state,
        }
    }

    /// Goes on from what the engine wrote down; any [`CodecError`] when that cannot be read.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<(), CodecError> {
        self.engine = Engine::decode(&self.policy, &checkpoint.engine)?;
        // The engine was written down with the transition, before it was told of the new state.
        self.tell_engine();
        Ok(())
    }

    /// Takes in one closed tick; see [`Engine::absorb`].
    pub fn absorb(&mut self, tick: &TickTally) {
        self.engine.absorb(tick);
    }

    /// Notes that every tick up to `through` is closed; see [`Engine::close_through`].
    pub fn close_through(&mut self, through: Tick) {
        self.engine.close_through(through);
    }

    /// The last closed tick; none before the first.
    pub fn through(&self) -> Option<Tick> {
        self.engine.through()
    }

    /// The engine as it stands; none before the first closed tick.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.through().map(|through| Checkpoint {
            through,
            engine: self.engine.encode(),
        })
    }

    /// Draws the conclusion of this moment, which holds until the next one is drawn.
    pub fn judge(&mut self, now: Timestamp) {
        self.assessment = Some(Arc::new(self.assess(now)));
    }

    /// Draws the conclusion of this moment as far as it decides anything; see
    /// [`Engine::assess_to_decide`].
    pub fn judge_to_decide(&mut self, now: Timestamp) {
        let comparison = self.state.comparison(&self.policy);
        let assessment = self
            .engine
            .assess_to_decide(now, self.state.entered_at, comparison);
        self.assessment = Some(Arc::new(assessment));
    }

    /// The last conclusion, or one of this moment when there is none yet.
    pub fn latest(&self, now: Timestamp) -> Assessment {
        match &self.assessment {
            Some(assessment) => assessment.as_ref().clone(),
            None => self.assess(now),
        }
    }

    /// What to do about `input`; nothing changes by it.
    pub fn decide(&self, input: &Input, now: Timestamp) -> Decision {
        decide(&self.policy, &self.state, input, now)
    }

    /// Takes over a state that was decided on.
    pub fn enter(&mut self, state: RolloutState) {
        self.stay = state.first_wait(&self.policy);
        self.state = state;
        self.tell_engine();
    }

    fn tell_engine(&mut self) {
        self.engine.compare_with(self.state.comparison(&self.policy));
        self.engine.begin_step(self.state.entered_at);
    }

    /// When time alone can change what is decided: once it has stayed, and until more has arrived, it
    /// moves at none but these moments.
    ///
    /// They are the ends of all waits that `decide` and the engine know: bake, patience, watch, and the
    /// silence of each arm of a guardrail. Those that are past already are among them.
    pub fn turns(&self) -> Vec<Timestamp> {
        let (policy, entered_at) = (&self.policy, self.state.entered_at);
        let step = self.state.phase.step().and_then(|step| policy.steps.get(step));
        let mut turns = vec![
            after(entered_at, policy.analysis.inconclusive.after),
            after(entered_at, policy.watch),
        ];
        turns.extend(step.map(|step| after(entered_at, step.bake)));
        let evidence = self.assessment.iter().flat_map(|assessment| &assessment.metrics);
        for evidence in evidence.filter(|evidence| evidence.role == Role::Guardrail) {
            for arm in [&evidence.control, &evidence.treatment] {
                let spoken = arm.last_seen.map(|last| last.next().begins());
                let quiet_from = spoken.map_or(entered_at, |spoken| spoken.max(entered_at));
                turns.push(after(quiet_from, policy.analysis.no_data.after));
            }
        }
        turns
    }

    /// The conclusion of this moment, which is not kept.
    pub fn assess(&self, now: Timestamp) -> Assessment {
        let comparison = self.state.comparison(&self.policy);
        self.engine.assess(now, self.state.entered_at, comparison)
    }
}

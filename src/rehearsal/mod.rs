//! A rollout in memory, as it would go: the real engine and the real `decide`, without a store, a registry
//! or a clock.
//!
//! Whoever rehearses brings closed ticks in order and is told what moved. Labels always obey, the
//! evaluation gate is open, and approvals are given at once or withheld. What is decided, and in which
//! tick, is what the controller decides when it looks at the end of each tick: it judges a rollout only
//! where its policy says so, settles it, moves its labels, and settles it again.

use crate::analysis::{Assessment, TickTally};
use crate::ids::{Actor, Exposure, Justification, Tick, Version};
use crate::policy::Policy;
use crate::rollout::course::Course;
use crate::rollout::{
    Command, Decision, Effect, EvaluationState, Input, LabelMove, Observed, ObservedLabel, ObservedLabels,
    RolloutState, StayReason, Transition, Verb,
};
use jiff::Timestamp;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Transitions of one tick; more would be a loop.
const MOVES_PER_TICK_MAX: usize = 64;

/// What happens where a policy asks for the approval of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approvals {
    /// They approve at once; each is a transition of its own, by those whom the policy names, else by
    /// actors called `assumed-1` and so on.
    Given,
    /// Nobody approves, and the rollout waits.
    Withheld,
}

/// One rollout that is rehearsed.
#[derive(Debug)]
pub struct Rehearsal {
    course: Course,
    approvals: Approvals,
    labels: ObservedLabels,
    /// Label moves that are committed and not done.
    unfinished: Vec<LabelMove>,
    /// The tick in which it was last judged.
    judged: Tick,
    /// Whether nothing has come since it stayed: then time alone can move it.
    settled: bool,
}

impl Rehearsal {
    /// A rollout whose candidate appears at `at`, and what moves then.
    pub fn start(
        policy: Arc<Policy>,
        stable: Version,
        candidate: Version,
        approvals: Approvals,
        at: Timestamp,
    ) -> (Self, Vec<Transition>) {
        let state = RolloutState::pending(&policy, stable, candidate, at);
        Self::begin(policy, state, approvals)
    }

    /// A rollout that begins in `state`, which is pending and has not been anything else, and what moves
    /// then.
    pub fn begin(policy: Arc<Policy>, state: RolloutState, approvals: Approvals) -> (Self, Vec<Transition>) {
        let label = |version| ObservedLabel {
            version: Some(version),
            by: None,
        };
        let (stable, candidate, at) = (state.stable, state.candidate, state.started_at);
        let mut rehearsal = Self {
            course: Course::new(policy, state),
            approvals,
            labels: ObservedLabels {
                control: label(stable),
                treatment: label(candidate),
            },
            unfinished: Vec::new(),
            judged: Tick::of(at),
            settled: false,
        };
        rehearsal.course.close_through(Tick::of(at).previous());
        let moved = rehearsal.look(at);
        (rehearsal, moved)
    }

    /// The policy that it runs under.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.course.policy
    }

    /// Where it stands.
    pub fn state(&self) -> &RolloutState {
        &self.course.state
    }

    /// Why it does not move.
    pub fn stay(&self) -> &StayReason {
        &self.course.stay
    }

    /// Where both labels point.
    pub fn labels(&self) -> &ObservedLabels {
        &self.labels
    }

    /// Share of users in treatment.
    pub fn exposure(&self) -> Exposure {
        self.course.state.exposure(&self.course.policy)
    }

    /// The conclusion at the end of the last closed tick, or that with which it came to its end.
    pub fn assessment(&self) -> Assessment {
        let begun = self.course.state.started_at;
        let now = self
            .through()
            .map_or(begun, |through| begun.max(through.next().begins()));
        if self.is_over() {
            self.course.latest(now)
        } else {
            self.course.assess(now)
        }
    }

    /// The last tick that is closed.
    pub fn through(&self) -> Option<Tick> {
        self.course.through()
    }

    /// Whether it has come to its end: nothing is taken in any more.
    pub fn is_over(&self) -> bool {
        self.course.state.phase.is_over()
    }

    /// Takes in everything up to the end of `tick`, and says what moved.
    ///
    /// `tally` is what arrived in `tick`, none for nothing; every tick between the last one and this one
    /// is empty (see [`wait_through`](Self::wait_through)). A tick that is closed already changes nothing.
    pub fn advance(&mut self, tick: Tick, tally: Option<&TickTally>) -> Vec<Transition> {
        if self.through().is_some_and(|through| tick <= through) {
            return Vec::new();
        }
        let Some(tally) = tally else {
            return self.wait_through(tick);
        };
        let mut moved = self.wait_through(tick.previous());
        if self.is_over() {
            return moved;
        }
        self.course.absorb(tally);
        self.course.close_through(tick);
        self.settled = false;
        let next = tick.next();
        if self.course.policy.analysis.first_due_from(next) == next {
            moved.extend(self.look(next.begins()));
        }
        moved
    }

    /// Lets time pass to the end of `through`, while nothing arrives, and says what moved.
    ///
    /// What follows from time alone (a bake that is over, patience that ends) happens in its own tick.
    /// The work depends on how much happens, not on how much time passes.
    pub fn wait_through(&mut self, through: Tick) -> Vec<Transition> {
        let mut moved = Vec::new();
        while let Some(next) = self.next_look().filter(|next| *next <= through.next()) {
            self.course.close_through(next.previous());
            moved.extend(self.look(next.begins()));
        }
        if !self.is_over() {
            self.course.close_through(through);
        }
        moved
    }

    /// The tick at whose beginning something can be decided next, while nothing arrives.
    fn next_look(&self) -> Option<Tick> {
        if self.is_over() {
            return None;
        }
        // What closes the tick after the last closed one is the beginning of the one after that.
        let next = self.through().map_or(self.judged, Tick::next).next();
        let analysis = &self.course.policy.analysis;
        if !self.settled {
            return Some(analysis.first_due_from(next));
        }
        let looked = self.judged.begins();
        let turn = self
            .course
            .turns()
            .into_iter()
            .filter(|turn| *turn > looked)
            .min()?;
        let turned = Tick::of(turn);
        let turned = if turned.begins() < turn {
            turned.next()
        } else {
            turned
        };
        Some(analysis.first_due_from(next.max(turned)))
    }

    /// What the controller does with one rollout in one of its ticks.
    fn look(&mut self, now: Timestamp) -> Vec<Transition> {
        self.judged = Tick::of(now);
        self.course.judge_to_decide(now);
        if self.decide(now).is_some() {
            // What is kept with a transition has everything that there is to show.
            self.course.judge(now);
        }
        let mut moved = Vec::new();
        loop {
            while moved.len() < MOVES_PER_TICK_MAX
                && let Some(transition) = self.decide(now)
            {
                self.course.enter(transition.to.clone());
                let moves = transition.effects.iter().filter_map(|effect| match effect {
                    Effect::MoveLabel(label_move) => Some(label_move.clone()),
                    // Nobody is told of a rehearsal.
                    Effect::Notify(_) => None,
                });
                self.unfinished.extend(moves);
                moved.push(*transition);
            }
            if self.unfinished.is_empty() {
                break;
            }
            self.move_labels();
        }
        self.settled = moved.is_empty();
        moved
    }

    fn decide(&mut self, now: Timestamp) -> Option<Box<Transition>> {
        if self.is_over() {
            return None;
        }
        let observed = Observed {
            assessment: self.course.latest(now),
            evaluation: EvaluationState::Open,
            labels: Some(self.labels.clone()),
            moves_pending: !self.unfinished.is_empty(),
            policy_removed: false,
        };
        match self.course.decide(&Input::Tick(Box::new(observed)), now) {
            Decision::Move(transition) => Some(transition),
            Decision::Stay(reason) => {
                self.course.stay = reason;
                self.approve(now)
            }
        }
    }

    /// The approval that it waits for, where it is given.
    fn approve(&self, now: Timestamp) -> Option<Box<Transition>> {
        let (Approvals::Given, StayReason::Approval { given, from, .. }) =
            (self.approvals, &self.course.stay)
        else {
            return None;
        };
        let named = from.named.as_ref().and_then(|named| named.first().cloned());
        let assumed = || format!("assumed-{}", given.len() + 1).parse().ok();
        let command = Command {
            verb: Verb::Approve,
            actor: named.or_else(assumed)?,
            reason: Justification::of_serin("assumed in a rehearsal"),
            is_admin: true,
        };
        let assessment = Box::new(self.course.latest(now));
        match self.course.decide(&Input::Command { command, assessment }, now) {
            Decision::Move(transition) => Some(transition),
            Decision::Stay(_) => None,
        }
    }

    fn move_labels(&mut self) {
        let policy = &self.course.policy;
        for label_move in self.unfinished.drain(..) {
            let label = if label_move.label == policy.labels.control {
                &mut self.labels.control
            } else {
                &mut self.labels.treatment
            };
            *label = ObservedLabel {
                version: Some(label_move.to),
                by: Some(Actor::serin()),
            };
        }
    }
}

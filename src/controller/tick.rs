//! One pass of the controller, and the one way in which a decision becomes fact.

use super::Controller;
use super::execute::Unfinished;
use crate::clock::Stopwatch;
use crate::ids::{PolicyName, Tick};
use crate::registry::Freshness;
use crate::rollout::{Decision, EvaluationState, Input, Observed, Transition, explain};
use crate::store::StoreError;
use crate::telemetry::log::chain;
use crate::telemetry::traces::Work;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Transitions of one rollout, and rounds of effects, in one tick; more would be a loop.
const ROUNDS_PER_TICK_MAX: usize = 8;

impl Controller {
    /// One pass: read labels and ticks, start what is to start, decide, commit, publish, act.
    ///
    /// Whatever fails is noted as a [`Trouble`](super::Trouble) and tried again at the next tick; assignments go on.
    pub async fn tick(&mut self) {
        let (now, stopwatch) = (self.clock.now(), Stopwatch::start());
        self.traced = self.telemetry.tracer().work("serin.tick", now);
        let due = self.due(Tick::of(now)).await;
        self.read_labels(&due, Freshness::Polled).await;
        if !due.is_empty() {
            self.store_error = None;
        }
        self.catch_up().await;
        self.look_at_compositions(now).await;
        for name in &due {
            self.looked_at.insert(name.clone(), Tick::of(now));
            if let Err(error) = self.advance(name, now).await {
                self.note_store_trouble(&error).await;
            }
        }
        self.rest(&due);
        // Before the acts: a registry that is back is told of before what it was waited for.
        for done in [
            self.tell_outages(now).await,
            self.tell_fallbacks(now).await,
            self.act(now).await,
        ] {
            if let Err(error) = done {
                self.note_store_trouble(&error).await;
            }
        }
        self.board.ticked_at = Some(now);
        self.publish();
        self.traced = Work::default();
        self.telemetry.ticked(stopwatch.elapsed());
    }

    async fn advance(&mut self, name: &PolicyName, now: Timestamp) -> Result<(), StoreError> {
        if self.start_found(name, now).await? {
            // Only now is it known which evaluations are asked for.
            self.read_labels(std::slice::from_ref(name), Freshness::Polled)
                .await;
        }
        self.judge(name, now).await?;
        self.settle(name, now).await
    }

    /// Runs effects, and lets what came of them be decided on, until nothing is left to do now.
    pub(super) async fn act(&mut self, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_PER_TICK_MAX {
            if self.unfinished.is_empty() {
                break;
            }
            // Nobody is assigned to a candidate that is taken back, before any label moves.
            self.publish();
            let concerned = self.execute(now).await?;
            if concerned.is_empty() {
                break;
            }
            self.read_labels(&concerned, Freshness::Now).await;
            for name in &concerned {
                self.settle(name, now).await?;
            }
        }
        Ok(())
    }

    /// Reads what has arrived for a rollout, and draws the conclusion.
    async fn judge(&mut self, name: &PolicyName, now: Timestamp) -> Result<(), StoreError> {
        let Some(running) = self.rollouts.get_mut(name) else {
            return Ok(());
        };
        if running.course.state.phase.is_over() {
            return Ok(());
        }
        running.read_ticks(self.store.as_ref(), now).await?;
        let before = running.course.assessment.clone();
        running.course.judge(now);
        if let Some(assessment) = &running.course.assessment {
            self.traced
                .judged(&running.course.state, assessment, before.as_deref());
        }
        self.touched.insert(name.clone());
        Ok(())
    }

    /// Decides and commits until the rollout stays.
    pub(super) async fn settle(&mut self, name: &PolicyName, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_PER_TICK_MAX {
            let Some(observed) = self.observe(name, now) else {
                return Ok(());
            };
            let Some(running) = self.rollouts.get_mut(name) else {
                return Ok(());
            };
            let input = Input::Tick(Box::new(observed));
            match running.course.decide(&input, now) {
                Decision::Stay(reason) => {
                    if running.course.stay != reason {
                        running.course.stay = reason;
                        self.touched.insert(name.clone());
                    }
                    return Ok(());
                }
                Decision::Move(transition) => self.commit(name, &transition, now).await?,
            }
        }
        Ok(())
    }

    /// What the world looks like to a rollout that is not over.
    fn observe(&self, name: &PolicyName, now: Timestamp) -> Option<Observed> {
        let running = self
            .rollouts
            .get(name)
            .filter(|running| !running.course.state.phase.is_over())?;
        let seen = self.labels.get(name);
        let gate = running.course.policy.gates.evaluation.as_ref();
        let looked_at = seen.and_then(|seen| seen.evaluation.clone());
        Some(Observed {
            assessment: running.course.latest(now),
            evaluation: match gate {
                Some(_) => looked_at.unwrap_or(EvaluationState::Unknown),
                None => EvaluationState::Open,
            },
            labels: self
                .fresh_labels(name)
                .filter(|_| !self.is_seeing_deceptive(name, now)),
            moves_pending: self.moves_of(running.course.state.id) > 0,
            policy_removed: self.book.is_whole() && !self.policies.contains_key(name),
        })
    }

    /// Makes a transition fact: state, audit record, effects and engine in one transaction.
    pub(super) async fn commit(
        &mut self,
        name: &PolicyName,
        transition: &Transition,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(policy) = self
            .rollouts
            .get(name)
            .map(|running| Arc::clone(&running.course.policy))
        else {
            return Ok(());
        };
        let mut transition = transition.clone();
        self.name_parents(&policy, &mut transition.effects).await;
        let transition = &transition;
        let Some(running) = self.rollouts.get_mut(name) else {
            return Ok(());
        };
        let effects = self
            .store
            .commit(now, transition, running.course.checkpoint())
            .await?;
        running.enter(transition.to.clone());
        let asked_by = self.traced.moved(&transition.into(), now);
        let unfinished = effects.into_iter();
        self.unfinished
            .extend(unfinished.map(|effect| Unfinished::new(effect, asked_by.clone())));
        self.touched.insert(name.clone());
        self.telemetry
            .moved(name, &transition.from, &transition.to.phase, &transition.cause);
        if transition.to.phase.is_over() {
            let took = Duration::try_from(now.duration_since(transition.to.started_at)).unwrap_or_default();
            self.telemetry.ended(name, &transition.to.phase, took);
        }
        tracing::info!(
            policy = %name,
            rollout.id = %transition.to.id,
            from = transition.from.as_str(),
            to = transition.to.phase.as_str(),
            cause = explain::cause(&transition.cause),
            "rollout moved"
        );
        Ok(())
    }

    /// After a failure of the store, what it holds is read again: another controller may have been
    /// faster, and what was not acknowledged may be there or not.
    pub(super) async fn note_store_trouble(&mut self, error: &StoreError) {
        tracing::error!(error = chain(error), "the store failed; nothing advances");
        self.store_error = Some(chain(error));
        // Whatever was not done is due at once.
        self.looked_at.clear();
        self.wake_all();
        self.is_behind = true;
        self.catch_up().await;
    }

    /// Reads what the store holds, if a failure of it has not been followed by that yet.
    async fn catch_up(&mut self) {
        if !self.is_behind {
            return;
        }
        match self.restore().await {
            Ok(()) => self.is_behind = false,
            Err(error) => {
                tracing::error!(error = chain(&error), "rollouts could not be read again");
                self.store_error = Some(chain(&error));
            }
        }
    }
}

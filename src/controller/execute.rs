//! The one place where a label moves: intent is committed → move → read back → recorded.

use super::Controller;
use super::running::Running;
use crate::clock::Stopwatch;
use crate::ids::{Actor, Justification, PolicyName, RegistryName, RolloutId};
use crate::registry::{Freshness, MoveOutcome, MoveReason, Registry, RegistryError};
use crate::rollout::{Cause, LabelMove, LabelMoveOutcome, Phase, RolloutState, explain};
use crate::store::{PendingEffect, StoreError};
use crate::telemetry::MoveResult;
use crate::telemetry::traces::{Moved, Parent};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for one answer of a registry, in seconds.
pub(super) const REGISTRY_CALL_SECONDS_MAX: u64 = 5;

/// Longest wait between two attempts at the same label move, in seconds.
pub(super) const RETRY_SECONDS_MAX: i64 = 60;

/// An effect that is not finished, and when to try it again.
#[derive(Debug, Clone)]
pub(super) struct Unfinished {
    effect: PendingEffect,
    retry_at: Option<Timestamp>,
    /// The span of the move that asks for it; attempts are told below it.
    asked_by: Parent,
}

impl Unfinished {
    pub(super) fn new(effect: PendingEffect, asked_by: Parent) -> Self {
        Self {
            effect,
            retry_at: None,
            asked_by,
        }
    }
}

/// What to do about an effect now.
enum Errand {
    Wait,
    Drop,
    Run {
        name: RegistryName,
        registry: Arc<dyn Registry>,
        why: MoveReason,
    },
}

impl Controller {
    /// Runs the effects that are due, oldest first; the policies of those that something came of.
    ///
    /// A registry that fails once is left alone until the next call, so that it holds up nobody.
    pub(super) async fn execute(&mut self, now: Timestamp) -> Result<Vec<PolicyName>, StoreError> {
        let mut failing = BTreeSet::new();
        let mut concerned = BTreeSet::new();
        let mut queue = std::mem::take(&mut self.unfinished);
        while let Some(mut unfinished) = queue.pop_front() {
            let outcome = match self.errand(&unfinished, &failing, now) {
                Errand::Wait => {
                    self.unfinished.push_back(unfinished);
                    continue;
                }
                // A crash, or a lost answer, may have hidden that it was done.
                Errand::Drop if self.is_in_place(&unfinished.effect.label_move) => {
                    LabelMoveOutcome::Confirmed
                }
                Errand::Drop => LabelMoveOutcome::Superseded,
                Errand::Run { name, registry, why } => {
                    let (began, stopwatch) = (self.clock.now(), Stopwatch::start());
                    let label_move = &unfinished.effect.label_move;
                    let Ran { outcome, is_heard } = run(registry.as_ref(), label_move, &why).await;
                    if !is_heard {
                        let late = registry.late_moves_within();
                        self.unheard.note(label_move, self.clock.now(), late);
                    }
                    let attempt = Moved {
                        registry: name.as_str(),
                        label_move,
                        attempts: unfinished.effect.attempts,
                        began,
                        outcome: &outcome,
                    };
                    self.traced.label_moved(&attempt, &unfinished.asked_by);
                    let result = result_of(&outcome);
                    self.telemetry
                        .label_moved(&name, &label_move.label, result, stopwatch.elapsed());
                    if result == MoveResult::Failed {
                        failing.insert(name);
                    }
                    outcome
                }
            };
            concerned.extend(self.policy_of_rollout(unfinished.effect.label_move.rollout));
            log(&unfinished.effect.label_move, &outcome);
            let recorded = self
                .store
                .record_effect(now, unfinished.effect.id, outcome.clone())
                .await;
            if recorded.is_err() || matches!(outcome, LabelMoveOutcome::Failed { .. }) {
                unfinished.effect.attempts = unfinished.effect.attempts.saturating_add(1);
                unfinished.retry_at = now.checked_add(backoff(&unfinished.effect)).ok();
                self.unfinished.push_back(unfinished);
            }
            if let Err(error) = recorded {
                self.unfinished.extend(queue);
                return Err(error);
            }
        }
        self.touched.extend(concerned.iter().cloned());
        Ok(concerned.into_iter().collect())
    }

    /// Label moves of a rollout that are not finished.
    pub(super) fn moves_of(&self, rollout: RolloutId) -> usize {
        let of_rollout = |unfinished: &&Unfinished| unfinished.effect.label_move.rollout == rollout;
        self.unfinished.iter().filter(of_rollout).count()
    }

    fn policy_of_rollout(&self, rollout: RolloutId) -> Option<PolicyName> {
        self.rollouts
            .values()
            .find(|running| running.course.state.id == rollout)
            .map(|running| running.course.state.policy.clone())
    }

    /// Whether the label was seen where the move was to bring it.
    fn is_in_place(&self, label_move: &LabelMove) -> bool {
        let of_rollout = |running: &&Running| running.course.state.id == label_move.rollout;
        let Some(running) = self.rollouts.values().find(of_rollout) else {
            return false;
        };
        let names = &running.course.policy.labels;
        self.fresh_labels(&running.course.state.policy)
            .is_some_and(|labels| {
                let seen = [
                    (&names.control, labels.control),
                    (&names.treatment, labels.treatment),
                ];
                seen.into_iter()
                    .any(|(name, seen)| *name == label_move.label && seen.version == Some(label_move.to))
            })
    }

    /// Has the effects of registries that answer again be tried now, not after their waits.
    pub(super) fn retry_at_once(&mut self, registries: &BTreeSet<RegistryName>) {
        let rollouts: BTreeSet<RolloutId> = self
            .rollouts
            .values()
            .filter(|running| registries.contains(&running.course.policy.registry))
            .map(|running| running.course.state.id)
            .collect();
        for unfinished in &mut self.unfinished {
            if rollouts.contains(&unfinished.effect.label_move.rollout) {
                unfinished.retry_at = None;
            }
        }
    }

    fn errand(&self, unfinished: &Unfinished, failing: &BTreeSet<RegistryName>, now: Timestamp) -> Errand {
        let label_move = &unfinished.effect.label_move;
        let Some(running) = self
            .rollouts
            .values()
            .find(|running| running.course.state.id == label_move.rollout)
        else {
            return Errand::Drop;
        };
        if running
            .course
            .state
            .wanted(&running.course.policy, &label_move.label)
            != Some(label_move.to)
        {
            // Without its wait: what has made it void may be that it was seen in place.
            return Errand::Drop;
        }
        let waits = unfinished.retry_at.is_some_and(|retry_at| retry_at > now);
        // What was asked for before, and got no answer, must not be carried out after this.
        let may_undo = self
            .unheard
            .may_undo(&label_move.prompt, &label_move.label, label_move.to, now);
        if waits || may_undo {
            return Errand::Wait;
        }
        let name = running.course.policy.registry.clone();
        match self.registries.get(&name) {
            Some(registry) if !failing.contains(&name) => Errand::Run {
                name,
                registry: Arc::clone(registry),
                why: reason(&running.course.state),
            },
            Some(_) | None => Errand::Wait,
        }
    }
}

/// What came of a label move.
struct Ran {
    outcome: LabelMoveOutcome,
    /// Whether the registry said what came of it; else it may still be carried out.
    is_heard: bool,
}

/// Moves a label and reads it back; repeating it is harmless.
async fn run(registry: &dyn Registry, label_move: &LabelMove, why: &MoveReason) -> Ran {
    let limit = Duration::from_secs(REGISTRY_CALL_SECONDS_MAX);
    let moving = async {
        if let MoveOutcome::Elsewhere { found } = registry.move_label(label_move, why).await? {
            return Ok(LabelMoveOutcome::Foreign { found });
        }
        let moved = std::slice::from_ref(&label_move.label);
        let labels = registry.labels(&label_move.prompt, moved, Freshness::Now).await?;
        let found = labels.get(&label_move.label).map(|state| state.version);
        Ok(if found == Some(label_move.to) {
            LabelMoveOutcome::Confirmed
        } else {
            LabelMoveOutcome::Failed {
                error: "the label is not where it was moved to".to_owned(),
            }
        })
    };
    let failed = |error: String, is_heard| Ran {
        outcome: LabelMoveOutcome::Failed { error },
        is_heard,
    };
    match tokio::time::timeout(limit, moving).await {
        Ok(Ok(outcome)) => Ran {
            is_heard: !matches!(outcome, LabelMoveOutcome::Failed { .. }),
            outcome,
        },
        Ok(Err(error @ (RegistryError::NotFound(_) | RegistryError::Refused(_)))) => {
            failed(error.to_string(), true)
        }
        Ok(Err(error @ RegistryError::Unavailable(_))) => failed(error.to_string(), false),
        Err(_) => failed(format!("no answer within {REGISTRY_CALL_SECONDS_MAX} s"), false),
    }
}

fn result_of(outcome: &LabelMoveOutcome) -> MoveResult {
    match outcome {
        LabelMoveOutcome::Confirmed => MoveResult::Confirmed,
        LabelMoveOutcome::Foreign { .. } | LabelMoveOutcome::Superseded => MoveResult::Foreign,
        LabelMoveOutcome::Failed { .. } => MoveResult::Failed,
    }
}

/// Who asks, and why, as the registry's own journal will say.
fn reason(state: &RolloutState) -> MoveReason {
    let (actor, sentence) = match &state.phase {
        Phase::RollingBack { cause } => {
            let actor = match cause {
                Cause::Operator { actor, .. } => actor.clone(),
                Cause::Verdict(_) | Cause::Policy(_) | Cause::Registry(_) => Actor::serin(),
            };
            (
                actor,
                format!("rollback of {}: {}", state.id, explain::cause(cause)),
            )
        }
        Phase::Promoting => (Actor::serin(), format!("promotion of {}", state.id)),
        Phase::Pending
        | Phase::Ramping { .. }
        | Phase::Paused { .. }
        | Phase::Watching
        | Phase::Promoted
        | Phase::RolledBack { .. }
        | Phase::Superseded { .. } => (Actor::serin(), format!("start of {}", state.id)),
    };
    MoveReason {
        actor,
        reason: Justification::of_serin(&sentence),
    }
}

/// 1, 2, 4, … seconds and up to a quarter more, so that many rollouts do not knock at once.
fn backoff(effect: &PendingEffect) -> SignedDuration {
    let seconds = (1_i64 << effect.attempts.min(6)).min(RETRY_SECONDS_MAX);
    let spread = i64::try_from(effect.id.0 % 250).unwrap_or(0) * seconds;
    SignedDuration::from_secs(seconds) + SignedDuration::from_millis(spread)
}

fn log(label_move: &LabelMove, outcome: &LabelMoveOutcome) {
    let (rollout, prompt, label) = (label_move.rollout, &label_move.prompt, &label_move.label);
    match outcome {
        LabelMoveOutcome::Confirmed => {
            tracing::info!(rollout.id = %rollout, prompt.name = %prompt, %label, version = %label_move.to, "label moved");
        }
        LabelMoveOutcome::Foreign { found } => {
            tracing::warn!(rollout.id = %rollout, prompt.name = %prompt, %label, ?found, "label was moved by somebody else; it is left there");
        }
        LabelMoveOutcome::Superseded => {
            tracing::info!(rollout.id = %rollout, prompt.name = %prompt, %label, "label move is not wanted any more");
        }
        LabelMoveOutcome::Failed { error } => {
            tracing::warn!(rollout.id = %rollout, prompt.name = %prompt, %label, error, "label move failed; it is tried again");
        }
    }
}

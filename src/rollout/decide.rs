//! The one place where a phase changes: protect first, then hold, then advance.

use super::transition::{self, Event};
use super::{
    ApprovalPoint, Cause, Decision, EvaluationState, ForeignMove, Input, Observed, ObservedLabel, Phase,
    PolicyCause, RegistryCause, Resumable, RolloutState, StayReason, VerdictCause, command,
};
use crate::analysis::{Comparison, Evidence, Verdict};
use crate::ids::{Label, MetricName, Version};
use crate::policy::{OnFail, OnInconclusive, OnNoData, Policy, Role, Step};
use jiff::{SignedDuration, Timestamp};
use std::ops::ControlFlow;

/// A decision that is made, or nothing yet.
type Considered = ControlFlow<Decision>;

/// What to do, given what the rollout is and what is new.
///
/// Pure: the same arguments give the same decision, and nothing else happens.
pub fn decide(policy: &Policy, state: &RolloutState, input: &Input, now: Timestamp) -> Decision {
    match input {
        Input::Command { command, assessment } => command::decide(policy, state, command, assessment, now),
        Input::Tick(observed) => {
            let tick = Tick {
                policy,
                state,
                observed,
                now,
            };
            match tick.consider() {
                ControlFlow::Break(decision) => decision,
                ControlFlow::Continue(()) => Decision::Stay(StayReason::Ended),
            }
        }
    }
}

struct Tick<'a> {
    policy: &'a Policy,
    state: &'a RolloutState,
    observed: &'a Observed,
    now: Timestamp,
}

impl Tick<'_> {
    /// The order is the point: nothing that holds an advance may hide a regression.
    fn consider(&self) -> Considered {
        self.protect()?;
        self.follow_labels()?;
        match &self.state.phase {
            Phase::Pending => self.gates(),
            Phase::Ramping { step } => self.ramp(*step),
            Phase::Paused { cause, .. } => stay(StayReason::Paused { cause: cause.clone() }),
            Phase::Watching => self.watch(),
            Phase::Promoting | Phase::RollingBack { .. } => stay(StayReason::RegistryAway),
            Phase::Promoted | Phase::RolledBack { .. } | Phase::Superseded { .. } => stay(StayReason::Ended),
        }
    }

    /// A candidate that is proved to be worse is acted on, whatever else holds.
    fn protect(&self) -> Considered {
        let assessment = &self.observed.assessment;
        let exposing = self.state.exposure(self.policy) > crate::ids::Exposure::NOBODY;
        if !exposing || assessment.verdict != Verdict::Fail {
            return ControlFlow::Continue(());
        }
        let Some(blame) = assessment.blame.clone() else {
            return ControlFlow::Continue(());
        };
        // Somebody looks at that failure already; at a critical one nobody needs to look first.
        if self.state.paused_for_fail().is_some() && !self.is_critical(&blame.metric) {
            return ControlFlow::Continue(());
        }
        if self.state.fail_overruled {
            return match &self.state.phase {
                Phase::Ramping { .. } => {
                    self.follow_labels()?;
                    stay(StayReason::Overruled { blame: blame.metric })
                }
                Phase::Pending
                | Phase::Paused { .. }
                | Phase::Promoting
                | Phase::Watching
                | Phase::Promoted
                | Phase::RollingBack { .. }
                | Phase::RolledBack { .. }
                | Phase::Superseded { .. } => ControlFlow::Continue(()),
            };
        }
        let event = match (self.policy.analysis.on_fail, &self.state.phase) {
            // A promotion must not be completed with a candidate that is known to be worse.
            (OnFail::Pause, Phase::Ramping { .. } | Phase::Watching) if !self.is_critical(&blame.metric) => {
                Event::Pause
            }
            (OnFail::Pause, Phase::Paused { cause, .. }) if !self.is_critical(&blame.metric) => {
                return stay(StayReason::Paused { cause: cause.clone() });
            }
            (
                OnFail::StepBack,
                Phase::Ramping { step }
                | Phase::Paused {
                    from: Resumable::Ramping { step },
                    ..
                },
            ) if *step > 0 && !self.is_critical(&blame.metric) => Event::StepBack,
            (OnFail::RollBack | OnFail::StepBack | OnFail::Pause, _) => Event::RollBack,
        };
        if event == Event::StepBack
            && let Some(until) = self.stepped_back_until()
        {
            return stay(StayReason::SteppedBack {
                blame: blame.metric,
                until,
            });
        }
        self.go(&event, Cause::Verdict(VerdictCause::Failed { blame }))
    }

    /// Whether the policy takes the candidate back for this metric, whatever `on_fail` says.
    fn is_critical(&self, metric: &MetricName) -> bool {
        let declared = self.policy.metrics.iter();
        declared
            .filter(|declared| declared.critical)
            .any(|declared| declared.name == *metric)
    }

    /// After a step back the lower step gets its bake to recover, before the next step back.
    fn stepped_back_until(&self) -> Option<Timestamp> {
        let step = self
            .state
            .phase
            .step()
            .and_then(|step| self.policy.steps.get(step))?;
        let until = after(self.state.entered_at, step.bake);
        (self.state.stepped_back && self.now < until).then_some(until)
    }

    /// Labels in place end a transition; labels that others moved end or pause the rollout.
    fn follow_labels(&self) -> Considered {
        let Some(labels) = &self.observed.labels else {
            return ControlFlow::Continue(());
        };
        let (stable, candidate) = (self.state.stable, self.state.candidate);
        let names = &self.policy.labels;
        match &self.state.phase {
            Phase::Promoted | Phase::RolledBack { .. } | Phase::Superseded { .. } => {
                ControlFlow::Continue(())
            }
            Phase::RollingBack { .. } => {
                if self.state.promoted {
                    self.taken_back(&names.control, &labels.control)?;
                }
                self.taken_back(&names.treatment, &labels.treatment)?;
                self.go(&Event::Confirmed, Cause::Registry(RegistryCause::Confirmed))
            }
            Phase::Promoting => match labels.control.version {
                Some(version) if version == candidate => {
                    self.go(&Event::Confirmed, Cause::Registry(RegistryCause::Confirmed))
                }
                Some(version) if version == stable && self.observed.moves_pending => {
                    awaiting(&names.control, candidate, &labels.control)
                }
                Some(_) | None => self.pause_for(&names.control, candidate, &labels.control),
            },
            Phase::Pending | Phase::Ramping { .. } | Phase::Watching | Phase::Paused { .. } => {
                self.newer_candidate(&labels.treatment)?;
                let control = if self.state.promoted { candidate } else { stable };
                self.foreign(&names.control, control, &labels.control)?;
                let waits = self.state.phase == Phase::Pending
                    && self.observed.moves_pending
                    && (labels.treatment.version.is_none() || labels.treatment.version == Some(stable));
                if waits {
                    return awaiting(&names.treatment, candidate, &labels.treatment);
                }
                self.foreign(&names.treatment, candidate, &labels.treatment)
            }
        }
    }

    /// A label that still points at the candidate is waited for, unless it was moved back and
    /// somebody else has moved it there again: Serin does not fight over it.
    fn taken_back(&self, label: &Label, observed: &ObservedLabel) -> Considered {
        if observed.version != Some(self.state.candidate) {
            return ControlFlow::Continue(());
        }
        if self.observed.moves_pending {
            return awaiting(label, self.state.stable, observed);
        }
        let foreign = self.foreign_move(label, self.state.stable, observed);
        self.go(
            &Event::Confirmed,
            Cause::Registry(RegistryCause::ForeignMove(foreign)),
        )
    }

    fn newer_candidate(&self, treatment: &ObservedLabel) -> Considered {
        match treatment.version {
            Some(version) if version > self.state.candidate && version != self.state.stable => self.go(
                &Event::Supersede(version),
                Cause::Registry(RegistryCause::NewerCandidate {
                    version,
                    by: treatment.by.clone(),
                }),
            ),
            Some(_) | None => ControlFlow::Continue(()),
        }
    }

    fn foreign(&self, label: &Label, expected: Version, observed: &ObservedLabel) -> Considered {
        if observed.version == Some(expected) || matches!(self.state.phase, Phase::Paused { .. }) {
            return ControlFlow::Continue(());
        }
        self.pause_for(label, expected, observed)
    }

    fn pause_for(&self, label: &Label, expected: Version, observed: &ObservedLabel) -> Considered {
        let foreign = self.foreign_move(label, expected, observed);
        self.go(
            &Event::Pause,
            Cause::Registry(RegistryCause::ForeignMove(foreign)),
        )
    }

    fn foreign_move(&self, label: &Label, expected: Version, observed: &ObservedLabel) -> ForeignMove {
        let (label, by) = (label.clone(), observed.by.clone());
        ForeignMove {
            label,
            expected,
            found: observed.version,
            by,
        }
    }

    fn policy_gone(&self) -> Considered {
        if self.observed.policy_removed {
            return self.go(&Event::Pause, Cause::Policy(PolicyCause::Removed));
        }
        ControlFlow::Continue(())
    }

    fn gates(&self) -> Considered {
        self.policy_gone()?;
        if self.observed.evaluation != EvaluationState::Open {
            return stay(StayReason::Evaluation(self.observed.evaluation.clone()));
        }
        if self.policy.gates.approval.before_start {
            self.approved(ApprovalPoint::Start)?;
        }
        self.registry_answers()?;
        self.go(&Event::GatesPassed, Cause::Policy(PolicyCause::GatesPassed))
    }

    fn ramp(&self, index: usize) -> Considered {
        self.policy_gone()?;
        let Some(step) = self.policy.steps.get(index) else {
            return stay(StayReason::Ended);
        };
        self.data_flows()?;
        let undecided = self.observed.assessment.verdict != Verdict::Pass;
        let mut cause = Cause::Verdict(VerdictCause::Passed);
        let mut may_advance = !undecided;
        if undecided && self.patience_is_over() {
            let over = Cause::Policy(PolicyCause::Inconclusive {
                since: self.state.entered_at,
            });
            match self.policy.analysis.inconclusive.then {
                OnInconclusive::Hold => {}
                OnInconclusive::Pause => return self.go(&Event::Pause, over),
                OnInconclusive::RollBack => return self.go(&Event::RollBack, over),
                OnInconclusive::Advance => {
                    may_advance = self.estimates_within_margins();
                    cause = over;
                }
            }
        }
        self.baked(step)?;
        if !may_advance {
            return self.undecided();
        }
        if step.approval {
            self.approved(ApprovalPoint::Step(index))?;
        }
        self.registry_answers()?;
        let event = if index + 1 < self.policy.steps.len() {
            Event::Advance
        } else {
            Event::Promote
        };
        self.go(&event, cause)
    }

    fn watch(&self) -> Considered {
        self.data_flows()?;
        let until = after(self.state.entered_at, self.policy.watch);
        if self.now < until {
            return stay(StayReason::Watching { until });
        }
        self.registry_answers()?;
        self.go(&Event::WatchOver, Cause::Policy(PolicyCause::Watched))
    }

    /// Missing data never advances; the policy says whether it does more than hold.
    fn data_flows(&self) -> Considered {
        let assessment = &self.observed.assessment;
        if assessment.verdict != Verdict::Invalid {
            return ControlFlow::Continue(());
        }
        self.split_as_planned()?;
        let silent = assessment
            .metrics
            .iter()
            .filter(|evidence| evidence.role == Role::Guardrail && evidence.verdict == Verdict::Invalid)
            .min_by_key(|evidence| evidence.silent_since);
        let Some(silent) = silent else {
            return self.undecided();
        };
        let (metric, since) = (
            silent.metric.clone(),
            silent.silent_since.unwrap_or(self.state.entered_at),
        );
        let cause = Cause::Policy(PolicyCause::NoData {
            metric: metric.clone(),
            since,
        });
        match self.policy.analysis.no_data.then {
            OnNoData::Hold => stay(StayReason::NoData { metric, since }),
            OnNoData::Pause => self.go(&Event::Pause, cause),
            OnNoData::RollBack => self.go(&Event::RollBack, cause),
        }
    }

    /// A split that is not the planned one pauses once, so that a person looks; whoever goes on then
    /// moves by hand, because the numbers of both arms are not about the same kind of users.
    fn split_as_planned(&self) -> Considered {
        let mismatch = self.observed.assessment.data.mismatch();
        let Some(mismatch) =
            mismatch.filter(|_| self.state.comparison(self.policy) == Comparison::Concurrent)
        else {
            return ControlFlow::Continue(());
        };
        if mismatch.since >= self.state.changed_at {
            return self.go(&Event::Pause, Cause::Verdict(VerdictCause::SampleRatio(mismatch)));
        }
        stay(StayReason::SampleRatio(mismatch))
    }

    fn baked(&self, step: &Step) -> Considered {
        let until = after(self.state.entered_at, step.bake);
        if self.now < until {
            return stay(StayReason::Baking { until });
        }
        let have = self
            .observed
            .assessment
            .treated
            .saturating_sub(self.state.treated_at_entry);
        // Without a single observation in the step, the evidence is about another one.
        let need = step.samples.max(1);
        if have < need {
            return stay(StayReason::Samples { have, need });
        }
        ControlFlow::Continue(())
    }

    fn undecided(&self) -> Considered {
        let until = after(self.state.entered_at, self.policy.analysis.inconclusive.after);
        let open = self
            .guardrails()
            .filter(|evidence| evidence.verdict != Verdict::Pass)
            .max_by_key(|evidence| evidence.needs.unwrap_or(u64::MAX));
        let (metric, needs) = match open {
            Some(evidence) => (evidence.metric.clone(), evidence.needs),
            None => match self.any_guardrail() {
                Some(metric) => (metric, None),
                None => return stay(StayReason::Ended),
            },
        };
        stay(StayReason::Undecided { metric, needs, until })
    }

    fn approved(&self, point: ApprovalPoint) -> Considered {
        if !self.state.is_approved(self.policy, point) {
            return stay(self.state.approval_wait(self.policy, point));
        }
        ControlFlow::Continue(())
    }

    fn registry_answers(&self) -> Considered {
        if self.observed.labels.is_none() {
            return stay(StayReason::RegistryAway);
        }
        ControlFlow::Continue(())
    }

    fn patience_is_over(&self) -> bool {
        self.now >= after(self.state.entered_at, self.policy.analysis.inconclusive.after)
    }

    fn guardrails(&self) -> impl Iterator<Item = &Evidence> {
        self.observed
            .assessment
            .metrics
            .iter()
            .filter(|evidence| evidence.role == Role::Guardrail)
    }

    fn any_guardrail(&self) -> Option<MetricName> {
        self.policy
            .metrics
            .iter()
            .find(|metric| metric.role == Role::Guardrail)
            .map(|metric| metric.name.clone())
    }

    /// Whether every guardrail has an estimate, and none is worse than its margin.
    fn estimates_within_margins(&self) -> bool {
        let declared = self.policy.metrics.iter();
        declared
            .filter(|metric| metric.role == Role::Guardrail)
            .all(|metric| {
                self.guardrails()
                    .any(|evidence| evidence.metric == metric.name && evidence.within_margin == Some(true))
            })
    }

    fn go(&self, event: &Event, cause: Cause) -> Considered {
        let assessment = Some(self.observed.assessment.clone());
        match transition::apply(self.policy, self.state, event, cause, assessment, self.now) {
            Ok(transition) => ControlFlow::Break(Decision::Move(Box::new(transition))),
            Err(why) => {
                debug_assert!(
                    false,
                    "the table has no way for {event:?} from {:?}: {why}",
                    self.state.phase
                );
                ControlFlow::Continue(())
            }
        }
    }
}

fn stay(reason: StayReason) -> Considered {
    ControlFlow::Break(Decision::Stay(reason))
}

fn awaiting(label: &Label, to: Version, observed: &ObservedLabel) -> Considered {
    stay(StayReason::AwaitingLabel {
        label: label.clone(),
        to,
        found: observed.version,
    })
}

/// `at + wait`, or the end of time.
pub(super) fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

//! What follows from a state alone.

use super::decide::after;
use super::{
    ApprovalPoint, Cause, EvaluationState, Phase, Resumable, RolloutState, StayReason, VerdictCause,
};
use crate::analysis::Comparison;
use crate::ids::{Exposure, Generation, Label, MetricName, RolloutId, Version};
use crate::policy::Policy;
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Phase {
    /// The word on the wire, in telemetry and in sentences.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ramping { .. } => "ramping",
            Self::Paused { .. } => "paused",
            Self::Promoting => "promoting",
            Self::Watching => "watching",
            Self::Promoted => "promoted",
            Self::RollingBack { .. } => "rolling_back",
            Self::RolledBack { .. } => "rolled_back",
            Self::Superseded { .. } => "superseded",
        }
    }

    /// Every word that [`Self::as_str`] can be.
    pub const WORDS: [&'static str; 9] = [
        "pending",
        "ramping",
        "paused",
        "promoting",
        "watching",
        "promoted",
        "rolling_back",
        "rolled_back",
        "superseded",
    ];

    /// Whether the rollout is over.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Promoted | Self::RolledBack { .. } | Self::Superseded { .. } => true,
            Self::Pending
            | Self::Ramping { .. }
            | Self::Paused { .. }
            | Self::Promoting
            | Self::Watching
            | Self::RollingBack { .. } => false,
        }
    }

    /// The step that users are in, where they are in one.
    pub fn step(&self) -> Option<usize> {
        match self {
            Self::Ramping { step }
            | Self::Paused {
                from: Resumable::Ramping { step },
                ..
            } => Some(*step),
            Self::Pending
            | Self::Paused {
                from: Resumable::Pending | Resumable::Watching,
                ..
            }
            | Self::Promoting
            | Self::Watching
            | Self::Promoted
            | Self::RollingBack { .. }
            | Self::RolledBack { .. }
            | Self::Superseded { .. } => None,
        }
    }

    /// Whether everybody has the candidate, on trial still.
    pub fn is_beyond_ladder(&self) -> bool {
        match self {
            Self::Promoting
            | Self::Watching
            | Self::Paused {
                from: Resumable::Watching,
                ..
            } => true,
            Self::Pending
            | Self::Ramping { .. }
            | Self::Paused {
                from: Resumable::Pending | Resumable::Ramping { .. },
                ..
            }
            | Self::Promoted
            | Self::RollingBack { .. }
            | Self::RolledBack { .. }
            | Self::Superseded { .. } => false,
        }
    }
}

impl RolloutState {
    /// The state of a rollout that begins at `at`; the store gives it its number.
    pub fn pending(policy: &Policy, stable: Version, candidate: Version, at: Timestamp) -> Self {
        Self {
            id: RolloutId::new(0),
            policy: policy.name.clone(),
            revision: policy.revision,
            stable,
            candidate,
            phase: Phase::Pending,
            generation: Generation::ZERO.next(),
            started_at: at,
            entered_at: at,
            changed_at: at,
            treated_at_entry: 0,
            stepped_back: false,
            promoted: false,
            fail_overruled: false,
            approvals: BTreeSet::new(),
            author: None,
        }
    }

    /// Share of users in treatment under `policy`.
    pub fn exposure(&self, policy: &Policy) -> Exposure {
        match self.phase.step() {
            Some(step) => policy.exposure_of(step),
            None if self.phase.is_beyond_ladder() => Exposure::EVERYBODY,
            None => Exposure::NOBODY,
        }
    }

    /// What there is to compare the treatment arm with.
    pub fn comparison(&self, policy: &Policy) -> Comparison {
        if self.exposure(policy) == Exposure::EVERYBODY {
            Comparison::TreatmentOnly
        } else {
            Comparison::Concurrent
        }
    }

    /// Where Serin wants `label` to point in this phase; none where it wants nothing.
    ///
    /// An effect that asks for anything else was made void by a later transition.
    pub fn wanted(&self, policy: &Policy, label: &Label) -> Option<Version> {
        let control = *label == policy.labels.control;
        match &self.phase {
            Phase::Pending
            | Phase::Paused {
                from: Resumable::Pending,
                ..
            } => (!control).then_some(self.candidate),
            Phase::Promoting => control.then_some(self.candidate),
            Phase::RollingBack { .. } => Some(self.stable),
            Phase::Ramping { .. }
            | Phase::Paused {
                from: Resumable::Ramping { .. } | Resumable::Watching,
                ..
            }
            | Phase::Watching
            | Phase::Promoted
            | Phase::RolledBack { .. }
            | Phase::Superseded { .. } => None,
        }
    }

    /// What it waits for first in its phase, as far as the state alone tells: until the next tick has
    /// looked at everything, this is what people are shown.
    pub fn first_wait(&self, policy: &Policy) -> StayReason {
        let label = |label: &Label, to, found| StayReason::AwaitingLabel {
            label: label.clone(),
            to,
            found,
        };
        let (stable, candidate) = (self.stable, self.candidate);
        let approval = |point| self.approval_wait(policy, point);
        match &self.phase {
            Phase::Pending if policy.gates.approval.before_start => approval(ApprovalPoint::Start),
            Phase::Pending if policy.gates.evaluation.is_some() => {
                StayReason::Evaluation(EvaluationState::Missing { version: candidate })
            }
            Phase::Pending => label(&policy.labels.treatment, candidate, None),
            Phase::Ramping { step } if self.approvals_of(ApprovalPoint::Step(*step)) > 0 => {
                approval(ApprovalPoint::Step(*step))
            }
            Phase::Ramping { step } => StayReason::Baking {
                until: policy
                    .steps
                    .get(*step)
                    .map_or(self.entered_at, |step| after(self.entered_at, step.bake)),
            },
            Phase::Paused { cause, .. } => StayReason::Paused { cause: cause.clone() },
            Phase::Promoting => label(&policy.labels.control, candidate, Some(stable)),
            Phase::Watching => StayReason::Watching {
                until: after(self.entered_at, policy.watch),
            },
            Phase::RollingBack { .. } if self.promoted => {
                label(&policy.labels.control, stable, Some(candidate))
            }
            Phase::RollingBack { .. } => label(&policy.labels.treatment, stable, Some(candidate)),
            Phase::Promoted | Phase::RolledBack { .. } | Phase::Superseded { .. } => StayReason::Ended,
        }
    }

    /// The metric that a verdict was paused for, where a person has not gone on since.
    pub(super) fn paused_for_fail(&self) -> Option<&MetricName> {
        match &self.phase {
            Phase::Paused {
                cause: Cause::Verdict(VerdictCause::Failed { blame }),
                ..
            } => Some(&blame.metric),
            Phase::Paused {
                cause:
                    Cause::Verdict(VerdictCause::Passed | VerdictCause::SampleRatio(_))
                    | Cause::Operator { .. }
                    | Cause::Policy(_)
                    | Cause::Registry(_),
                ..
            }
            | Phase::Pending
            | Phase::Ramping { .. }
            | Phase::Promoting
            | Phase::Watching
            | Phase::Promoted
            | Phase::RollingBack { .. }
            | Phase::RolledBack { .. }
            | Phase::Superseded { .. } => None,
        }
    }
}

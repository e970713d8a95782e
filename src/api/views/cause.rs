//! Phases, causes and reasons to stay, each with its code, its fields and its sentence.

use super::{moment, number};
use crate::api::schema::{ActorText, LabelText, MetricNameText, Moment, VersionNumber};
use crate::rollout::{
    ApprovalPoint, Cause, EvaluationState, ForeignMove, Phase, PolicyCause, RegistryCause, Resumable,
    StayReason, VerdictCause, explain,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PhaseView {
    #[serde(flatten)]
    phase: PhaseCode,
    /// The phase as an English sentence.
    text: String,
}

/// Where a rollout stands, by code.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
enum PhaseCode {
    /// Its gates are not passed yet.
    Pending,
    /// Users are in treatment.
    Ramping {
        /// The step of the ladder, from 1.
        #[schema(minimum = 1)]
        step: usize,
    },
    /// It waits for a person.
    Paused {
        /// Where it goes on.
        from: ResumableView,
        /// Why it waits.
        cause: CauseView,
    },
    /// The control label is on its way to the candidate.
    Promoting,
    /// Everybody has the candidate, and it is watched on.
    Watching,
    /// The candidate is the stable version.
    Promoted,
    /// Labels are on their way back.
    RollingBack {
        /// Why it was taken back.
        cause: CauseView,
    },
    /// Labels are back.
    RolledBack {
        /// Why it was taken back.
        cause: CauseView,
    },
    /// A newer candidate took its place.
    Superseded {
        /// The newer candidate.
        #[schema(value_type = VersionNumber)]
        by: u32,
    },
}

/// A phase that a resume returns to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
enum ResumableView {
    /// Waiting for gates.
    Pending,
    /// In a step.
    Ramping {
        /// The step of the ladder, from 1.
        #[schema(minimum = 1)]
        step: usize,
    },
    /// After promotion.
    Watching,
}

impl From<Resumable> for ResumableView {
    fn from(from: Resumable) -> Self {
        match from {
            Resumable::Pending => Self::Pending,
            Resumable::Ramping { step } => Self::Ramping { step: step + 1 },
            Resumable::Watching => Self::Watching,
        }
    }
}

impl From<&Phase> for PhaseView {
    fn from(phase: &Phase) -> Self {
        let code = match phase {
            Phase::Pending => PhaseCode::Pending,
            Phase::Ramping { step } => PhaseCode::Ramping { step: step + 1 },
            Phase::Paused { from, cause } => PhaseCode::Paused {
                from: (*from).into(),
                cause: cause.into(),
            },
            Phase::Promoting => PhaseCode::Promoting,
            Phase::Watching => PhaseCode::Watching,
            Phase::Promoted => PhaseCode::Promoted,
            Phase::RollingBack { cause } => PhaseCode::RollingBack { cause: cause.into() },
            Phase::RolledBack { cause } => PhaseCode::RolledBack { cause: cause.into() },
            Phase::Superseded { by } => PhaseCode::Superseded { by: by.get() },
        };
        Self {
            phase: code,
            text: explain::phase(phase),
        }
    }
}

/// Why a rollout moved.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CauseView {
    #[serde(flatten)]
    cause: CauseCode,
    /// The cause as an English sentence.
    text: String,
}

/// Why a rollout moved, by code.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
enum CauseCode {
    /// Every guardrail passed.
    VerdictPassed,
    /// The candidate is proved to be worse.
    VerdictFailed {
        /// The metric to blame.
        #[schema(value_type = MetricNameText)]
        metric: String,
    },
    /// A person said so.
    Operator {
        /// Who.
        #[schema(value_type = ActorText)]
        actor: String,
        /// Why, in their words.
        reason: String,
    },
    /// Every gate before the start is open.
    GatesPassed,
    /// A guardrail got no observations.
    NoData {
        /// The metric.
        #[schema(value_type = MetricNameText)]
        metric: String,
        /// Since when.
        #[schema(value_type = Moment)]
        since: String,
    },
    /// The step stayed undecided.
    Inconclusive {
        /// Since when.
        #[schema(value_type = Moment)]
        since: String,
    },
    /// It was watched long enough.
    Watched,
    /// The policy's file is gone.
    PolicyRemoved,
    /// The treatment label came to point at the candidate.
    CandidateAppeared {
        /// Who moved it.
        #[schema(value_type = Option<ActorText>)]
        by: Option<String>,
    },
    /// A newer candidate took its place.
    NewerCandidate {
        /// The newer one.
        #[schema(value_type = VersionNumber)]
        version: u32,
        /// Who moved the label.
        #[schema(value_type = Option<ActorText>)]
        by: Option<String>,
    },
    /// Somebody else moved a label.
    ForeignMove {
        /// The label.
        #[schema(value_type = LabelText)]
        label: String,
        /// Where Serin expects it.
        #[schema(value_type = VersionNumber)]
        expected: u32,
        /// Where it is.
        #[schema(value_type = Option<VersionNumber>)]
        found: Option<u32>,
        /// Who moved it.
        #[schema(value_type = Option<ActorText>)]
        by: Option<String>,
    },
    /// The labels are where they should be.
    LabelsConfirmed,
}

impl From<&Cause> for CauseView {
    fn from(cause: &Cause) -> Self {
        let code = match cause {
            Cause::Verdict(VerdictCause::Passed) => CauseCode::VerdictPassed,
            Cause::Verdict(VerdictCause::Failed { blame }) => CauseCode::VerdictFailed {
                metric: blame.to_string(),
            },
            Cause::Operator { actor, reason } => CauseCode::Operator {
                actor: actor.to_string(),
                reason: reason.to_string(),
            },
            Cause::Policy(cause) => policy_cause(cause),
            Cause::Registry(cause) => registry_cause(cause),
        };
        Self {
            cause: code,
            text: explain::cause(cause),
        }
    }
}

fn policy_cause(cause: &PolicyCause) -> CauseCode {
    match cause {
        PolicyCause::GatesPassed => CauseCode::GatesPassed,
        PolicyCause::NoData { metric, since } => CauseCode::NoData {
            metric: metric.to_string(),
            since: moment(*since),
        },
        PolicyCause::Inconclusive { since } => CauseCode::Inconclusive {
            since: moment(*since),
        },
        PolicyCause::Watched => CauseCode::Watched,
        PolicyCause::Removed => CauseCode::PolicyRemoved,
    }
}

fn registry_cause(cause: &RegistryCause) -> CauseCode {
    let shown = |by: &Option<crate::ids::Actor>| by.as_ref().map(ToString::to_string);
    match cause {
        RegistryCause::CandidateAppeared { by } => CauseCode::CandidateAppeared { by: shown(by) },
        RegistryCause::NewerCandidate { version, by } => CauseCode::NewerCandidate {
            version: version.get(),
            by: shown(by),
        },
        RegistryCause::ForeignMove(ForeignMove {
            label,
            expected,
            found,
            by,
        }) => CauseCode::ForeignMove {
            label: label.to_string(),
            expected: expected.get(),
            found: number(*found),
            by: shown(by),
        },
        RegistryCause::Confirmed => CauseCode::LabelsConfirmed,
    }
}

/// Why a rollout does not move.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StayView {
    #[serde(flatten)]
    stay: StayCode,
    /// The reason as an English sentence.
    pub text: String,
}

/// Why a rollout does not move, by code.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
enum StayCode {
    /// The evaluation gate is closed.
    Evaluation {
        /// How it stands.
        evaluation: EvaluationView,
    },
    /// Approvals are missing.
    Approval {
        /// The step that is to be left, from 1; null before the start.
        #[schema(minimum = 1)]
        step: Option<usize>,
        /// How many people have approved.
        given: u32,
        /// How many must.
        needed: u32,
    },
    /// The step's bake is not over.
    Baking {
        /// When it will be.
        #[schema(value_type = Moment)]
        until: String,
    },
    /// Too few treated observations.
    Samples {
        /// How many there are.
        have: u64,
        /// How many must be.
        need: u64,
    },
    /// A guardrail is not decided.
    Undecided {
        /// The metric.
        #[schema(value_type = MetricNameText)]
        metric: String,
        /// About how many more treated observations it needs.
        needs: Option<u64>,
        /// When the policy's patience ends.
        #[schema(value_type = Moment)]
        until: String,
    },
    /// A guardrail has no observations.
    NoData {
        /// The metric.
        #[schema(value_type = MetricNameText)]
        metric: String,
        /// Since when.
        #[schema(value_type = Moment)]
        since: String,
    },
    /// A person must act.
    Paused {
        /// Why it was paused.
        cause: CauseView,
    },
    /// A label is not where it should be yet.
    AwaitingLabel {
        /// The label.
        #[schema(value_type = LabelText)]
        label: String,
        /// Where it must come to point.
        #[schema(value_type = VersionNumber)]
        to: u32,
        /// Where it points.
        #[schema(value_type = Option<VersionNumber>)]
        found: Option<u32>,
    },
    /// The registry does not answer.
    RegistryAway,
    /// The candidate is worse, and the policy steps back.
    SteppedBack {
        /// The metric to blame.
        #[schema(value_type = MetricNameText)]
        metric: String,
        /// When it steps back again.
        #[schema(value_type = Moment)]
        until: String,
    },
    /// The candidate is worse, and a person overruled that.
    Overruled {
        /// The metric to blame.
        #[schema(value_type = MetricNameText)]
        metric: String,
    },
    /// The promoted version is watched.
    Watching {
        /// When the watch is over.
        #[schema(value_type = Moment)]
        until: String,
    },
    /// The rollout is over.
    Ended,
    /// A person's command was refused.
    Refused,
}

/// How the evaluation gate stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
enum EvaluationView {
    /// The scores are good enough.
    Open,
    /// The registry does not answer.
    Unknown,
    /// No evaluation is recorded.
    Missing {
        /// The version without one.
        #[schema(value_type = VersionNumber)]
        version: u32,
    },
    /// A score is too low.
    Below {
        /// The metric.
        #[schema(value_type = MetricNameText)]
        metric: String,
        /// The candidate's score.
        score: f64,
        /// What it must reach.
        least: f64,
    },
}

impl From<&EvaluationState> for EvaluationView {
    fn from(state: &EvaluationState) -> Self {
        match state {
            EvaluationState::Open => Self::Open,
            EvaluationState::Unknown => Self::Unknown,
            EvaluationState::Missing { version } => Self::Missing {
                version: version.get(),
            },
            EvaluationState::Below { metric, score, least } => Self::Below {
                metric: metric.to_string(),
                score: *score,
                least: *least,
            },
        }
    }
}

impl StayView {
    /// Shows `stay` as it reads at `now`.
    pub fn new(stay: &StayReason, now: Timestamp) -> Self {
        Self {
            stay: stay.into(),
            text: explain::stay(stay, now),
        }
    }
}

impl From<&StayReason> for StayCode {
    fn from(stay: &StayReason) -> Self {
        match stay {
            StayReason::Evaluation(state) => Self::Evaluation {
                evaluation: state.into(),
            },
            StayReason::Approval { point, given, needed } => {
                let step = match point {
                    ApprovalPoint::Start => None,
                    ApprovalPoint::Step(step) => Some(step + 1),
                };
                Self::Approval {
                    step,
                    given: *given,
                    needed: *needed,
                }
            }
            StayReason::Baking { until } => Self::Baking {
                until: moment(*until),
            },
            StayReason::Samples { have, need } => Self::Samples {
                have: *have,
                need: *need,
            },
            StayReason::Undecided { metric, needs, until } => Self::Undecided {
                metric: metric.to_string(),
                needs: *needs,
                until: moment(*until),
            },
            StayReason::NoData { metric, since } => Self::NoData {
                metric: metric.to_string(),
                since: moment(*since),
            },
            StayReason::Paused { cause } => Self::Paused { cause: cause.into() },
            StayReason::AwaitingLabel { label, to, found } => Self::AwaitingLabel {
                label: label.to_string(),
                to: to.get(),
                found: number(*found),
            },
            StayReason::RegistryAway => Self::RegistryAway,
            StayReason::SteppedBack { blame, until } => Self::SteppedBack {
                metric: blame.to_string(),
                until: moment(*until),
            },
            StayReason::Overruled { blame } => Self::Overruled {
                metric: blame.to_string(),
            },
            StayReason::Watching { until } => Self::Watching {
                until: moment(*until),
            },
            StayReason::Ended => Self::Ended,
            StayReason::Refused(_) => Self::Refused,
        }
    }
}

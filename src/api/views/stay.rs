//! Reasons to stay, each with its code, its fields and its sentence.

use super::cause::{CauseView, MismatchView};
use super::{moment, number};
use crate::api::schema::{ActorText, LabelText, MetricNameText, Moment, VersionNumber};
use crate::ids::Actor;
use crate::rollout::{ApprovalPoint, Approvers, EvaluationState, StayReason, explain};
use crate::store::Scope;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;

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
        /// Who they are.
        #[schema(value_type = Vec<ActorText>)]
        by: Vec<String>,
        /// How many must.
        needed: u32,
        /// Who may still, where the policy names people; null where it does not.
        #[schema(value_type = Option<Vec<ActorText>>)]
        from: Option<Vec<String>>,
        /// The scope that their tokens need: `operate` or `admin`.
        scope: &'static str,
        /// Who may not, because they wrote the candidate and nobody else must approve.
        #[schema(value_type = Option<ActorText>)]
        but: Option<String>,
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
    /// Users are proved not to have come to the arms as planned, and a person went on all the same.
    SampleRatio(MismatchView),
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
            StayReason::Approval {
                point,
                given,
                needed,
                from,
            } => approval(*point, given, *needed, from),
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
            StayReason::SampleRatio(mismatch) => Self::SampleRatio(mismatch.into()),
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

fn approval(point: ApprovalPoint, given: &BTreeSet<Actor>, needed: u32, from: &Approvers) -> StayCode {
    let names = |actors: &BTreeSet<Actor>| actors.iter().map(ToString::to_string).collect();
    let scope = if from.admins_only {
        Scope::Admin
    } else {
        Scope::Operate
    };
    StayCode::Approval {
        step: match point {
            ApprovalPoint::Start => None,
            ApprovalPoint::Step(step) => Some(step + 1),
        },
        given: u32::try_from(given.len()).unwrap_or(u32::MAX),
        by: names(given),
        needed,
        from: from.named.as_ref().map(names),
        scope: scope.as_str(),
        but: from.but.as_ref().map(ToString::to_string),
    }
}

//! Phases and causes, each with its code, its fields and its sentence.

use super::evidence::VersusView;
use super::{moment, number};
use crate::analysis::{Mismatch, MismatchOf};
use crate::api::schema::{ActorText, LabelText, MetricNameText, Moment, VersionNumber};
use crate::rollout::{
    Cause, ForeignMove, Phase, PolicyCause, RegistryCause, Resumable, VerdictCause, explain,
};
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
        /// What it is worse than.
        versus: VersusView,
    },
    /// Users are proved not to have come to the arms as planned.
    SampleRatio(MismatchView),
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

/// Users who did not come to the arms as planned.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Mismatch)]
pub struct MismatchView {
    /// Which users.
    of: MismatchOfView,
    /// How many there are in treatment.
    treatment: u64,
    /// How many there are in both arms.
    users: u64,
    /// About how many were planned for treatment.
    expected: u64,
    /// When it was proved.
    #[schema(value_type = Moment)]
    since: String,
}

/// Which users did not come as planned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MismatchOf)]
enum MismatchOfView {
    /// All who were observed.
    Users,
    /// Those of whom an observation was left out.
    Exclusions,
}

impl From<&Mismatch> for MismatchView {
    fn from(mismatch: &Mismatch) -> Self {
        Self {
            of: match mismatch.of {
                MismatchOf::Users => MismatchOfView::Users,
                MismatchOf::Exclusions => MismatchOfView::Exclusions,
            },
            treatment: mismatch.treatment,
            users: mismatch.users,
            expected: mismatch.expected,
            since: moment(mismatch.since),
        }
    }
}

impl From<&Cause> for CauseView {
    fn from(cause: &Cause) -> Self {
        let code = match cause {
            Cause::Verdict(VerdictCause::Passed) => CauseCode::VerdictPassed,
            Cause::Verdict(VerdictCause::Failed { blame }) => CauseCode::VerdictFailed {
                metric: blame.metric.to_string(),
                versus: blame.versus.into(),
            },
            Cause::Verdict(VerdictCause::SampleRatio(mismatch)) => CauseCode::SampleRatio(mismatch.into()),
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

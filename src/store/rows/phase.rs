//! Phases, approvals and causes as JSON.

use super::{Number, Text};
use crate::analysis::{Blame, Mismatch, MismatchOf, Versus};
use crate::ids::{Actor, Justification, Label, MetricName};
use crate::rollout::{
    Approval, ApprovalPoint, Cause, ForeignMove, Phase, PolicyCause, RegistryCause, Resumable, VerdictCause,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A [`Phase`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "camelCase")]
pub(in crate::store) enum PhaseRow {
    Pending,
    Ramping { step: usize },
    Paused { from: ResumableRow, cause: CauseRow },
    Promoting,
    Watching,
    Promoted,
    RollingBack { cause: CauseRow },
    RolledBack { cause: CauseRow },
    Superseded { by: Number },
}

impl From<&Phase> for PhaseRow {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Pending => Self::Pending,
            Phase::Ramping { step } => Self::Ramping { step: *step },
            Phase::Paused { from, cause } => Self::Paused {
                from: (*from).into(),
                cause: cause.into(),
            },
            Phase::Promoting => Self::Promoting,
            Phase::Watching => Self::Watching,
            Phase::Promoted => Self::Promoted,
            Phase::RollingBack { cause } => Self::RollingBack { cause: cause.into() },
            Phase::RolledBack { cause } => Self::RolledBack { cause: cause.into() },
            Phase::Superseded { by } => Self::Superseded { by: Number(*by) },
        }
    }
}

impl From<PhaseRow> for Phase {
    fn from(row: PhaseRow) -> Self {
        match row {
            PhaseRow::Pending => Self::Pending,
            PhaseRow::Ramping { step } => Self::Ramping { step },
            PhaseRow::Paused { from, cause } => Self::Paused {
                from: from.into(),
                cause: cause.into(),
            },
            PhaseRow::Promoting => Self::Promoting,
            PhaseRow::Watching => Self::Watching,
            PhaseRow::Promoted => Self::Promoted,
            PhaseRow::RollingBack { cause } => Self::RollingBack { cause: cause.into() },
            PhaseRow::RolledBack { cause } => Self::RolledBack { cause: cause.into() },
            PhaseRow::Superseded { by } => Self::Superseded { by: by.0 },
        }
    }
}

/// A [`Resumable`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "camelCase")]
pub(in crate::store) enum ResumableRow {
    Pending,
    Ramping { step: usize },
    Watching,
}

impl From<Resumable> for ResumableRow {
    fn from(from: Resumable) -> Self {
        match from {
            Resumable::Pending => Self::Pending,
            Resumable::Ramping { step } => Self::Ramping { step },
            Resumable::Watching => Self::Watching,
        }
    }
}

impl From<ResumableRow> for Resumable {
    fn from(row: ResumableRow) -> Self {
        match row {
            ResumableRow::Pending => Self::Pending,
            ResumableRow::Ramping { step } => Self::Ramping { step },
            ResumableRow::Watching => Self::Watching,
        }
    }
}

/// An [`Approval`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct ApprovalRow {
    /// The step whose exit it opens; none where it opens the start.
    step: Option<usize>,
    actor: Text<Actor>,
}

impl From<&Approval> for ApprovalRow {
    fn from(approval: &Approval) -> Self {
        let step = match approval.point {
            ApprovalPoint::Start => None,
            ApprovalPoint::Step(step) => Some(step),
        };
        Self {
            step,
            actor: Text(approval.actor.clone()),
        }
    }
}

impl From<ApprovalRow> for Approval {
    fn from(row: ApprovalRow) -> Self {
        Self {
            point: row.step.map_or(ApprovalPoint::Start, ApprovalPoint::Step),
            actor: row.actor.0,
        }
    }
}

/// A [`MismatchOf`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) enum MismatchOfRow {
    Users,
    Exclusions,
}

impl From<MismatchOf> for MismatchOfRow {
    fn from(of: MismatchOf) -> Self {
        match of {
            MismatchOf::Users => Self::Users,
            MismatchOf::Exclusions => Self::Exclusions,
        }
    }
}

impl From<MismatchOfRow> for MismatchOf {
    fn from(row: MismatchOfRow) -> Self {
        match row {
            MismatchOfRow::Users => Self::Users,
            MismatchOfRow::Exclusions => Self::Exclusions,
        }
    }
}

/// A [`Versus`]; failures are those of a comparison with control unless they say something else.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) enum VersusRow {
    #[default]
    Control,
    Limit,
    Past,
}

impl VersusRow {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes fields by reference"
    )]
    pub(super) fn is_control(&self) -> bool {
        matches!(self, Self::Control)
    }
}

impl From<Versus> for VersusRow {
    fn from(versus: Versus) -> Self {
        match versus {
            Versus::Control => Self::Control,
            Versus::Limit => Self::Limit,
            Versus::Past => Self::Past,
        }
    }
}

impl From<VersusRow> for Versus {
    fn from(row: VersusRow) -> Self {
        match row {
            VersusRow::Control => Self::Control,
            VersusRow::Limit => Self::Limit,
            VersusRow::Past => Self::Past,
        }
    }
}

/// A [`Cause`], with the causes inside it on one level.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "camelCase")]
pub(in crate::store) enum CauseRow {
    Passed,
    Failed {
        blame: Text<MetricName>,
        #[serde(default, skip_serializing_if = "VersusRow::is_control")]
        versus: VersusRow,
    },
    SampleRatio {
        of: MismatchOfRow,
        treatment: u64,
        users: u64,
        expected: u64,
        since: Text<Timestamp>,
    },
    Operator {
        actor: Text<Actor>,
        reason: Text<Justification>,
    },
    GatesPassed,
    NoData {
        metric: Text<MetricName>,
        since: Text<Timestamp>,
    },
    Inconclusive {
        since: Text<Timestamp>,
    },
    Watched,
    PolicyRemoved,
    CandidateAppeared {
        by: Option<Text<Actor>>,
    },
    NewerCandidate {
        version: Number,
        by: Option<Text<Actor>>,
    },
    ForeignMove {
        label: Text<Label>,
        expected: Number,
        found: Option<Number>,
        by: Option<Text<Actor>>,
    },
    Confirmed,
}

impl From<&Cause> for CauseRow {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Verdict(VerdictCause::Passed) => Self::Passed,
            Cause::Verdict(VerdictCause::Failed { blame }) => Self::Failed {
                blame: Text(blame.metric.clone()),
                versus: blame.versus.into(),
            },
            Cause::Verdict(VerdictCause::SampleRatio(mismatch)) => Self::SampleRatio {
                of: mismatch.of.into(),
                treatment: mismatch.treatment,
                users: mismatch.users,
                expected: mismatch.expected,
                since: Text(mismatch.since),
            },
            Cause::Operator { actor, reason } => Self::Operator {
                actor: Text(actor.clone()),
                reason: Text(reason.clone()),
            },
            Cause::Policy(cause) => cause.into(),
            Cause::Registry(cause) => cause.into(),
        }
    }
}

impl From<&PolicyCause> for CauseRow {
    fn from(cause: &PolicyCause) -> Self {
        match cause {
            PolicyCause::GatesPassed => Self::GatesPassed,
            PolicyCause::NoData { metric, since } => Self::NoData {
                metric: Text(metric.clone()),
                since: Text(*since),
            },
            PolicyCause::Inconclusive { since } => Self::Inconclusive { since: Text(*since) },
            PolicyCause::Watched => Self::Watched,
            PolicyCause::Removed => Self::PolicyRemoved,
        }
    }
}

impl From<&RegistryCause> for CauseRow {
    fn from(cause: &RegistryCause) -> Self {
        match cause {
            RegistryCause::CandidateAppeared { by } => Self::CandidateAppeared {
                by: by.clone().map(Text),
            },
            RegistryCause::NewerCandidate { version, by } => Self::NewerCandidate {
                version: Number(*version),
                by: by.clone().map(Text),
            },
            RegistryCause::ForeignMove(foreign) => Self::ForeignMove {
                label: Text(foreign.label.clone()),
                expected: Number(foreign.expected),
                found: foreign.found.map(Number),
                by: foreign.by.clone().map(Text),
            },
            RegistryCause::Confirmed => Self::Confirmed,
        }
    }
}

impl From<CauseRow> for Cause {
    fn from(row: CauseRow) -> Self {
        match row {
            CauseRow::Passed => Self::Verdict(VerdictCause::Passed),
            CauseRow::Failed { blame, versus } => Self::Verdict(VerdictCause::Failed {
                blame: Blame {
                    metric: blame.0,
                    versus: versus.into(),
                },
            }),
            CauseRow::SampleRatio {
                of,
                treatment,
                users,
                expected,
                since,
            } => Self::Verdict(VerdictCause::SampleRatio(Mismatch {
                of: of.into(),
                treatment,
                users,
                expected,
                since: since.0,
            })),
            CauseRow::Operator { actor, reason } => Self::Operator {
                actor: actor.0,
                reason: reason.0,
            },
            CauseRow::GatesPassed => Self::Policy(PolicyCause::GatesPassed),
            CauseRow::NoData { metric, since } => Self::Policy(PolicyCause::NoData {
                metric: metric.0,
                since: since.0,
            }),
            CauseRow::Inconclusive { since } => Self::Policy(PolicyCause::Inconclusive { since: since.0 }),
            CauseRow::Watched => Self::Policy(PolicyCause::Watched),
            CauseRow::PolicyRemoved => Self::Policy(PolicyCause::Removed),
            CauseRow::CandidateAppeared { by } => Self::Registry(RegistryCause::CandidateAppeared {
                by: by.map(|by| by.0),
            }),
            CauseRow::NewerCandidate { version, by } => Self::Registry(RegistryCause::NewerCandidate {
                version: version.0,
                by: by.map(|by| by.0),
            }),
            CauseRow::ForeignMove {
                label,
                expected,
                found,
                by,
            } => Self::Registry(RegistryCause::ForeignMove(ForeignMove {
                label: label.0,
                expected: expected.0,
                found: found.map(|found| found.0),
                by: by.map(|by| by.0),
            })),
            CauseRow::Confirmed => Self::Registry(RegistryCause::Confirmed),
        }
    }
}

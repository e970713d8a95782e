//! Assessments as JSON; every number comes back bit for bit, so that a replay equals the original.

use super::{Exact, Text};
use crate::analysis::{ArmEvidence, Assessment, Evidence, Verdict};
use crate::ids::{MetricName, Tick};
use crate::policy::Role;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An [`Assessment`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) struct AssessmentRow {
    at: Text<Timestamp>,
    through: i64,
    verdict: VerdictRow,
    log_e_combined: Option<Exact>,
    threshold: Exact,
    threshold_non_inferior: Exact,
    threshold_limit: Exact,
    blame: Option<Text<MetricName>>,
    treated: u64,
    metrics: Vec<EvidenceRow>,
}

impl From<&Assessment> for AssessmentRow {
    fn from(assessment: &Assessment) -> Self {
        Self {
            at: Text(assessment.at),
            through: assessment.through.second(),
            verdict: assessment.verdict.into(),
            log_e_combined: assessment.log_e_combined.map(Exact),
            threshold: Exact(assessment.threshold),
            threshold_non_inferior: Exact(assessment.threshold_non_inferior),
            threshold_limit: Exact(assessment.threshold_limit),
            blame: assessment.blame.clone().map(Text),
            treated: assessment.treated,
            metrics: assessment.metrics.iter().map(EvidenceRow::from).collect(),
        }
    }
}

impl From<AssessmentRow> for Assessment {
    fn from(row: AssessmentRow) -> Self {
        Self {
            at: row.at.0,
            through: Tick::new(row.through),
            verdict: row.verdict.into(),
            log_e_combined: row.log_e_combined.map(|number| number.0),
            threshold: row.threshold.0,
            threshold_non_inferior: row.threshold_non_inferior.0,
            threshold_limit: row.threshold_limit.0,
            blame: row.blame.map(|blame| blame.0),
            treated: row.treated,
            metrics: row.metrics.into_iter().map(Evidence::from).collect(),
        }
    }
}

/// A [`Verdict`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum VerdictRow {
    Pass,
    Fail,
    Inconclusive,
    Invalid,
}

impl From<Verdict> for VerdictRow {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail => Self::Fail,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Invalid => Self::Invalid,
        }
    }
}

impl From<VerdictRow> for Verdict {
    fn from(row: VerdictRow) -> Self {
        match row {
            VerdictRow::Pass => Self::Pass,
            VerdictRow::Fail => Self::Fail,
            VerdictRow::Inconclusive => Self::Inconclusive,
            VerdictRow::Invalid => Self::Invalid,
        }
    }
}

/// A [`Role`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RoleRow {
    Guardrail,
    Goal,
    Watched,
}

impl From<Role> for RoleRow {
    fn from(role: Role) -> Self {
        match role {
            Role::Guardrail => Self::Guardrail,
            Role::Goal => Self::Goal,
            Role::Watched => Self::Watched,
        }
    }
}

impl From<RoleRow> for Role {
    fn from(row: RoleRow) -> Self {
        match row {
            RoleRow::Guardrail => Self::Guardrail,
            RoleRow::Goal => Self::Goal,
            RoleRow::Watched => Self::Watched,
        }
    }
}

/// An [`ArmEvidence`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArmRow {
    count: u64,
    mean: Option<Exact>,
    last_seen: Option<i64>,
}

impl From<ArmEvidence> for ArmRow {
    fn from(arm: ArmEvidence) -> Self {
        Self {
            count: arm.count,
            mean: arm.mean.map(Exact),
            last_seen: arm.last_seen.map(Tick::second),
        }
    }
}

impl From<ArmRow> for ArmEvidence {
    fn from(row: ArmRow) -> Self {
        Self {
            count: row.count,
            mean: row.mean.map(|mean| mean.0),
            last_seen: row.last_seen.map(Tick::new),
        }
    }
}

/// An [`Evidence`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceRow {
    metric: Text<MetricName>,
    role: RoleRow,
    control: ArmRow,
    treatment: ArmRow,
    difference: Option<Exact>,
    interval: Option<(Exact, Exact)>,
    margin: Option<Exact>,
    log_e_worse: Exact,
    log_e_non_inferior: Exact,
    log_e_limit: Option<Exact>,
    needs: Option<u64>,
    verdict: VerdictRow,
    silent_since: Option<Text<Timestamp>>,
}

impl From<&Evidence> for EvidenceRow {
    fn from(evidence: &Evidence) -> Self {
        Self {
            metric: Text(evidence.metric.clone()),
            role: evidence.role.into(),
            control: evidence.control.into(),
            treatment: evidence.treatment.into(),
            difference: evidence.difference.map(Exact),
            interval: evidence
                .interval
                .map(|(lower, upper)| (Exact(lower), Exact(upper))),
            margin: evidence.margin.map(Exact),
            log_e_worse: Exact(evidence.log_e_worse),
            log_e_non_inferior: Exact(evidence.log_e_non_inferior),
            log_e_limit: evidence.log_e_limit.map(Exact),
            needs: evidence.needs,
            verdict: evidence.verdict.into(),
            silent_since: evidence.silent_since.map(Text),
        }
    }
}

impl From<EvidenceRow> for Evidence {
    fn from(row: EvidenceRow) -> Self {
        Self {
            metric: row.metric.0,
            role: row.role.into(),
            control: row.control.into(),
            treatment: row.treatment.into(),
            difference: row.difference.map(|number| number.0),
            interval: row.interval.map(|(lower, upper)| (lower.0, upper.0)),
            margin: row.margin.map(|number| number.0),
            log_e_worse: row.log_e_worse.0,
            log_e_non_inferior: row.log_e_non_inferior.0,
            log_e_limit: row.log_e_limit.map(|number| number.0),
            needs: row.needs,
            verdict: row.verdict.into(),
            silent_since: row.silent_since.map(|since| since.0),
        }
    }
}

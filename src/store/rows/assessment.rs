//! Assessments as JSON; every number comes back bit for bit, so that a replay equals the original.

use super::phase::VersusRow;
use super::{Exact, Text};
use crate::analysis::{
    ArmEvidence, Assessment, Blame, DataQuality, Evidence, PastEvidence, PerArm, QuantileEvidence,
    QuantileInterval, RatioEvidence, Verdict,
};
use crate::ids::{MetricName, Tick};
use crate::policy::{Quantile, Role};
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    #[serde(default, skip_serializing_if = "VersusRow::is_control")]
    versus: VersusRow,
    treated: u64,
    #[serde(default)]
    data: DataRow,
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
            blame: assessment.blame.as_ref().map(|blame| Text(blame.metric.clone())),
            versus: assessment
                .blame
                .as_ref()
                .map_or(VersusRow::default(), |blame| blame.versus.into()),
            treated: assessment.treated,
            data: assessment.data.into(),
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
            blame: row.blame.map(|blame| Blame {
                metric: blame.0,
                versus: row.versus.into(),
            }),
            treated: row.treated,
            data: row.data.into(),
            metrics: row.metrics.into_iter().map(Evidence::from).collect(),
        }
    }
}

/// A [`DataQuality`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DataRow {
    split: RatioRow,
    excluded: RatioRow,
    fallback: PerArmRow,
    out_of_range: PerArmRow,
}

impl From<DataQuality> for DataRow {
    fn from(data: DataQuality) -> Self {
        Self {
            split: data.split.into(),
            excluded: data.excluded.into(),
            fallback: data.fallback.into(),
            out_of_range: data.out_of_range.into(),
        }
    }
}

impl From<DataRow> for DataQuality {
    fn from(row: DataRow) -> Self {
        Self {
            split: row.split.into(),
            excluded: row.excluded.into(),
            fallback: row.fallback.into(),
            out_of_range: row.out_of_range.into(),
        }
    }
}

/// A [`RatioEvidence`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RatioRow {
    users: PerArmRow,
    expected: Exact,
    log_e: Exact,
    since: Option<Text<Timestamp>>,
}

impl From<RatioEvidence> for RatioRow {
    fn from(ratio: RatioEvidence) -> Self {
        Self {
            users: ratio.users.into(),
            expected: Exact(ratio.expected),
            log_e: Exact(ratio.log_e),
            since: ratio.since.map(Text),
        }
    }
}

impl From<RatioRow> for RatioEvidence {
    fn from(row: RatioRow) -> Self {
        Self {
            users: row.users.into(),
            expected: row.expected.0,
            log_e: row.log_e.0,
            since: row.since.map(|since| since.0),
        }
    }
}

/// A [`PerArm`]: control, treatment.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct PerArmRow(u64, u64);

impl From<PerArm> for PerArmRow {
    fn from(counts: PerArm) -> Self {
        Self(counts.control, counts.treatment)
    }
}

impl From<PerArmRow> for PerArm {
    fn from(PerArmRow(control, treatment): PerArmRow) -> Self {
        Self { control, treatment }
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
    #[serde(default)]
    clipped: u64,
    last_seen: Option<i64>,
}

impl From<ArmEvidence> for ArmRow {
    fn from(arm: ArmEvidence) -> Self {
        Self {
            count: arm.count,
            mean: arm.mean.map(Exact),
            clipped: arm.clipped,
            last_seen: arm.last_seen.map(Tick::second),
        }
    }
}

impl From<ArmRow> for ArmEvidence {
    fn from(row: ArmRow) -> Self {
        Self {
            count: row.count,
            mean: row.mean.map(|mean| mean.0),
            clipped: row.clipped,
            last_seen: row.last_seen.map(Tick::new),
        }
    }
}

/// A [`Quantile`], in parts per million.
#[derive(Debug, Clone, Copy)]
struct Ppm(Quantile);

impl Serialize for Ppm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0.ppm())
    }
}

impl<'de> Deserialize<'de> for Ppm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let quantile = Quantile::from_ppm(u32::deserialize(deserializer)?);
        quantile
            .map(Self)
            .ok_or_else(|| D::Error::custom("a quantile is 1 to 999,999 parts per million"))
    }
}

/// A [`QuantileEvidence`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuantileRow {
    quantile: Ppm,
    control: Option<Exact>,
    treatment: Option<Exact>,
    #[serde(default)]
    control_interval: IntervalRow,
    #[serde(default)]
    treatment_interval: IntervalRow,
    log_e_worse: Exact,
    log_e_non_inferior: Exact,
    verdict: VerdictRow,
}

impl From<&QuantileEvidence> for QuantileRow {
    fn from(evidence: &QuantileEvidence) -> Self {
        Self {
            quantile: Ppm(evidence.quantile),
            control: evidence.control.map(Exact),
            treatment: evidence.treatment.map(Exact),
            control_interval: evidence.control_interval.into(),
            treatment_interval: evidence.treatment_interval.into(),
            log_e_worse: Exact(evidence.log_e_worse),
            log_e_non_inferior: Exact(evidence.log_e_non_inferior),
            verdict: evidence.verdict.into(),
        }
    }
}

impl From<QuantileRow> for QuantileEvidence {
    fn from(row: QuantileRow) -> Self {
        Self {
            quantile: row.quantile.0,
            control: row.control.map(|number| number.0),
            treatment: row.treatment.map(|number| number.0),
            control_interval: row.control_interval.into(),
            treatment_interval: row.treatment_interval.into(),
            log_e_worse: row.log_e_worse.0,
            log_e_non_inferior: row.log_e_non_inferior.0,
            verdict: row.verdict.into(),
        }
    }
}

/// A [`QuantileInterval`]; rows from before there were any know nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
struct IntervalRow {
    lower: Option<Exact>,
    upper: Option<Exact>,
}

impl From<QuantileInterval> for IntervalRow {
    fn from(interval: QuantileInterval) -> Self {
        Self {
            lower: interval.lower.map(Exact),
            upper: interval.upper.map(Exact),
        }
    }
}

impl From<IntervalRow> for QuantileInterval {
    fn from(row: IntervalRow) -> Self {
        Self {
            lower: row.lower.map(|number| number.0),
            upper: row.upper.map(|number| number.0),
        }
    }
}

/// A [`PastEvidence`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PastRow {
    since: Option<i64>,
    limit: Exact,
    treated: u64,
    log_e: Exact,
}

impl From<PastEvidence> for PastRow {
    fn from(past: PastEvidence) -> Self {
        Self {
            since: past.since.map(Tick::second),
            limit: Exact(past.limit),
            treated: past.treated,
            log_e: Exact(past.log_e),
        }
    }
}

impl From<PastRow> for PastEvidence {
    fn from(row: PastRow) -> Self {
        Self {
            since: row.since.map(Tick::new),
            limit: row.limit.0,
            treated: row.treated,
            log_e: row.log_e.0,
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
    #[serde(default)]
    quantiles: Vec<QuantileRow>,
    #[serde(default)]
    relative: bool,
    difference: Option<Exact>,
    interval: Option<(Exact, Exact)>,
    margin: Option<Exact>,
    #[serde(default)]
    within_margin: Option<bool>,
    log_e_worse: Exact,
    log_e_non_inferior: Exact,
    log_e_limit: Option<Exact>,
    #[serde(default)]
    past: Option<PastRow>,
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
            quantiles: evidence.quantiles.iter().map(QuantileRow::from).collect(),
            relative: evidence.relative,
            difference: evidence.difference.map(Exact),
            interval: evidence
                .interval
                .map(|(lower, upper)| (Exact(lower), Exact(upper))),
            margin: evidence.margin.map(Exact),
            within_margin: evidence.within_margin,
            log_e_worse: Exact(evidence.log_e_worse),
            log_e_non_inferior: Exact(evidence.log_e_non_inferior),
            log_e_limit: evidence.log_e_limit.map(Exact),
            past: evidence.past.map(PastRow::from),
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
            quantiles: row.quantiles.into_iter().map(QuantileEvidence::from).collect(),
            relative: row.relative,
            difference: row.difference.map(|number| number.0),
            interval: row.interval.map(|(lower, upper)| (lower.0, upper.0)),
            margin: row.margin.map(|number| number.0),
            within_margin: row.within_margin,
            log_e_worse: row.log_e_worse.0,
            log_e_non_inferior: row.log_e_non_inferior.0,
            log_e_limit: row.log_e_limit.map(|number| number.0),
            past: row.past.map(PastEvidence::from),
            needs: row.needs,
            verdict: row.verdict.into(),
            silent_since: row.silent_since.map(|since| since.0),
        }
    }
}

//! The numbers behind a verdict.

use super::{finite, moment};
use crate::analysis::{
    ArmEvidence, Assessment, DataQuality, Evidence, PastEvidence, PerArm, QuantileEvidence, QuantileInterval,
    RatioEvidence, Verdict, Versus,
};
use crate::api::schema::{DnsLabel, MetricNameText, Moment, RolloutIdText};
use crate::policy::{Alpha, Role};
use serde::Serialize;
use utoipa::ToSchema;

/// The numbers of a rollout.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvidenceView {
    /// The rollout.
    #[schema(value_type = RolloutIdText)]
    pub rollout: String,
    /// Its policy.
    #[schema(value_type = DnsLabel)]
    pub policy: String,
    /// The conclusion, or the last one of a rollout that is over; null before the first closed tick.
    pub assessment: Option<AssessmentView>,
}

/// What a metric, or all of them together, say about the candidate.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictView {
    /// Proved to be no worse than the margin.
    Pass,
    /// Proved to be worse.
    Fail,
    /// Not enough evidence either way.
    Inconclusive,
    /// The data cannot carry a verdict.
    Invalid,
}

impl From<Verdict> for VerdictView {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail => Self::Fail,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Invalid => Self::Invalid,
        }
    }
}

/// What the candidate is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Versus)]
pub enum VersusView {
    /// The users who have the stable version at the same time.
    Control,
    /// A declared floor or ceiling.
    Limit,
    /// Control as it was before everybody had the candidate.
    Past,
}

impl From<Versus> for VersusView {
    fn from(versus: Versus) -> Self {
        match versus {
            Versus::Control => Self::Control,
            Versus::Limit => Self::Limit,
            Versus::Past => Self::Past,
        }
    }
}

/// A metric's part in the verdict.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleView {
    /// Worsening rolls back, and health must be proved.
    Guardrail,
    /// Worsening rolls back.
    Goal,
    /// Shown, never acted on.
    Watched,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Guardrail => Self::Guardrail,
            Role::Goal => Self::Goal,
            Role::Watched => Self::Watched,
        }
    }
}

/// The conclusion over all metrics at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Assessment)]
pub struct AssessmentView {
    /// When it was drawn.
    #[schema(value_type = Moment)]
    at: String,
    /// The last closed tick that it saw.
    #[schema(value_type = Moment)]
    through: String,
    /// What to make of it.
    verdict: VerdictView,
    /// Log of the combined e-value against the candidate.
    log_e_combined: Option<f64>,
    /// What `logECombined` must reach for a rollback.
    threshold: Option<f64>,
    /// What a metric's `logENonInferior` must reach to pass.
    threshold_non_inferior: Option<f64>,
    /// What a metric's `logELimit` must reach for a rollback.
    threshold_limit: Option<f64>,
    /// The metric to blame.
    #[schema(value_type = Option<MetricNameText>)]
    blame: Option<String>,
    /// What that metric is worse than.
    versus: Option<VersusView>,
    /// Least number of treated observations over the guardrails.
    treated: u64,
    /// Whether the data can carry a verdict.
    data: DataView,
    /// In the policy's order.
    metrics: Vec<MetricEvidenceView>,
}

/// Whether the data can carry a verdict.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DataQuality)]
pub struct DataView {
    /// Users, each at first sight.
    users: RatioView,
    /// Users of whom an observation was left out, each at the first of them.
    excluded: RatioView,
    /// What their `logE` must reach for a pause.
    threshold: Option<f64>,
    /// Observations that were left out because the application had served a fallback of its own.
    fallback: PerArmView,
    /// Observations that were left out because a value was out of range.
    out_of_range: PerArmView,
}

/// Whether users came to the arms as planned.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SampleRatio)]
pub struct RatioView {
    /// Users in control.
    control: u64,
    /// Users in treatment.
    treatment: u64,
    /// How many of both were planned for treatment.
    expected: Option<f64>,
    /// Log e-value against "as planned".
    log_e: Option<f64>,
    /// When it was proved first that they did not come as planned.
    #[schema(value_type = Option<Moment>)]
    since: Option<String>,
}

/// A number for each arm.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PerArm)]
pub struct PerArmView {
    /// Of the stable version.
    control: u64,
    /// Of the candidate.
    treatment: u64,
}

impl From<&DataQuality> for DataView {
    fn from(data: &DataQuality) -> Self {
        let per_arm = |counts: PerArm| PerArmView {
            control: counts.control,
            treatment: counts.treatment,
        };
        Self {
            users: (&data.split).into(),
            excluded: (&data.excluded).into(),
            threshold: finite(Some(Alpha::SAMPLE_RATIO.log_threshold())),
            fallback: per_arm(data.fallback),
            out_of_range: per_arm(data.out_of_range),
        }
    }
}

impl From<&RatioEvidence> for RatioView {
    fn from(ratio: &RatioEvidence) -> Self {
        Self {
            control: ratio.users.control,
            treatment: ratio.users.treatment,
            expected: finite(Some(ratio.expected)),
            log_e: finite(Some(ratio.log_e)),
            since: ratio.since.map(moment),
        }
    }
}

/// What one metric shows; differences are treatment − control, in metric units (seconds for a latency).
/// Of several quantiles, they are those of the highest.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MetricEvidence)]
pub struct MetricEvidenceView {
    /// The metric.
    #[schema(value_type = MetricNameText)]
    metric: String,
    /// Its part in the verdict.
    role: RoleView,
    /// The stable version's numbers.
    control: ArmEvidenceView,
    /// The candidate's numbers.
    treatment: ArmEvidenceView,
    /// Each quantile, rising, where quantiles are compared.
    quantiles: Vec<QuantileEvidenceView>,
    /// Whether difference, interval and margin are ratios of the control's mean: 0.12 is 12% more.
    relative: bool,
    /// Estimated difference.
    difference: Option<f64>,
    /// Anytime-valid confidence interval of the difference.
    interval: Option<IntervalView>,
    /// The tolerated worsening in the unit of the difference.
    margin: Option<f64>,
    /// Whether the estimate is no worse than the margin.
    within_margin: Option<bool>,
    /// Log e-value against "not worse".
    log_e_worse: Option<f64>,
    /// Log e-value against "worse than the margin".
    log_e_non_inferior: Option<f64>,
    /// Log e-value of the fixed limit on treatment, where one is declared.
    log_e_limit: Option<f64>,
    /// The comparison with control as it was, while nobody is in control.
    past: Option<PastEvidenceView>,
    /// About how many more treated observations a verdict needs.
    needs: Option<u64>,
    /// Its own conclusion.
    verdict: VerdictView,
    /// Since when no observation came, where that makes the verdict invalid.
    #[schema(value_type = Option<Moment>)]
    silent_since: Option<String>,
}

/// What the candidate shows against control as it was: a comparison with the past, in which a change
/// that is common to everybody looks like one of the candidate.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PastEvidence)]
pub struct PastEvidenceView {
    /// When control was looked at last.
    #[schema(value_type = Option<Moment>)]
    since: Option<String>,
    /// The worst that control may have been, made worse by the margin, in metric units.
    limit: Option<f64>,
    /// Treated observations since.
    treated: u64,
    /// Log e-value against "within that limit".
    log_e: Option<f64>,
    /// What `logE` must reach for a rollback.
    threshold: Option<f64>,
}

impl From<PastEvidence> for PastEvidenceView {
    fn from(past: PastEvidence) -> Self {
        Self {
            since: past.since.map(|tick| moment(tick.begins())),
            limit: finite(Some(past.limit)),
            treated: past.treated,
            log_e: finite(Some(past.log_e)),
            threshold: finite(Some(Alpha::PAST.log_threshold())),
        }
    }
}

/// What one quantile of a metric shows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QuantileEvidence)]
pub struct QuantileEvidenceView {
    /// The share of values that lie below it: 0.95.
    #[schema(exclusive_minimum = 0, exclusive_maximum = 1)]
    quantile: f64,
    /// Its value among the stable version's observations, to 1%.
    control: Option<f64>,
    /// Its value among the candidate's observations, to 1%.
    treatment: Option<f64>,
    /// Anytime-valid confidence interval of the stable version's, widened (approximately) where users
    /// come back.
    control_interval: IntervalView,
    /// That of the candidate's.
    treatment_interval: IntervalView,
    /// Log e-value against "not worse".
    log_e_worse: Option<f64>,
    /// Log e-value against "worse than the margin".
    log_e_non_inferior: Option<f64>,
    /// Its own conclusion.
    verdict: VerdictView,
}

impl From<&QuantileEvidence> for QuantileEvidenceView {
    fn from(evidence: &QuantileEvidence) -> Self {
        Self {
            quantile: evidence.quantile.ratio(),
            control: finite(evidence.control),
            treatment: finite(evidence.treatment),
            control_interval: evidence.control_interval.into(),
            treatment_interval: evidence.treatment_interval.into(),
            log_e_worse: finite(Some(evidence.log_e_worse)),
            log_e_non_inferior: finite(Some(evidence.log_e_non_inferior)),
            verdict: evidence.verdict.into(),
        }
    }
}

/// An interval, both ends included.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Interval)]
pub struct IntervalView {
    /// The lower end; null where it is unbounded.
    lower: Option<f64>,
    /// The upper end; null where it is unbounded.
    upper: Option<f64>,
}

impl From<QuantileInterval> for IntervalView {
    fn from(interval: QuantileInterval) -> Self {
        Self {
            lower: finite(interval.lower),
            upper: finite(interval.upper),
        }
    }
}

/// Numbers of one arm of one metric.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ArmEvidence)]
pub struct ArmEvidenceView {
    /// Observations so far.
    count: u64,
    /// Their mean: the geometric one where logarithms are compared, that of the cut values where they
    /// are cut at a cap.
    mean: Option<f64>,
    /// How many values were cut, at the cap or at the least value that has a logarithm.
    clipped: u64,
    /// When the last one arrived.
    #[schema(value_type = Option<Moment>)]
    last_seen: Option<String>,
}

impl From<&ArmEvidence> for ArmEvidenceView {
    fn from(arm: &ArmEvidence) -> Self {
        Self {
            count: arm.count,
            mean: finite(arm.mean),
            clipped: arm.clipped,
            last_seen: arm.last_seen.map(|tick| moment(tick.begins())),
        }
    }
}

impl From<&Evidence> for MetricEvidenceView {
    fn from(evidence: &Evidence) -> Self {
        let interval = |(lower, upper)| IntervalView {
            lower: finite(Some(lower)),
            upper: finite(Some(upper)),
        };
        Self {
            metric: evidence.metric.to_string(),
            role: evidence.role.into(),
            control: (&evidence.control).into(),
            treatment: (&evidence.treatment).into(),
            quantiles: evidence.quantiles.iter().map(Into::into).collect(),
            relative: evidence.relative,
            difference: finite(evidence.difference),
            interval: evidence.interval.map(interval),
            margin: finite(evidence.margin),
            within_margin: evidence.within_margin,
            log_e_worse: finite(Some(evidence.log_e_worse)),
            log_e_non_inferior: finite(Some(evidence.log_e_non_inferior)),
            log_e_limit: finite(evidence.log_e_limit),
            past: evidence.past.map(Into::into),
            needs: evidence.needs,
            verdict: evidence.verdict.into(),
            silent_since: evidence.silent_since.map(moment),
        }
    }
}

impl From<&Assessment> for AssessmentView {
    fn from(assessment: &Assessment) -> Self {
        Self {
            at: moment(assessment.at),
            through: moment(assessment.through.begins()),
            verdict: assessment.verdict.into(),
            log_e_combined: finite(assessment.log_e_combined),
            threshold: finite(Some(assessment.threshold)),
            threshold_non_inferior: finite(Some(assessment.threshold_non_inferior)),
            threshold_limit: finite(Some(assessment.threshold_limit)),
            blame: assessment.blame.as_ref().map(|blame| blame.metric.to_string()),
            versus: assessment.blame.as_ref().map(|blame| blame.versus.into()),
            treated: assessment.treated,
            data: (&assessment.data).into(),
            metrics: assessment.metrics.iter().map(Into::into).collect(),
        }
    }
}

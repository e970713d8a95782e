//! The numbers behind a verdict.

use super::{finite, moment};
use crate::analysis::{ArmEvidence, Assessment, Evidence, Verdict};
use crate::api::schema::{DnsLabel, MetricNameText, Moment, RolloutIdText};
use crate::policy::Role;
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
    /// Least number of treated observations over the guardrails.
    treated: u64,
    /// In the policy's order.
    metrics: Vec<MetricEvidenceView>,
}

/// What one metric shows; differences are treatment − control.
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
    /// Estimated difference.
    difference: Option<f64>,
    /// Anytime-valid confidence interval of the difference.
    interval: Option<IntervalView>,
    /// The tolerated worsening in metric units.
    margin: Option<f64>,
    /// Log e-value against "not worse".
    log_e_worse: Option<f64>,
    /// Log e-value against "worse than the margin".
    log_e_non_inferior: Option<f64>,
    /// Log e-value of the fixed limit on treatment, where one is declared.
    log_e_limit: Option<f64>,
    /// About how many more treated observations a verdict needs.
    needs: Option<u64>,
    /// Its own conclusion.
    verdict: VerdictView,
    /// Since when no observation came, where that makes the verdict invalid.
    #[schema(value_type = Option<Moment>)]
    silent_since: Option<String>,
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

/// Numbers of one arm of one metric.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ArmEvidence)]
pub struct ArmEvidenceView {
    /// Observations so far.
    count: u64,
    /// Their mean.
    mean: Option<f64>,
    /// When the last one arrived.
    #[schema(value_type = Option<Moment>)]
    last_seen: Option<String>,
}

impl From<&ArmEvidence> for ArmEvidenceView {
    fn from(arm: &ArmEvidence) -> Self {
        Self {
            count: arm.count,
            mean: finite(arm.mean),
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
            difference: finite(evidence.difference),
            interval: evidence.interval.map(interval),
            margin: finite(evidence.margin),
            log_e_worse: finite(Some(evidence.log_e_worse)),
            log_e_non_inferior: finite(Some(evidence.log_e_non_inferior)),
            log_e_limit: finite(evidence.log_e_limit),
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
            blame: assessment.blame.as_ref().map(ToString::to_string),
            treated: assessment.treated,
            metrics: assessment.metrics.iter().map(Into::into).collect(),
        }
    }
}

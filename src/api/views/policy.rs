//! Policies as they are in force.

use super::evidence::RoleView;
use super::number;
use super::rollout::RolloutView;
use crate::api::schema::{
    ActorText, DnsLabel, LabelText, MetricNameText, PromptNameText, RevisionText, VersionNumber,
};
use crate::controller::PolicyStatus;
use crate::policy::problem::{Problem, Severity};
use crate::policy::{
    AmountScale, Better, LatencyStatistic, Margin, Metric, MetricKind, Policy, Step, TimeUnit, check,
};
use crate::rollout::{ObservedLabel, ObservedLabels};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Every policy in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoliciesView {
    /// By name.
    pub policies: Vec<PolicyView>,
    /// Problems in the files of the policy folder.
    pub problems: Vec<PolicyProblemView>,
}

/// A policy, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Policy)]
pub struct PolicyView {
    /// Its name.
    #[schema(value_type = DnsLabel)]
    name: String,
    /// The team that answers for it.
    owner: Option<String>,
    /// Fingerprint of its file.
    #[schema(value_type = RevisionText)]
    revision: String,
    /// The prompt whose labels are steered.
    #[schema(value_type = PromptNameText)]
    prompt: String,
    /// Where that prompt lives.
    #[schema(value_type = DnsLabel)]
    registry: String,
    /// The label of the control arm.
    control: LabelStateView,
    /// The label of the treatment arm.
    treatment: LabelStateView,
    /// Why the labels could not be read last.
    registry_error: Option<String>,
    /// The ladder.
    steps: Vec<StepView>,
    /// What is measured.
    metrics: Vec<MetricView>,
    /// The running rollout, or the last one.
    rollout: Option<RolloutView>,
    /// Whether the file is gone while its rollout runs.
    removed: bool,
}

/// A policy with the text of its file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyDetail)]
pub struct PolicyDetailView {
    #[serde(flatten)]
    policy: PolicyView,
    /// The file's text.
    source: String,
    /// What is allowed and probably not meant: in the text, and by what the registry shows.
    warnings: Vec<PolicyProblemView>,
}

/// A label, and where it points.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LabelState)]
pub struct LabelStateView {
    /// The label.
    #[schema(value_type = LabelText)]
    label: String,
    /// Where it points, as last read; null when it is missing or was never read.
    #[schema(value_type = Option<VersionNumber>)]
    version: Option<u32>,
    /// Who moved it there, where the registry tells.
    #[schema(value_type = Option<ActorText>)]
    by: Option<String>,
}

/// Rung of the ladder.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Step)]
pub struct StepView {
    /// Share of users in treatment.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    exposure: f64,
    /// Least time in the step, in seconds.
    #[schema(minimum = 0)]
    bake_seconds: i64,
    /// Least treated observations of each guardrail.
    samples: u64,
    /// Whether the step is left only after an approval.
    approval: bool,
}

/// What is measured.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Metric)]
pub struct MetricView {
    /// Its name in observations.
    #[schema(value_type = MetricNameText)]
    name: String,
    /// What its values are.
    kind: &'static str,
    /// What is compared of them.
    statistic: StatisticView,
    /// The quantiles that are compared, rising: 0.95.
    quantiles: Vec<f64>,
    /// Values above it count as much as it.
    cap: Option<f64>,
    /// What everything here and in the evidence is counted in: `s` for a latency, what the policy says
    /// for an amount.
    unit: Option<String>,
    /// The unit that observations come in, where it is another one: `ms`.
    observed: Option<&'static str>,
    /// Least value.
    min: f64,
    /// Greatest value.
    max: f64,
    /// Which way is good: `higher` or `lower`.
    better: &'static str,
    /// Its part in the verdict.
    role: RoleView,
    /// Whether every worsening that is proved takes the candidate back at once.
    critical: bool,
    /// Share in the combined evidence, relative to the other metrics'.
    weight: f64,
    /// The worsening that is tolerated, as `marginOf` says.
    margin: f64,
    /// What the margin is a number of.
    margin_of: MarginView,
    /// Whether the margin is a ratio of the control's mean or quantile.
    relative: bool,
    /// Fixed limit on the treatment arm.
    limit: Option<f64>,
    /// What feeds it besides observations that name it: `observations` for nothing, a fact of spans such as
    /// `span.duration`, or `evaluation:` with the name of scores.
    from: String,
}

/// What is compared of a metric's values.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Statistic)]
pub enum StatisticView {
    /// The mean.
    Mean,
    /// The share of ones.
    Share,
    /// Quantiles.
    Quantiles,
    /// The mean of the logarithm.
    LogMean,
    /// The mean of the values, each cut at `cap`.
    WinsorisedMean,
}

/// What a margin is a number of.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MarginOf)]
pub enum MarginView {
    /// Metric units.
    Value,
    /// The control's mean or quantile, as a ratio.
    Control,
    /// Values above the control's quantile, as a share.
    Exceedance,
}

/// A mistake, or something to think about, in a policy file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyProblem)]
pub struct PolicyProblemView {
    /// Stable code.
    #[schema(pattern = "^SRN")]
    code: String,
    /// Whether the policy is refused.
    severity: SeverityView,
    /// The file as it was named.
    file: String,
    /// From 1; 0 where there is no place.
    line: usize,
    /// From 1, in characters; 0 where there is no place.
    column: usize,
    /// What is wrong.
    message: String,
    /// The mend.
    help: Option<String>,
}

/// How bad a problem is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Severity)]
pub enum SeverityView {
    /// The policy is used all the same.
    Warning,
    /// The policy is refused.
    Error,
}

impl From<&Problem> for PolicyProblemView {
    fn from(problem: &Problem) -> Self {
        Self {
            code: problem.code.to_string(),
            severity: match problem.severity {
                Severity::Warning => SeverityView::Warning,
                Severity::Error => SeverityView::Error,
            },
            file: problem.file.to_string(),
            line: problem.span.line,
            column: problem.span.column,
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    }
}

impl From<&Metric> for MetricView {
    fn from(metric: &Metric) -> Self {
        let (min, max) = metric.kind.range();
        let (margin, margin_of) = match metric.margin {
            Margin::Absolute(margin) => (margin, MarginView::Value),
            Margin::Relative(margin) => (margin, MarginView::Control),
            Margin::Exceedance(margin) => (margin, MarginView::Exceedance),
        };
        let (statistic, quantiles, cap) = statistic(metric.kind);
        let (unit, observed) = match metric.kind {
            MetricKind::Latency { unit, .. } => {
                let observed = (unit != TimeUnit::Seconds).then(|| unit.as_str());
                (Some(TimeUnit::Seconds.as_str().to_owned()), observed)
            }
            MetricKind::Score { .. } | MetricKind::Rate | MetricKind::Amount { .. } => {
                (metric.unit.as_deref().map(str::to_owned), None)
            }
        };
        Self {
            name: metric.name.to_string(),
            kind: metric.kind.as_str(),
            statistic,
            quantiles,
            cap,
            unit,
            observed,
            min,
            max,
            better: match metric.better {
                Better::Higher => "higher",
                Better::Lower => "lower",
            },
            role: metric.role.into(),
            critical: metric.critical,
            weight: metric.weight,
            margin,
            margin_of,
            relative: matches!(metric.margin, Margin::Relative(_)),
            limit: metric.limit,
            from: metric.feed.text(),
        }
    }
}

fn statistic(kind: MetricKind) -> (StatisticView, Vec<f64>, Option<f64>) {
    match kind {
        MetricKind::Score { .. } => (StatisticView::Mean, Vec::new(), None),
        MetricKind::Rate => (StatisticView::Share, Vec::new(), None),
        MetricKind::Latency { statistic, .. } => match statistic {
            LatencyStatistic::Quantiles(quantiles) => {
                let ratios = quantiles.iter().map(|quantile| quantile.ratio());
                (StatisticView::Quantiles, ratios.collect(), None)
            }
            LatencyStatistic::LogMean => (StatisticView::LogMean, Vec::new(), None),
        },
        MetricKind::Amount { scale } => match scale {
            AmountScale::Log => (StatisticView::LogMean, Vec::new(), None),
            AmountScale::Winsorised { cap } => (StatisticView::WinsorisedMean, Vec::new(), Some(cap)),
        },
    }
}

impl From<&Step> for StepView {
    fn from(step: &Step) -> Self {
        let bake: SignedDuration = step.bake;
        Self {
            exposure: step.exposure.ratio(),
            bake_seconds: bake.as_secs(),
            samples: step.samples,
            approval: step.approval,
        }
    }
}

fn label_state(label: &crate::ids::Label, observed: Option<&ObservedLabel>) -> LabelStateView {
    LabelStateView {
        label: label.to_string(),
        version: number(observed.and_then(|observed| observed.version)),
        by: observed
            .and_then(|observed| observed.by.as_ref())
            .map(ToString::to_string),
    }
}

impl PolicyView {
    /// Shows a policy as it stands at `now`.
    pub fn new(status: &PolicyStatus, now: Timestamp) -> Self {
        let policy: &Policy = &status.policy;
        let labels: Option<&ObservedLabels> = status.labels.as_ref();
        Self {
            name: policy.name.to_string(),
            owner: policy.owner.as_deref().map(str::to_owned),
            revision: policy.revision.to_string(),
            prompt: policy.prompt.to_string(),
            registry: policy.registry.to_string(),
            control: label_state(&policy.labels.control, labels.map(|labels| &labels.control)),
            treatment: label_state(&policy.labels.treatment, labels.map(|labels| &labels.treatment)),
            registry_error: status.registry_error.clone(),
            steps: policy.steps.iter().map(Into::into).collect(),
            metrics: policy.metrics.iter().map(Into::into).collect(),
            rollout: status
                .rollout
                .as_deref()
                .map(|rollout| RolloutView::on_board(rollout, now)),
            removed: status.removed,
        }
    }
}

/// Warnings about the text that is in force, and about what its labels do.
pub fn warnings(status: &PolicyStatus) -> Vec<Problem> {
    let policy = &status.policy;
    let checked = check::check(policy.name.as_str(), &policy.source);
    let mut warnings = checked.map_or_else(|problems| problems, |sound| sound.warnings);
    warnings.extend(status.warnings.iter().cloned());
    warnings
}

impl PolicyDetailView {
    /// Shows a policy and its file as they stand at `now`.
    pub fn new(status: &PolicyStatus, now: Timestamp) -> Self {
        Self {
            policy: PolicyView::new(status, now),
            source: status.policy.source.to_string(),
            warnings: warnings(status).iter().map(Into::into).collect(),
        }
    }
}

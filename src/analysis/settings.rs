//! What the tests of a rollout are told before the first observation.
//!
//! All of it is fixed by the policy, through `plan`: a setting that depended on data would void the error bounds.

use super::bins::LogBin;
use crate::ids::MetricName;
use crate::policy::{Alpha, Better, Quantile, Role};
use jiff::SignedDuration;

/// One point of a mixture: an effect size, and its share of the prior mass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixturePoint {
    /// The effect size: a standard deviation in metric units, or an odds ratio above 1.
    pub size: f64,
    /// Its share, above 0; the shares of a mixture sum to 1.
    pub share: f64,
}

/// What a Bernoulli mixture bets on: at least one point, at most [`Self::COUNT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bets {
    points: [MixturePoint; Self::COUNT_MAX],
    count: usize,
}

impl Bets {
    /// Most that a mixture has: each is a number in the state of every test.
    pub const COUNT_MAX: usize = 8;

    /// The mixture, in the order in which it was given.
    pub fn as_slice(&self) -> &[MixturePoint] {
        &self.points[..self.count]
    }
}

impl<const N: usize> From<[MixturePoint; N]> for Bets {
    fn from(given: [MixturePoint; N]) -> Self {
        const { assert!(0 < N && N <= Self::COUNT_MAX, "a mixture has 1 to 8 points") };
        let unused = MixturePoint {
            size: 1.0,
            share: 0.0,
        };
        let mut points = [unused; Self::COUNT_MAX];
        points[..N].copy_from_slice(&given);
        Self { points, count: N }
    }
}

/// What the values of a metric are to a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Numbers, compared by their mean.
    Mean,
    /// 0 or 1, compared by the odds; also whether a value exceeds a quantile's edge.
    Rate,
}

/// What both kinds of test need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestSettings {
    /// What the values are.
    pub statistic: Statistic,
    /// Which way is good.
    pub better: Better,
    /// Chance of a false alarm of this test alone, over its whole life.
    pub alpha: Alpha,
    /// Scales of the half-normal mixture, in metric units; for means.
    pub scales: [MixturePoint; 3],
    /// Odds ratios of the Bernoulli mixture; for rates.
    pub odds_ratios: Bets,
    /// How many clusters the variance sums over, 1 to
    /// [`Cluster::COUNT`](crate::ids::Cluster::COUNT); a cluster's number is taken
    /// modulo this.
    pub clusters: usize,
    /// Least number of treated observations before any evidence counts.
    pub treated_min: u64,
    /// Least effective number of clusters of each arm before any evidence counts.
    pub effective_clusters_min: f64,
    /// The mean that is expected before any data, in metric units.
    pub prior_centre: f64,
}

/// What a size of worsening is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HarmUnit {
    /// The metric's own unit.
    Metric,
    /// The control's mean, or its rate of harm.
    ControlMean,
    /// The control's rate of what is good: one minus its rate of harm.
    ControlGood,
}

/// Settings of the comparison of treatment with control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ContrastSettings {
    /// What both kinds of test need.
    pub test: TestSettings,
    /// Chance of a false proof of health.
    pub alpha_non_inferior: Alpha,
    /// Scales of the half-normal mixture that proves health, in metric units; where no
    /// [bets](Self::health) do.
    pub health_scales: [MixturePoint; 3],
    /// The worsening within which health is proved; at 0 or less, health is never proved.
    pub margin: f64,
    /// The worsening of a mean that does not count as one; at least 0. Rates have no such null and
    /// pay no heed to it.
    pub tolerance: f64,
    /// What margin and tolerance are measured in.
    pub unit: HarmUnit,
    /// How many observations of control [`TestSettings::prior_centre`] stands for; at least 0.
    pub prior_weight: f64,
    /// How many observations of control must be known before a tick enters the comparison: a mean that
    /// nobody could guess is learned first, or the first tick's surprise would widen all variance.
    pub control_min: u64,
    /// How many treated observations the control's variance stands for in the variance of a mean; at 0,
    /// nothing is taken from control.
    pub control_variance_weight: f64,
    /// What is bet on to prove that a rate is within its margin: parts of the margin that are used up, 0
    /// for as good as control, below 1, negative for better; without any, the proof is one of means.
    pub health: Option<Bets>,
    /// Whether bets against "not worse" are tempered by no less than control's own design effect, as
    /// those on health are.
    pub tempered_by_control: bool,
}

/// Settings of the comparison of one quantile: of how often values lie above the control's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileSettings {
    /// The quantile.
    pub quantile: Quantile,
    /// The bin whose upper edge is taken for the control's quantile until enough is known of it.
    pub seed: Option<LogBin>,
    /// How many observations of control in earlier ticks are enough to take the edge from them.
    pub control_min: u64,
    /// The comparison of values above that edge, counted as 1, with those up to it, counted as 0.
    pub exceedance: ContrastSettings,
    /// How health is proved; none where the margin of [`Self::exceedance`] says it.
    pub moved: Option<MovedEdge>,
}

/// The proof of health where the margin is one of values: treatment's edge is moved up by the margin,
/// and its values must then lie above that edge less often than the control's above theirs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MovedEdge {
    /// How far.
    pub by: EdgeMove,
    /// The comparison of values up to the edges; its alpha is that of a false proof of health.
    pub test: ContrastSettings,
}

/// How far an edge is moved up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EdgeMove {
    /// By bins: a ratio of values.
    Bins(i16),
    /// By a difference of values, in metric units.
    Value(f64),
}

/// What is compared with control.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each metric, most of them of values"
)]
pub enum ContrastPlan {
    /// The values as they were added up.
    Values(ContrastSettings),
    /// Exceedances of the control's quantiles, which share the metric's part in the verdict equally;
    /// rising, at least one.
    Quantiles(Vec<QuantileSettings>),
}

/// Settings of the comparison of treatment with a fixed limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitSettings {
    /// What both kinds of test need.
    pub test: TestSettings,
    /// The limit in the units of what is added up: a floor where higher is better, else a ceiling.
    pub limit: f64,
    /// Where it is a quantile that is limited: the bin whose upper edge the limit is. Values above it
    /// are then counted as 1, and [`Self::limit`] is the share of them that is allowed.
    pub edge: Option<LogBin>,
}

/// The tests of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPlan {
    /// The metric.
    pub name: MetricName,
    /// Its part in the verdict.
    pub role: Role,
    /// Share in the combined e-value, relative to the other metrics'; above 0.
    pub weight: f64,
    /// Whether a proof that it is worse takes the candidate back inside of the margin, too.
    pub critical: bool,
    /// Whether what is added up are logarithms of the values.
    pub logarithmic: bool,
    /// Greatest minus least of what is added up; no difference of means is larger.
    pub span: f64,
    /// How long, in seconds, observations of one arm wait for some of the other to be compared with; at 0,
    /// those of each tick are compared by themselves.
    pub stratum_seconds_max: i64,
    /// The comparison with control; none where only a limit is watched.
    pub contrast: Option<ContrastPlan>,
    /// The comparison with a limit.
    pub limit: Option<LimitSettings>,
}

/// The tests of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct EnginePlan {
    /// Chance of a false rollback through the combined e-value, over the whole rollout.
    pub alpha: Alpha,
    /// How long an arm of a guardrail may be silent.
    pub silence_max: SignedDuration,
    /// The metrics, in the policy's order; names distinct.
    pub metrics: Vec<MetricPlan>,
}

impl MetricPlan {
    /// Which way of what is added up is good.
    pub(super) fn better(&self) -> Better {
        let of_contrast = self.contrast.as_ref().and_then(|contrast| match contrast {
            ContrastPlan::Values(settings) => Some(settings.test.better),
            ContrastPlan::Quantiles(settings) => settings.first().map(|first| first.exceedance.test.better),
        });
        let of_limit = self.limit.map(|limit| limit.test.better);
        of_contrast.or(of_limit).unwrap_or(Better::Lower)
    }
}

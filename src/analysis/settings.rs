//! What the tests of a rollout are told before the first observation.
//!
//! All of it is fixed by the policy: a setting that depended on data would void the error bounds.

use crate::ids::{Cluster, MetricName};
use crate::policy::{Alpha, Better, Margin, Metric, MetricKind, Policy, Role};
use jiff::SignedDuration;

/// One point of a mixture: an effect size, and its share of the prior mass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixturePoint {
    /// The effect size: a standard deviation in metric units, or an odds ratio above 1.
    pub size: f64,
    /// Its share, above 0; the shares of a mixture sum to 1.
    pub share: f64,
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
    /// Scales of the half-normal mixture, in metric units; for means and for margins of rates.
    pub scales: [MixturePoint; 3],
    /// Odds ratios of the Bernoulli mixture; for rates.
    pub odds_ratios: [MixturePoint; 4],
    /// How many clusters the variance sums over, 1 to [`Cluster::COUNT`]; a cluster's number is taken
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
    /// The worsening within which health is proved; at 0 or less, health is never proved.
    pub margin: f64,
    /// The worsening of a mean that does not count as one; at least 0. Rates have no such null and
    /// pay no heed to it.
    pub tolerance: f64,
    /// What margin and tolerance are measured in.
    pub unit: HarmUnit,
    /// How many observations of control [`TestSettings::prior_centre`] stands for; at least 0.
    pub prior_weight: f64,
}

/// Settings of the comparison of treatment with a fixed limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitSettings {
    /// What both kinds of test need.
    pub test: TestSettings,
    /// The limit in metric units: a floor where higher is better, else a ceiling.
    pub limit: f64,
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
    /// Greatest minus least value; no difference of means is larger.
    pub span: f64,
    /// The comparison with control; none where only a limit is watched.
    pub contrast: Option<ContrastSettings>,
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

/// Scales of the half-normal mixture in margins, and their shares (STATISTICS 1.2).
const SCALES_IN_MARGINS: [MixturePoint; 3] = [
    MixturePoint {
        size: 1.0,
        share: 0.5,
    },
    MixturePoint {
        size: 3.0,
        share: 0.3,
    },
    MixturePoint {
        size: 9.0,
        share: 0.2,
    },
];
/// Odds ratios of the Bernoulli mixture, and their shares (STATISTICS 1.3).
const ODDS_RATIOS: [MixturePoint; 4] = [
    MixturePoint {
        size: 1.3,
        share: 0.25,
    },
    MixturePoint {
        size: 1.8,
        share: 0.25,
    },
    MixturePoint {
        size: 3.0,
        share: 0.25,
    },
    MixturePoint {
        size: 6.0,
        share: 0.25,
    },
];
/// Guards of STATISTICS 1.2: before these, sums are too far from normal.
const TREATED_MIN: u64 = 20;
const EFFECTIVE_CLUSTERS_MIN: f64 = 12.0;
/// How many observations of control a declared baseline stands for.
const BASELINE_WEIGHT: f64 = 200.0;
/// How many observations of control a guess stands for.
const GUESS_WEIGHT: f64 = 10.0;
/// Rate of harm that is guessed without a baseline.
const HARM_RATE_GUESS: f64 = 0.05;

impl EnginePlan {
    /// The tests that a policy asks for.
    ///
    /// A metric's prior centre is its declared baseline; without one, the middle of a score's
    /// range, or a rate of harm of 5%. A relative margin becomes the scale of the mixture through
    /// that same centre, or through half of the range where the centre is 0: a wrong scale costs
    /// some speed, never validity.
    pub fn of(policy: &Policy) -> Self {
        let alpha = policy.analysis.alpha;
        Self {
            alpha,
            silence_max: policy.analysis.no_data.after,
            metrics: policy
                .metrics
                .iter()
                .map(|metric| MetricPlan::of(metric, alpha))
                .collect(),
        }
    }
}

impl MetricPlan {
    fn of(metric: &Metric, alpha: Alpha) -> Self {
        let (min, max) = metric.kind.range();
        let (margin, unit, scale) = margin_in_unit(metric);
        let test = TestSettings {
            statistic: match metric.kind {
                MetricKind::Score { .. } => Statistic::Mean,
                MetricKind::Rate => Statistic::Rate,
            },
            better: metric.better,
            alpha,
            scales: SCALES_IN_MARGINS.map(|point| MixturePoint {
                size: point.size * scale,
                ..point
            }),
            odds_ratios: ODDS_RATIOS,
            clusters: Cluster::COUNT,
            treated_min: TREATED_MIN,
            effective_clusters_min: EFFECTIVE_CLUSTERS_MIN,
            prior_centre: prior_centre(metric),
        };
        let contrast = ContrastSettings {
            test,
            alpha_non_inferior: Alpha::NON_INFERIOR,
            margin,
            tolerance: 0.0,
            unit,
            prior_weight: if metric.baseline.is_some() {
                BASELINE_WEIGHT
            } else {
                GUESS_WEIGHT
            },
        };
        let limit = |limit| LimitSettings {
            test: TestSettings {
                alpha: Alpha::LIMIT,
                ..test
            },
            limit,
        };
        Self {
            name: metric.name.clone(),
            role: metric.role,
            weight: metric.weight,
            span: max - min,
            contrast: Some(contrast),
            limit: metric.limit.map(limit),
        }
    }
}

/// The mean that is expected before any data.
fn prior_centre(metric: &Metric) -> f64 {
    let guess = match (metric.kind, metric.better) {
        (MetricKind::Score { min, max }, Better::Lower | Better::Higher) => min / 2.0 + max / 2.0,
        (MetricKind::Rate, Better::Lower) => HARM_RATE_GUESS,
        (MetricKind::Rate, Better::Higher) => 1.0 - HARM_RATE_GUESS,
    };
    metric.baseline.unwrap_or(guess)
}

/// The margin and its unit, and its size in metric units as far as that is known before data.
fn margin_in_unit(metric: &Metric) -> (f64, HarmUnit, f64) {
    let ratio = match metric.margin {
        Margin::Absolute(size) => return (size, HarmUnit::Metric, size),
        Margin::Relative(ratio) => ratio,
    };
    let (min, max) = metric.kind.range();
    let centre = prior_centre(metric).abs();
    let whole = if centre > 0.0 {
        centre
    } else {
        max / 2.0 - min / 2.0
    };
    let unit = match (metric.kind, metric.better) {
        // Such a rate is tested as one minus itself, but people mean a share of the rate they see.
        (MetricKind::Rate, Better::Higher) => HarmUnit::ControlGood,
        (MetricKind::Rate, Better::Lower) | (MetricKind::Score { .. }, Better::Lower | Better::Higher) => {
            HarmUnit::ControlMean
        }
    };
    (ratio, unit, ratio * whole)
}

//! From a policy to the settings of its tests.

use super::bins::{LogBin, bins_of_ratio};
use super::observation::log_floor;
use super::settings::{
    ContrastPlan, ContrastSettings, EdgeMove, EnginePlan, HarmUnit, LimitSettings, MetricPlan, MixturePoint,
    MovedEdge, QuantileSettings, Statistic, TestSettings,
};
use super::special::ceil_as_count;
use crate::ids::Cluster;
use crate::policy::{
    Alpha, AmountScale, Better, LatencyStatistic, Margin, Metric, MetricKind, Policy, Quantile, Quantiles,
};

/// Scales of the half-normal mixture in margins, and their shares (STATISTICS 1.2).
const SCALES_IN_MARGINS: [MixturePoint; 3] = [point(1.0, 0.5), point(3.0, 0.3), point(9.0, 0.2)];
/// The same where health is to be proved. A candidate that is as good as control is one margin from what
/// is to be excluded, and few are better by several.
const HEALTH_SCALES_IN_MARGINS: [MixturePoint; 3] = [point(1.0, 0.7), point(2.0, 0.2), point(4.0, 0.1)];
/// Odds ratios of the Bernoulli mixture for a rate of harm, and their shares: octaves, as errors become
/// several times as frequent where something breaks, and very little on small ones. A bet on an odds
/// ratio wins where the true one is above about its root, so that without these nothing below 1.14 could
/// ever be found, however much is observed; and where so much is, a smaller share costs little.
const ODDS_RATIOS_OF_RATES: [MixturePoint; 7] = [
    point(1.02, 0.002),
    point(1.06, 0.004),
    point(1.13, 0.01),
    point(1.3, 0.134),
    point(2.0, 0.35),
    point(4.0, 0.35),
    point(8.0, 0.15),
];
/// The same for exceedances of a quantile, which move less: those of STATISTICS 1.3, beside the small ones.
const ODDS_RATIOS_OF_EXCEEDANCES: [MixturePoint; 7] = [
    point(1.02, 0.002),
    point(1.06, 0.004),
    point(1.13, 0.01),
    point(1.3, 0.246),
    point(1.8, 0.234),
    point(3.0, 0.214),
    point(6.0, 0.29),
];
/// Parts of its margin that a healthy rate is bet to use up, and their shares.
const HEALTH_PARTS: [MixturePoint; 4] = [
    point(0.0, 0.5),
    point(0.5, 0.25),
    point(0.75, 0.15),
    point(-1.0, 0.1),
];
/// Powers of the margin's ratio that health is bet to have as odds, where an edge is moved by it: how
/// fast the share above an edge falls with the edge. In the upper half of a lognormal with a shape of
/// 0.3 to 1, at the median to the 99th percentile, that is 0.8 to 9.
const HEALTH_POWERS: [i32; 4] = [1, 2, 4, 8];
/// Before these, sums are too far from normal, and clusters too few to show themselves. STATISTICS 1.2 has
/// 20 and 12, with a variance of treatment's own alone.
const TREATED_MIN: u64 = 15;
const EFFECTIVE_CLUSTERS_MIN: f64 = 10.0;
/// How many observations of control a declared baseline stands for.
const BASELINE_WEIGHT: f64 = 200.0;
/// How many observations of control a guess stands for.
const GUESS_WEIGHT: f64 = 10.0;
/// How many treated observations the control's variance stands for.
const CONTROL_VARIANCE_WEIGHT: f64 = 20.0;
/// Rate of harm that is guessed without a baseline.
pub(super) const HARM_RATE_GUESS: f64 = 0.05;
/// Observations of control from which a mean is known that nobody could guess.
const CONTROL_MIN: u64 = 20;
/// Values above the control's quantile from which that quantile is better known than any guess.
const EXCEEDANCES_MIN: f64 = 2.0;
/// How long observations of one arm wait for some of the other. Whatever changes for everybody hardly does
/// so within an hour as it does over a rollout that has so little traffic.
const STRATUM_SECONDS_MAX: i64 = 3_600;
/// How many clusters the tests of each of several quantiles sum over: they share the room of a metric,
/// and the number hardly matters (STATISTICS 1.9).
const SHARED_CLUSTERS: usize = Cluster::COUNT / 2;
/// The ratio of a margin that is guessed where it is a difference, and no baseline to relate it to.
pub(super) const MARGIN_RATIO_GUESS: f64 = 0.1;
/// Cap of a winsorised amount over its mean, as it is guessed: 5 to 13 for a lognormal with a shape of
/// 0.6 to 1 that is cut at its 99.9th percentile.
pub(super) const CAP_PER_MEAN_GUESS: f64 = 8.0;

const fn point(size: f64, share: f64) -> MixturePoint {
    MixturePoint { size, share }
}

impl EnginePlan {
    /// The tests that a policy asks for.
    ///
    /// A metric's prior centre is its declared baseline; without one, the middle of a score's range, or
    /// a rate of harm of 5%, while the mean of a latency or an amount is learned from control first.
    /// A relative margin becomes the scale of the mixture through that same centre, or through half of
    /// the range where the centre is 0: a wrong scale costs some speed, never validity.
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
        let contrast = match quantiles(metric) {
            Some(quantiles) => ContrastPlan::Quantiles(
                quantiles
                    .iter()
                    .map(|quantile| quantile_settings(metric, quantiles, quantile, alpha))
                    .collect(),
            ),
            None => ContrastPlan::Values(values_settings(metric, alpha)),
        };
        Self {
            name: metric.name.clone(),
            role: metric.role,
            weight: metric.weight,
            critical: metric.critical,
            logarithmic: metric.kind.is_logarithmic(),
            span: span(metric),
            stratum_seconds_max: STRATUM_SECONDS_MAX,
            contrast: Some(contrast),
            limit: metric.limit.map(|limit| limit_settings(metric, limit)),
        }
    }
}

/// Greatest minus least of what is added up.
fn span(metric: &Metric) -> f64 {
    let (min, max) = metric.kind.range();
    match metric.kind {
        MetricKind::Amount {
            scale: AmountScale::Winsorised { cap },
        } => cap,
        MetricKind::Score { .. }
        | MetricKind::Rate
        | MetricKind::Latency { .. }
        | MetricKind::Amount { .. } => {
            if metric.kind.is_logarithmic() {
                max.ln() - log_floor(metric).ln()
            } else {
                max - min
            }
        }
    }
}

fn quantiles(metric: &Metric) -> Option<Quantiles> {
    match metric.kind {
        MetricKind::Latency {
            statistic: LatencyStatistic::Quantiles(quantiles),
            ..
        } => Some(quantiles),
        MetricKind::Latency {
            statistic: LatencyStatistic::LogMean,
            ..
        }
        | MetricKind::Score { .. }
        | MetricKind::Rate
        | MetricKind::Amount { .. } => None,
    }
}

/// What both kinds of test of a mean or a rate need.
fn test_settings(metric: &Metric, alpha: Alpha, prior_centre: f64, scale: f64) -> TestSettings {
    TestSettings {
        statistic: match metric.kind {
            MetricKind::Score { .. } | MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
                Statistic::Mean
            }
            MetricKind::Rate => Statistic::Rate,
        },
        better: metric.better,
        alpha,
        scales: scaled(SCALES_IN_MARGINS, scale),
        odds_ratios: match metric.kind {
            MetricKind::Score { .. } | MetricKind::Rate | MetricKind::Amount { .. } => ODDS_RATIOS_OF_RATES,
            MetricKind::Latency { .. } => ODDS_RATIOS_OF_EXCEEDANCES,
        }
        .into(),
        clusters: Cluster::COUNT,
        treated_min: TREATED_MIN,
        effective_clusters_min: EFFECTIVE_CLUSTERS_MIN,
        prior_centre,
    }
}

fn scaled(in_margins: [MixturePoint; 3], margin: f64) -> [MixturePoint; 3] {
    in_margins.map(|point| MixturePoint {
        size: point.size * margin,
        ..point
    })
}

fn values_settings(metric: &Metric, alpha: Alpha) -> ContrastSettings {
    let (margin, unit, scale) = margin_in_unit(metric);
    let (prior_weight, control_min) = match (metric.baseline, metric.kind) {
        (Some(_), _) => (BASELINE_WEIGHT, 0),
        (None, MetricKind::Score { .. } | MetricKind::Rate) => (GUESS_WEIGHT, 0),
        (None, MetricKind::Latency { .. } | MetricKind::Amount { .. }) => (0.0, CONTROL_MIN),
    };
    ContrastSettings {
        test: test_settings(metric, alpha, prior_centre(metric), scale),
        alpha_non_inferior: Alpha::NON_INFERIOR,
        health_scales: scaled(HEALTH_SCALES_IN_MARGINS, scale),
        margin,
        tolerance: 0.0,
        unit,
        prior_weight,
        control_min,
        control_variance_weight: CONTROL_VARIANCE_WEIGHT,
        health: (metric.kind == MetricKind::Rate).then(|| HEALTH_PARTS.into()),
        tempered_by_control: false,
    }
}

fn limit_settings(metric: &Metric, limit: f64) -> LimitSettings {
    if let Some(quantiles) = quantiles(metric) {
        let above = 1.0 - quantiles.highest().ratio();
        let test = test_settings(metric, Alpha::LIMIT, above, above);
        return LimitSettings {
            test: TestSettings {
                statistic: Statistic::Rate,
                ..test
            },
            limit: above,
            edge: Some(LogBin::with_edge_near(limit)),
        };
    }
    let (_, _, scale) = margin_in_unit(metric);
    // A mean that nobody could guess is guessed to be near the limit, where it matters.
    let centre = match metric.kind {
        MetricKind::Score { .. } | MetricKind::Rate => prior_centre(metric),
        MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
            added_up(metric, metric.baseline.unwrap_or(limit))
        }
    };
    LimitSettings {
        test: test_settings(metric, Alpha::LIMIT, centre, scale),
        limit: added_up(metric, limit),
        edge: None,
    }
}

/// A value of the metric in the units of what is added up.
fn added_up(metric: &Metric, value: f64) -> f64 {
    if metric.kind.is_logarithmic() {
        value.max(log_floor(metric)).ln()
    } else {
        value
    }
}

/// The mean that is expected before any data, in the units of what is added up.
fn prior_centre(metric: &Metric) -> f64 {
    let guess = match (metric.kind, metric.better) {
        (MetricKind::Score { min, max }, Better::Lower | Better::Higher) => min / 2.0 + max / 2.0,
        (MetricKind::Rate, Better::Lower) => HARM_RATE_GUESS,
        (MetricKind::Rate, Better::Higher) => 1.0 - HARM_RATE_GUESS,
        (
            MetricKind::Amount {
                scale: AmountScale::Winsorised { cap },
            },
            Better::Lower | Better::Higher,
        ) => cap / CAP_PER_MEAN_GUESS,
        (MetricKind::Latency { .. } | MetricKind::Amount { .. }, Better::Lower | Better::Higher) => 0.0,
    };
    metric
        .baseline
        .map_or(guess, |baseline| added_up(metric, baseline))
}

/// The margin and its unit, and its size in the units of what is added up as far as that is known
/// before data.
fn margin_in_unit(metric: &Metric) -> (f64, HarmUnit, f64) {
    let ratio = match metric.margin {
        Margin::Absolute(size) | Margin::Exceedance(size) => return (size, HarmUnit::Metric, size),
        Margin::Relative(ratio) => ratio,
    };
    if metric.kind.is_logarithmic() {
        let size = match metric.better {
            Better::Lower => ratio.ln_1p(),
            Better::Higher => -(-ratio).ln_1p(),
        };
        return (size, HarmUnit::Metric, size);
    }
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
        (MetricKind::Rate, Better::Lower)
        | (
            MetricKind::Score { .. } | MetricKind::Latency { .. } | MetricKind::Amount { .. },
            Better::Lower | Better::Higher,
        ) => HarmUnit::ControlMean,
    };
    (ratio, unit, ratio * whole)
}

/// The tests of one quantile (STATISTICS 1.4).
fn quantile_settings(
    metric: &Metric,
    quantiles: Quantiles,
    quantile: Quantile,
    alpha: Alpha,
) -> QuantileSettings {
    let above = 1.0 - quantile.ratio();
    let margin = match metric.margin {
        Margin::Exceedance(size) => size,
        Margin::Absolute(_) | Margin::Relative(_) => 0.0,
    };
    let scale = if margin > 0.0 { margin } else { above };
    let test = TestSettings {
        statistic: Statistic::Rate,
        clusters: if quantiles.are_several() {
            SHARED_CLUSTERS
        } else {
            Cluster::COUNT
        },
        ..test_settings(metric, alpha, above, scale)
    };
    let exceedance = ContrastSettings {
        test,
        alpha_non_inferior: Alpha::NON_INFERIOR,
        health_scales: scaled(HEALTH_SCALES_IN_MARGINS, scale),
        margin,
        tolerance: 0.0,
        unit: HarmUnit::Metric,
        prior_weight: BASELINE_WEIGHT,
        control_min: 0,
        control_variance_weight: 0.0,
        health: (margin > 0.0).then(|| HEALTH_PARTS.into()),
        tempered_by_control: false,
    };
    let (by, ratio) = match metric.margin {
        Margin::Exceedance(_) => (None, 0.0),
        Margin::Relative(ratio) => (Some(EdgeMove::Bins(bins_of_ratio(1.0 + ratio))), ratio),
        Margin::Absolute(size) => {
            let ratio = metric
                .baseline
                .map_or(MARGIN_RATIO_GUESS, |baseline| size / baseline);
            (Some(EdgeMove::Value(size)), ratio)
        }
    };
    QuantileSettings {
        quantile,
        seed: metric.baseline.map(LogBin::of),
        control_min: TREATED_MIN.max(ceil_as_count(EXCEEDANCES_MIN / above)),
        exceedance,
        moved: by.map(|by| MovedEdge {
            by,
            test: health_settings(exceedance, ratio),
        }),
    }
}

/// The comparison that proves health of a quantile: whether treatment's values lie up to their moved
/// edge more often than the control's up to theirs.
fn health_settings(exceedance: ContrastSettings, ratio: f64) -> ContrastSettings {
    ContrastSettings {
        test: TestSettings {
            better: Better::Higher,
            alpha: exceedance.alpha_non_inferior,
            odds_ratios: HEALTH_POWERS
                .map(|power| point((1.0 + ratio).powi(power), 0.25))
                .into(),
            ..exceedance.test
        },
        tempered_by_control: true,
        ..exceedance
    }
}

//! What the values of a metric are expected to be, under either version.

use super::{Baseline, Change, Conditions, ConditionsError};
use crate::analysis::bins::EDGE_RATIO;
use crate::analysis::plan::{CAP_PER_MEAN_GUESS, HARM_RATE_GUESS, MARGIN_RATIO_GUESS};
use crate::analysis::settings::EdgeMove;
use crate::analysis::special::least_crossing;
use crate::policy::{AmountScale, Better, LatencyStatistic, Margin, Metric, MetricKind, Quantile};
use std::f64::consts::SQRT_2;

/// Standard deviation of the logarithm of a latency or an amount, where nobody says otherwise.
pub(super) const LOG_SPREAD_GUESS: f64 = 0.6;
/// Concentration of the beta distribution that scores are guessed to have: with a mean of 0.8 of the
/// range they are Beta(8, 2).
const SCORE_CONCENTRATION_GUESS: f64 = 10.0;
/// How far inside of its range a baseline lies at least, as a share of the range.
const INSET: f64 = 1e-3;
/// Largest standard normal value that is looked for; beyond it lie 10⁻¹⁵ of all values.
const NORMAL_MAX: f64 = 8.0;
/// Largest size of the logarithm of a value.
const LOG_MAX: f64 = 100.0;

/// How the values of one metric are distributed in one arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// Numbers in a range.
    Scores(Moments),
    /// 1 with this probability, else 0.
    Rate(f64),
    /// Numbers above 0 whose logarithm is normal with this mean and standard deviation.
    Lognormal {
        /// The mean of the logarithm.
        mean_log: f64,
        /// The standard deviation of the logarithm, above 0.
        sigma: f64,
    },
}

/// A mean and a variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f64,
    /// The variance.
    pub variance: f64,
}

impl Moments {
    /// Of values that are 1 with this probability, else 0.
    pub(super) fn of_share(share: f64) -> Self {
        Self {
            mean: share,
            variance: share * (1.0 - share),
        }
    }
}

impl Baseline {
    /// What is known of a metric, and what is guessed of the rest.
    fn guess(metric: &Metric) -> Self {
        let declared = metric.baseline.map(|baseline| inside(metric.kind, baseline));
        let centre = declared.unwrap_or_else(|| guessed_centre(metric));
        Self {
            centre,
            spread: guessed_spread(metric, centre),
        }
    }

    /// The baseline of a metric under `conditions`.
    pub(super) fn of(metric: &Metric, conditions: &Conditions) -> Self {
        let given = conditions
            .baselines
            .get(&metric.name)
            .copied()
            .unwrap_or_default();
        let centre = given.centre.unwrap_or_else(|| Self::guess(metric).centre);
        Self {
            centre,
            spread: given.spread.unwrap_or_else(|| guessed_spread(metric, centre)),
        }
    }
}

/// A baseline that is the end of its range (no errors at all) is foretold as one a little inside: values
/// that are all the same leave nothing to compare.
fn inside(kind: MetricKind, baseline: f64) -> f64 {
    let (min, max) = match kind {
        MetricKind::Amount {
            scale: AmountScale::Winsorised { cap },
        } => (0.0, cap),
        MetricKind::Score { .. }
        | MetricKind::Rate
        | MetricKind::Latency { .. }
        | MetricKind::Amount { .. } => kind.range(),
    };
    let inset = match kind {
        MetricKind::Latency { .. } | MetricKind::Amount { .. } => f64::MIN_POSITIVE,
        MetricKind::Score { .. } | MetricKind::Rate => INSET * (max - min),
    };
    baseline.clamp(min + inset, max - inset)
}

/// A plausible centre: one that the metric's limit leaves room for, since nobody declares a limit that the
/// stable version is beyond.
fn guessed_centre(metric: &Metric) -> f64 {
    let guess = centre_of_kind(metric);
    let Some(limit) = metric.limit else {
        return guess;
    };
    let (_, max) = metric.kind.range();
    match (metric.better, metric.kind) {
        (Better::Lower, MetricKind::Score { min, .. }) => guess.min(min / 2.0 + limit / 2.0),
        (Better::Higher, MetricKind::Score { .. } | MetricKind::Rate) => guess.max(max / 2.0 + limit / 2.0),
        (Better::Lower, MetricKind::Rate | MetricKind::Latency { .. } | MetricKind::Amount { .. }) => {
            guess.min(limit / 2.0)
        }
        (Better::Higher, MetricKind::Latency { .. } | MetricKind::Amount { .. }) => guess.max(limit * 2.0),
    }
}

fn centre_of_kind(metric: &Metric) -> f64 {
    let (min, max) = metric.kind.range();
    match metric.kind {
        MetricKind::Score { .. } => min / 2.0 + max / 2.0,
        MetricKind::Rate => match metric.better {
            Better::Lower => HARM_RATE_GUESS,
            Better::Higher => 1.0 - HARM_RATE_GUESS,
        },
        MetricKind::Amount {
            scale: AmountScale::Winsorised { cap },
        } => cap / CAP_PER_MEAN_GUESS,
        MetricKind::Latency { .. } | MetricKind::Amount { .. } => match metric.margin {
            Margin::Absolute(size) => size / MARGIN_RATIO_GUESS,
            Margin::Relative(_) | Margin::Exceedance(_) => 1.0,
        },
    }
}

fn guessed_spread(metric: &Metric, centre: f64) -> f64 {
    match metric.kind {
        MetricKind::Score { min, max } => {
            ((centre - min) * (max - centre) / (SCORE_CONCENTRATION_GUESS + 1.0)).sqrt()
        }
        MetricKind::Rate => (centre * (1.0 - centre)).sqrt(),
        MetricKind::Latency { .. } | MetricKind::Amount { .. } => LOG_SPREAD_GUESS,
    }
}

impl Values {
    /// The values of the stable version.
    ///
    /// # Errors
    /// When no values of this kind have such a baseline.
    pub(super) fn stable(metric: &Metric, baseline: Baseline) -> Result<Self, ConditionsError> {
        let Baseline { centre, spread } = baseline;
        let refused = |why: &'static str| ConditionsError::Baseline {
            metric: metric.name.clone(),
            why,
        };
        if !(centre.is_finite() && spread.is_finite()) {
            return Err(refused("must be a finite number"));
        }
        match metric.kind {
            MetricKind::Score { min, max } => {
                if !(centre > min && centre < max) {
                    return Err(refused("must lie inside of the score's range"));
                }
                let variance = spread * spread;
                if !(variance > 0.0 && variance < (centre - min) * (max - centre)) {
                    return Err(refused(
                        "has a standard deviation that no score with this mean has",
                    ));
                }
                Ok(Self::Scores(Moments {
                    mean: centre,
                    variance,
                }))
            }
            MetricKind::Rate if centre > 0.0 && centre < 1.0 => Ok(Self::Rate(centre)),
            MetricKind::Rate => Err(refused("must lie between 0% and 100%")),
            MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
                if centre <= 0.0 || spread <= 0.0 {
                    return Err(refused("must be above 0, and so must be its spread"));
                }
                lognormal(metric.kind, centre, spread).ok_or_else(|| refused("must lie below the cap"))
            }
        }
    }

    /// The values of a candidate that changes a metric; none when there are no such values.
    pub(super) fn changed(self, metric: &Metric, centre: f64, change: Change) -> Option<Self> {
        let to = match change {
            Change::By(size) => centre + size,
            Change::Times(ratio) => centre * ratio,
        };
        match self {
            Self::Scores(Moments { mean, variance }) => {
                let (min, max) = metric.kind.range();
                let room = |mean: f64| (mean - min) * (max - mean);
                // The shape stays what it is, as that of a beta distribution does.
                (to > min && to < max).then(|| {
                    Self::Scores(Moments {
                        mean: to,
                        variance: variance * room(to) / room(mean),
                    })
                })
            }
            Self::Rate(_) => (to > 0.0 && to < 1.0).then_some(Self::Rate(to)),
            Self::Lognormal { mean_log, sigma } => {
                let mean_log = mean_log + (to / centre).ln();
                mean_log
                    .is_finite()
                    .then_some(Self::Lognormal { mean_log, sigma })
            }
        }
    }

    /// Mean and variance of what is added up.
    pub(super) fn added_up(self, kind: MetricKind) -> Moments {
        match (self, kind) {
            (Self::Scores(moments), _) => moments,
            (Self::Rate(share), _) => Moments::of_share(share),
            (
                Self::Lognormal { mean_log, sigma },
                MetricKind::Amount {
                    scale: AmountScale::Winsorised { cap },
                },
            ) => cut(mean_log, sigma, cap),
            (Self::Lognormal { mean_log, sigma }, _) => Moments {
                mean: mean_log,
                variance: sigma * sigma,
            },
        }
    }

    /// The share of values above `edge`.
    pub(super) fn share_above(self, edge: f64) -> f64 {
        match self {
            Self::Rate(share) => share,
            Self::Scores(_) => 0.0,
            Self::Lognormal { mean_log, sigma } => 1.0 - share_below((edge.ln() - mean_log) / sigma),
        }
    }

    /// The value that `quantile` of all values lie below.
    pub(super) fn quantile(self, quantile: Quantile) -> f64 {
        match self {
            Self::Lognormal { mean_log, sigma } => {
                (mean_log + sigma * normal_quantile(quantile.ratio())).exp()
            }
            Self::Scores(_) | Self::Rate(_) => 0.0,
        }
    }
}

/// The lognormal values of which `centre` is what the metric compares.
fn lognormal(kind: MetricKind, centre: f64, sigma: f64) -> Option<Values> {
    let mean_log = match kind {
        MetricKind::Latency {
            statistic: LatencyStatistic::Quantiles(quantiles),
            ..
        } => centre.ln() - sigma * normal_quantile(quantiles.highest().ratio()),
        MetricKind::Amount {
            scale: AmountScale::Winsorised { cap },
        } => {
            let reaches = |mean_log: f64| cut(mean_log, sigma, cap).mean >= centre;
            least_crossing(-LOG_MAX, LOG_MAX, reaches).filter(|_| centre < cap)?
        }
        MetricKind::Latency { .. }
        | MetricKind::Amount { .. }
        | MetricKind::Score { .. }
        | MetricKind::Rate => centre.ln(),
    };
    Some(Values::Lognormal { mean_log, sigma })
}

/// Moments of lognormal values that are cut at `cap`: those below it by their partial expectations
/// (Aitchison & Brown 1957, "The lognormal distribution", theorem 2.6), the others at the cap.
fn cut(mean_log: f64, sigma: f64, cap: f64) -> Moments {
    let z = (cap.ln() - mean_log) / sigma;
    let at_cap = 1.0 - share_below(z);
    let moment = |power: f64| {
        (power * mean_log + 0.5 * power * power * sigma * sigma).exp() * share_below(z - power * sigma)
            + cap.powf(power) * at_cap
    };
    let (mean, square) = (moment(1.0), moment(2.0));
    Moments {
        mean,
        variance: (square - mean * mean).max(0.0),
    }
}

/// How much an edge near `value` is moved, as a ratio.
pub(super) fn moved_by(by: EdgeMove, value: f64) -> f64 {
    match by {
        EdgeMove::Bins(bins) => EDGE_RATIO.powi(i32::from(bins)),
        EdgeMove::Value(size) => (value + size) / value,
    }
}

/// The share of a standard normal population that is below `z`.
fn share_below(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// The standard normal value that `share` of the population is below.
pub(super) fn normal_quantile(share: f64) -> f64 {
    let reaches = |z: f64| share_below(z) >= share;
    least_crossing(-NORMAL_MAX, NORMAL_MAX, reaches).unwrap_or(NORMAL_MAX)
}

//! One value, as tallies count it.

use super::bins::LogBin;
use crate::policy::{AmountScale, LatencyStatistic, Metric, MetricKind};

/// Least amount whose logarithm is taken, where no baseline says what is small.
const AMOUNT_FLOOR: f64 = 1e-6;
/// An amount below this share of the baseline counts as that share: the logarithm of nothing is
/// minus infinity, and that of next to nothing would outweigh all others.
const FLOOR_PER_BASELINE: f64 = 1e-3;
/// Least latency whose logarithm is taken, in seconds.
const LATENCY_FLOOR_SECONDS: f64 = 1e-6;

/// One value of a metric, in the form in which it is added up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// What is added up: the value itself, the value cut at its cap, or its logarithm; finite.
    pub value: f64,
    /// The bin of a value whose quantiles are compared.
    pub bin: Option<LogBin>,
    /// Whether the value was cut, at a cap or at the least value that has a logarithm.
    pub clipped: bool,
}

impl Observation {
    /// `number` as an observation of `metric`: in the metric's range, and seconds for a latency.
    pub fn of(metric: &Metric, number: f64) -> Self {
        match metric.kind {
            MetricKind::Score { .. } | MetricKind::Rate => number.into(),
            MetricKind::Latency { statistic, .. } => match statistic {
                LatencyStatistic::Quantiles(_) => Self {
                    bin: Some(LogBin::of(number)),
                    ..number.into()
                },
                LatencyStatistic::LogMean => Self::logarithm(number, log_floor(metric)),
            },
            MetricKind::Amount { scale } => match scale {
                AmountScale::Log => Self::logarithm(number, log_floor(metric)),
                AmountScale::Winsorised { cap } => Self {
                    clipped: number > cap,
                    ..number.min(cap).into()
                },
            },
        }
    }

    fn logarithm(number: f64, floor: f64) -> Self {
        Self {
            clipped: number < floor,
            ..number.max(floor).ln().into()
        }
    }
}

impl From<f64> for Observation {
    /// A value that is added up as it is.
    fn from(value: f64) -> Self {
        Self {
            value,
            bin: None,
            clipped: false,
        }
    }
}

/// The least value of a metric whose logarithm is taken.
pub(super) fn log_floor(metric: &Metric) -> f64 {
    match (metric.kind, metric.baseline) {
        (MetricKind::Latency { .. }, _) => LATENCY_FLOOR_SECONDS,
        (MetricKind::Amount { .. } | MetricKind::Score { .. } | MetricKind::Rate, Some(baseline)) => {
            baseline * FLOOR_PER_BASELINE
        }
        (MetricKind::Amount { .. } | MetricKind::Score { .. } | MetricKind::Rate, None) => AMOUNT_FLOOR,
    }
}

//! From outcomes to figures: shares with their limits, medians, and the least sample that any rule needs.

use crate::cells::{ERROR_RATE, LATENCY_P95, LATENCY_SIGMA, Measure, SCORE};
use serin::sim::population::SCORE_CONCENTRATION;
use serin::sim::variates::normal_share_below;

/// Cells of the integral over scores.
const SCORE_CELLS: u32 = 20_000;
/// Confidence of the upper limit of a share.
const LIMIT_ERROR: f64 = 0.05;

/// How many of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// How many.
    pub(crate) count: u32,
    /// Of how many, above 0.
    pub(crate) of: u32,
}

impl Share {
    /// How many of `outcomes` there are.
    pub(crate) fn of<T>(outcomes: impl IntoIterator<Item = Option<T>>) -> Self {
        let mut share = Self { count: 0, of: 0 };
        for outcome in outcomes {
            share.count += u32::from(outcome.is_some());
            share.of += 1;
        }
        share
    }

    /// In percent.
    pub(crate) fn percent(self) -> f64 {
        100.0 * f64::from(self.count) / f64::from(self.of)
    }

    /// The upper limit at 95% in percent: the probability at which so few would be seen in one of
    /// twenty simulations (Clopper & Pearson 1934, one-sided).
    pub(crate) fn percent_max(self) -> f64 {
        if self.count == self.of {
            return 100.0;
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if self.chance_of_at_most(middle) > LIMIT_ERROR {
                low = middle;
            } else {
                high = middle;
            }
        }
        100.0 * high
    }

    /// The chance of at most that many when each has probability `p`.
    fn chance_of_at_most(self, p: f64) -> f64 {
        let n = f64::from(self.of);
        let log_choose = |k: f64| libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
        let mass = |k: f64| (log_choose(k) + k * p.ln() + (n - k) * (-p).ln_1p()).exp();
        (0..=self.count).map(|k| mass(k.into())).sum()
    }
}

/// The value that a share of the outcomes has reached; none when fewer came to one.
pub(crate) fn quantile(outcomes: impl IntoIterator<Item = Option<u64>>, share: f64) -> Option<u64> {
    let mut outcomes: Vec<u64> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or(u64::MAX))
        .collect();
    outcomes.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position among some thousands"
    )]
    let at = ((outcomes.len() as f64 * share).ceil() as usize).max(1) - 1;
    outcomes.get(at).copied().filter(|value| *value < u64::MAX)
}

/// The mean of whole numbers.
pub(crate) fn mean(values: impl IntoIterator<Item = u64>) -> f64 {
    let (mut count, mut sum) = (0.0, 0.0);
    for value in values {
        count += 1.0;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let value = value as f64;
        sum += value;
    }
    sum / count
}

/// The least mean number of treated observations with which any test at `alpha` finds a candidate that
/// is so much `worse`, at 5% in treatment (Wald 1945): `−ln alpha` over the information of one treated
/// observation and the 19 of control that come with it, on the statistic that is compared.
pub(crate) fn least_treated(measure: Measure, worse: f64, alpha: f64) -> f64 {
    let information = match measure {
        Measure::Score => score_information(worse),
        Measure::Passes | Measure::Successes => {
            let harmful = 1.0 - measure.mean_of_ones();
            rate_information(harmful + worse, harmful)
        }
        Measure::Errors => rate_information(ERROR_RATE + worse, ERROR_RATE),
        Measure::Latency | Measure::LatencyByValue => {
            let above =
                |median: f64| 1.0 - normal_share_below((LATENCY_P95.ln() - median.ln()) / LATENCY_SIGMA);
            rate_information(above(1.0 + worse), above(1.0))
        }
    };
    -alpha.ln() / information
}

const CONTROLS_PER_TREATED: f64 = 19.0;

fn rate_information(treatment: f64, control: f64) -> f64 {
    let pooled = (treatment + CONTROLS_PER_TREATED * control) / (1.0 + CONTROLS_PER_TREATED);
    let divergence = |p: f64| p * (p / pooled).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - pooled)).ln();
    divergence(treatment) + CONTROLS_PER_TREATED * divergence(control)
}

fn score_information(worse: f64) -> f64 {
    let density = |mean: f64| {
        let (a, b) = (mean * SCORE_CONCENTRATION, (1.0 - mean) * SCORE_CONCENTRATION);
        let log_scale = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b);
        move |x: f64| (log_scale + (a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p()).exp()
    };
    let (treatment, control) = (density(SCORE - worse), density(SCORE));
    let width = 1.0 / f64::from(SCORE_CELLS);
    (0..SCORE_CELLS)
        .map(|cell| (f64::from(cell) + 0.5) * width)
        .map(|x| {
            let (t, c) = (treatment(x), control(x));
            let pooled = (t + CONTROLS_PER_TREATED * c) / (1.0 + CONTROLS_PER_TREATED);
            t * (t / pooled).ln() + CONTROLS_PER_TREATED * c * (c / pooled).ln()
        })
        .sum::<f64>()
        * width
}

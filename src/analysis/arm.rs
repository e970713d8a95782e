//! One arm's tally of one tick, as the tests read it: harm as an increase, moments centred.

use super::Tally;
use super::settings::{Statistic, TestSettings};
use super::special::count_as_f64;
use crate::policy::Better;

/// A centred second moment below this share of the raw one is rounding noise of constant data.
const NOISE_SHARE: f64 = 1e-12;

/// How values are read, so that every test asks whether harm has grown (ENGINE section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Numbers of which less is better: taken as they are.
    Mean,
    /// Numbers of which more is better: differences change their sign.
    MeanReversed,
    /// 0 or 1, where 1 is harm: taken as they are.
    Rate,
    /// 0 or 1, where 1 is good: taken as one minus the value.
    RateRecoded,
}

impl Coding {
    pub(super) fn of(settings: &TestSettings) -> Self {
        match (settings.statistic, settings.better) {
            (Statistic::Mean, Better::Lower) => Self::Mean,
            (Statistic::Mean, Better::Higher) => Self::MeanReversed,
            (Statistic::Rate, Better::Lower) => Self::Rate,
            (Statistic::Rate, Better::Higher) => Self::RateRecoded,
        }
    }

    /// Whether values are 0 or 1.
    pub(super) fn is_rate(self) -> bool {
        match self {
            Self::Rate | Self::RateRecoded => true,
            Self::Mean | Self::MeanReversed => false,
        }
    }

    /// A fixed value (a limit, a prior centre) in the coding of the data.
    pub(super) fn encode(self, value: f64) -> f64 {
        match self {
            Self::RateRecoded => 1.0 - value,
            Self::Mean | Self::MeanReversed | Self::Rate => value,
        }
    }

    /// ENGINE's h: what turns an increase of coded values into harm.
    pub(super) fn harm_sign(self) -> f64 {
        match self {
            Self::MeanReversed => -1.0,
            Self::Mean | Self::Rate | Self::RateRecoded => 1.0,
        }
    }

    /// What turns harm into a difference in metric units.
    pub(super) fn metric_sign(self) -> f64 {
        match self {
            Self::Mean | Self::Rate => 1.0,
            Self::MeanReversed | Self::RateRecoded => -1.0,
        }
    }
}

/// One arm of one tick; it has at least one observation, and all its numbers are finite.
#[derive(Debug, Clone, Copy)]
pub(super) struct TickArm<'t> {
    tally: &'t Tally,
    coding: Coding,
    /// Observations.
    pub(super) n: f64,
    /// Their coded sum.
    pub(super) sum: f64,
    /// Sum of their coded squares.
    pub(super) squares: f64,
    /// Sum of squares around the tick's own mean.
    pub(super) centred: f64,
}

impl<'t> TickArm<'t> {
    /// Reads a tally; none when it has nothing to weigh.
    pub(super) fn of(tally: &'t Tally, coding: Coding) -> Option<Self> {
        if !tally.is_usable() {
            return None;
        }
        let n = count_as_f64(tally.count);
        let sum = coded_sum(coding, n, tally.sum);
        let (squares, centred) = if coding.is_rate() {
            (sum, sum * ((n - sum) / n))
        } else {
            let centred = tally.sum_of_squares - tally.sum * (tally.sum / n);
            let noise = centred <= NOISE_SHARE * tally.sum_of_squares;
            (tally.sum_of_squares, if noise { 0.0 } else { centred })
        };
        Some(Self {
            tally,
            coding,
            n,
            sum,
            squares,
            centred,
        })
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / self.n
    }

    /// How many observations, as they were counted.
    pub(super) fn count(&self) -> u64 {
        self.tally.count
    }

    /// Number, count and coded sum of each touched cluster.
    pub(super) fn clusters(&self) -> impl Iterator<Item = (usize, u64, f64)> {
        let touched = self.tally.clusters.iter().filter(|(_, part)| part.count > 0);
        touched.map(|(cluster, part)| {
            let sum = coded_sum(self.coding, count_as_f64(part.count), part.sum);
            (usize::from(cluster.get()), part.count, sum)
        })
    }
}

/// Sum of coded values; a rate's is kept between 0 and its count.
fn coded_sum(coding: Coding, n: f64, sum: f64) -> f64 {
    match coding {
        Coding::Mean | Coding::MeanReversed => sum,
        Coding::Rate => sum.clamp(0.0, n),
        Coding::RateRecoded => (n - sum).clamp(0.0, n),
    }
}

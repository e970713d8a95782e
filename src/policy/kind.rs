//! What a metric's values are, and what they are summed up by.

/// Longest latency that an observation may have, in seconds: a day.
pub const LATENCY_SECONDS_MAX: f64 = 86_400.0;

/// Greatest amount that an observation may have: beyond every count of tokens and every price.
pub const AMOUNT_MAX: f64 = 1e15;

/// What a metric's values are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// A number in a closed range, averaged.
    Score {
        /// Least value.
        min: f64,
        /// Greatest value.
        max: f64,
    },
    /// 0 or 1 (or `false`, `true`), counted.
    Rate,
    /// A time; inside of Serin always in seconds.
    Latency {
        /// The unit that observations come in.
        unit: TimeUnit,
        /// What is compared.
        statistic: LatencyStatistic,
    },
    /// A number from 0 up, such as a cost or a count of tokens.
    Amount {
        /// What is compared.
        scale: AmountScale,
    },
}

impl MetricKind {
    /// Least and greatest value that an observation may have; seconds for a latency.
    pub fn range(self) -> (f64, f64) {
        match self {
            Self::Score { min, max } => (min, max),
            Self::Rate => (0.0, 1.0),
            Self::Latency { .. } => (0.0, LATENCY_SECONDS_MAX),
            Self::Amount { .. } => (0.0, AMOUNT_MAX),
        }
    }

    /// The word in the policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Score { .. } => "score",
            Self::Rate => "rate",
            Self::Latency { .. } => "latency",
            Self::Amount { .. } => "amount",
        }
    }

    /// Whether means are those of logarithms, so that differences are ratios.
    pub fn is_logarithmic(self) -> bool {
        match self {
            Self::Latency { statistic, .. } => match statistic {
                LatencyStatistic::LogMean => true,
                LatencyStatistic::Quantiles(_) => false,
            },
            Self::Amount { scale } => match scale {
                AmountScale::Log => true,
                AmountScale::Winsorised { .. } => false,
            },
            Self::Score { .. } | Self::Rate => false,
        }
    }
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
}

impl TimeUnit {
    /// The symbol in the policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
        }
    }

    /// How many of this unit are a second.
    pub fn per_second(self) -> f64 {
        match self {
            Self::Seconds => 1.0,
            Self::Milliseconds => 1_000.0,
        }
    }
}

/// What is compared of a latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencyStatistic {
    /// How often a value lies above the control's quantiles.
    Quantiles(Quantiles),
    /// The mean of the logarithm: the ratio of geometric means.
    LogMean,
}

/// What is compared of an amount.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AmountScale {
    /// The mean of the logarithm: the ratio of geometric means.
    Log,
    /// The mean of the values, each cut at a cap that was known before the rollout.
    Winsorised {
        /// Values above it count as much as it; above 0.
        cap: f64,
    },
}

/// A share of all values, strictly between none and all of them: 95% is the value that 95% lie below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantile(u32);

impl Quantile {
    /// Refuses 0 and what is not below 1,000,000 parts per million.
    pub fn from_ppm(ppm: u32) -> Option<Self> {
        (1..1_000_000).contains(&ppm).then_some(Self(ppm))
    }

    /// The share in parts per million.
    pub fn ppm(self) -> u32 {
        self.0
    }

    /// The share as a ratio: 95% is 0.95.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

impl std::fmt::Display for Quantile {
    /// `p95`, `p99.9`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            return write!(f, "p{whole}");
        }
        let digits = format!("{rest:04}");
        write!(f, "p{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// One to [`Quantiles::MAX`] quantiles, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    first: Quantile,
    rest: [Option<Quantile>; Self::MAX - 1],
}

impl Quantiles {
    /// Most quantiles of one metric.
    pub const MAX: usize = 4;

    /// Refuses none, more than [`Self::MAX`], and quantiles that do not rise.
    pub fn new(quantiles: &[Quantile]) -> Option<Self> {
        let (&first, others) = quantiles.split_first()?;
        if others.len() > Self::MAX - 1 || !quantiles.is_sorted_by(|a, b| a < b) {
            return None;
        }
        let rest = std::array::from_fn(|index| others.get(index).copied());
        Some(Self { first, rest })
    }

    /// The quantiles, rising.
    pub fn iter(&self) -> impl Iterator<Item = Quantile> {
        std::iter::once(self.first).chain(self.rest.into_iter().flatten())
    }

    /// The highest one.
    pub fn highest(&self) -> Quantile {
        self.rest.into_iter().flatten().next_back().unwrap_or(self.first)
    }

    /// Whether there is more than one.
    pub fn are_several(&self) -> bool {
        self.rest[0].is_some()
    }
}

impl From<Quantile> for Quantiles {
    fn from(first: Quantile) -> Self {
        Self {
            first,
            rest: [None; Self::MAX - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantile(ppm: u32) -> Quantile {
        Quantile::from_ppm(ppm).unwrap()
    }

    #[test]
    fn a_quantile_lies_strictly_inside_and_reads_as_people_write_it() {
        assert_eq!(
            (Quantile::from_ppm(0), Quantile::from_ppm(1_000_000)),
            (None, None)
        );
        let shown = |ppm| quantile(ppm).to_string();
        assert_eq!(
            [shown(950_000), shown(999_000), shown(999_950), shown(500)],
            ["p95", "p99.9", "p99.995", "p0.05"]
        );
    }

    #[test]
    fn quantiles_rise_and_are_few() {
        let all = [500_000, 950_000, 990_000, 999_000].map(quantile);
        for count in 1..=all.len() {
            let quantiles = Quantiles::new(&all[..count]).unwrap();
            assert!(quantiles.iter().eq(all[..count].iter().copied()));
            assert_eq!(quantiles.highest(), all[count - 1]);
            assert_eq!(quantiles.are_several(), count > 1);
        }
        assert_eq!(Quantiles::new(&[]), None);
        assert_eq!(Quantiles::new(&[all[1], all[0]]), None);
        assert_eq!(Quantiles::new(&[all[1], all[1]]), None);
        let five = [1, 2, 3, 4, 5].map(quantile);
        assert_eq!(Quantiles::new(&five), None);
    }
}

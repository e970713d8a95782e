//! Logarithmic bins: a value is known to 2%, whatever its size.
//!
//! Bin `i` holds the values above `γ^(i−1)` and up to `γ^i` (Masson, Rim & Lee 2019, "DDSketch: a fast
//! and fully-mergeable quantile sketch with relative-error guarantees", section 2.1). Counts by bin
//! add up, so that quantiles of any number of ticks and replicas are those of their sum.

use super::Tally;
use super::special::count_as_f64;
use std::collections::BTreeMap;

/// Ratio of a bin's edges (γ): a quantile is known to 1% on each side.
pub const EDGE_RATIO: f64 = 1.02;

/// The values between two edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogBin(i16);

impl LogBin {
    /// The bin of a microsecond, where values are seconds, and of everything below.
    pub const LEAST: Self = Self(-697);
    /// The bin of a day, where values are seconds, and of everything above.
    pub const GREATEST: Self = Self(574);

    /// The bin of a number between those of [`Self::LEAST`] and [`Self::GREATEST`].
    pub fn new(number: i16) -> Option<Self> {
        (Self::LEAST.0..=Self::GREATEST.0)
            .contains(&number)
            .then_some(Self(number))
    }

    /// The bin that holds `value`; the least one for 0, negative values and NaN.
    pub fn of(value: f64) -> Self {
        Self::clamped((value.ln() / EDGE_RATIO.ln()).ceil())
    }

    /// The bin whose upper edge is nearest to `value`, by ratio.
    pub fn with_edge_near(value: f64) -> Self {
        Self::clamped((value.ln() / EDGE_RATIO.ln()).round())
    }

    /// The bin that lies `bins` above, or the greatest.
    pub fn above(self, bins: i16) -> Self {
        Self(self.0.saturating_add(bins).clamp(Self::LEAST.0, Self::GREATEST.0))
    }

    /// How many bins `self` lies above `other`; negative when it lies below.
    pub fn distance_from(self, other: Self) -> i16 {
        self.0 - other.0
    }

    /// The number of the bin.
    pub fn number(self) -> i16 {
        self.0
    }

    /// The greatest value in it.
    pub fn upper_edge(self) -> f64 {
        EDGE_RATIO.powi(i32::from(self.0))
    }

    /// The edge that all values in it lie above.
    pub fn lower_edge(self) -> f64 {
        EDGE_RATIO.powi(i32::from(self.0) - 1)
    }

    /// The value that stands for all in it: none is further from it than 1%.
    pub fn middle(self) -> f64 {
        2.0 * self.upper_edge() / (EDGE_RATIO + 1.0)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the number is clamped to what fits; NaN becomes 0 and is taken out before"
    )]
    fn clamped(number: f64) -> Self {
        if number.is_nan() {
            return Self::LEAST;
        }
        let (least, greatest) = (f64::from(Self::LEAST.0), f64::from(Self::GREATEST.0));
        Self(number.clamp(least, greatest) as i16)
    }
}

/// How many bins a ratio of values spans, to the nearest whole one; 0 for ratios that are not above 0.
pub fn bins_of_ratio(ratio: f64) -> i16 {
    LogBin::with_edge_near(ratio).distance_from(LogBin(0)) * i16::from(ratio > 0.0)
}

/// Counts by bin over all ticks of one arm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sketch {
    counts: BTreeMap<LogBin, u64>,
    total: u64,
}

impl Sketch {
    /// Goes on from what a sketch has counted.
    pub(super) fn resume(counts: BTreeMap<LogBin, u64>) -> Self {
        let total = counts
            .values()
            .fold(0, |sum: u64, count| sum.saturating_add(*count));
        Self { counts, total }
    }

    /// Adds what one tick has put into bins.
    pub(super) fn learn(&mut self, tick: &Tally) {
        for (&(_, bin), &count) in &tick.bins {
            self.add(bin, count);
        }
    }

    fn add(&mut self, bin: LogBin, count: u64) {
        let entry = self.counts.entry(bin).or_default();
        *entry = entry.saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    /// How many values there are.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Bins that hold something, rising, with their counts.
    pub(super) fn counts(&self) -> impl ExactSizeIterator<Item = (LogBin, u64)> {
        self.counts.iter().map(|(&bin, &count)| (bin, count))
    }

    /// The bin that holds the `ratio`-quantile: the first up to which at least that share lies.
    pub(super) fn quantile(&self, ratio: f64) -> Option<LogBin> {
        let wanted = ratio * count_as_f64(self.total);
        let mut cumulated = 0_u64;
        for (&bin, &count) in &self.counts {
            cumulated = cumulated.saturating_add(count);
            if count_as_f64(cumulated) >= wanted {
                return Some(bin);
            }
        }
        self.counts.last_key_value().map(|(&bin, _)| bin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_are_a_microsecond_and_a_day() {
        assert_eq!(LogBin::of(1e-6), LogBin::LEAST);
        assert_eq!(LogBin::of(86_400.0), LogBin::GREATEST);
        assert!(LogBin::of(1.03e-6) > LogBin::LEAST && LogBin::of(84_000.0) < LogBin::GREATEST);
        for odd in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(LogBin::of(odd), LogBin::LEAST);
        }
        assert_eq!(LogBin::of(f64::INFINITY), LogBin::GREATEST);
        assert_eq!((LogBin::new(-698), LogBin::new(575)), (None, None));
        assert_eq!(LogBin::new(0), Some(LogBin::of(1.0)));
    }

    #[test]
    fn a_ratio_is_a_number_of_bins() {
        assert_eq!(bins_of_ratio(1.1), 5);
        assert_eq!(bins_of_ratio(1.02), 1);
        assert_eq!(bins_of_ratio(1.009), 0);
        assert_eq!(bins_of_ratio(1.0), 0);
        assert_eq!(bins_of_ratio(0.9), -5);
        assert_eq!(bins_of_ratio(0.0), 0);
    }

    #[test]
    fn quantiles_are_where_their_share_lies() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.quantile(0.5), None);
        for value in 1..=100_u32 {
            sketch.add(LogBin::of(f64::from(value)), 1);
        }
        assert_eq!(sketch.total(), 100);
        for (ratio, value) in [(0.01, 1.0), (0.5, 50.0), (0.95, 95.0), (1.0, 100.0)] {
            assert_eq!(sketch.quantile(ratio), Some(LogBin::of(value)), "{ratio}");
        }
    }

    proptest! {
        #[test]
        fn a_value_lies_between_its_edges(value in 2e-6..80_000.0) {
            let bin = LogBin::of(value);
            prop_assert!(bin.lower_edge() < value * (1.0 + 1e-12) && value <= bin.upper_edge() * (1.0 + 1e-12));
            prop_assert!((bin.middle() / value - 1.0).abs() < 0.0100001);
            prop_assert_eq!(LogBin::new(bin.number()), Some(bin));
        }

        #[test]
        fn a_larger_value_is_in_no_lower_bin(value in 1e-7..1e6, more in 1.0..100.0) {
            prop_assert!(LogBin::of(value) <= LogBin::of(value * more));
        }
    }
}

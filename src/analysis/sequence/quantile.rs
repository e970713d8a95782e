//! One quantile of independent values, by their counts in rising bins.
//!
//! Howard & Ramdas 2022, theorem 1: of N values, the number up to their p-quantile is N draws with
//! probability p, so that N F̂ leaves `[Np − f_lo, Np + f_up]` there, ever, with probability at most α,
//! where each side is a one-sided beta-binomial mixture bound at α/2 and the intrinsic time Np(1 − p).
//! An edge up to which fewer values lie is below the quantile; one up to which more lie is not.

use super::beta_binomial::{BetaBinomialMixture, Steps};
use super::tuning::Tuning;
use super::{OutOfRange, Sides};
use crate::analysis::special::count_as_f64;
use std::f64::consts::LN_2;

/// Numbers of values for which a quantile's sequence can be tuned.
pub const TUNING_COUNTS: (f64, f64) = (1.0, 1e18);

/// A confidence sequence for one quantile.
///
/// ```
/// use serin::analysis::sequence::quantile::FixedQuantile;
///
/// // The median at α = 0.05, tightest at 1,000 values; here 100 in each of ten bins.
/// let median = FixedQuantile::tuned(0.5, 1_000.0, -f64::ln(0.05))?;
/// let bins = (1..=10).map(|bin| (bin, 100));
/// // It is above all of bin 4, and not above bin 6.
/// assert_eq!(median.interval(bins, 1.0), (Some(4), Some(6)));
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedQuantile {
    probability: f64,
    upwards: BetaBinomialMixture,
    downwards: BetaBinomialMixture,
    log_threshold_of_side: f64,
}

/// How far the number of values up to a quantile can be from its expectation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviations {
    /// Downwards, f_lo.
    pub down: f64,
    /// Upwards, f_up.
    pub up: f64,
}

impl FixedQuantile {
    /// The sequence for the quantile of `probability` (p, in
    /// [`SHARES`](super::beta_binomial::SHARES)) at α = `exp(−log_threshold)`, half on each side, that is
    /// tightest at `count` values (in [`TUNING_COUNTS`]).
    pub fn tuned(probability: f64, count: f64, log_threshold: f64) -> Result<Self, OutOfRange> {
        let steps = Steps::of_count(probability)?;
        let count = OutOfRange::check("tuning count", count, TUNING_COUNTS, "1 to 1e18")?;
        let log_threshold_of_side = log_threshold + LN_2;
        let tuning = Tuning::new(count * steps.variance(), log_threshold_of_side)?;
        Ok(Self {
            probability,
            upwards: BetaBinomialMixture::tuned(Sides::One, tuning, steps)?,
            downwards: BetaBinomialMixture::tuned(Sides::One, tuning, steps.mirrored())?,
            log_threshold_of_side,
        })
    }

    /// How far the number of values up to the quantile, of `count` in all, ever is from its
    /// expectation, `count · p`.
    pub fn deviations(&self, count: u64) -> Deviations {
        let time = count_as_f64(count) * self.probability * (1.0 - self.probability);
        Deviations {
            down: self.downwards.bound(time, self.log_threshold_of_side),
            up: self.upwards.bound(time, self.log_threshold_of_side),
        }
    }

    /// The last of the `counts` (by bin, rising) all of whose bin is proved to lie below the quantile, and
    /// the first that the quantile is proved not to lie above; none where there is none.
    ///
    /// Deviations are widened by the root of the `design_effect`: for values that come in clusters, whose
    /// sums vary by so much more than those of independent ones, this is approximate (Kish 1965, "Survey
    /// Sampling", section 8.2). One below 1, or that is not a number, counts as 1.
    pub fn interval<Bin: Copy>(
        &self,
        counts: impl Iterator<Item = (Bin, u64)>,
        design_effect: f64,
    ) -> (Option<Bin>, Option<Bin>) {
        let mut total = 0_u64;
        let cumulated: Vec<(Bin, f64)> = counts
            .map(|(bin, count)| {
                total = total.saturating_add(count);
                (bin, count_as_f64(total))
            })
            .collect();
        let total = count_as_f64(total);
        let expected = total * self.probability;
        let shrinking = design_effect.max(1.0).sqrt().recip();
        let time = expected * (1.0 - self.probability);
        let exceeds = |mixture: &BetaBinomialMixture, deviation: f64| {
            mixture.reaches(deviation * shrinking, time, self.log_threshold_of_side)
        };
        // From the quantile outwards, as most tests on the way are fast.
        let lower = cumulated
            .iter()
            .rev()
            .find(|(_, up_to_bin)| exceeds(&self.downwards, expected - up_to_bin));
        let upper = cumulated
            .iter()
            .find(|(_, up_to_bin)| exceeds(&self.upwards, up_to_bin - expected));
        (lower.map(|&(bin, _)| bin), upper.map(|&(bin, _)| bin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ordered(lower: Option<usize>, upper: Option<usize>) -> bool {
        lower.zip(upper).is_none_or(|(lower, upper)| lower < upper)
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let name = |probability, count, log_threshold| {
            let refused = FixedQuantile::tuned(probability, count, log_threshold);
            refused.unwrap_err().name
        };
        assert_eq!(name(0.0, 1e3, 3.0), "probability");
        assert_eq!(name(0.5, 0.5, 3.0), "tuning count");
        assert_eq!(name(0.5, 1e3, -1.0), "-ln alpha of a tuning");
        assert_eq!(name(0.5, 1e3, f64::NAN), "-ln alpha of a tuning");
        for extreme in [1.0, 999_999.0] {
            assert!(FixedQuantile::tuned(extreme / 1e6, 1e3, 3.0).is_ok());
        }
    }

    #[test]
    fn few_values_bound_nothing() {
        let highest = FixedQuantile::tuned(0.99, 1e3, 3.0).unwrap();
        assert_eq!(
            highest.interval(std::iter::empty::<(u8, u64)>(), 1.0),
            (None, None)
        );
        assert_eq!(highest.interval([(1, 1), (2, 1)].into_iter(), 1.0), (None, None));
        // Of values that all lie in one bin, no edge is below the quantile, and the bin's is not below it.
        assert_eq!(
            highest.interval(std::iter::once((1, 10_000)), 1.0),
            (None, Some(1))
        );
    }

    #[test]
    fn clusters_widen_the_interval() {
        let median = FixedQuantile::tuned(0.5, 1e3, 3.0).unwrap();
        let bins = (0..10_000).map(|bin| (bin, 1));
        let width = |design_effect| {
            let (lower, upper) = median.interval(bins.clone(), design_effect);
            f64::from(upper.unwrap() - lower.unwrap())
        };
        assert!((width(4.0) / width(1.0) - 2.0).abs() < 0.05);
        assert_eq!(width(0.5).to_bits(), width(1.0).to_bits());
        assert_eq!(width(f64::NAN).to_bits(), width(1.0).to_bits());
        assert_eq!(median.interval(bins, f64::INFINITY), (None, None));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_the_ends_are_ordered(
            counts in prop::collection::vec(prop_oneof![0..5_u64, 0..=u64::MAX], 0..40),
            probability in 1e-6..=1.0 - 1e-6, tuned in 0.0..41.0_f64,
            log_threshold in 1e-6..1e5_f64, design_effect in any::<f64>()
        ) {
            let sequence = FixedQuantile::tuned(probability, tuned.exp(), log_threshold).unwrap();
            let (lower, upper) = sequence.interval(counts.iter().copied().enumerate(), design_effect);
            prop_assert!(ordered(lower, upper), "{lower:?} to {upper:?}");
        }

        /// The definition, by the bounds.
        #[test]
        fn the_ends_are_where_the_deviations_say(
            counts in prop::collection::vec(0..300_u64, 1..60), probability in 0.01..0.99_f64,
            tuned in 0.0..10.0_f64, log_threshold in 0.1..20.0_f64
        ) {
            let sequence = FixedQuantile::tuned(probability, tuned.exp(), log_threshold).unwrap();
            let deviations = sequence.deviations(counts.iter().sum());
            let expected = count_as_f64(counts.iter().sum()) * probability;
            let up_to: Vec<f64> = (1..=counts.len()).map(|bins| count_as_f64(counts[..bins].iter().sum())).collect();
            // Where rounding decides, either bin is right.
            let nearest = up_to.iter().map(|sum| {
                let deviation = sum - expected;
                (deviation - deviations.up).abs().min((deviation + deviations.down).abs())
            });
            prop_assume!(nearest.fold(f64::INFINITY, f64::min) > 1e-9);
            let lower = up_to.iter().rposition(|&sum| sum < expected - deviations.down);
            let upper = up_to.iter().position(|&sum| sum > expected + deviations.up);
            prop_assert_eq!(sequence.interval(counts.iter().copied().enumerate(), 1.0), (lower, upper));
        }

        #[test]
        fn the_bin_at_the_quantile_is_inside(
            counts in prop::collection::vec(0..1_000_u64, 1..40), probability in 0.01..0.99_f64
        ) {
            let sequence = FixedQuantile::tuned(probability, 1e3, 3.0).unwrap();
            let total: u64 = counts.iter().sum();
            prop_assume!(total > 0);
            let wanted = probability * count_as_f64(total);
            let mut sum = 0;
            let at = counts.iter().position(|count| { sum += count; count_as_f64(sum) >= wanted });
            let (lower, upper) = sequence.interval(counts.iter().copied().enumerate(), 1.0);
            prop_assert!(ordered(lower, at) && upper >= at || upper.is_none(), "{lower:?} {at:?} {upper:?}");
        }
    }
}

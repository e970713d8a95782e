//! Whether two samples have one quantile in common.
//!
//! Howard & Ramdas 2022, section 4: were x the p-quantile of both, the numbers of values up to x would be
//! draws with probability p, and the product of the two-sided beta-binomial mixtures of both an e-value.
//! The least product over all x is one against every common quantile.

use super::beta_binomial::{BetaBinomialMixture, Steps};
use super::quantile::TUNING_COUNTS;
use super::tuning::Tuning;
use super::{OutOfRange, Sides};
use crate::analysis::special::count_as_f64;

/// Sections of the search for where a sample says least: to 1e-9 of its size.
const SECTIONS: usize = 48;

/// By how much a golden section shrinks its bracket.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// A test of the equality of one quantile in two samples.
///
/// ```
/// use serin::analysis::sequence::quantile_equality::QuantileEquality;
///
/// let medians = QuantileEquality::tuned(0.5, 100.0, -f64::ln(0.05))?;
/// let one: Vec<f64> = (0..100).map(f64::from).collect();
/// let other: Vec<f64> = (60..160).map(f64::from).collect();
/// assert!(medians.log_e(&one, &other) > -f64::ln(0.001));
/// assert!(medians.log_e(&one, &one) < 0.0);
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileEquality {
    probability: f64,
    mixture: BetaBinomialMixture,
}

/// One sample, sorted, and the number of its values up to the quantile against which it says least.
struct Sorted {
    values: Vec<f64>,
    least: f64,
}

impl QuantileEquality {
    /// The test for the quantile of `probability` (p, in [`SHARES`](super::beta_binomial::SHARES)) that is
    /// most powerful at `count` values in each sample (in [`TUNING_COUNTS`]) and an error of
    /// `exp(−log_threshold)`.
    pub fn tuned(probability: f64, count: f64, log_threshold: f64) -> Result<Self, OutOfRange> {
        let steps = Steps::of_count(probability)?;
        let count = OutOfRange::check("tuning count", count, TUNING_COUNTS, "1 to 1e18")?;
        let tuning = Tuning::new(count * steps.variance(), log_threshold)?;
        Ok(Self {
            probability,
            mixture: BetaBinomialMixture::tuned(Sides::Two, tuning, steps)?,
        })
    }

    /// Log e-value against "both have the same quantile", of all values so far in any order; its
    /// negative exponential, where that is below 1, is a p-value that holds at every look.
    ///
    /// What is not a number is left out.
    pub fn log_e(&self, one: &[f64], other: &[f64]) -> f64 {
        let (one, other) = (self.sorted(one), self.sorted(other));
        // Between neighbouring values, counts are those at the lower one.
        one.values
            .iter()
            .chain(&other.values)
            .map(|&candidate| self.log_e_of(&one, candidate) + self.log_e_of(&other, candidate))
            .fold(None, |least: Option<f64>, log_e| {
                Some(least.map_or(log_e, |least| least.min(log_e)))
            })
            .unwrap_or(0.0)
    }

    /// What a sample says against the quantile `candidate`: between the numbers of values below and up to
    /// it, that which says least, as the mixture is convex.
    fn log_e_of(&self, sample: &Sorted, candidate: f64) -> f64 {
        let below = sample.values.partition_point(|&value| value < candidate);
        let up_to = sample.values.partition_point(|&value| value <= candidate);
        let happened = sample.least.max(len_as_f64(below)).min(len_as_f64(up_to));
        self.log_e_of_number(happened, len_as_f64(sample.values.len()))
    }

    fn log_e_of_number(&self, happened: f64, all: f64) -> f64 {
        let time = all * self.probability * (1.0 - self.probability);
        self.mixture.log_mixture(happened - all * self.probability, time)
    }

    fn sorted(&self, values: &[f64]) -> Sorted {
        let mut values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        let all = len_as_f64(values.len());
        let (mut low, mut high) = (0.0, all);
        for _ in 0..SECTIONS {
            let reach = GOLDEN * (high - low);
            let (left, right) = (high - reach, low + reach);
            if self.log_e_of_number(left, all) <= self.log_e_of_number(right, all) {
                high = right;
            } else {
                low = left;
            }
        }
        Sorted {
            values,
            least: low + (high - low) / 2.0,
        }
    }
}

fn len_as_f64(len: usize) -> f64 {
    count_as_f64(u64::try_from(len).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn medians() -> QuantileEquality {
        QuantileEquality::tuned(0.5, 100.0, 3.0).unwrap()
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let name = |probability, count| QuantileEquality::tuned(probability, count, 3.0).unwrap_err().name;
        assert_eq!(name(1.0, 100.0), "probability");
        assert_eq!(name(0.5, 0.0), "tuning count");
    }

    #[test]
    fn nothing_proves_nothing() {
        assert_eq!(medians().log_e(&[], &[]).to_bits(), 0.0_f64.to_bits());
        assert!(medians().log_e(&[1.0, f64::NAN], &[]) <= 0.0);
        assert!(
            medians()
                .log_e(&[f64::NEG_INFINITY, 1.0], &[f64::INFINITY])
                .is_finite()
        );
    }

    proptest! {
        /// The sizes of values do not matter, only their order, and neither does which sample is which.
        #[test]
        fn only_order_matters(
            one in prop::collection::vec(-50..50_i32, 0..40), other in prop::collection::vec(-30..70_i32, 0..40)
        ) {
            let as_is = |values: &[i32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
            let bent = |values: &[i32]| values.iter().map(|&value| f64::from(value).exp()).collect::<Vec<_>>();
            let log_e = medians().log_e(&as_is(&one), &as_is(&other));
            prop_assert!(log_e.is_finite());
            prop_assert_eq!(log_e.to_bits(), medians().log_e(&bent(&one), &bent(&other)).to_bits());
            prop_assert!((log_e - medians().log_e(&as_is(&other), &as_is(&one))).abs() < 1e-12);
        }

        #[test]
        fn samples_of_one_are_never_told_apart(one in prop::collection::vec(any::<f64>(), 0..60)) {
            prop_assert!(medians().log_e(&one, &one) <= 1e-12);
        }
    }
}

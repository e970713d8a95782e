//! The empirical-Bernstein sequence: a mean of values from 0 to 1, without an assumption on them.
//!
//! Howard et al. 2021, theorem 4: for values between 0 and 1 with a common mean μ, whatever their
//! distribution and dependence on the past, the sum of `x − μ` is sub-exponential of scale 1 at the
//! intrinsic time `Σ (x − c)²`, for any centre c from 0 to 1 that was known before the value. Here c is
//! the mean of all earlier batches, and ½ for the first. The gamma-exponential mixture bounds it.

use super::OutOfRange;
use super::gamma_exponential::GammaExponentialMixture;
use super::tuning::Tuning;
use crate::analysis::special::count_as_f64;

/// The centre of the first batch.
const FIRST_CENTRE: f64 = 0.5;

/// By how much, per value, sums may leave what values from 0 to 1 can have: rounding.
const ROUNDING: f64 = 1e-9;

/// What a batch of values from 0 to 1 adds up to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Batch {
    count: f64,
    mean: f64,
    /// Sum of squares around the mean.
    scatter: f64,
}

impl Batch {
    /// Sums of `count` values from 0 to 1.
    ///
    /// # Errors
    ///
    /// When no such values have these sums, to 1e-9 of the count: the sum is 0 to the count, the sum of
    /// squares at most the sum and at least the square of the sum over the count.
    pub fn new(count: u64, sum: f64, sum_of_squares: f64) -> Result<Self, OutOfRange> {
        let count = count_as_f64(count);
        let slack = ROUNDING * count;
        OutOfRange::check(
            "sum of a batch",
            sum,
            (-slack, count + slack),
            "that of values from 0 to 1",
        )?;
        if count <= 0.0 {
            return Ok(Self {
                count,
                mean: FIRST_CENTRE,
                scatter: 0.0,
            });
        }
        let mean = (sum / count).clamp(0.0, 1.0);
        OutOfRange::check(
            "sum of squares of a batch",
            sum_of_squares,
            (mean * sum - slack, sum + slack),
            "that of values from 0 to 1 with this sum",
        )?;
        Ok(Self {
            count,
            mean,
            scatter: (sum_of_squares - mean * sum).max(0.0),
        })
    }

    /// A single value from 0 to 1.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn of(value: f64) -> Result<Self, OutOfRange> {
        let value = OutOfRange::check("value", value, (0.0, 1.0), "0 to 1")?;
        Ok(Self {
            count: 1.0,
            mean: value,
            scatter: 0.0,
        })
    }
}

/// A confidence sequence for the mean of values from 0 to 1.
///
/// ```
/// use serin::analysis::sequence::empirical_bernstein::{Batch, EmpiricalBernstein};
/// use serin::analysis::sequence::tuning::Tuning;
///
/// // 5% in all, half of it on each side; tightest once the squares add up to 10.
/// let log_threshold = -f64::ln(0.025);
/// let mut sequence = EmpiricalBernstein::tuned(Tuning::new(10.0, log_threshold)?)?;
/// for _ in 0..100 {
///     sequence.add(Batch::new(10, 8.0, 6.5)?);
/// }
/// let (lower, upper) = sequence.interval(log_threshold);
/// assert!((0.78..0.79).contains(&lower) && (0.81..0.82).contains(&upper), "{lower}, {upper}");
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EmpiricalBernstein {
    mixture: GammaExponentialMixture,
    count: f64,
    mean: f64,
    time: f64,
}

impl EmpiricalBernstein {
    /// The sequence that is tightest where `tuning` says: at the intrinsic time `Nσ²`, for the error of
    /// one side, below ½.
    pub fn tuned(tuning: Tuning) -> Result<Self, OutOfRange> {
        Ok(Self {
            mixture: GammaExponentialMixture::tuned(tuning, 1.0)?,
            count: 0.0,
            mean: FIRST_CENTRE,
            time: 0.0,
        })
    }

    /// Takes in the next values; how they are cut into batches matters only for the centres.
    pub fn add(&mut self, batch: Batch) {
        let off = batch.mean - self.mean;
        self.time += batch.scatter + batch.count * off * off;
        self.count += batch.count;
        if self.count > 0.0 {
            self.mean += off * (batch.count / self.count);
        }
    }

    /// How many values there were.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Their mean; ½ before the first.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The sum of their squared distances from the centres, the intrinsic time.
    pub fn time(&self) -> f64 {
        self.time
    }

    /// Lower and upper end of what the mean can be: each side is wrong at any time, ever, with
    /// probability at most `exp(−log_threshold)`.
    ///
    /// `log_threshold` is above 0. Within 0 to 1, and all of that before the first value and beyond an
    /// intrinsic time of [`TIME_MAX`](super::tuning::TIME_MAX).
    pub fn interval(&self, log_threshold: f64) -> (f64, f64) {
        if self.count <= 0.0 {
            return (0.0, 1.0);
        }
        let reach = self.mixture.bound(self.time, log_threshold) / self.count;
        ((self.mean - reach).max(0.0), (self.mean + reach).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sequence() -> EmpiricalBernstein {
        EmpiricalBernstein::tuned(Tuning::new(10.0, 3.0).unwrap()).unwrap()
    }

    #[test]
    fn what_values_from_0_to_1_cannot_have_is_refused_by_name() {
        assert_eq!(Batch::new(2, 2.1, 2.0).unwrap_err().name, "sum of a batch");
        assert_eq!(Batch::new(0, 0.1, 0.1).unwrap_err().name, "sum of a batch");
        assert_eq!(Batch::new(2, f64::NAN, 1.0).unwrap_err().name, "sum of a batch");
        for squares in [0.4, 1.1, f64::NAN, f64::INFINITY] {
            let refused = Batch::new(2, 1.0, squares).unwrap_err();
            assert_eq!(refused.name, "sum of squares of a batch", "{squares}");
        }
        assert_eq!(Batch::of(-0.1).unwrap_err().name, "value");
    }

    #[test]
    fn nothing_seen_excludes_nothing() {
        let mut sequence = sequence();
        sequence.add(Batch::new(0, 0.0, 0.0).unwrap());
        assert_eq!(sequence.interval(3.0), (0.0, 1.0));
    }

    #[test]
    fn values_without_any_variance_still_leave_an_interval() {
        for value in [0.0, 0.5, 1.0] {
            let mut sequence = sequence();
            for _ in 0..1_000 {
                sequence.add(Batch::of(value).unwrap());
            }
            let (lower, upper) = sequence.interval(3.0);
            assert!(
                lower <= value && value <= upper && upper - lower > 1e-3,
                "{lower} to {upper}"
            );
            assert!(upper - lower < 0.05, "{lower} to {upper}");
        }
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_mean_and_nothing_is_not_a_number(
            batches in prop::collection::vec((0..=1_000_000_000_000_000_u64, 0.0..=1.0_f64, 0.0..=1.0_f64), 1..20),
            log_threshold in 1e-3..1e6_f64
        ) {
            let mut sequence = sequence();
            for (count, mean, spread) in batches {
                let sum = mean * count_as_f64(count);
                let squares = sum * (mean + spread * (1.0 - mean));
                sequence.add(Batch::new(count, sum, squares).unwrap());
                let (lower, upper) = sequence.interval(log_threshold);
                prop_assert!(0.0 <= lower && lower <= upper && upper <= 1.0, "{lower} to {upper}");
                prop_assert!(lower <= sequence.mean() && sequence.mean() <= upper);
            }
        }

        #[test]
        fn the_smallest_values_are_taken(value in 0.0..1e-300_f64) {
            let mut sequence = sequence();
            sequence.add(Batch::new(3, 3.0 * value, 0.0).unwrap());
            prop_assert!(sequence.interval(3.0).0.abs() < 1e-9);
        }
    }
}

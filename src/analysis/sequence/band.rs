//! All quantiles at once: how far an empirical distribution function ever is from the true one.
//!
//! Howard & Ramdas 2022, theorem 2, a law of the iterated logarithm in place of the inequality of
//! Dvoretzky, Kiefer & Wolfowitz, which holds at one look only: of independent values, at all counts
//! N ≥ m and all values at once, `|F̂ − F| < A √((ln(1 + ln(N/m)) + C)/N)` with probability at least 1 − α.

use super::OutOfRange;
use std::f64::consts::FRAC_1_SQRT_2;

/// Counts from which a band can hold.
pub const STARTS: (f64, f64) = (1.0, 1e18);

/// The leading constants that a band takes: above `1/√2`, for which C would be infinite.
pub const LEADING: (f64, f64) = (FRAC_1_SQRT_2 + 1e-3, 10.0);

/// The leading constant that Howard & Ramdas use throughout.
pub const LEADING_RECOMMENDED: f64 = 0.85;

/// Steps of a search: enough for all bits of an `f64`.
const SEARCH_STEPS: usize = 200;

/// By how much a golden section shrinks its bracket.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// A band around an empirical distribution function.
///
/// ```
/// use serin::analysis::sequence::band::{DistributionBand, LEADING_RECOMMENDED};
///
/// // From the 32nd value on, at α = 0.05.
/// let band = DistributionBand::new(32.0, LEADING_RECOMMENDED, -f64::ln(0.05))?;
/// let bound = band.bound(10_000.0);
/// assert!((0.02..0.03).contains(&bound), "{bound}");
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistributionBand {
    start: f64,
    leading: f64,
    constant: f64,
}

impl DistributionBand {
    /// The band from `start` values on (m, in [`STARTS`]), with the constant `leading` (A, in
    /// [`LEADING`]), at α = `exp(−log_threshold)`, whose exponent is above 0 and at most 1e6.
    pub fn new(start: f64, leading: f64, log_threshold: f64) -> Result<Self, OutOfRange> {
        let start = OutOfRange::check("start of a band", start, STARTS, "1 to 1e18")?;
        let rule = "above 1/sqrt 2 by 0.001, and 10 at most";
        let leading = OutOfRange::check("leading constant of a band", leading, LEADING, rule)?;
        let log_threshold = OutOfRange::check(
            "-ln alpha of a band",
            log_threshold,
            (f64::MIN_POSITIVE, 1e6),
            "above 0, and 1e6 at most",
        )?;
        Ok(Self {
            start,
            leading,
            constant: constant(leading, log_threshold),
        })
    }

    /// What no distance between the two functions reaches at `count` values.
    ///
    /// Infinite before the start, and where the count is not a number.
    pub fn bound(&self, count: f64) -> f64 {
        if count.is_nan() || count < self.start {
            return f64::INFINITY;
        }
        let iterated = (count / self.start).ln().ln_1p();
        self.leading * ((iterated + self.constant) / count.min(f64::MAX)).sqrt()
    }
}

/// The least C at which the error is small enough, by doubling and bisection; it errs upwards.
fn constant(leading: f64, log_threshold: f64) -> f64 {
    let holds = |constant: f64| least_log_error(leading, constant) <= -log_threshold;
    let (mut low, mut high) = (0.0, 1.0);
    while !holds(high) {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..SEARCH_STEPS {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Logarithm of the least error over all ratios η of epochs, by golden section; each η bounds it.
fn least_log_error(leading: f64, constant: f64) -> f64 {
    let log_error = |ratio| log_error(leading, constant, ratio);
    let (mut low, mut high) = (1.0, 2.0 * leading * leading);
    for _ in 0..SEARCH_STEPS {
        let reach = GOLDEN * (high - low);
        let (left, right) = (high - reach, low + reach);
        if left >= right {
            break;
        }
        // On the right of the least error there are ratios without any bound; on the left, none.
        if log_error(left) <= log_error(right) {
            high = right;
        } else {
            low = left;
        }
    }
    log_error(low).min(log_error(high))
}

/// `ln[4 exp(−γ²C) (1 + 1/((γ² − 1) ln η))]` with `γ² = (2/η) (A − √(2(η − 1)/C))²`, for η above 1;
/// infinite where γ² is not above 1.
fn log_error(leading: f64, constant: f64, ratio: f64) -> f64 {
    let gap = leading - (2.0 * (ratio - 1.0) / constant).sqrt();
    let gamma_squared = 2.0 / ratio * gap * gap;
    if gap <= 0.0 || gamma_squared <= 1.0 || ratio <= 1.0 {
        return f64::INFINITY;
    }
    4.0_f64.ln() - gamma_squared * constant + (1.0 / ((gamma_squared - 1.0) * ratio.ln())).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let name = |start, leading, log_threshold| {
            let refused = DistributionBand::new(start, leading, log_threshold);
            refused.unwrap_err().name
        };
        assert_eq!(name(0.5, 0.85, 3.0), "start of a band");
        assert_eq!(name(1.0, 0.7, 3.0), "leading constant of a band");
        assert_eq!(name(1.0, 0.85, 0.0), "-ln alpha of a band");
    }

    #[test]
    fn the_band_begins_at_its_start() {
        let band = DistributionBand::new(32.0, 0.85, 3.0).unwrap();
        for count in [0.0, 31.9, -1.0, f64::NAN] {
            assert_eq!(band.bound(count).to_string(), "inf");
        }
        assert!(band.bound(32.0) < 1.0);
    }

    proptest! {
        #[test]
        fn the_error_is_the_one_asked_for(leading in 0.71..10.0_f64, log_threshold in 1e-9..1e6_f64) {
            let constant = constant(leading, log_threshold);
            let error = least_log_error(leading, constant);
            prop_assert!(error <= -log_threshold && error > -log_threshold - 1e-6 * log_threshold.max(1.0));
        }

        #[test]
        fn nothing_is_not_a_number(
            log_start in 0.0..41.0_f64, leading in 0.71..10.0_f64, log_threshold in 1e-9..1e6_f64,
            count in any::<f64>()
        ) {
            let band = DistributionBand::new(log_start.exp(), leading, log_threshold).unwrap();
            prop_assert!(band.bound(count) > 0.0);
        }
    }
}

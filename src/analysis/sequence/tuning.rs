//! Where a mixture is at its tightest.
//!
//! A bound that is tight at one intrinsic time is looser at others: whoever uses it chooses the time
//! that matters, for a given error. Being wrong by a factor of 100 widens a bound by about a fifth
//! (Howard et al. 2021, section 3.5).

use super::OutOfRange;
use std::f64::consts::LN_2;

/// Intrinsic times that a mixture can be tuned for.
pub const TUNING_TIMES: (f64, f64) = (1e-9, 1e18);

/// Largest `−ln α` that a mixture can be tuned for.
pub const TUNING_LOG_THRESHOLD_MAX: f64 = 1e6;

/// Longest intrinsic time that says anything; beyond it, sums are no longer exact enough to.
pub const TIME_MAX: f64 = 1e18;

/// Largest size of a sum; a larger one counts as this.
const SUM_MAX: f64 = 1e100;

/// The intrinsic time at which a bound is wanted tight, and the error for which it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    time: f64,
    log_threshold: f64,
}

impl Tuning {
    /// For an intrinsic time in [`TUNING_TIMES`], and `−ln α` above 0 and at most
    /// [`TUNING_LOG_THRESHOLD_MAX`].
    pub fn new(time: f64, log_threshold: f64) -> Result<Self, OutOfRange> {
        let time = OutOfRange::check("tuning time", time, TUNING_TIMES, "1e-9 to 1e18")?;
        let range = (f64::MIN_POSITIVE, TUNING_LOG_THRESHOLD_MAX);
        let log_threshold = OutOfRange::check(
            "-ln alpha of a tuning",
            log_threshold,
            range,
            "above 0, and 1e6 at most",
        )?;
        Ok(Self { time, log_threshold })
    }

    /// The variance ρ of the process at which the prior of a two-sided normal mixture is as wide as
    /// the data: `time / (L + ln(1 + L))` with `L = −2 ln α`.
    ///
    /// The exact optimum is `time / (−W₋₁(−α²/e) − 1)` (Howard et al. 2021, proposition 3 (b)); this
    /// is its expansion `−W₋₁(−e^(−1−L)) − 1 ≈ L + ln(1 + L)`, which they use for all mixtures.
    pub(super) fn two_sided_rho(self) -> f64 {
        rho(self.time, self.log_threshold)
    }

    /// As [`two_sided_rho`](Self::two_sided_rho) with α doubled, because a one-sided mixture at α is
    /// nearly a two-sided one at 2α (Howard et al. 2021, section 3.5); α must be below ½.
    pub(super) fn one_sided_rho(self) -> Result<f64, OutOfRange> {
        // Where 2α is within rounding of 1, ρ grows without limit.
        let range = (LN_2 + 1e-9, TUNING_LOG_THRESHOLD_MAX);
        let rule = "above ln 2 for a one-sided mixture";
        let log_threshold = OutOfRange::check("-ln alpha of a tuning", self.log_threshold, range, rule)?;
        Ok(rho(self.time, log_threshold - LN_2))
    }
}

fn rho(time: f64, log_threshold: f64) -> f64 {
    let twice = 2.0 * log_threshold;
    time / (twice + twice.ln_1p())
}

/// A sum and its intrinsic time within their ranges: the sum finite, at most [`SUM_MAX`] in size; the
/// time 0 to [`TIME_MAX`].
///
/// None when either is not a number, or no process has such a time: then there is no evidence.
pub(super) fn readable(sum: f64, time: f64) -> Option<(f64, f64)> {
    (!sum.is_nan() && (0.0..=TIME_MAX).contains(&time)).then(|| (sum.clamp(-SUM_MAX, SUM_MAX), time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        for time in [0.0, -1.0, 1e-10, 1e19, f64::INFINITY, f64::NAN] {
            assert_eq!(Tuning::new(time, 3.0).unwrap_err().name, "tuning time");
        }
        for log_threshold in [0.0, -1.0, 1e7, f64::NAN] {
            let refused = Tuning::new(1.0, log_threshold).unwrap_err();
            assert_eq!(refused.name, "-ln alpha of a tuning");
        }
        let half = Tuning::new(1.0, LN_2).unwrap();
        assert_eq!(
            half.one_sided_rho().unwrap_err().to_string(),
            "`-ln alpha of a tuning` must be above ln 2 for a one-sided mixture, not `0.6931471805599453`"
        );
    }

    #[test]
    fn only_processes_are_readable() {
        assert_eq!(readable(-2.0, 0.0), Some((-2.0, 0.0)));
        assert_eq!(readable(f64::INFINITY, 1.0), Some((SUM_MAX, 1.0)));
        for (sum, time) in [(f64::NAN, 1.0), (1.0, f64::NAN), (1.0, -1e-9), (1.0, 2e18)] {
            assert_eq!(readable(sum, time), None, "{sum} at {time}");
        }
    }

    proptest! {
        #[test]
        fn rho_is_proportional_to_the_time(
            log_time in -20.0..41.0_f64, log_threshold in 0.7..1e6_f64, factor in 0.1..10.0_f64
        ) {
            let rho = |time| Tuning::new(time, log_threshold).unwrap().one_sided_rho().unwrap();
            let time = log_time.exp();
            prop_assume!((TUNING_TIMES.0..=TUNING_TIMES.1).contains(&(time * factor)));
            prop_assert!((rho(time * factor) / (rho(time) * factor) - 1.0).abs() < 1e-12);
        }
    }
}

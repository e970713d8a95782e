//! The normal mixture: a bound for sub-Gaussian sums.
//!
//! Howard et al. 2021, propositions S1 (two-sided) and S2 (one-sided), equation (3.7): for a
//! sub-Gaussian sum S with intrinsic time V, the likelihood ratio `exp(λS − λ²V/2)` mixed over a normal
//! prior for λ of variance 1/ρ (over its positive half for one side) is a supermartingale.

use super::boundary::boundary;
use super::tuning::{Tuning, readable};
use super::{OutOfRange, Sides};
use crate::analysis::special::log_half_normal_factor;

/// A normal mixture, tuned.
///
/// ```
/// use serin::analysis::sequence::Sides;
/// use serin::analysis::sequence::normal::NormalMixture;
/// use serin::analysis::sequence::tuning::Tuning;
///
/// // Tightest for α = 0.05 at the intrinsic time 100.
/// let log_threshold = -f64::ln(0.05);
/// let mixture = NormalMixture::tuned(Sides::Two, Tuning::new(100.0, log_threshold)?)?;
/// let bound = mixture.bound(100.0, log_threshold);
/// assert!((29.0..31.0).contains(&bound), "{bound}");
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalMixture {
    sides: Sides,
    rho: f64,
}

impl NormalMixture {
    /// The mixture that is tightest where `tuning` says; a one-sided one needs its α below ½.
    pub fn tuned(sides: Sides, tuning: Tuning) -> Result<Self, OutOfRange> {
        let rho = match sides {
            Sides::One => tuning.one_sided_rho()?,
            Sides::Two => tuning.two_sided_rho(),
        };
        Ok(Self { sides, rho })
    }

    /// One over the variance of the prior, in units of intrinsic time.
    pub fn rho(&self) -> f64 {
        self.rho
    }

    /// Log e-value of a process whose sum is `sum` at the intrinsic time `time`.
    ///
    /// Sums beyond ±1e100 count as that. Negative infinity, no evidence, where the sum is not a
    /// number or the time is not 0 to [`TIME_MAX`](super::tuning::TIME_MAX).
    pub fn log_mixture(&self, sum: f64, time: f64) -> f64 {
        let Some((sum, time)) = readable(sum, time) else {
            return f64::NEG_INFINITY;
        };
        let prior = -0.5 * (time / self.rho).ln_1p();
        let standardised = sum / (time + self.rho).sqrt();
        match self.sides {
            Sides::One => prior + log_half_normal_factor(standardised),
            Sides::Two => prior + 0.5 * standardised * standardised,
        }
    }

    /// What the sum reaches at any time, ever, with probability at most `exp(−log_threshold)`, at the
    /// intrinsic time `time`; of two-sided mixtures, what its size reaches.
    ///
    /// `log_threshold` is above 0. Infinite where `time` is not 0 to
    /// [`TIME_MAX`](super::tuning::TIME_MAX).
    pub fn bound(&self, time: f64, log_threshold: f64) -> f64 {
        let Some((_, time)) = readable(0.0, time) else {
            return f64::INFINITY;
        };
        let two_sided = two_sided_bound(self.rho, time, log_threshold);
        match self.sides {
            Sides::One => {
                let log_mixture = |sum| self.log_mixture(sum, time);
                boundary(log_mixture, log_threshold, two_sided, f64::INFINITY)
            }
            Sides::Two => two_sided,
        }
    }
}

/// Equation (3.7): `√((V + ρ)(ln(1 + V/ρ) − 2 ln α))`.
pub(super) fn two_sided_bound(rho: f64, time: f64, log_threshold: f64) -> f64 {
    ((time + rho) * ((time / rho).ln_1p() + 2.0 * log_threshold)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mixtures() -> impl Strategy<Value = NormalMixture> {
        let sides = prop_oneof![Just(Sides::One), Just(Sides::Two)];
        (sides, -20.0..41.0_f64, 0.7..1e3_f64).prop_map(|(sides, log_time, log_threshold)| {
            let tuning = Tuning::new(log_time.exp(), log_threshold).unwrap();
            NormalMixture::tuned(sides, tuning).unwrap()
        })
    }

    proptest! {
        /// One look is an e-value: its mean over a normal sum is 1.
        #[test]
        fn the_mean_under_the_null_is_one(mixture in mixtures(), log_ratio in -8.0..5.0_f64) {
            let time = mixture.rho * log_ratio.exp();
            prop_assume!(time <= super::super::tuning::TIME_MAX);
            let step = 0.05;
            let mean: f64 = (-3_000..3_000)
                .map(|index| f64::from(index) * step)
                .map(|z| (mixture.log_mixture(z * time.sqrt(), time) - 0.5 * z * z).exp() * step)
                .sum::<f64>() / (2.0 * std::f64::consts::PI).sqrt();
            prop_assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        }

        #[test]
        fn the_bound_is_where_the_mixture_crosses(
            mixture in mixtures(), log_time in -30.0..41.0_f64, log_threshold in 1e-3..1e3_f64
        ) {
            let time = log_time.exp();
            let bound = mixture.bound(time, log_threshold);
            let reached = mixture.log_mixture(bound, time);
            prop_assert!((reached - log_threshold).abs() < 1e-9 * log_threshold.max(1.0), "{reached}");
        }

        #[test]
        fn nothing_is_not_a_number(mixture in mixtures(), sum in any::<f64>(), time in any::<f64>()) {
            prop_assert!(!mixture.log_mixture(sum, time).is_nan());
            let bound = mixture.bound(time, 3.0);
            prop_assert!(bound > 0.0, "{bound}");
        }
    }

    #[test]
    fn times_that_no_process_has_carry_no_evidence() {
        let mixture = NormalMixture::tuned(Sides::Two, Tuning::new(10.0, 3.0).unwrap()).unwrap();
        for time in [-1.0, 2e18, f64::NAN] {
            assert_eq!(mixture.log_mixture(1.0, time).to_string(), "-inf");
            assert_eq!(mixture.bound(time, 3.0).to_string(), "inf");
        }
        assert_eq!(mixture.log_mixture(f64::NAN, 1.0).to_string(), "-inf");
    }
}

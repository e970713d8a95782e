//! The gamma-exponential mixture: a bound for sub-exponential sums.
//!
//! Howard et al. 2021, proposition S4 and theorem 4: for a sub-exponential sum S of scale c with
//! intrinsic time V, `exp(λS − V(−ln(1 − cλ) − cλ)/c²)`, mixed over λ from 0 to 1/c with a gamma
//! prior for 1 − cλ, is a supermartingale. With a₀ = ρ/c², a = (V + ρ)/c² and x = a + S/c it is
//! `[γ(a, x) eˣ/xᵃ] / [γ(a₀, a₀) e^a₀/a₀^a₀]`.

use super::OutOfRange;
use super::boundary::boundary;
use super::normal::two_sided_bound;
use super::tails::log_gamma_tail;
use super::tuning::{Tuning, readable};

/// Scales of a sub-exponential process that a mixture takes.
pub const SCALES: (f64, f64) = (1e-6, 1e6);

/// A gamma-exponential mixture, tuned.
///
/// ```
/// use serin::analysis::sequence::gamma_exponential::GammaExponentialMixture;
/// use serin::analysis::sequence::tuning::Tuning;
///
/// // Tightest for α = 0.05 at the intrinsic time 100; jumps upwards are of the order of 1.
/// let log_threshold = -f64::ln(0.05);
/// let mixture = GammaExponentialMixture::tuned(Tuning::new(100.0, log_threshold)?, 1.0)?;
/// let bound = mixture.bound(100.0, log_threshold);
/// assert!((30.0..31.0).contains(&bound), "{bound}");
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GammaExponentialMixture {
    rho: f64,
    scale: f64,
    log_tail_at_start: f64,
}

impl GammaExponentialMixture {
    /// The mixture for a process of the given `scale` (c, in [`SCALES`], in the unit of the sum) that is
    /// tightest where `tuning` says, whose α is below ½.
    pub fn tuned(tuning: Tuning, scale: f64) -> Result<Self, OutOfRange> {
        let scale = OutOfRange::check("scale of a sub-exponential process", scale, SCALES, "1e-6 to 1e6")?;
        let rho = tuning.one_sided_rho()?;
        Ok(Self {
            rho,
            scale,
            log_tail_at_start: log_gamma_tail(rho / (scale * scale), 0.0),
        })
    }

    /// The intrinsic time that the prior is worth.
    pub fn rho(&self) -> f64 {
        self.rho
    }

    /// Log e-value of a process whose sum is `sum` at the intrinsic time `time`.
    ///
    /// Sums beyond 1e100 count as that. Negative infinity, no evidence, for sums below −(V + ρ)/c, for
    /// which the mixture has no closed form; where the sum is not a number; and where the time is not 0
    /// to [`TIME_MAX`](super::tuning::TIME_MAX).
    pub fn log_mixture(&self, sum: f64, time: f64) -> f64 {
        let Some((sum, time)) = readable(sum, time) else {
            return f64::NEG_INFINITY;
        };
        let shape = (time + self.rho) / (self.scale * self.scale);
        log_gamma_tail(shape, sum / self.scale) - self.log_tail_at_start
    }

    /// What the sum reaches at any time, ever, with probability at most `exp(−log_threshold)`, at the
    /// intrinsic time `time`.
    ///
    /// `log_threshold` is above 0. Infinite where `time` is not 0 to
    /// [`TIME_MAX`](super::tuning::TIME_MAX).
    pub fn bound(&self, time: f64, log_threshold: f64) -> f64 {
        let Some((_, time)) = readable(0.0, time) else {
            return f64::INFINITY;
        };
        let guess = two_sided_bound(self.rho, time, log_threshold) + self.scale * log_threshold;
        boundary(
            |sum| self.log_mixture(sum, time),
            log_threshold,
            guess,
            f64::INFINITY,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::special::{LN_SQRT_TWO_PI, stirling_remainder};
    use super::super::tuning::{TIME_MAX, TUNING_TIMES};
    use super::*;
    use proptest::prelude::*;

    fn mixture(log_time: f64, log_threshold: f64, log_scale: f64) -> GammaExponentialMixture {
        let (shortest, longest) = TUNING_TIMES;
        let time = log_time.exp().clamp(shortest, longest);
        let tuning = Tuning::new(time, log_threshold).unwrap();
        let (least, greatest) = SCALES;
        GammaExponentialMixture::tuned(tuning, log_scale.exp().clamp(least, greatest)).unwrap()
    }

    fn mixtures() -> impl Strategy<Value = GammaExponentialMixture> {
        (-21.0..42.0_f64, 0.7..1e3_f64, -14.0..14.0_f64)
            .prop_map(|(log_time, log_threshold, log_scale)| mixture(log_time, log_threshold, log_scale))
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let tuning = Tuning::new(1.0, 3.0).unwrap();
        for scale in [0.0, 1e-7, 1e7, -1.0, f64::NAN] {
            let refused = GammaExponentialMixture::tuned(tuning, scale).unwrap_err();
            assert_eq!(refused.name, "scale of a sub-exponential process");
        }
    }

    #[test]
    fn what_no_process_has_carries_no_evidence() {
        let mixture = mixture(3.0, 3.0, 0.0);
        for (sum, time) in [
            (1.0, -1.0),
            (1.0, 2.0 * TIME_MAX),
            (1.0, f64::NAN),
            (f64::NAN, 1.0),
            (-1e3, 1.0),
        ] {
            assert_eq!(
                mixture.log_mixture(sum, time).to_string(),
                "-inf",
                "{sum} at {time}"
            );
        }
        assert_eq!(mixture.bound(-1.0, 3.0).to_string(), "inf");
    }

    proptest! {
        /// One look is an e-value: waiting times are sub-exponential with equality, so that its mean
        /// over their sum, a gamma variable less its mean, is 1.
        #[test]
        fn the_mean_under_the_null_is_one(log_count in 0.0..6.0_f64, log_time in 3.0..8.0_f64) {
            let (mixture, count) = (mixture(log_time, 2.0, 0.0), log_count.exp());
            let log_gamma = (count - 0.5) * count.ln() - count + LN_SQRT_TWO_PI + stirling_remainder(count);
            let step = 0.05;
            let mean: f64 = (-1_200..240)
                .map(|index| f64::from(index) * step)
                .map(|log_x: f64| {
                    let x = log_x.exp();
                    let log_density = count * log_x - x - log_gamma;
                    (log_density + mixture.log_mixture(x - count, count)).exp() * step
                })
                .sum();
            prop_assert!((mean - 1.0).abs() < 1e-6, "{mean}");
        }

        #[test]
        fn the_bound_is_where_the_mixture_crosses(
            mixture in mixtures(), log_time in -40.0..41.0_f64, log_threshold in 1e-3..1e3_f64
        ) {
            let time = log_time.exp();
            let bound = mixture.bound(time, log_threshold);
            prop_assert!(bound.is_finite() && bound > 0.0, "{bound}");
            let reached = mixture.log_mixture(bound, time);
            prop_assert!((reached - log_threshold).abs() < 1e-9 * log_threshold.max(1.0), "{reached}");
        }

        #[test]
        fn larger_sums_are_no_less_evidence(
            mixture in mixtures(), log_time in -40.0..41.0_f64, sum in -10.0..10.0_f64, more in 0.0..10.0_f64
        ) {
            let (time, unit) = (log_time.exp(), (log_time.exp() + mixture.rho).sqrt());
            let fewer = mixture.log_mixture(sum * unit, time);
            let log_e = mixture.log_mixture((sum + more) * unit, time);
            let rounding = if log_e.is_finite() { 1e-12 * log_e.abs().max(1.0) } else { 0.0 };
            prop_assert!(fewer <= log_e + rounding, "{fewer} above {log_e}");
        }

        #[test]
        fn nothing_is_not_a_number(mixture in mixtures(), sum in any::<f64>(), time in any::<f64>()) {
            prop_assert!(!mixture.log_mixture(sum, time).is_nan());
            prop_assert!(!mixture.log_mixture(sum, time.abs().min(TIME_MAX)).is_nan());
            let bound = mixture.bound(time, 3.0);
            prop_assert!(bound > 0.0, "{bound}");
        }
    }
}

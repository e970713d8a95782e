//! The half-normal mixture: an e-value for "the mean is shifted upwards", valid at every look.
//!
//! For a Brownian motion with drift, the likelihood ratio mixed over a half-normal prior of scale τ
//! for the drift is a martingale under drift 0 and a supermartingale under less: Howard, Ramdas,
//! McAuliffe & Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences",
//! section 3.2, one-sided normal mixture. A standardised sum of observations behaves as one in
//! information time: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2021, "Time-uniform central limit
//! theory and asymptotic confidence sequences", section 2. Several scales keep large and small
//! shifts fast alike.

use super::settings::MixturePoint;
use super::special::{least_crossing, log_half_normal_factor, log_sum_exp, t_to_z, z_to_t};

/// Largest information ratio `I τ²`; beyond it the mixture has long settled, and infinity is near.
const RATIO_MAX: f64 = 1e300;

/// A statistic that is positive when it speaks against its null, and how far it may stray under it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shifted {
    /// The weighted sum, minus what the null allows it.
    pub(super) sum: f64,
    /// The weight `W` of that sum.
    pub(super) weight: f64,
    /// Its variance, above 0.
    pub(super) variance: f64,
    /// Degrees of freedom of that variance, at least 1.
    pub(super) df: f64,
}

impl Shifted {
    /// The same statistic with `growth` times the data, all proportions kept.
    pub(super) fn grown(self, growth: f64) -> Self {
        Self {
            sum: self.sum * growth,
            weight: self.weight * growth,
            variance: self.variance * growth,
            df: self.df,
        }
    }
}

/// A finite mixture of half-normal priors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct HalfNormalMixture {
    scales: [MixturePoint; 3],
}

impl HalfNormalMixture {
    pub(super) fn new(scales: [MixturePoint; 3]) -> Self {
        Self { scales }
    }

    /// Log e-value against "the shift is not positive" (ENGINE section 5, `ME`).
    pub(super) fn log_e(&self, shifted: Shifted) -> f64 {
        let z = t_to_z(shifted.sum / shifted.variance.sqrt(), shifted.df);
        self.log_e_of_z(z, information(shifted.weight, shifted.variance))
    }

    fn log_e_of_z(&self, z: f64, information: f64) -> f64 {
        log_sum_exp(&self.scales.map(|scale| {
            let ratio = (information * scale.size * scale.size).min(RATIO_MAX);
            let y = z * (ratio / (1.0 + ratio)).sqrt();
            scale.share.ln() - 0.5 * ratio.ln_1p() + log_half_normal_factor(y)
        }))
    }

    /// How far a shift `sum / weight` must lie from the estimate for its null to have a log e-value
    /// of `log_threshold` against it; infinite where no finite shift has.
    ///
    /// This inverts [`log_e`](Self::log_e) in the null for a fixed variance: the set of shifts
    /// within this distance on both sides is a confidence sequence at twice the error
    /// `exp(-log_threshold)` (duality of tests and sets; STATISTICS 1.2).
    pub(super) fn distance(&self, weight: f64, variance: f64, df: f64, log_threshold: f64) -> f64 {
        let information = information(weight, variance);
        let crosses = |z: f64| self.log_e_of_z(z, information) >= log_threshold;
        let Some(z) = least_crossing(0.0, Z_MAX, crosses) else {
            return f64::INFINITY;
        };
        z_to_t(z, df) * variance.sqrt() / weight
    }

    /// The least growth of the data, from `least` to `most`, at which the statistic as it stands
    /// reaches `log_threshold`; none when it never does.
    pub(super) fn growth_until(
        &self,
        shifted: Shifted,
        log_threshold: f64,
        least: f64,
        most: f64,
    ) -> Option<f64> {
        let crosses = |log_growth: f64| self.log_e(shifted.grown(log_growth.exp())) >= log_threshold;
        least_crossing(least.ln(), most.ln(), crosses).map(f64::exp)
    }
}

/// Largest standard normal value that is searched; by then every e-value is astronomical.
const Z_MAX: f64 = 1e6;

fn information(weight: f64, variance: f64) -> f64 {
    weight * (weight / variance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mixture(margin: f64) -> HalfNormalMixture {
        let point = |scale: f64, share| MixturePoint {
            size: scale * margin,
            share,
        };
        HalfNormalMixture::new([point(1.0, 0.5), point(3.0, 0.3), point(9.0, 0.2)])
    }

    proptest! {
        #[test]
        fn the_distance_is_where_the_e_value_crosses(
            weight in 1.0..1e6, variance in 1e-3..1e6, df in 1.0..250.0, threshold in 0.5..20.0
        ) {
            let mixture = mixture(0.05);
            let distance = mixture.distance(weight, variance, df, threshold);
            prop_assume!(distance.is_finite());
            let log_e = mixture.log_e(Shifted { sum: distance * weight, weight, variance, df });
            prop_assert!((log_e - threshold).abs() < 1e-6, "{log_e} at {distance}");
        }

        #[test]
        fn more_shift_is_more_evidence(
            sum in -1e3..1e3, more in 0.0..1e3, variance in 1e-3..1e6, df in 1.0..250.0
        ) {
            let log_e = |sum| mixture(0.05).log_e(Shifted { sum, weight: 100.0, variance, df });
            prop_assert!(log_e(sum) <= log_e(sum + more) + 1e-12);
        }

        /// Ville's bound by simulation is left to simulations; here, that one look is an e-value:
        /// the mean of e over a standard normal z is 1.
        #[test]
        fn the_mean_under_the_null_is_one(log_information in -5.0..5.0) {
            let information = f64::exp(log_information);
            let mixture = mixture(0.05);
            let step = 0.005;
            let mean: f64 = (-8_000..8_000)
                .map(|index| f64::from(index) * step)
                .map(|z| (mixture.log_e_of_z(z, information) - 0.5 * z * z).exp() * step)
                .sum::<f64>() / (2.0 * std::f64::consts::PI).sqrt();
            prop_assert!((mean - 1.0).abs() < 1e-6, "{mean}");
        }
    }

    #[test]
    fn growth_is_found_where_it_is_enough() {
        let shifted = Shifted {
            sum: 5.0,
            weight: 100.0,
            variance: 25.0,
            df: 100.0,
        };
        let mixture = mixture(0.05);
        let growth = mixture.growth_until(shifted, 3.0, 1.0, 1e6).unwrap();
        assert!((mixture.log_e(shifted.grown(growth)) - 3.0).abs() < 1e-6);
        assert_eq!(mixture.growth_until(shifted, 3.0, 1.0, growth / 2.0), None);
        assert_eq!(
            mixture.growth_until(shifted, 3.0, growth * 2.0, 1e6),
            Some((growth * 2.0).ln().exp())
        );
        assert_eq!(
            mixture.growth_until(Shifted { sum: -5.0, ..shifted }, 3.0, 1.0, 1e6),
            None
        );
    }
}

//! Random variates, each drawn from uniform numbers by its own formula.
//!
//! Elementary functions come from `libm`, which computes the same bits on every platform, so that a
//! seed means the same everywhere.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};

/// Cells of a [`BetaQuantiles`] table.
const QUANTILE_CELLS: usize = 1024;

/// A number strictly between 0 and 1, so that its logarithm and its quantiles are finite.
pub fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    // `random` is a multiple of 2⁻⁵³ below 1, and may be 0.
    rng.random::<f64>().max(2.0_f64.powi(-54))
}

/// A standard normal number (Box and Muller 1958).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * libm::log(uniform(rng))).sqrt();
    radius * libm::cos(2.0 * PI * uniform(rng))
}

/// How many events happen in a time in which `mean` are expected: arrivals are exponential apart.
pub fn poisson(rng: &mut ChaCha8Rng, mean: f64) -> u32 {
    let mut count = 0;
    let mut elapsed = -libm::log(uniform(rng));
    while elapsed < mean {
        count += 1;
        elapsed -= libm::log(uniform(rng));
    }
    count
}

/// The share of a standard normal population that is below `z`.
pub fn normal_share_below(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// The quantile function of a beta distribution, as a table.
///
/// With x = sin²θ the density in θ is proportional to sin²ᵃ⁻¹θ · cos²ᵇ⁻¹θ, which is bounded for
/// shapes from 0.5; the table holds its integral by the midpoint rule.
#[derive(Debug, Clone, PartialEq)]
pub struct BetaQuantiles {
    /// The share of the population below each cell's end; rising, the last is 1.
    shares: Vec<f64>,
}

impl BetaQuantiles {
    /// Smallest shape that the table can hold.
    pub const SHAPE_MIN: f64 = 0.5;

    /// The distribution with a mean between 0 and 1 and `concentration` (the sum of both shapes).
    ///
    /// None when a shape would be below [`Self::SHAPE_MIN`]: raise the concentration.
    pub fn new(mean: f64, concentration: f64) -> Option<Self> {
        let (a, b) = (mean * concentration, (1.0 - mean) * concentration);
        if !(a >= Self::SHAPE_MIN && b >= Self::SHAPE_MIN && concentration.is_finite()) {
            return None;
        }
        let density = |theta: f64| {
            let exponents = (2.0 * a - 1.0, 2.0 * b - 1.0);
            libm::exp(exponents.0 * libm::log(libm::sin(theta)) + exponents.1 * libm::log(libm::cos(theta)))
        };
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (0..QUANTILE_CELLS)
            .map(|cell| {
                sum += density(angle(cell, 0.5));
                sum
            })
            .collect();
        for share in &mut shares {
            *share /= sum;
        }
        Some(Self { shares })
    }

    /// The value that `share` of the population is below.
    pub fn at(&self, share: f64) -> f64 {
        let cell = self
            .shares
            .partition_point(|end| *end < share)
            .min(QUANTILE_CELLS - 1);
        let begin = if cell == 0 { 0.0 } else { self.shares[cell - 1] };
        let width = self.shares[cell] - begin;
        let into = if width > 0.0 { (share - begin) / width } else { 0.5 };
        let sine = libm::sin(angle(cell, into.clamp(0.0, 1.0)));
        sine * sine
    }
}

/// The angle at a place in a cell, from 0 at its begin to 1 at its end.
fn angle(cell: usize, into: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "there are about a thousand cells")]
    let place = (cell as f64 + into) / QUANTILE_CELLS as f64;
    place * FRAC_PI_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;

    const DRAWS: u32 = 200_000;

    fn mean_and_variance(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..DRAWS {
            let value = draw();
            sum += value;
            squares += value * value;
        }
        let mean = sum / f64::from(DRAWS);
        (mean, squares / f64::from(DRAWS) - mean * mean)
    }

    fn assert_near(found: f64, expected: f64, tolerance: f64) {
        assert!(
            (found - expected).abs() < tolerance,
            "{found} is not near {expected}"
        );
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mean, variance) = mean_and_variance(|| normal(&mut rng));
        // Four standard errors are 0.009 and 0.013.
        assert_near(mean, 0.0, 0.009);
        assert_near(variance, 1.0, 0.013);
    }

    #[test]
    fn poisson_counts_have_their_mean_as_variance() {
        for expected in [0.3, 40.0] {
            let mut rng = ChaCha8Rng::seed_from_u64(2);
            let (mean, variance) = mean_and_variance(|| f64::from(poisson(&mut rng, expected)));
            assert_near(mean, expected, 0.01 * expected.max(1.0));
            assert_near(variance, expected, 0.02 * expected.max(1.0));
        }
    }

    #[test]
    fn the_share_below_is_that_of_the_normal_distribution() {
        assert_near(normal_share_below(0.0), 0.5, 1e-15);
        assert_near(normal_share_below(1.959_963_984_540_054), 0.975, 1e-15);
        assert_near(normal_share_below(-8.0), 6.220_960_574_271_785e-16, 1e-27);
    }

    #[test]
    fn beta_tables_have_the_moments_of_their_distribution() {
        for (mean, concentration) in [(0.8, 10.0), (0.5, 1.0), (0.95, 10.0), (0.74, 100.0)] {
            let table = BetaQuantiles::new(mean, concentration).unwrap();
            let values: Vec<f64> = (0..DRAWS)
                .map(|draw| table.at((f64::from(draw) + 0.5) / f64::from(DRAWS)))
                .collect();
            let found = values.iter().sum::<f64>() / f64::from(DRAWS);
            let squares = values.iter().map(|value| value * value).sum::<f64>() / f64::from(DRAWS);
            assert_near(found, mean, 1e-5);
            let variance = mean * (1.0 - mean) / (concentration + 1.0);
            assert_near(squares - found * found, variance, 1e-5);
        }
    }

    #[test]
    fn shapes_that_the_table_cannot_hold_are_refused() {
        for (mean, concentration) in [(0.99, 10.0), (0.0, 10.0), (1.2, 10.0), (0.5, f64::INFINITY)] {
            assert_eq!(BetaQuantiles::new(mean, concentration), None, "{mean}");
        }
    }
}

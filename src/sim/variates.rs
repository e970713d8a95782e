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

/// The number that `share` of a standard normal population is below: the inverse of
/// [`normal_share_below`], to 15 digits; infinite at 0 and 1.
///
/// Wichura 1988, "Algorithm AS 241: the percentage points of the normal distribution", PPND16: one
/// rational function around the middle, two in the tails.
pub fn normal_quantile(share: f64) -> f64 {
    let from_middle = share - 0.5;
    if from_middle.abs() <= MIDDLE_WIDTH {
        let x = MIDDLE_WIDTH * MIDDLE_WIDTH - from_middle * from_middle;
        return from_middle * ratio(&MIDDLE, x);
    }
    let tail = (-libm::log(share.min(1.0 - share))).sqrt();
    let size = if tail.is_infinite() {
        tail
    } else if tail <= TAIL_FROM {
        ratio(&SHOULDER, tail - 1.6)
    } else {
        ratio(&TAIL, tail - TAIL_FROM)
    };
    size.copysign(from_middle)
}

/// Half of the range of shares that [`MIDDLE`] serves.
const MIDDLE_WIDTH: f64 = 0.425;
/// The root of minus the logarithm of the tail's share, from which [`TAIL`] serves.
const TAIL_FROM: f64 = 5.0;

/// Coefficients of a numerator and of a denominator, rising.
type Rational = ([f64; 8], [f64; 8]);

const MIDDLE: Rational = (
    [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
);
const SHOULDER: Rational = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);
const TAIL: Rational = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

fn ratio((numerator, denominator): &Rational, x: f64) -> f64 {
    let polynomial =
        |coefficients: &[f64; 8]| coefficients.iter().rev().fold(0.0, |sum, next| sum * x + next);
    polynomial(numerator) / polynomial(denominator)
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
    fn the_quantile_is_the_inverse_of_the_share_below() {
        let shares = [
            1e-300,
            1e-20,
            1e-9,
            0.001,
            0.02,
            0.0749,
            0.0751,
            0.3,
            0.5,
            0.77,
            0.926,
            0.999,
            1.0 - 1e-12,
        ];
        for share in shares {
            let found = normal_share_below(normal_quantile(share));
            assert_near(found / share, 1.0, 1e-12);
        }
        assert_near(normal_quantile(0.975), 1.959_963_984_540_054, 1e-14);
        let ends = (normal_quantile(0.0), normal_quantile(1.0));
        assert!(ends.0 < f64::MIN && ends.1 > f64::MAX, "{ends:?}");
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

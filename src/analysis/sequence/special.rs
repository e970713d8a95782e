//! Scalar functions without the cancellation of their textbook forms, and the zeta function.
//!
//! A bound on a sum of a million observations compares numbers of the order of a million whose
//! difference is of the order of one; each function here gives such a difference directly.

/// Last term of the Euler–Maclaurin sum that is added one by one.
const ZETA_DIRECT_TERMS: u32 = 10;

/// `B₂ₖ/(2k)!`, for k from 1: the coefficients of the Euler–Maclaurin formula.
const EULER_MACLAURIN: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 720.0,
    1.0 / 30_240.0,
    -1.0 / 1_209_600.0,
    1.0 / 47_900_160.0,
    -691.0 / 1_307_674_368_000.0,
    1.0 / 74_724_249_600.0,
    -3617.0 / 10_670_622_842_880_000.0,
];

/// Below this size a remainder is summed from its power series.
const SERIES_BELOW: f64 = 0.1;

/// Terms of a power series: enough for arguments of [`SERIES_BELOW`].
const SERIES_TERMS: u32 = 18;

/// From here on, Stirling's remainder is summed from its asymptotic series.
const STIRLING_FROM: f64 = 10.0;

/// `B₂ₖ/(2k(2k − 1))`, for k from 1: the coefficients of Stirling's series.
const STIRLING: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
    -3617.0 / 122_400.0,
];

/// `ln √(2π)`.
pub(super) const LN_SQRT_TWO_PI: f64 = 0.918_938_533_204_672_8;

/// `eˣ − 1 − x`, which is about x²/2; infinite where `eˣ` is.
pub(super) fn exp_remainder(x: f64) -> f64 {
    if x.abs() >= SERIES_BELOW {
        return x.exp_m1() - x;
    }
    power_series(|power| x / f64::from(power + 1)) * x * x / 2.0
}

/// `x − ln(1 + x)` for x above −1, which is about x²/2.
pub(super) fn log_remainder(x: f64) -> f64 {
    if x.abs() >= SERIES_BELOW {
        return x - x.ln_1p();
    }
    power_series(|power| -x * f64::from(power) / f64::from(power + 1)) * x * x / 2.0
}

/// `(1 + x) ln(1 + x) − x` for x from −1 on, which is about x²/2.
pub(super) fn entropy(x: f64) -> f64 {
    if x <= -1.0 {
        return 1.0;
    }
    if x.abs() >= SERIES_BELOW {
        return (1.0 + x) * x.ln_1p() - x;
    }
    power_series(|power| -x * f64::from(power - 1) / f64::from(power + 1)) * x * x / 2.0
}

/// `1 + r(2) + r(2) r(3) + …`: a series from its second power on, by the ratio of each term to the
/// one before.
fn power_series(ratio: impl Fn(u32) -> f64) -> f64 {
    (2..SERIES_TERMS)
        .rev()
        .fold(1.0, |rest, power| 1.0 + rest * ratio(power))
}

/// `ln Γ(z) − [(z − ½) ln z − z + ln √(2π)]` for z above 0, which is about 1/(12 z) for large ones.
///
/// Abramowitz & Stegun 1964, 6.1.41.
pub(super) fn stirling_remainder(z: f64) -> f64 {
    if z < STIRLING_FROM {
        return libm::lgamma(z) - ((z - 0.5) * z.ln() - z + LN_SQRT_TWO_PI);
    }
    let inverse = z.recip();
    let square = inverse * inverse;
    inverse * STIRLING.iter().rev().fold(0.0, |rest, term| rest * square + term)
}

/// Riemann's zeta function for `exponent` above 1, to 1e-15 relative.
///
/// The Euler–Maclaurin formula with ten direct terms and eight corrections: Abramowitz & Stegun
/// 1964, 23.2.3.
pub(super) fn zeta(exponent: f64) -> f64 {
    let last = f64::from(ZETA_DIRECT_TERMS);
    let direct: f64 = (1..ZETA_DIRECT_TERMS)
        .map(|base| f64::from(base).powf(-exponent))
        .sum();
    let at_last = last.powf(-exponent);
    let mut correction = exponent * at_last / last;
    let mut corrections = 0.0;
    for (coefficient, step) in EULER_MACLAURIN.into_iter().zip(0_u32..) {
        corrections += coefficient * correction;
        let order = f64::from(2 * step);
        correction *= (exponent + order + 1.0) * (exponent + order + 2.0) / (last * last);
    }
    direct + at_last * last / (exponent - 1.0) + at_last / 2.0 + corrections
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference values here are of mpmath 1.3 with 700 digits, for the nearest `f64` of each argument.
    fn assert_all(function: impl Fn(f64) -> f64, reference: &[(f64, f64)], relative: f64) {
        for &(argument, expected) in reference {
            let found = function(argument);
            let allowed = relative * expected.abs();
            assert!(
                (found - expected).abs() <= allowed,
                "{found} at {argument} is not {expected}"
            );
        }
    }

    #[test]
    fn the_remainder_of_the_exponential_matches() {
        let reference = [
            (-700.0, 699.0),
            (-3.0, 2.049787068367864),
            (-0.1, 0.0048374180359595734),
            (-0.0999, 0.00482790630210107),
            (-1e-05, 4.999983333375001e-11),
            (1e-12, 5.000000000001666e-25),
            (1e-150, 5e-301),
            (0.05, 0.0012710963760240398),
            (0.1, 0.005170918075647625),
            (2.5, 8.682493960703473),
            (600.0, 3.7730203009299397e+260),
        ];
        assert_all(exp_remainder, &reference, 1e-14);
    }

    #[test]
    fn the_remainder_of_the_logarithm_matches() {
        let reference = [
            (-0.999999, 12.815511557935519),
            (-0.5, 0.19314718055994531),
            (-0.1, 0.005360515657826302),
            (-0.0999, 0.005349410719097487),
            (-1e-06, 5.000003333335833e-13),
            (1e-09, 4.999999996666667e-19),
            (1e-150, 5e-301),
            (0.05, 0.001209835830567997),
            (0.1, 0.00468982019567514),
            (3.0, 1.6137056388801094),
            (1e+100, 1e+100),
        ];
        assert_all(log_remainder, &reference, 1e-14);
    }

    #[test]
    fn entropy_matches() {
        let reference = [
            (-1.0, 1.0),
            (-0.999999, 0.9999851844894416),
            (-0.5, 0.15342640972002736),
            (-0.1, 0.005175535907956329),
            (-0.05, 0.0012713703318269934),
            (-1e-07, 5.0000001666666745e-15),
            (1e-09, 4.999999998333334e-19),
            (0.03, 0.0004455663087907348),
            (0.1, 0.004841197784757347),
            (0.7, 0.20206802680568964),
            (1000000.0, 12815525.373475332),
        ];
        assert_all(entropy, &reference, 1e-14);
    }

    #[test]
    fn the_remainder_of_stirling_matches() {
        let reference = [
            (1e-300, 344.4688254159022),
            (1e-22, 24.40949748972983),
            (0.001, 2.5422704679670947),
            (0.5, 0.15342640972002736),
            (1.0, 0.08106146679532726),
            (2.0, 0.0413406959554093),
            (3.7, 0.022468770580143144),
            (9.999999, 0.008330564265866881),
            (10.0, 0.00833056343336287),
            (12.5, 0.006665247032707682),
            (20.0, 0.004166319691996922),
            (1000.0, 8.333333055555635e-05),
            (1000000000000.0, 8.333333333333334e-14),
        ];
        assert_all(stirling_remainder, &reference, 1e-12);
    }

    #[test]
    fn zeta_matches() {
        let reference = [
            (1.000001, 1000000.5772980044),
            (1.1, 10.584448464950801),
            (1.4, 3.105547277977581),
            (2.0, 1.6449340668482264),
            (3.5, 1.1267338673170566),
            (10.0, 1.0009945751278181),
            (50.0, 1.0000000000000009),
        ];
        assert_all(zeta, &reference, 1e-15);
    }
}

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

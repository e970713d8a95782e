//! Scalar functions that stay exact and finite where the textbook forms cancel or overflow.
//!
//! E-values live as natural logarithms throughout: their product over a long rollout leaves the
//! range of `f64` in both directions, and only their logarithms are ever compared.

use std::f64::consts::{FRAC_2_PI, SQRT_2};

/// Below this the normal distribution function is summed from its asymptotic series.
const SERIES_BELOW: f64 = -30.0;

/// Largest size of a t statistic; beyond it t² would overflow, and the verdict has long been clear.
const T_MAX: f64 = 1e150;

/// Halvings of a bisection: enough for the last bits of an `f64`.
const HALVINGS: usize = 80;

/// The count as a float: exact up to 2^53, to 16 digits beyond.
#[expect(
    clippy::cast_precision_loss,
    reason = "a relative error of 1e-16 in a count of 1e16 is harmless"
)]
pub(super) fn count_as_f64(count: u64) -> f64 {
    count as f64
}

/// The least whole number that is not below `value`; 0 for negative values and NaN.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float-to-integer casts saturate, which is what a count wants"
)]
pub(super) fn ceil_as_count(value: f64) -> u64 {
    value.ceil() as u64
}

/// `ln Σ exp(v)`, with the largest term taken out so that nothing overflows.
///
/// The sum over nothing is 0, so its logarithm is negative infinity.
pub(super) fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = values.iter().map(|value| (value - largest).exp()).sum();
    largest + sum.ln()
}

/// `F(y) = y²/2 + ln(2 Φ(y))`, the factor by which a half-normal prior scales a normal likelihood.
///
/// For y ≤ −30 both terms are huge and cancel; there Φ is taken from its asymptotic series
/// (Abramowitz & Stegun 1964, 26.2.12), in which the y²/2 drops out.
pub(super) fn log_half_normal_factor(y: f64) -> f64 {
    if y >= 0.0 {
        0.5 * y * y + libm::erf(y / SQRT_2).ln_1p()
    } else if y > SERIES_BELOW {
        0.5 * y * y + libm::erfc(-y / SQRT_2).ln()
    } else {
        let u = 1.0 / (y * y);
        let series = -u * (1.0 - u * (3.0 - u * (15.0 - u * (105.0 - u * 945.0))));
        0.5 * FRAC_2_PI.ln() - (-y).ln() + series.ln_1p()
    }
}

/// The standard normal value that is as extreme as `t` is for Student's distribution.
///
/// Wallace 1959, "Bounds on normal approximations to Student's and the chi-square distributions",
/// section 2: `z = ±√(df ln(1 + t²/df)) (8 df + 1)/(8 df + 3)`. `df` below 1 counts as 1.
pub(super) fn t_to_z(t: f64, df: f64) -> f64 {
    let df = df.max(1.0);
    let t = t.clamp(-T_MAX, T_MAX);
    let z = (df * (t * t / df).ln_1p()).sqrt() * wallace_factor(df);
    if t >= 0.0 { z } else { -z }
}

/// The inverse of [`t_to_z`] for `z >= 0`; infinite where the result leaves the range of `f64`.
pub(super) fn z_to_t(z: f64, df: f64) -> f64 {
    let df = df.max(1.0);
    let root = z / wallace_factor(df);
    (df * (root * root / df).exp_m1()).sqrt()
}

fn wallace_factor(df: f64) -> f64 {
    (8.0 * df + 1.0) / (8.0 * df + 3.0)
}

/// The least point from `low` to `high` where `crosses` turns true, by bisection.
pub(super) fn least_crossing(low: f64, high: f64, crosses: impl Fn(f64) -> bool) -> Option<f64> {
    if crosses(low) {
        return Some(low);
    }
    if !crosses(high) {
        return None;
    }
    let (mut below, mut above) = (low, high);
    for _ in 0..HALVINGS {
        let middle = below + (above - below) / 2.0;
        if crosses(middle) {
            above = middle;
        } else {
            below = middle;
        }
    }
    Some(above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// y and F(y).
    const HALF_NORMAL_REFERENCE: [(f64, f64); 9] = [
        (-1e8, -18.646472096597094),
        (-200.0, -5.524133717630456),
        (-30.0, -3.628096775783271),
        (-29.9, -3.624765277968663),
        (-5.0, -1.8718512134287781),
        (-0.1, -0.07800741217032803),
        (0.0, 0.0),
        (1.5, 1.7490037249477113),
        (40.0, 800.6931471805599),
    ];

    /// t, df and z.
    const WALLACE_REFERENCE: [(f64, f64, f64); 5] = [
        (0.0, 12.0, 0.0),
        (2.0, 0.3, 1.037975106419607),
        (-2.5, 12.0, -2.1976982616779184),
        (3.0, 250.0, 2.9705450153723945),
        (1e6, 30.0, 26.739083886289393),
    ];

    fn assert_close(found: f64, expected: f64) {
        let allowed = 1e-12 * expected.abs().max(1.0);
        assert!((found - expected).abs() <= allowed, "{found} is not {expected}");
    }

    #[test]
    fn log_sum_exp_survives_what_exp_does_not() {
        assert_close(log_sum_exp(&[1000.0, 1000.0]), 1000.0 + 2.0_f64.ln());
        assert_close(
            log_sum_exp(&[-1000.0, -1001.0]),
            -1000.0 + (-1.0_f64).exp().ln_1p(),
        );
        assert_close(log_sum_exp(&[3.5]), 3.5);
        assert_eq!(log_sum_exp(&[]).to_string(), "-inf");
    }

    /// Expected values: the reference implementation of the specification.
    #[test]
    fn the_half_normal_factor_matches_the_reference() {
        for (y, expected) in HALF_NORMAL_REFERENCE {
            assert_close(log_half_normal_factor(y), expected);
        }
    }

    /// Expected values: the reference implementation of the specification.
    #[test]
    fn wallace_matches_the_reference() {
        for (t, df, expected) in WALLACE_REFERENCE {
            assert_close(t_to_z(t, df), expected);
        }
    }

    proptest! {
        #[test]
        fn the_half_normal_factor_has_no_seams(y in prop_oneof![-31.0..-29.0, -1e-3..1e-3]) {
            let step = 1e-9;
            let (below, above) = (log_half_normal_factor(y - step), log_half_normal_factor(y + step));
            prop_assert!(below < above && above - below < 1e-8);
        }

        #[test]
        fn wallace_inverts(t in 0.0..1e3, df in 1.0..300.0) {
            let back = z_to_t(t_to_z(t, df), df);
            prop_assert!((back - t).abs() <= 1e-9 * t.max(1.0), "{back} is not {t}");
        }

        #[test]
        fn every_result_is_finite(value in any::<f64>(), df in 0.0..1e9) {
            prop_assume!(value.is_finite());
            let z = t_to_z(value, df);
            prop_assert!(z.is_finite());
            prop_assert!(log_half_normal_factor(z).is_finite());
        }
    }
}

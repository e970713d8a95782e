//! Integrals of `exp(−f)` over the half line, for convex f that begin at 0.
//!
//! The trapezoidal rule after `u = w exp(t − e^(−t))`: Takahasi & Mori 1974, "Double exponential
//! formulas for numerical integration", section 5. Its error is squared by each halving of the step, so
//! that two results that agree to half of their digits make the second one right to all.

/// Where the rule begins: below, u and its part of the integral are 0 to 1e-16.
const FIRST: f64 = -3.75;

/// The first step.
const STEP: f64 = 0.25;

/// Halvings of the step: the last has some 900 points.
const HALVINGS_MAX: u32 = 5;

/// Relative change at which the next change would be none.
const AGREEMENT: f64 = 1e-8;

/// Part of the sum below which a term ends it.
const NEGLIGIBLE: f64 = 1e-18;

/// Doublings in the search for the scale: from any float to any other.
const DOUBLINGS_MAX: usize = 2100;

/// `∫₀^∞ exp(−exponent(u)) du`; `exponent` is convex, rises from 0 without limit, and is near 1 somewhere
/// around `guess`, which is above 0.
pub(super) fn integral(exponent: impl Fn(f64) -> f64, guess: f64) -> f64 {
    let scale = scale(&exponent, guess);
    let mut step = STEP;
    let mut sum = trapezoid(&exponent, scale, FIRST, step);
    for _ in 0..HALVINGS_MAX {
        let between = trapezoid(&exponent, scale, FIRST + step / 2.0, step);
        let halved = (sum + between) / 2.0;
        let change = (halved - sum).abs();
        (sum, step) = (halved, step / 2.0);
        if change <= AGREEMENT * sum {
            break;
        }
    }
    scale * sum
}

/// The power of two times `guess` up to which the exponent is below 1.
fn scale(exponent: impl Fn(f64) -> f64, guess: f64) -> f64 {
    let mut scale = guess;
    for _ in 0..DOUBLINGS_MAX {
        if exponent(scale) < 1.0 {
            break;
        }
        scale /= 2.0;
    }
    for _ in 0..DOUBLINGS_MAX {
        if exponent(2.0 * scale) >= 1.0 {
            break;
        }
        scale *= 2.0;
    }
    scale
}

/// The sum over every `step` from `first` on, times the step, in units of the scale.
fn trapezoid(exponent: impl Fn(f64) -> f64, scale: f64, first: f64, step: f64) -> f64 {
    let mut sum = 0.0;
    let mut point = first;
    loop {
        let inner = (-point).exp();
        let u = (point - inner).exp();
        let term = (-exponent(scale * u)).exp() * u * (1.0 + inner);
        sum += term;
        // Beyond the scale, the convex exponent rises at least as u does.
        if point > 0.0 && term <= NEGLIGIBLE * sum {
            return sum * step;
        }
        point += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::f64::consts::PI;

    proptest! {
        #[test]
        fn exponentials_and_normals_are_integrated_from_any_guess(
            log_width in -100.0..100.0_f64, log_guess in -100.0..100.0_f64
        ) {
            let (width, guess) = (log_width.exp(), log_guess.exp());
            let exponential = integral(|u| u / width, guess);
            prop_assert!((exponential / width - 1.0).abs() < 1e-14, "{exponential}");
            let normal = integral(|u| u * u / (2.0 * width * width), guess);
            prop_assert!((normal / (width * (PI / 2.0).sqrt()) - 1.0).abs() < 1e-14, "{normal}");
        }

        /// Two scales at once: a narrow normal curve under a wide exponential one, `e^(s²/2) erfc(s/√2)`.
        #[test]
        fn mixed_shapes_are_integrated(slope in 0.0..8.0_f64) {
            let mills = (slope * slope / 2.0).exp() * libm::erfc(slope / 2.0_f64.sqrt()) * (PI / 2.0).sqrt();
            let found = integral(|u| slope * u + u * u / 2.0, 1.0);
            prop_assert!((found / mills - 1.0).abs() < 1e-13, "{found} is not {mills}");
        }
    }

    #[test]
    fn smooth_integrands_take_few_points() {
        let points = Cell::new(0);
        let normal = |u: f64| {
            points.set(points.get() + 1);
            u * u / 2.0
        };
        integral(normal, 1.0);
        assert!(points.get() <= 130, "{} points", points.get());
    }
}

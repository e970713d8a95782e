//! From a mixture to a bound: the least sum at which its logarithm reaches a threshold.
//!
//! The log mixture of a process grows with its sum, from at most 0 (for the sum 0) without limit or
//! up to the largest sum that the process can reach. So a bracket is found by doubling and halving,
//! and the crossing in it by the ITP method: Oliveira & Takahashi 2020, "An enhancement of the
//! bisection method average performance preserving minmax optimality", ACM Transactions on
//! Mathematical Software 47(1), algorithm 1. It keeps the bracket at every step, never takes more
//! than one step more than bisection, and converges faster than linearly on smooth functions.

/// Relative width of the final bracket.
const PRECISION: f64 = 1e-15;

/// Steps that the method may take beyond those of bisection (its n₀).
const SLACK_STEPS: i32 = 1;

/// The least sum, up to `most`, at which `log_mixture` reaches `log_threshold`; `most` where it does
/// not.
///
/// `guess` (above 0) is where the search begins. The result errs upwards, by a relative 1e-15.
pub(super) fn boundary(log_mixture: impl Fn(f64) -> f64, log_threshold: f64, guess: f64, most: f64) -> f64 {
    let excess = |sum: f64| log_mixture(sum) - log_threshold;
    let mut high = guess.min(most);
    let mut excess_high = excess(high);
    while excess_high < 0.0 {
        if high >= most {
            return most;
        }
        high = (2.0 * high).min(most);
        excess_high = excess(high);
    }
    loop {
        let low = high / 2.0;
        let excess_low = excess(low);
        if excess_low < 0.0 {
            return crossing(excess, (low, excess_low), (high, excess_high));
        }
        if low <= 0.0 {
            return 0.0;
        }
        (high, excess_high) = (low, excess_low);
    }
}

/// Where `excess` crosses 0 between a point below and one not below, both given with their values.
fn crossing(excess: impl Fn(f64) -> f64, low: (f64, f64), high: (f64, f64)) -> f64 {
    let ((mut low, mut excess_low), (mut high, mut excess_high)) = (low, high);
    let tolerance = PRECISION * high;
    let truncation = 0.2 / (high - low);
    let steps = ((high - low) / (2.0 * tolerance)).log2().ceil() + f64::from(SLACK_STEPS);
    let mut reach = tolerance * steps.exp2();
    while high - low > 2.0 * tolerance {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        let straight = (excess_high * low - excess_low * high) / (excess_high - excess_low);
        let inward = (middle - straight).signum();
        // At least the tolerance, so that the last point lands beyond the crossing, not beside it.
        let shift = (truncation * (high - low) * (high - low)).max(tolerance);
        let nudged = if shift <= (middle - straight).abs() {
            straight + inward * shift
        } else {
            middle
        };
        let radius = reach - (high - low) / 2.0;
        let point = if (nudged - middle).abs() <= radius {
            nudged
        } else {
            middle - inward * radius.max(0.0)
        };
        // Where a value is infinite, so that the straight line says nothing, this bisects.
        let point = if low < point && point < high {
            point
        } else {
            middle
        };
        let value = excess(point);
        if value < 0.0 {
            (low, excess_low) = (point, value);
        } else {
            (high, excess_high) = (point, value);
        }
        reach /= 2.0;
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    #[test]
    fn the_bound_stops_at_the_most_that_there_is() {
        assert_eq!(boundary(|sum| sum, 5.0, 1.0, 3.0).to_string(), "3");
        assert_eq!(boundary(|sum| sum, 5.0, 1.0, 0.0).to_string(), "0");
        assert_eq!(boundary(|_| 0.0, 5.0, 1.0, f64::INFINITY).to_string(), "inf");
    }

    #[test]
    fn a_threshold_that_is_always_reached_bounds_nothing() {
        assert_eq!(boundary(|sum| 6.0 + sum, 5.0, 1.0, 3.0).to_string(), "0");
    }

    proptest! {
        #[test]
        fn the_crossing_is_found_from_any_guess(
            exponent in 0.2..6.0_f64, log_root in -200.0..200.0_f64, log_guess in -200.0..200.0_f64
        ) {
            let root = log_root.exp();
            let found = boundary(|sum| (sum / root).powf(exponent), 1.0, log_guess.exp(), f64::INFINITY);
            prop_assert!((found / root - 1.0).abs() < 1e-13, "{found} is not {root}");
        }

        /// A jump is the hardest case: nothing can be learnt from the values.
        #[test]
        fn no_crossing_takes_many_steps(place in 0.5..1.0_f64, height in 1e-9..1e9_f64) {
            let steps = Cell::new(0);
            let jump = |sum: f64| {
                steps.set(steps.get() + 1);
                if sum < place { -1.0 } else { height }
            };
            let found = crossing(jump, (0.5, -1.0), (1.0, height));
            prop_assert!((found - place).abs() <= 3e-15);
            prop_assert!(steps.get() <= 50 + SLACK_STEPS, "{} steps", steps.get());
        }

        #[test]
        fn smooth_functions_take_few(root in 0.55..0.95_f64) {
            let steps = Cell::new(0);
            let parabola = |sum: f64| {
                steps.set(steps.get() + 1);
                sum * sum - root * root
            };
            crossing(parabola, (0.5, 0.25 - root * root), (1.0, 1.0 - root * root));
            prop_assert!(steps.get() <= 12, "{} steps", steps.get());
        }
    }
}

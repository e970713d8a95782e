//! The beta-binomial mixture: a bound for sums of values that lie between two limits.
//!
//! Howard et al. 2021, propositions S3 and S6: for a sub-Bernoulli sum S with steps from −g to h and
//! intrinsic time V, which grows by gh at most per step, `exp(λS − V ln((g e^(hλ) + h e^(−gλ))/(g + h))/(gh))`
//! mixed over λ, with a beta prior for the share of steps upwards, is a supermartingale. With
//! p = h/(g + h), q = 1 − p, α = (r + V − gS)/(g (g + h)) and β = (r + V + hS)/(h (g + h)), it is the
//! ratio of `B(α, β)/(p^α q^β)` to its value for S = V = 0; for one side, that of the incomplete
//! function at p.

use super::boundary::boundary;
use super::normal::two_sided_bound;
use super::tails::Cut;
use super::tuning::{Tuning, readable};
use super::{OutOfRange, Sides};

/// Sizes of steps that a mixture takes.
pub const STEPS: (f64, f64) = (1e-6, 1e6);

/// Shares of upward steps in all of them, `g/(g + h)`, that a mixture takes.
pub const SHARES: (f64, f64) = (1e-6, 1.0 - 1e-6);

/// Least r, in units of gh: for time scales of the order of one step the prior is held proper.
const PRIOR_MIN: f64 = 1e-3;

/// How far one step of a process with mean 0 can go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps {
    down: f64,
    up: f64,
}

impl Steps {
    /// At most `down` (g) below 0 and `up` (h) above it, both in [`STEPS`], in the unit of the sum, with
    /// `g/(g + h)` in [`SHARES`].
    pub fn new(down: f64, up: f64) -> Result<Self, OutOfRange> {
        let down = OutOfRange::check("step downwards", down, STEPS, "1e-6 to 1e6")?;
        let up = OutOfRange::check("step upwards", up, STEPS, "1e-6 to 1e6")?;
        let share = down / (down + up);
        OutOfRange::check("share of upward steps", share, SHARES, "1e-6 to 1 - 1e-6")?;
        Ok(Self { down, up })
    }

    /// Those of a count of things that happen with the given `probability`, in [`SHARES`], less its
    /// expectation: down by it, up by what it lacks to 1.
    pub fn of_count(probability: f64) -> Result<Self, OutOfRange> {
        let probability = OutOfRange::check("probability", probability, SHARES, "1e-6 to 1 - 1e-6")?;
        Self::new(probability, 1.0 - probability)
    }

    /// The same, upside down.
    pub fn mirrored(self) -> Self {
        Self {
            down: self.up,
            up: self.down,
        }
    }

    /// The most intrinsic time that one step takes, gh: the variance of steps to the limits alone.
    pub fn variance(self) -> f64 {
        self.down * self.up
    }
}

/// A beta-binomial mixture, tuned.
///
/// ```
/// use serin::analysis::sequence::Sides;
/// use serin::analysis::sequence::beta_binomial::{BetaBinomialMixture, Steps};
/// use serin::analysis::sequence::tuning::Tuning;
///
/// // 1,000 throws of a coin: how many more heads than 500 are too many, whenever one looks?
/// let coin = Steps::of_count(0.5)?;
/// let (time, log_threshold) = (1_000.0 * coin.variance(), -f64::ln(0.05));
/// let mixture = BetaBinomialMixture::tuned(Sides::One, Tuning::new(time, log_threshold)?, coin)?;
/// let bound = mixture.bound(time, log_threshold);
/// assert!((40.0..50.0).contains(&bound), "{bound}");
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaBinomialMixture {
    sides: Sides,
    steps: Steps,
    r: f64,
    log_part_at_start: f64,
}

impl BetaBinomialMixture {
    /// The mixture for a process of such `steps` that is tightest where `tuning` says; a one-sided one
    /// needs its α below ½.
    pub fn tuned(sides: Sides, tuning: Tuning, steps: Steps) -> Result<Self, OutOfRange> {
        let rho = match sides {
            Sides::One => tuning.one_sided_rho()?,
            Sides::Two => tuning.two_sided_rho(),
        };
        let variance = steps.variance();
        let mut mixture = Self {
            sides,
            steps,
            r: (rho - variance).max(PRIOR_MIN * variance),
            log_part_at_start: 0.0,
        };
        mixture.log_part_at_start = mixture.log_part(0.0, 0.0);
        Ok(mixture)
    }

    /// The intrinsic time that the prior is worth.
    pub fn r(&self) -> f64 {
        self.r
    }

    /// Log e-value of a process whose sum is `sum` at the intrinsic time `time`.
    ///
    /// Sums beyond what can be reached by then, −V/h to V/g, count as the nearest that can. Negative
    /// infinity, no evidence, where the sum is not a number or the time is not 0 to
    /// [`TIME_MAX`](super::tuning::TIME_MAX).
    pub fn log_mixture(&self, sum: f64, time: f64) -> f64 {
        let Some((sum, time)) = readable(sum, time) else {
            return f64::NEG_INFINITY;
        };
        let sum = sum.clamp(-time / self.steps.up, self.most(time));
        self.log_part(sum, time) - self.log_part_at_start
    }

    /// Whether [`log_mixture`](Self::log_mixture) is at least `log_threshold`, which is above 0.
    ///
    /// Of a mixture for one side, no sum below 0 is evidence, and no integral is found where even that
    /// for both sides, which is more, is too little.
    pub(super) fn reaches(&self, sum: f64, time: f64, log_threshold: f64) -> bool {
        let whole = Self {
            sides: Sides::Two,
            ..*self
        };
        (sum > 0.0 || self.sides == Sides::Two)
            && whole.log_mixture(sum, time) >= log_threshold
            && self.log_mixture(sum, time) >= log_threshold
    }

    /// What the sum reaches at any time, ever, with probability at most `exp(−log_threshold)`, at the
    /// intrinsic time `time`; of two-sided mixtures, what it reaches upwards (use
    /// [mirrored steps](Steps::mirrored) for how far it falls). It is V/g, the most that there is, where
    /// even that is no proof.
    ///
    /// `log_threshold` is above 0. Infinite where `time` is not 0 to
    /// [`TIME_MAX`](super::tuning::TIME_MAX).
    pub fn bound(&self, time: f64, log_threshold: f64) -> f64 {
        let Some((_, time)) = readable(0.0, time) else {
            return f64::INFINITY;
        };
        let guess = two_sided_bound(self.r, time, log_threshold);
        let log_mixture = |sum| self.log_mixture(sum, time);
        boundary(log_mixture, log_threshold, guess, self.most(time))
    }

    /// The largest sum that the process can have.
    fn most(&self, time: f64) -> f64 {
        time / self.steps.down
    }

    fn log_part(&self, sum: f64, time: f64) -> f64 {
        let Steps { down, up } = self.steps;
        let span = down + up;
        let cut = Cut {
            alpha: (self.r + (time - down * sum).max(0.0)) / (down * span),
            beta: (self.r + (time + up * sum).max(0.0)) / (up * span),
            kappa: sum / span,
            p: up / span,
            q: down / span,
        };
        match self.sides {
            Sides::One => cut.log_below(),
            Sides::Two => cut.log_whole(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tuning::{TIME_MAX, TUNING_TIMES};
    use super::*;
    use proptest::prelude::*;

    fn mixture(sides: Sides, log_time: f64, log_threshold: f64, steps: Steps) -> BetaBinomialMixture {
        let (shortest, longest) = TUNING_TIMES;
        let time = log_time.exp().clamp(shortest, longest);
        BetaBinomialMixture::tuned(sides, Tuning::new(time, log_threshold).unwrap(), steps).unwrap()
    }

    fn steps() -> impl Strategy<Value = Steps> {
        let logit = -13.8..13.8_f64;
        (-3.0..3.0_f64, logit).prop_filter_map("steps are out of range", |(log_span, logit)| {
            let (span, odds) = (log_span.exp(), logit.exp());
            Steps::new(span * odds / (1.0 + odds), span / (1.0 + odds)).ok()
        })
    }

    fn mixtures() -> impl Strategy<Value = BetaBinomialMixture> {
        let sides = prop_oneof![Just(Sides::One), Just(Sides::Two)];
        (sides, -21.0..42.0_f64, 0.7..1e3_f64, steps()).prop_map(|(sides, log_time, log_threshold, steps)| {
            mixture(sides, log_time, log_threshold, steps)
        })
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        assert_eq!(Steps::new(0.0, 1.0).unwrap_err().name, "step downwards");
        assert_eq!(Steps::new(1.0, f64::NAN).unwrap_err().name, "step upwards");
        assert_eq!(Steps::new(1e6, 1e-3).unwrap_err().name, "share of upward steps");
        assert_eq!(Steps::of_count(1.0).unwrap_err().name, "probability");
    }

    #[test]
    fn what_no_process_has_carries_no_evidence() {
        let mixture = mixture(Sides::Two, 3.0, 3.0, Steps::of_count(0.3).unwrap());
        for (sum, time) in [(1.0, -1.0), (1.0, 2.0 * TIME_MAX), (f64::NAN, 1.0)] {
            assert_eq!(
                mixture.log_mixture(sum, time).to_string(),
                "-inf",
                "{sum} at {time}"
            );
        }
        assert_eq!(mixture.bound(-1.0, 3.0).to_string(), "inf");
    }

    #[test]
    fn what_cannot_be_reached_counts_as_the_most_that_can() {
        let mixture = mixture(Sides::Two, 3.0, 3.0, Steps::of_count(0.5).unwrap());
        let log_e = |sum| mixture.log_mixture(sum, 2.5);
        assert_eq!(log_e(5.0).to_bits(), log_e(1e300).to_bits());
        assert_eq!(log_e(-5.0).to_bits(), log_e(f64::NEG_INFINITY).to_bits());
        assert!(log_e(5.0).is_finite());
    }

    proptest! {
        /// One look is an e-value, by enumeration: its mean over counts of what happens with the
        /// probability that the null says is 1.
        #[test]
        fn the_mean_under_the_null_is_one(
            one in any::<bool>(), log_time in -3.0..6.0_f64, probability in 0.01..0.99_f64, count in 1..40_u32
        ) {
            let steps = Steps::of_count(probability).unwrap();
            let mixture = mixture(if one { Sides::One } else { Sides::Two }, log_time, 2.0, steps);
            let trials = f64::from(count);
            let mut mass = (trials * (-probability).ln_1p()).exp();
            let mut mean = 0.0;
            for happened in 0..=count {
                let sum = f64::from(happened) - trials * probability;
                mean += mass * mixture.log_mixture(sum, trials * steps.variance()).exp();
                let left = f64::from(count - happened);
                mass *= left / f64::from(happened + 1) * probability / (1.0 - probability);
            }
            prop_assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        }

        #[test]
        fn the_bound_is_where_the_mixture_crosses(
            mixture in mixtures(), log_time in -40.0..41.0_f64, log_threshold in 1e-3..1e3_f64
        ) {
            let time = log_time.exp();
            let bound = mixture.bound(time, log_threshold);
            prop_assert!(bound.is_finite() && bound > 0.0, "{bound}");
            let reached = mixture.log_mixture(bound, time);
            let saturated = bound >= mixture.most(time) && reached <= log_threshold;
            let crosses = (reached - log_threshold).abs() < 1e-8 * log_threshold.max(1.0);
            // Next to the largest sum it may be too steep for neighbouring floats to come that close.
            let around = [1.0 - 4e-15, 1.0 + 4e-15].map(|near| mixture.log_mixture(near * bound, time));
            let between = around[0] < log_threshold && log_threshold <= around[1];
            prop_assert!(saturated || crosses || between, "{reached} at {bound}");
        }

        #[test]
        fn larger_sums_are_no_less_evidence(
            log_time in -40.0..41.0_f64, tuned in -21.0..42.0_f64, steps in steps(),
            sum in -10.0..10.0_f64, more in 0.0..10.0_f64
        ) {
            let mixture = mixture(Sides::One, tuned, 3.0, steps);
            let (time, unit) = (log_time.exp(), (log_time.exp() + mixture.r).sqrt());
            let fewer = mixture.log_mixture(sum * unit, time);
            let log_e = mixture.log_mixture((sum + more) * unit, time);
            prop_assert!(fewer <= log_e + 1e-9 * log_e.abs().max(1.0), "{fewer} above {log_e}");
        }

        #[test]
        fn nothing_is_not_a_number(mixture in mixtures(), sum in any::<f64>(), time in any::<f64>()) {
            prop_assert!(!mixture.log_mixture(sum, time).is_nan());
            prop_assert!(!mixture.log_mixture(sum, time.abs().min(TIME_MAX)).is_nan());
            let bound = mixture.bound(time, 3.0);
            prop_assert!(bound >= 0.0, "{bound}");
        }
    }
}

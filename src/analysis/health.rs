//! Bets that a rate is within its margin: the exact test of a worsening of rates.
//!
//! The null, "treatment's rate of harm is at least `k` times control's plus `c`", is a half plane of
//! pairs of rates, and so convex. In each tick a pair of rates in health is bet on against the pair on
//! the null's edge that is nearest to it in information (Turner & Grünwald 2023, "Exact anytime-valid
//! confidence intervals for contingency tables and beyond", section 3). That is an e-variable for every
//! pair (q_T, q_C) of the null: the expectation of a treated observation's factor is linear in q_T, that
//! of control's in q_C, and both are 1 at the nearest pair, so that the logarithm of the product's
//! expectation is concave, 0 there, and falls in every direction into the null, because the
//! information rises in it. Rates may change from tick to tick, and the split may be anything.

use super::bernoulli::{Harm, is_bettable};
use super::settings::{ContrastSettings, HarmUnit};

/// Halvings that find the nearest pair to the last bit.
const HALVINGS: u32 = 60;

/// The null "treatment's rate of harm is at least `factor` times control's plus `offset`".
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MarginNull {
    /// Above 0.
    pub(super) factor: f64,
    /// At least 0; with [`Self::factor`] it makes more than control's rate.
    pub(super) offset: f64,
}

impl MarginNull {
    /// Treatment's least rate of harm under it.
    pub(super) fn treatment(self, control: f64) -> f64 {
        self.factor * control + self.offset
    }
}

impl ContrastSettings {
    /// The null "worse than the margin" of a rate of harm.
    pub(super) fn margin_null(&self) -> MarginNull {
        let margin = self.margin;
        let (factor, offset) = match self.unit {
            HarmUnit::Metric => (1.0, margin),
            HarmUnit::ControlMean => (1.0 + margin, 0.0),
            HarmUnit::ControlGood => (1.0 - margin, margin),
        };
        MarginNull { factor, offset }
    }
}

/// Log of what a tick multiplies a bet by that treatment uses up `part` of the margin: from 0, as good
/// as control, to 1, at the margin; a negative part is that much better, by the same ratio.
///
/// `control_rate` must be known before the tick. Where nothing can be bet on, 0.
pub(super) fn log_bet(part: f64, null: MarginNull, control_rate: f64, treatment: Harm, control: Harm) -> f64 {
    let at_margin = null.treatment(control_rate);
    let treated_rate = if part < 0.0 {
        control_rate * (control_rate / at_margin).powf(-part)
    } else {
        control_rate + part * (at_margin - control_rate)
    };
    if !is_bettable(control_rate) || !is_bettable(treated_rate) || treated_rate >= at_margin {
        return 0.0;
    }
    let rates = (treated_rate, control_rate);
    let Some(nearest) = nearest(null, rates, treatment.n, control.n) else {
        return 0.0;
    };
    let of_arm = |arm: Harm, bet: f64, null: f64| {
        let gap = bet - null;
        arm.s * (gap / null).ln_1p() + (arm.n - arm.s) * (-gap / (1.0 - null)).ln_1p()
    };
    of_arm(treatment, treated_rate, nearest.0) + of_arm(control, control_rate, nearest.1)
}

/// The pair of rates on the null's edge that `n_T` treated observations and `n_C` of control can tell
/// least from `rates`: where `n_C (q − p)/(q (1 − q))` and `k` times its like for treatment cancel.
fn nearest(null: MarginNull, rates: (f64, f64), n_t: f64, n_c: f64) -> Option<(f64, f64)> {
    let slope = |rate: f64, of: f64| (rate - of) / (rate * (1.0 - rate));
    let mut low = ((rates.0 - null.offset) / null.factor).max(0.0);
    let mut high = rates.1.min((1.0 - null.offset) / null.factor);
    for _ in 0..HALVINGS {
        let control = f64::midpoint(low, high);
        let treatment = null.treatment(control);
        if n_c * slope(control, rates.1) + null.factor * n_t * slope(treatment, rates.0) > 0.0 {
            high = control;
        } else {
            low = control;
        }
    }
    let control = f64::midpoint(low, high);
    let treatment = null.treatment(control);
    (is_bettable(control) && is_bettable(treatment)).then_some((treatment, control))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binomial(n: u32, p: f64) -> Vec<f64> {
        let mut mass = vec![(1.0 - p).powf(f64::from(n))];
        for k in 0..n {
            let last = mass[mass.len() - 1];
            mass.push(last * f64::from(n - k) / f64::from(k + 1) * p / (1.0 - p));
        }
        mass
    }

    proptest! {
        /// By enumeration: whatever pair of the null the rates are, at its edge or beyond, and however
        /// wrong the predicted rate, a tick multiplies by at most 1 on average.
        #[test]
        fn a_tick_is_an_e_variable(
            treated in 1..9_u32, controls in 1..9_u32, part in -1.0..0.95, predicted in 0.001..0.9,
            factor in 0.5..2.0, offset in 0.001..0.3, rate in 0.001..0.999, beyond in 0.0..1.0,
        ) {
            let null = MarginNull { factor, offset };
            let edge = null.treatment(rate);
            prop_assume!(edge < 0.999);
            let treated_rate = edge + beyond * (1.0 - edge) * 0.5;
            let mut expectation = 0.0;
            for (s_t, mass_t) in binomial(treated, treated_rate).into_iter().enumerate() {
                for (s_c, mass_c) in binomial(controls, rate).into_iter().enumerate() {
                    let treatment = Harm { n: f64::from(treated), s: s_t as f64 };
                    let control = Harm { n: f64::from(controls), s: s_c as f64 };
                    expectation += mass_t * mass_c * log_bet(part, null, predicted, treatment, control).exp();
                }
            }
            prop_assert!(expectation <= 1.0 + 1e-9, "{expectation}");
        }
    }

    #[test]
    fn health_wins_and_the_margin_loses() {
        let null = MarginNull {
            factor: 1.0,
            offset: 0.01,
        };
        let bet = |rate: f64| {
            let harm = |n: f64, rate: f64| Harm { n, s: n * rate };
            log_bet(0.0, null, 0.01, harm(1_000.0, rate), harm(19_000.0, 0.01))
        };
        // About a thousand times the information of 1% against 1.95%, with control nearly known.
        assert!((2.7..3.2).contains(&bet(0.01)), "{}", bet(0.01));
        assert!(bet(0.02) < -2.5, "{}", bet(0.02));
        assert!(bet(0.005) > bet(0.01));
    }

    #[test]
    fn rates_at_the_edge_are_not_bet_on() {
        let null = MarginNull {
            factor: 1.0,
            offset: 0.01,
        };
        let harm = Harm { n: 10.0, s: 1.0 };
        for rate in [0.0, 1.0, f64::NAN] {
            assert_eq!(log_bet(0.0, null, rate, harm, harm).to_bits(), 0);
        }
        // At the margin there is nothing to win.
        assert_eq!(log_bet(1.0, null, 0.1, harm, harm).to_bits(), 0);
    }
}

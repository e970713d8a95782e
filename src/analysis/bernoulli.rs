//! The tempered Bernoulli e-process: from counts alone, whether harm has become more likely.
//!
//! In each tick, treatment is bet to have the odds of harm of control times a ratio θ > 1. The bet
//! is an e-variable whatever the common rate of that tick is: Turner, Ly & Grünwald 2024, "Generic
//! E-variables for exact sequential k-sample tests that allow for optional stopping", theorem 1 for
//! two Bernoulli streams. Products over ticks and mixtures over θ are e-processes again. That is
//! exact for independent observations; for clustered ones the logarithm is divided by the design
//! effect (STATISTICS 1.3), which can only slow the test where there is none.

use super::health::{MarginNull, log_bet};
use super::settings::Bets;
use super::special::{least_crossing, log_sum_exp};

/// A rate closer than this to 0 or 1 leaves nothing to bet on.
const RATE_EDGE: f64 = 1e-12;

/// Harm counted in one arm in one tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Harm {
    /// Observations, above 0.
    pub(super) n: f64,
    /// Harmful ones, 0 to `n`.
    pub(super) s: f64,
}

/// Whether a rate is far enough from 0 and 1 to bet on.
pub(super) fn is_bettable(rate: f64) -> bool {
    (RATE_EDGE..=1.0 - RATE_EDGE).contains(&rate)
}

/// A mixture of bets on odds ratios or on parts of a margin, and the logarithm of what each has won.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BernoulliProcess {
    on: Bets,
    /// ENGINE's ell, one per bet; 0 beyond them.
    logs: [f64; Bets::COUNT_MAX],
}

impl BernoulliProcess {
    pub(super) fn new(on: Bets) -> Self {
        Self::resume(on, &[])
    }

    /// Goes on from what the same bets have won; those of which nothing is said begin.
    pub(super) fn resume(on: Bets, won: &[f64]) -> Self {
        let mut logs = [0.0; Bets::COUNT_MAX];
        let known = logs.iter_mut().take(on.as_slice().len());
        known.zip(won).for_each(|(log, won)| *log = *won);
        Self { on, logs }
    }

    /// What each bet has won, as a logarithm.
    pub(super) fn logs(&self) -> &[f64] {
        &self.logs[..self.on.as_slice().len()]
    }

    /// Bets one tick on treatment against control; `control_rate` must be known before the tick.
    ///
    /// ENGINE section 3.5. With p0 the control's rate, p1 the rate at θ times its odds and pm their
    /// mean over the tick's observations, each observation multiplies by its probability under its
    /// own arm's rate over that under pm; `ln(p1/pm)` is written as `ln(1 + (p1 − pm)/pm)`.
    pub(super) fn bet_against_control(&mut self, control_rate: f64, treatment: Harm, control: Harm) {
        if !is_bettable(control_rate) {
            return;
        }
        let p0 = control_rate;
        let n = treatment.n + control.n;
        for (log, theta) in self.bets() {
            let p1 = theta * p0 / (1.0 + (theta - 1.0) * p0);
            let gap = p1 - p0;
            let pm = (treatment.n * p1 + control.n * p0) / n;
            let up = gap * control.n / n;
            let down = gap * treatment.n / n;
            *log += treatment.s * (up / pm).ln_1p()
                + (treatment.n - treatment.s) * (-up / (1.0 - pm)).ln_1p()
                + control.s * (-down / pm).ln_1p()
                + (control.n - control.s) * (down / (1.0 - pm)).ln_1p();
        }
    }

    /// Bets one tick on treatment against a fixed rate: the likelihood ratio of θ times its odds
    /// (Wald 1945, the sequential probability ratio test; ENGINE section 3.5).
    pub(super) fn bet_against_limit(&mut self, limit: f64, treatment: Harm) {
        if !is_bettable(limit) {
            return;
        }
        for (log, theta) in self.bets() {
            *log += treatment.s * theta.ln() - treatment.n * ((theta - 1.0) * limit).ln_1p();
        }
    }

    /// Bets one tick on treatment to be within the margin; `control_rate` must be known before the tick.
    pub(super) fn bet_on_health(
        &mut self,
        control_rate: f64,
        null: MarginNull,
        treatment: Harm,
        control: Harm,
    ) {
        for (log, part) in self.bets() {
            *log += log_bet(part, null, control_rate, treatment, control);
        }
    }

    /// What each bet has won, to be changed, and what it is on.
    fn bets(&mut self) -> impl Iterator<Item = (&mut f64, f64)> {
        let sizes = self.on.as_slice().iter().map(|point| point.size);
        self.logs.iter_mut().zip(sizes)
    }

    /// Log of the mixture, tempered by the design effect, at least 1.
    pub(super) fn log_e(&self, design_effect: f64) -> f64 {
        let mut terms = self.logs;
        let points = self.on.as_slice();
        for (term, point) in terms.iter_mut().zip(points) {
            *term = point.share.ln() + *term / design_effect;
        }
        log_sum_exp(&terms[..points.len()])
    }

    /// The least growth of the data, from `least` to `most`, at which the mixture reaches
    /// `log_threshold` when all bets go on as they went; none when it never does.
    pub(super) fn growth_until(
        &self,
        design_effect: f64,
        log_threshold: f64,
        least: f64,
        most: f64,
    ) -> Option<f64> {
        let crosses = |log_growth: f64| self.log_e(design_effect / log_growth.exp()) >= log_threshold;
        least_crossing(least.ln(), most.ln(), crosses).map(f64::exp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::settings::MixturePoint;
    use proptest::prelude::*;

    const ODDS_RATIOS: [MixturePoint; 4] = [
        MixturePoint {
            size: 1.3,
            share: 0.25,
        },
        MixturePoint {
            size: 1.8,
            share: 0.25,
        },
        MixturePoint {
            size: 3.0,
            share: 0.25,
        },
        MixturePoint {
            size: 6.0,
            share: 0.25,
        },
    ];

    fn binomial(n: u32, p: f64) -> Vec<f64> {
        let mut mass = vec![(1.0 - p).powf(f64::from(n))];
        for k in 0..n {
            let last = mass[mass.len() - 1];
            mass.push(last * f64::from(n - k) / f64::from(k + 1) * p / (1.0 - p));
        }
        mass
    }

    proptest! {
        /// The defining property, by enumeration: whatever the common rate is, and however wrong the
        /// predicted one, a tick multiplies by at most 1 on average.
        #[test]
        fn a_tick_is_an_e_variable(
            treated in 1..9_u32, controls in 1..9_u32, rate in 0.001..0.999, predicted in 0.001..0.999
        ) {
            let mut expectation = 0.0;
            for (s_t, mass_t) in binomial(treated, rate).into_iter().enumerate() {
                for (s_c, mass_c) in binomial(controls, rate).into_iter().enumerate() {
                    let mut process = BernoulliProcess::new(ODDS_RATIOS.into());
                    let treatment = Harm { n: f64::from(treated), s: s_t as f64 };
                    let control = Harm { n: f64::from(controls), s: s_c as f64 };
                    process.bet_against_control(predicted, treatment, control);
                    expectation += mass_t * mass_c * process.log_e(1.0).exp();
                }
            }
            prop_assert!(expectation <= 1.0 + 1e-9, "{expectation}");
        }

        #[test]
        fn a_tick_against_a_limit_is_an_e_variable(
            treated in 1..12_u32, limit in 0.001..0.999, below in 0.0..1.0
        ) {
            let mut expectation = 0.0;
            for (s, mass) in binomial(treated, limit * below).into_iter().enumerate() {
                let mut process = BernoulliProcess::new(ODDS_RATIOS.into());
                process.bet_against_limit(limit, Harm { n: f64::from(treated), s: s as f64 });
                expectation += mass * process.log_e(1.0).exp();
            }
            prop_assert!(expectation <= 1.0 + 1e-9, "{expectation}");
        }
    }

    #[test]
    fn rates_at_the_edge_are_not_bet_on() {
        let harm = Harm { n: 10.0, s: 10.0 };
        for rate in [0.0, 1e-13, 1.0 - 1e-13, 1.0, f64::NAN] {
            let mut process = BernoulliProcess::new(ODDS_RATIOS.into());
            process.bet_against_control(rate, harm, harm);
            process.bet_against_limit(rate, harm);
            assert_eq!(process, BernoulliProcess::new(ODDS_RATIOS.into()), "{rate}");
        }
    }

    #[test]
    fn growth_is_found_where_it_is_enough() {
        let mut process = BernoulliProcess::new(ODDS_RATIOS.into());
        process.bet_against_limit(0.05, Harm { n: 100.0, s: 8.0 });
        let growth = process.growth_until(2.0, 3.0, 1.0, 1e6).unwrap();
        let mut grown = BernoulliProcess::new(ODDS_RATIOS.into());
        grown.bet_against_limit(
            0.05,
            Harm {
                n: 100.0 * growth,
                s: 8.0 * growth,
            },
        );
        assert!((grown.log_e(2.0) - 3.0).abs() < 1e-6);
        assert_eq!(process.growth_until(2.0, 3.0, 1.0, growth / 2.0), None);
        let mut losing = BernoulliProcess::new(ODDS_RATIOS.into());
        losing.bet_against_limit(0.05, Harm { n: 100.0, s: 4.0 });
        assert_eq!(losing.growth_until(1.0, 3.0, 1.0, 1e6), None);
    }

    #[test]
    fn tempering_slows_but_keeps_the_sign() {
        let mut process = BernoulliProcess::new(ODDS_RATIOS.into());
        process.bet_against_limit(0.05, Harm { n: 100.0, s: 20.0 });
        assert!(process.log_e(1.0) > process.log_e(2.0));
        assert!(process.log_e(2.0) > 0.0);
    }
}

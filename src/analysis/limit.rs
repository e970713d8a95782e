//! One metric's treatment against a fixed limit: the one-arm tests of ENGINE.
//!
//! They compare with a number, not with control, so a drift that is common to both arms alarms them
//! too; in return they are the guard that is left when everybody has the candidate (STATISTICS 1.5).

use super::arm::{Coding, TickArm};
use super::bernoulli::{BernoulliProcess, Harm, is_bettable};
use super::mixture::{HalfNormalMixture, Shifted};
use super::reading::Reading;
use super::settings::LimitSettings;
use super::variance::{ArmSpread, ArmSums, Spread};
use super::{Tally, Verdict};

/// How many observations pull the predicted centre towards its prior.
const SHRINK: f64 = 10.0;

/// The comparison of treatment with a limit, over all ticks so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Limit {
    settings: LimitSettings,
    coding: Coding,
    mixture: HalfNormalMixture,
    pub(super) sums: LimitSums,
    reading: Reading,
}

/// What a limit's test remembers of its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LimitSums {
    pub(super) treatment: ArmSums,
    /// Sum of excesses over the limit, harm positive (S).
    pub(super) sum: f64,
    /// Observations (W).
    pub(super) weight: f64,
    /// The bets of a rate; unused for means.
    pub(super) process: BernoulliProcess,
}

impl Limit {
    pub(super) fn new(settings: LimitSettings) -> Self {
        Self::resume(
            settings,
            LimitSums {
                treatment: ArmSums::new(settings.test.clusters),
                sum: 0.0,
                weight: 0.0,
                process: BernoulliProcess::new(settings.test.odds_ratios),
            },
        )
    }

    /// Goes on from sums that a test with the same settings had.
    pub(super) fn resume(settings: LimitSettings, sums: LimitSums) -> Self {
        let mut limit = Self {
            settings,
            coding: Coding::of(&settings.test),
            mixture: HalfNormalMixture::new(settings.test.scales),
            sums,
            reading: Reading::EMPTY,
        };
        limit.read();
        limit
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(super) fn settings(&self) -> &LimitSettings {
        &self.settings
    }

    /// Takes in treatment's part of one tick (ENGINE section 3).
    pub(super) fn absorb(&mut self, treatment: &Tally) {
        let exceedances = self.settings.edge.map(|edge| treatment.exceedances(edge));
        let Some(tick) = TickArm::of(exceedances.as_ref().unwrap_or(treatment), self.coding) else {
            return;
        };
        let limit = self.coding.encode(self.settings.limit);
        let prior = self.coding.encode(self.settings.test.prior_centre);
        let centre = self.sums.treatment.shrunk_mean(prior, SHRINK);
        self.sums.sum += self.coding.harm_sign() * (tick.sum - tick.n * limit);
        self.sums.weight += tick.n;
        self.sums.treatment.enter(&tick, 1.0, centre);
        if self.coding.is_rate() {
            self.sums.process.bet_against_limit(
                limit,
                Harm {
                    n: tick.n,
                    s: tick.sum,
                },
            );
        }
        self.sums.treatment.learn(&tick);
        self.read();
    }

    fn read(&mut self) {
        let arm = self.sums.treatment.spread();
        let spread = Spread::of(arm, ArmSpread::default(), 1.0);
        let guards_hold = self.sums.treatment.used >= self.settings.test.treated_min
            && arm.effective_clusters >= self.settings.test.effective_clusters_min
            && spread.by_observation > 0.0;
        let log_e_worse = if guards_hold { self.log_e(spread) } else { 0.0 };
        let broken = guards_hold && log_e_worse >= self.settings.test.alpha.log_threshold();
        self.reading = Reading {
            treated: self.sums.treatment.used,
            sum: self.sums.sum,
            weight: self.sums.weight,
            variance_by_observation: spread.by_observation,
            variance_by_cluster: spread.by_cluster,
            variance: spread.variance(),
            df: spread.df,
            effective_clusters_treatment: arm.effective_clusters,
            design_effect: spread.design_effect(),
            guards_hold,
            log_e_worse,
            verdict: if broken {
                Verdict::Fail
            } else {
                Verdict::Inconclusive
            },
            ..Reading::EMPTY
        };
    }

    /// Log e-value against "within the limit" (ENGINE section 5).
    fn log_e(&self, spread: Spread) -> f64 {
        if !self.coding.is_rate() {
            return self.mixture.log_e(Shifted {
                sum: self.sums.sum,
                weight: self.sums.weight,
                variance: spread.variance(),
                df: spread.df,
            });
        }
        if is_bettable(self.coding.encode(self.settings.limit)) {
            self.sums.process.log_e(spread.design_effect())
        } else {
            0.0
        }
    }
}

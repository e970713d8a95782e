//! Quantiles of treatment against those of control, through log bins (STATISTICS 1.4).
//!
//! Before a tick, the upper edge of the bin that holds the control's quantile in all earlier ticks is
//! taken for that quantile. In the tick, values above it count as 1 and others as 0, in both arms, and
//! both are compared as rates. The edge was known before the tick, so that the bets are e-variables
//! wherever it lies: for arms that are alike the test is as exact as that of a rate, and with more data
//! the edge comes to lie at the quantile.
//!
//! A margin of values is tested by moving treatment's edge up by it: treatment is healthy once its
//! values are proved to lie *up to* the moved edge more often than the control's up to theirs. That is
//! the same test with good and harm exchanged, and needs no normal approximation.

use super::bins::{LogBin, Sketch};
use super::contrast::Contrast;
use super::reading::Reading;
use super::settings::{EdgeMove, QuantileSettings};
use super::special::{ceil_as_count, count_as_f64, log_sum_exp};
use super::{ArmTallies, Verdict};

/// All quantiles of one metric, over all ticks so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantiles {
    pub(super) tests: Vec<QuantileTest>,
    pub(super) control: Sketch,
    pub(super) treatment: Sketch,
    reading: Reading,
}

/// One quantile over all ticks so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QuantileTest {
    pub(super) settings: QuantileSettings,
    /// Treatment's values above the control's edge.
    pub(super) exceedance: Contrast,
    /// Treatment's values up to the moved edge.
    pub(super) health: Option<Contrast>,
}

impl Quantiles {
    pub(super) fn new(settings: &[QuantileSettings]) -> Self {
        let tests = settings.iter().copied().map(QuantileTest::new).collect();
        Self::resume(tests, Sketch::default(), Sketch::default())
    }

    /// Goes on from tests and sketches that had the same settings.
    pub(super) fn resume(tests: Vec<QuantileTest>, control: Sketch, treatment: Sketch) -> Self {
        let mut quantiles = Self {
            tests,
            control,
            treatment,
            reading: Reading::EMPTY,
        };
        quantiles.read();
        quantiles
    }

    /// What all quantiles show together: the figures of the highest, and the evidence of all.
    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Takes in one tick; edges are those of earlier ticks.
    pub(super) fn absorb(&mut self, tick: &ArmTallies) {
        for test in &mut self.tests {
            test.absorb(tick, &self.control);
        }
        self.control.learn(&tick.control);
        self.treatment.learn(&tick.treatment);
        self.read();
    }

    /// The mean of the quantiles' e-values is an e-value under any dependence (Vovk & Wang 2021). A
    /// quantile that is proved to be within its margin leaves it, as a metric leaves the mean over
    /// metrics: what is left is no larger. Health needs the proof of every quantile.
    fn read(&mut self) {
        let readings: Vec<Reading> = self.tests.iter().map(QuantileTest::reading).collect();
        let Some(highest) = readings.last() else { return };
        let all_pass = readings.iter().all(|reading| reading.verdict == Verdict::Pass);
        let counted = readings
            .iter()
            .filter(|reading| all_pass || reading.verdict != Verdict::Pass);
        let logs: Vec<f64> = counted.map(|reading| reading.log_e_worse).collect();
        let log_e_worse = log_sum_exp(&logs) - count_as_f64(readings.len() as u64).ln();
        let least = |least: f64, reading: &Reading| least.min(reading.log_e_non_inferior);
        let threshold = self.tests.iter().map(QuantileTest::log_threshold).next();
        let fails = threshold.is_some_and(|threshold| log_e_worse >= threshold);
        self.reading = Reading {
            guards_hold: readings.iter().all(|reading| reading.guards_hold),
            log_e_worse,
            log_e_non_inferior: readings.iter().fold(f64::INFINITY, least),
            verdict: if all_pass {
                Verdict::Pass
            } else if fails {
                Verdict::Fail
            } else {
                Verdict::Inconclusive
            },
            ..*highest
        };
    }

    /// About how many more treated observations until every quantile is proved healthy.
    pub(super) fn needs(&self) -> Option<u64> {
        if self.reading.verdict != Verdict::Inconclusive {
            return None;
        }
        let open = self
            .tests
            .iter()
            .filter(|test| test.reading().verdict != Verdict::Pass);
        open.map(QuantileTest::needs)
            .try_fold(0, |most, needs| Some(most.max(needs?)))
    }

    /// Whether treatment lies above no moved edge more often than the control above its own; none
    /// while there is nothing to compare.
    pub(super) fn within_margin(&self) -> Option<bool> {
        self.tests
            .iter()
            .map(QuantileTest::within_margin)
            .try_fold(true, |all, within| Some(all && within?))
    }

    /// The values of control and treatment at the highest quantile.
    pub(super) fn highest(&self) -> Option<(f64, f64)> {
        let ratio = self.tests.last()?.settings.quantile.ratio();
        let control = self.control.quantile(ratio)?;
        Some((control.middle(), self.treatment.quantile(ratio)?.middle()))
    }

    /// The tolerated worsening of the highest quantile in metric units.
    pub(super) fn margin(&self) -> Option<f64> {
        let test = self.tests.last()?;
        match test.settings.moved?.by {
            EdgeMove::Value(size) => Some(size),
            EdgeMove::Bins(bins) => {
                let edge = test.settings.edge(&self.control)?;
                Some(edge.above(bins).upper_edge() - edge.upper_edge())
            }
        }
    }
}

impl QuantileTest {
    pub(super) fn new(settings: QuantileSettings) -> Self {
        Self {
            exceedance: Contrast::new(settings.exceedance),
            health: settings.moved.map(|moved| Contrast::new(moved.test)),
            settings,
        }
    }

    fn absorb(&mut self, tick: &ArmTallies, control: &Sketch) {
        let Some(edge) = self.settings.edge(control) else {
            return;
        };
        let control = tick.control.exceedances(edge);
        if let (Some(health), Some(moved)) = (&mut self.health, self.settings.moved) {
            health.absorb(&ArmTallies {
                control: control.clone(),
                treatment: tick.treatment.exceedances(moved.by.apply(edge)),
            });
        }
        self.exceedance.absorb(&ArmTallies {
            control,
            treatment: tick.treatment.exceedances(edge),
        });
    }

    fn log_threshold(&self) -> f64 {
        self.settings.exceedance.test.alpha.log_threshold()
    }

    /// What this quantile shows.
    pub(super) fn reading(&self) -> Reading {
        let exceedance = *self.exceedance.reading();
        let Some(health) = &self.health else {
            return exceedance;
        };
        let health = health.reading();
        let verdict = match (health.verdict, exceedance.verdict) {
            // The test of health fails to find treatment's values no lower: it finds them lower.
            (Verdict::Fail, _) => Verdict::Pass,
            (_, verdict) => verdict,
        };
        Reading {
            log_e_non_inferior: health.log_e_worse,
            verdict,
            ..exceedance
        }
    }

    fn needs(&self) -> Option<u64> {
        let Some(health) = &self.health else {
            return self.exceedance.needs();
        };
        let reading = health.reading();
        if !reading.guards_hold {
            return None;
        }
        let treated = count_as_f64(reading.treated);
        let threshold = self.settings.exceedance.alpha_non_inferior.log_threshold();
        let growth = health.growth_until_worse(threshold)?;
        Some(ceil_as_count((growth - 1.0) * treated).max(1))
    }

    fn within_margin(&self) -> Option<bool> {
        match &self.health {
            // Harm is to lie up to the edge here, so that health is a positive estimate.
            Some(health) => health.reading().estimate().map(|lower| lower >= 0.0),
            None => self.exceedance.within_margin(),
        }
    }
}

impl QuantileSettings {
    /// The edge that the next tick is compared at; none while nothing is known of control.
    pub(super) fn edge(&self, control: &Sketch) -> Option<LogBin> {
        if control.total() >= self.control_min {
            control.quantile(self.quantile.ratio())
        } else {
            self.seed
        }
    }
}

impl EdgeMove {
    /// The bin of the moved edge.
    pub(super) fn apply(self, edge: LogBin) -> LogBin {
        match self {
            Self::Bins(bins) => edge.above(bins),
            // A margin finer than half a bin moves nothing: health then is to be better.
            Self::Value(size) => LogBin::with_edge_near(edge.upper_edge() + size).max(edge),
        }
    }
}

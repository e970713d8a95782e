//! One metric's treatment against its control: the two-arm tests of ENGINE.
//!
//! The statistic is the Mantel–Haenszel difference of means, stratified by tick: `S = Σ w (x_T − x_C)`
//! with `w = n_T n_C / n` (Mantel & Haenszel 1959; Greenland & Robins 1985 for differences). It needs
//! no planned split, and what happens to both arms alike, a drift or a change of exposure, cancels.

use super::arm::{Coding, TickArm};
use super::bernoulli::{BernoulliProcess, Harm, is_bettable};
use super::mixture::{HalfNormalMixture, Shifted};
use super::reading::Reading;
use super::settings::{ContrastSettings, HarmUnit};
use super::special::{ceil_as_count, count_as_f64};
use super::variance::{ArmSpread, ArmSums, Spread};
use super::{ArmTallies, Verdict};

/// How many observations pull the treatment's predicted centre towards the control's.
pub(super) const TREATMENT_SHRINK: f64 = 10.0;
/// Largest rate that the variance of a rate's margin is computed at.
const NULL_RATE_MAX: f64 = 0.999;
/// Least expected number of harmful treated observations before a rate's health counts.
const NULL_EVENTS_MIN: f64 = 10.0;
/// Growth of the data beyond which "how many more" is not worth telling.
const GROWTH_MAX: f64 = 1e6;

/// The comparison of treatment with control, over all ticks so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Contrast {
    settings: ContrastSettings,
    coding: Coding,
    mixture: HalfNormalMixture,
    health_mixture: HalfNormalMixture,
    pub(super) sums: ContrastSums,
    spreads: ArmSpreads,
    reading: Reading,
}

/// What a contrast remembers of its ticks; everything else follows from it and the settings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ContrastSums {
    pub(super) treatment: ArmSums,
    pub(super) control: ArmSums,
    /// Weighted sum of differences, harm positive (S).
    pub(super) sum: f64,
    /// Sum of weights (W).
    pub(super) weight: f64,
    /// Weighted sum of control's means (Cw), for margins relative to it.
    pub(super) control_sum: f64,
    /// The bets of a rate; unused for means.
    pub(super) process: BernoulliProcess,
    /// The bets on a rate's health, where there are any.
    pub(super) health: Option<BernoulliProcess>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct ArmSpreads {
    treatment: ArmSpread,
    control: ArmSpread,
}

/// What a size of worsening is worth as a null hypothesis: harm up to `shift / W`.
#[derive(Debug, Clone, Copy)]
struct Null {
    /// What the null allows the sum.
    shift: f64,
    /// The null compares `x_T` with `k x_C` (linearised ratio, Fieller 1954).
    k: f64,
}

/// The statistic against "worse than the margin".
#[derive(Debug, Clone, Copy)]
struct NonInferiority {
    shifted: Shifted,
    /// Expected number of harmful treated observations under that null; infinite for means.
    events: f64,
}

impl Contrast {
    pub(super) fn new(settings: ContrastSettings) -> Self {
        let clusters = settings.test.clusters;
        Self::resume(
            settings,
            ContrastSums {
                treatment: ArmSums::new(clusters),
                control: ArmSums::new(clusters),
                sum: 0.0,
                weight: 0.0,
                control_sum: 0.0,
                process: BernoulliProcess::new(settings.test.odds_ratios),
                health: settings.health.map(BernoulliProcess::new),
            },
        )
    }

    /// Goes on from sums that a contrast with the same settings had.
    pub(super) fn resume(settings: ContrastSettings, sums: ContrastSums) -> Self {
        let mut contrast = Self {
            settings,
            coding: Coding::of(&settings.test),
            mixture: HalfNormalMixture::new(settings.test.scales),
            health_mixture: HalfNormalMixture::new(settings.health_scales),
            sums,
            spreads: ArmSpreads::default(),
            reading: Reading::EMPTY,
        };
        contrast.read();
        contrast
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(super) fn settings(&self) -> &ContrastSettings {
        &self.settings
    }

    pub(super) fn coding(&self) -> Coding {
        self.coding
    }

    /// Takes in one tick (ENGINE section 3); the order of observations inside it has no effect.
    pub(super) fn absorb(&mut self, tick: &ArmTallies) {
        let treatment = TickArm::of(&tick.treatment, self.coding);
        let control = TickArm::of(&tick.control, self.coding);
        if let (Some(treatment), Some(control)) = (&treatment, &control)
            && self.sums.control.count >= self.settings.control_min
        {
            self.contrast(treatment, control);
        }
        // Centres learn from a tick with one arm too, but only after it: they must be predictions.
        if let Some(treatment) = &treatment {
            self.sums.treatment.learn(treatment);
        }
        if let Some(control) = &control {
            self.sums.control.learn(control);
        }
        self.read();
    }

    fn contrast(&mut self, treatment: &TickArm<'_>, control: &TickArm<'_>) {
        let control_rate = self.control_rate();
        let treatment_centre = self.sums.treatment.shrunk_mean(control_rate, TREATMENT_SHRINK);
        let control_centre = self.sums.control.shrunk_mean(self.prior_centre(), 0.0);
        let margin = self.settings.margin_null();
        let n = treatment.n + control.n;
        let weight = treatment.n * (control.n / n);
        let sums = &mut self.sums;
        sums.sum += self.coding.harm_sign() * weight * (treatment.mean() - control.mean());
        sums.weight += weight;
        sums.control_sum += weight * control.mean();
        sums.treatment.enter(treatment, control.n / n, treatment_centre);
        sums.control.enter(control, treatment.n / n, control_centre);
        if self.coding.is_rate() {
            let harm = |arm: &TickArm<'_>| Harm { n: arm.n, s: arm.sum };
            let (treatment, control) = (harm(treatment), harm(control));
            sums.process.bet_against_control(control_rate, treatment, control);
            if let Some(health) = &mut sums.health {
                health.bet_on_health(control_rate, margin, treatment, control);
            }
        }
    }

    /// The expected mean of control, coded, before any data.
    fn prior_centre(&self) -> f64 {
        self.coding.encode(self.settings.test.prior_centre)
    }

    /// ENGINE's p0: control's mean over all ticks so far, shrunk to the prior.
    fn control_rate(&self) -> f64 {
        self.sums
            .control
            .shrunk_mean(self.prior_centre(), self.settings.prior_weight)
    }

    /// Recomputes everything that is shown (ENGINE sections 4 and 5).
    fn read(&mut self) {
        self.spreads = ArmSpreads {
            treatment: self.sums.treatment.spread(),
            control: self.sums.control.spread(),
        };
        let spread = self.spread(1.0);
        let mut reading = Reading {
            treated: self.sums.treatment.used,
            controls: self.sums.control.used,
            sum: self.sums.sum,
            weight: self.sums.weight,
            variance_by_observation: spread.by_observation,
            variance_by_cluster: spread.by_cluster,
            variance: spread.variance(),
            df: spread.df,
            effective_clusters_treatment: self.spreads.treatment.effective_clusters,
            effective_clusters_control: self.spreads.control.effective_clusters,
            design_effect: spread.design_effect(),
            ..Reading::EMPTY
        };
        reading.guards_hold = reading.treated >= self.settings.test.treated_min
            && self.enough_clusters()
            && spread.by_observation > 0.0;
        if reading.guards_hold {
            reading.log_e_worse = self.log_e_worse(spread);
            reading.log_e_non_inferior = self.log_e_non_inferior(spread);
            reading.verdict =
                if reading.log_e_non_inferior >= self.settings.alpha_non_inferior.log_threshold() {
                    Verdict::Pass
                } else if reading.log_e_worse >= self.settings.test.alpha.log_threshold() {
                    Verdict::Fail
                } else {
                    Verdict::Inconclusive
                };
        }
        self.reading = reading;
    }

    fn spread(&self, k: f64) -> Spread {
        let ArmSpreads { treatment, control } = self.spreads;
        let spread = Spread::of(treatment, control, k);
        let weight = self.settings.control_variance_weight;
        if weight > 0.0 && !self.coding.is_rate() {
            spread.moderated([treatment, control], k, weight)
        } else {
            spread
        }
    }

    fn enough_clusters(&self) -> bool {
        let least = self.settings.test.effective_clusters_min;
        self.spreads.treatment.effective_clusters >= least && self.spreads.control.effective_clusters >= least
    }

    /// Log e-value against harm up to the tolerance.
    fn log_e_worse(&self, spread: Spread) -> f64 {
        if self.coding.is_rate() {
            return if is_bettable(self.control_rate()) {
                self.sums.process.log_e(self.temper(spread))
            } else {
                0.0
            };
        }
        let tolerance = self.settings.tolerance;
        let null = self.null(tolerance);
        let spread = self.spread(null.k);
        if (tolerance > 0.0 && null.shift <= 0.0) || spread.by_observation <= 0.0 {
            return 0.0;
        }
        self.mixture.log_e(Shifted {
            sum: self.sums.sum - null.shift,
            weight: self.sums.weight,
            variance: spread.variance(),
            df: spread.df,
        })
    }

    fn log_e_non_inferior(&self, spread: Spread) -> f64 {
        if let Some(health) = self.health() {
            return if self.events_at_margin() >= NULL_EVENTS_MIN {
                health.log_e(self.design_effect_of_health(spread))
            } else {
                0.0
            };
        }
        match self.non_inferiority(spread) {
            Some(test) if test.events >= NULL_EVENTS_MIN => self.health_mixture.log_e(test.shifted),
            Some(_) | None => 0.0,
        }
    }

    /// The test of the margin; none while it cannot be made.
    ///
    /// A rate's variance is also taken at the null itself (STATISTICS 1.3): few events so far would
    /// else pass for a small variance.
    fn non_inferiority(&self, spread: Spread) -> Option<NonInferiority> {
        let null = self.null(self.settings.margin);
        let at_null = self.spread(null.k);
        if null.shift <= 0.0 || at_null.by_observation <= 0.0 {
            return None;
        }
        let mut variance = at_null.variance();
        let mut events = f64::INFINITY;
        if self.coding.is_rate() {
            let control_rate = self.control_rate();
            let null_rate = self.null_rate(control_rate);
            let binomial = self.sums.treatment.squared_weights * null_rate * (1.0 - null_rate)
                + null.k * null.k * self.sums.control.squared_weights * control_rate * (1.0 - control_rate);
            events = self.events_at_margin();
            variance = variance.max(spread.design_effect() * binomial);
        }
        let shifted = Shifted {
            sum: null.shift - self.sums.sum,
            weight: self.sums.weight,
            variance,
            df: at_null.df,
        };
        Some(NonInferiority { shifted, events })
    }

    /// The null "harm up to `size`" (ENGINE section 5).
    fn null(&self, size: f64) -> Null {
        let ContrastSums {
            weight, control_sum, ..
        } = self.sums;
        match self.settings.unit {
            HarmUnit::Metric => Null {
                shift: size * weight,
                k: 1.0,
            },
            HarmUnit::ControlMean => Null {
                shift: size * control_sum,
                k: 1.0 + self.coding.harm_sign() * size,
            },
            // Harm y = 1 − x up to m of the good: y_T − y_C ≤ m (1 − y_C), so y_T − (1 − m) y_C ≤ m.
            HarmUnit::ControlGood => Null {
                shift: size * (weight - control_sum),
                k: 1.0 - size,
            },
        }
    }

    /// The bets on health, where health is proved by bets.
    fn health(&self) -> Option<&BernoulliProcess> {
        let health = self.sums.health.as_ref();
        health.filter(|_| self.coding.is_rate() && self.settings.margin > 0.0)
    }

    /// What bets against "not worse" are tempered by.
    fn temper(&self, spread: Spread) -> f64 {
        if self.settings.tempered_by_control {
            self.design_effect_of_health(spread)
        } else {
            spread.design_effect()
        }
    }

    /// About how many times the present data it takes until bets against "not worse" have won.
    pub(super) fn growth_until_worse(&self, log_threshold: f64) -> Option<f64> {
        let temper = self.temper(self.spread(1.0));
        self.sums
            .process
            .growth_until(temper, log_threshold, 1.0, GROWTH_MAX)
    }

    /// The design effect that bets on health are tempered by: no smaller than control's own.
    ///
    /// A treatment without harm shows no clustering of harm either, but its users come back as often as
    /// control's. Control's weights change from tick to tick, which hides clustering: in the variance of
    /// a sum over a user's ticks, correlations count by the square of the mean weight, and single
    /// observations by the mean of its square.
    fn design_effect_of_health(&self, spread: Spread) -> f64 {
        let control = self.spreads.control;
        let (sums, weight) = (&self.sums.control, self.sums.weight);
        let hidden = sums.squared_weights * (count_as_f64(sums.used) / weight) / weight;
        let of_control = 1.0 + (control.design_effect() - 1.0) * hidden.max(1.0);
        spread.design_effect().max(of_control)
    }

    /// How many harmful treated observations there would be at the margin.
    fn events_at_margin(&self) -> f64 {
        count_as_f64(self.sums.treatment.used) * self.null_rate(self.control_rate())
    }

    /// Treatment's rate of harm at the margin.
    fn null_rate(&self, control_rate: f64) -> f64 {
        self.settings
            .margin_null()
            .treatment(control_rate)
            .min(NULL_RATE_MAX)
    }

    /// Estimated difference, treatment − control, in metric units.
    pub(super) fn difference(&self) -> Option<f64> {
        self.reading
            .estimate()
            .map(|harm| self.coding.metric_sign() * harm)
    }

    /// How far the difference may lie from its estimate, on each side at `exp(-log_threshold)`, at
    /// any number of looks; none until the guards hold, infinite where the data bound nothing.
    ///
    /// Rates use the mixture for means here too: the Bernoulli process has no null but equality.
    pub(super) fn half_width(&self, log_threshold: f64) -> Option<f64> {
        let Reading {
            weight,
            variance,
            df,
            guards_hold,
            ..
        } = self.reading;
        guards_hold.then(|| self.mixture.distance(weight, variance, df, log_threshold))
    }

    /// The tolerated worsening in metric units; none while a relative one is unknown or not positive.
    pub(super) fn margin(&self) -> Option<f64> {
        let size = match self.settings.unit {
            HarmUnit::Metric => self.settings.margin,
            HarmUnit::ControlMean | HarmUnit::ControlGood => {
                self.null(self.settings.margin).shift / self.sums.weight
            }
        };
        (size > 0.0 && size.is_finite()).then_some(size)
    }

    /// Whether the estimate is no worse than the margin; none while either is unknown.
    pub(super) fn within_margin(&self) -> Option<bool> {
        let harm = self.reading.estimate()?;
        self.margin().map(|margin| harm <= margin)
    }

    /// About how many more treated observations until health is proved, at the present estimate,
    /// variance and split.
    ///
    /// Solves `log E = -ln alpha` for the growth of the data, everything else kept in proportion
    /// (STATISTICS section 7). None when nothing is open, when there is no margin left to prove (the
    /// estimate is at or beyond it), when the users seen so far are too few to say, or when it would
    /// take more than a million times the present data.
    pub(super) fn needs(&self) -> Option<u64> {
        if self.reading.verdict != Verdict::Inconclusive || !self.enough_clusters() {
            return None;
        }
        let treated = count_as_f64(self.reading.treated);
        let threshold = self.settings.alpha_non_inferior.log_threshold();
        if let Some(health) = self.health() {
            let least = (count_as_f64(self.settings.test.treated_min) / treated)
                .max(NULL_EVENTS_MIN / self.events_at_margin())
                .max(1.0);
            let growth = health.growth_until(
                self.design_effect_of_health(self.spread(1.0)),
                threshold,
                least,
                GROWTH_MAX,
            )?;
            return Some(ceil_as_count((growth - 1.0) * treated).max(1));
        }
        let test = self.non_inferiority(self.spread(1.0))?;
        if test.shifted.sum <= 0.0 {
            return None;
        }
        let least = (count_as_f64(self.settings.test.treated_min) / treated)
            .max(NULL_EVENTS_MIN / test.events)
            .max(1.0);
        let growth = self
            .health_mixture
            .growth_until(test.shifted, threshold, least, GROWTH_MAX)?;
        Some(ceil_as_count((growth - 1.0) * treated).max(1))
    }
}

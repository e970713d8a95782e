//! Treatment against the control as it was, when nobody is in control any more.
//!
//! **This is a comparison with the past**: whatever changes for everybody, a slower model or harder
//! questions, looks here as if the candidate had got worse. It is what is left at 100% without a
//! holdback, and it therefore has an alpha of its own ([`Alpha::PAST`]).
//!
//! When control ends, its mean is moved towards harm, by what it may be off and by the metric's margin, and
//! becomes a fixed limit of treatment: the one-arm test of ENGINE (STATISTICS 1.5). The mean is that of the
//! ticks in which both arms were served, weighted as their comparison weighted them; what it may be off is
//! [`BOUND_DEVIATIONS`] of its standard errors by clusters. A false alarm needs the bound to miss, or the
//! e-process to err: by the union bound at most 0.1% for each bound (a metric has up to four, one a
//! quantile) and [`Alpha::PAST`] for the metric. Of a quantile, treatment's values above the control's last
//! edge, moved up by the margin, are limited to the share that control had above its own.

use super::bins::LogBin;
use super::contrast::Contrast;
use super::limit::Limit;
use super::metric::Compared;
use super::quantile::{QuantileTest, Quantiles};
use super::settings::{LimitSettings, Statistic, TestSettings};
use super::special::{count_as_f64, log_sum_exp, z_to_t};
use super::variance::{ArmSpread, Spread};
use super::{PastEvidence, Tally};
use crate::ids::Tick;
use crate::policy::{Alpha, Better};

/// How many standard errors a frozen mean is moved towards harm: 0.1% of a normal distribution lie
/// beyond them.
const BOUND_DEVIATIONS: f64 = 3.1;

/// One metric's treatment against its control as it was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Past {
    /// The last tick that control was looked at.
    pub(super) since: Option<Tick>,
    /// One test, or one for each quantile; at least one.
    pub(super) limits: Vec<Limit>,
}

/// The only settings of such a test that do not follow from the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frozen {
    /// See [`LimitSettings::limit`].
    pub(super) limit: f64,
    /// What control had, in the units of the limit: what treatment is expected to have.
    pub(super) centre: f64,
    /// See [`LimitSettings::edge`].
    pub(super) edge: Option<LogBin>,
}

impl Past {
    /// Freezes control as it stands; none while too little is known of it.
    pub(super) fn of(compared: &Compared, since: Option<Tick>) -> Option<Self> {
        let limits: Option<Vec<Limit>> = match compared {
            Compared::Values(contrast) => frozen_mean(contrast)
                .map(|frozen| vec![Limit::new(Self::settings(contrast.settings().test, frozen))]),
            Compared::Quantiles(quantiles) => quantiles
                .tests
                .iter()
                .map(|test| {
                    let frozen = frozen_quantile(quantiles, test)?;
                    Some(Limit::new(Self::settings(test.settings.exceedance.test, frozen)))
                })
                .collect(),
        };
        limits
            .filter(|limits| !limits.is_empty())
            .map(|limits| Self { since, limits })
    }

    /// The settings of the test of what was frozen.
    pub(super) fn settings(test: TestSettings, frozen: Frozen) -> LimitSettings {
        let test = TestSettings {
            alpha: Alpha::PAST,
            prior_centre: frozen.centre,
            ..test
        };
        LimitSettings {
            test: match frozen.edge {
                Some(_) => TestSettings {
                    statistic: Statistic::Rate,
                    better: Better::Lower,
                    ..test
                },
                None => test,
            },
            limit: frozen.limit,
            edge: frozen.edge,
        }
    }

    pub(super) fn absorb(&mut self, treatment: &Tally) {
        for limit in &mut self.limits {
            limit.absorb(treatment);
        }
    }

    /// Log e-value against "no worse than control was, within the margin": the mean of the quantiles'
    /// e-values.
    pub(super) fn log_e(&self) -> f64 {
        let logs: Vec<f64> = self
            .limits
            .iter()
            .map(|limit| limit.reading().log_e_worse)
            .collect();
        log_sum_exp(&logs) - count_as_f64(logs.len() as u64).ln()
    }

    /// Whether treatment is proved to be worse than control was.
    pub(super) fn is_broken(&self) -> bool {
        self.log_e() >= Alpha::PAST.log_threshold()
    }

    /// What it shows; a limit of logarithms as one of values.
    pub(super) fn evidence(&self, logarithmic: bool) -> Option<PastEvidence> {
        let highest = self.limits.last()?;
        let LimitSettings { limit, edge, .. } = *highest.settings();
        let limit = match edge {
            Some(edge) => edge.upper_edge(),
            None if logarithmic => limit.exp(),
            None => limit,
        };
        // The mean of logarithms may be that of values beyond all numbers.
        limit.is_finite().then(|| PastEvidence {
            since: self.since,
            limit,
            treated: highest.reading().treated,
            log_e: self.log_e(),
        })
    }
}

/// The control's mean, moved towards harm.
fn frozen_mean(contrast: &Contrast) -> Option<Frozen> {
    if !contrast.reading().guards_hold {
        return None;
    }
    let margin = contrast.margin()?;
    let weight = contrast.sums.weight;
    let spread = Spread::of(ArmSpread::default(), contrast.sums.control.spread(), 1.0);
    let error = z_to_t(BOUND_DEVIATIONS, spread.df) * spread.variance().sqrt() / weight;
    let (coding, mean) = (contrast.coding(), contrast.sums.control_sum / weight);
    let limit = mean + coding.harm_sign() * (error + margin);
    // No rate of harm reaches 100%, so that nothing could be said of such a limit.
    let sound = limit.is_finite() && !(coding.is_rate() && limit >= 1.0);
    // Coding is its own inverse.
    sound.then(|| Frozen {
        limit: coding.encode(limit),
        centre: coding.encode(mean),
        edge: None,
    })
}

/// The control's edge, moved up by the margin, and the share above it, moved up by what it may be off.
fn frozen_quantile(quantiles: &Quantiles, test: &QuantileTest) -> Option<Frozen> {
    let reading = test.exceedance.reading();
    if !reading.guards_hold {
        return None;
    }
    let edge = test.settings.edge(&quantiles.control)?;
    let share = 1.0 - test.settings.quantile.ratio();
    let variance = reading.design_effect * share * (1.0 - share) / count_as_f64(quantiles.control.total());
    let tolerated = match test.settings.moved {
        Some(_) => 0.0,
        None => test.settings.exceedance.margin,
    };
    let limit = share + tolerated + z_to_t(BOUND_DEVIATIONS, reading.df) * variance.sqrt();
    (limit < 1.0).then(|| Frozen {
        limit,
        centre: share,
        edge: Some(test.settings.moved.map_or(edge, |moved| moved.by.apply(edge))),
    })
}

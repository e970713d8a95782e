//! What one metric shows to people, at one moment.

use super::bins::{LogBin, Sketch};
use super::metric::{Compared, MetricEngine, Seen};
use super::quantile::{QuantileTest, Quantiles};
use super::sequence::quantile::FixedQuantile;
use super::{Comparison, Evidence, QuantileEvidence, QuantileInterval, Verdict};
use crate::ids::Tick;
use crate::policy::{Better, Quantile};
use jiff::{SignedDuration, Timestamp};

/// Number of an arm's values at which the interval of a quantile is at its tightest: some dozens lie above
/// a p95 then.
const INTERVAL_TUNED_FOR: f64 = 1_000.0;

/// The moment and the rules that evidence is shown under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewpoint {
    pub(super) now: Timestamp,
    /// When the present step began.
    pub(super) since: Timestamp,
    pub(super) comparison: Comparison,
    /// How long an arm of a guardrail may be silent.
    pub(super) silence_max: SignedDuration,
    /// What the combined log e-value must reach: −ln alpha.
    pub(super) threshold: f64,
    /// Whether intervals are shown.
    pub(super) intervals: bool,
}

impl Viewpoint {
    /// What a null's log e-value must reach for the null to lie outside of the interval of a difference:
    /// half of alpha is on each side.
    fn interval_threshold(&self) -> f64 {
        self.threshold + std::f64::consts::LN_2
    }
}

impl MetricEngine {
    /// Everything that this metric shows, in metric units.
    pub(super) fn evidence(&self, view: &Viewpoint) -> Evidence {
        let contrast = self.contrast.as_ref();
        let reading = contrast.map(|contrast| contrast.reading());
        let limit = self.limit.as_ref().map(|limit| limit.reading());
        let silent_since = self.silent_since(view);
        let failed = reading.is_some_and(|test| test.verdict == Verdict::Fail)
            || self.broken().is_some()
            || self.fails_alone(view.threshold);
        let verdict = if failed {
            Verdict::Fail
        } else if silent_since.is_some() {
            Verdict::Invalid
        } else {
            reading.map_or(Verdict::Inconclusive, |test| test.verdict)
        };
        let logarithmic = self.plan.logarithmic;
        let effect = contrast.map_or(Effect::default(), |contrast| self.effect(contrast, view));
        Evidence {
            metric: self.plan.name.clone(),
            role: self.plan.role,
            control: self.control.evidence(logarithmic),
            treatment: self.treatment.evidence(logarithmic),
            quantiles: match contrast {
                Some(Compared::Quantiles(quantiles)) => quantiles.evidence(view),
                Some(Compared::Values(_)) | None => Vec::new(),
            },
            relative: logarithmic,
            difference: effect.difference,
            interval: effect.interval,
            margin: effect.margin,
            within_margin: contrast.and_then(|contrast| contrast.within_margin()),
            log_e_worse: reading.map_or(0.0, |test| test.log_e_worse),
            log_e_non_inferior: reading.map_or(0.0, |test| test.log_e_non_inferior),
            log_e_limit: limit.map(|test| test.log_e_worse),
            past: self.past.as_ref().and_then(|past| past.evidence(logarithmic)),
            needs: match view.comparison {
                Comparison::Concurrent => contrast.and_then(|contrast| contrast.needs()),
                // Treated observations alone add nothing to a comparison.
                Comparison::TreatmentOnly => None,
            },
            verdict,
            silent_since,
        }
    }

    /// How far treatment is from control, as people read it.
    fn effect(&self, compared: &Compared, view: &Viewpoint) -> Effect {
        let contrast = match compared {
            Compared::Values(contrast) => contrast,
            Compared::Quantiles(quantiles) => return quantiles.effect(),
        };
        let difference = contrast.difference();
        let interval = difference
            .filter(|_| view.intervals)
            .and_then(|difference| Some((difference, contrast.half_width(view.interval_threshold())?)))
            .map(|(difference, half_width)| self.cut(difference, half_width))
            .filter(|(lower, upper)| lower.is_finite() && upper.is_finite());
        let effect = Effect {
            difference,
            interval,
            margin: contrast.margin(),
        };
        if self.plan.logarithmic {
            effect.of_ratios(self.plan.better())
        } else {
            effect
        }
    }

    /// The confidence interval, cut to what differences of means can be at all.
    fn cut(&self, difference: f64, half_width: f64) -> (f64, f64) {
        let span = self.plan.span;
        let lower = (difference - half_width).max(-span).min(difference);
        let upper = (difference + half_width).min(span).max(difference);
        (lower, upper)
    }

    /// Since when an arm that must speak has been silent for too long; guardrails only.
    fn silent_since(&self, view: &Viewpoint) -> Option<Timestamp> {
        if !self.is_guardrail() {
            return None;
        }
        let must_speak: &[&Seen] = match view.comparison {
            Comparison::Concurrent => &[&self.control, &self.treatment],
            Comparison::TreatmentOnly => &[&self.treatment],
        };
        must_speak
            .iter()
            .map(|seen| seen.last.map_or(view.since, |last| view.since.max(end_of(last))))
            .filter(|&quiet_from| view.now.duration_since(quiet_from) >= view.silence_max)
            .min()
    }
}

/// A difference with its interval, and what is tolerated of it.
#[derive(Debug, Clone, Copy, Default)]
struct Effect {
    difference: Option<f64>,
    interval: Option<(f64, f64)>,
    margin: Option<f64>,
}

impl Effect {
    /// Differences of logarithms as ratios of values: 0.12 is 12% more.
    fn of_ratios(self, better: Better) -> Self {
        let finite = |value: f64| Some(value.exp_m1()).filter(|ratio| ratio.is_finite());
        Self {
            difference: self.difference.and_then(finite),
            interval: self
                .interval
                .and_then(|(lower, upper)| finite(lower).zip(finite(upper))),
            margin: self.margin.and_then(|margin| match better {
                Better::Lower => finite(margin),
                Better::Higher => finite(-margin).map(|lost| -lost),
            }),
        }
    }
}

impl Quantiles {
    fn effect(&self) -> Effect {
        Effect {
            difference: self.highest().map(|(control, treatment)| treatment - control),
            interval: None,
            margin: self.margin(),
        }
    }

    fn evidence(&self, view: &Viewpoint) -> Vec<QuantileEvidence> {
        let of_test = |test: &QuantileTest| {
            let (quantile, reading) = (test.settings.quantile, test.reading());
            let interval = |arm: &Sketch| {
                if view.intervals {
                    arm.interval(quantile, view.threshold, reading.design_effect)
                } else {
                    QuantileInterval::default()
                }
            };
            QuantileEvidence {
                quantile,
                control: self.control.quantile(quantile.ratio()).map(LogBin::middle),
                treatment: self.treatment.quantile(quantile.ratio()).map(LogBin::middle),
                control_interval: interval(&self.control),
                treatment_interval: interval(&self.treatment),
                log_e_worse: reading.log_e_worse,
                log_e_non_inferior: reading.log_e_non_inferior,
                verdict: reading.verdict,
            }
        };
        self.tests.iter().map(of_test).collect()
    }
}

impl Sketch {
    /// What the quantile can be, at α = `exp(−log_threshold)` for all looks at once.
    fn interval(&self, quantile: Quantile, log_threshold: f64, design_effect: f64) -> QuantileInterval {
        let Ok(sequence) = FixedQuantile::tuned(quantile.ratio(), INTERVAL_TUNED_FOR, log_threshold) else {
            return QuantileInterval::default();
        };
        let (lower, upper) = sequence.interval(self.counts(), design_effect);
        QuantileInterval {
            lower: lower.map(LogBin::upper_edge),
            // What is in the last bin can lie anywhere above its edge.
            upper: upper
                .filter(|&bin| bin < LogBin::GREATEST)
                .map(LogBin::upper_edge),
        }
    }
}

fn end_of(tick: Tick) -> Timestamp {
    Tick::new(tick.second().saturating_add(Tick::SECONDS)).begins()
}

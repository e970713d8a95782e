//! What one metric shows to people, at one moment.

use super::metric::{MetricEngine, Seen};
use super::{Comparison, Evidence, Verdict};
use crate::ids::Tick;
use jiff::{SignedDuration, Timestamp};

/// The moment and the rules that evidence is shown under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewpoint {
    pub(super) now: Timestamp,
    /// When the present step began.
    pub(super) since: Timestamp,
    pub(super) comparison: Comparison,
    /// How long an arm of a guardrail may be silent.
    pub(super) silence_max: SignedDuration,
    /// What a null's log e-value must reach for the null to lie outside of the interval.
    pub(super) interval_threshold: f64,
}

impl MetricEngine {
    /// Everything that this metric shows, in metric units.
    pub(super) fn evidence(&self, view: &Viewpoint) -> Evidence {
        let contrast = self.contrast.as_ref();
        let reading = contrast.map(|contrast| contrast.reading());
        let limit = self.limit.as_ref().map(|limit| limit.reading());
        let silent_since = self.silent_since(view);
        let failed = [reading, limit]
            .into_iter()
            .flatten()
            .any(|test| test.verdict == Verdict::Fail);
        let verdict = if failed {
            Verdict::Fail
        } else if silent_since.is_some() {
            Verdict::Invalid
        } else {
            reading.map_or(Verdict::Inconclusive, |test| test.verdict)
        };
        Evidence {
            metric: self.plan.name.clone(),
            role: self.plan.role,
            control: self.control.evidence(),
            treatment: self.treatment.evidence(),
            difference: contrast.and_then(|contrast| contrast.difference()),
            interval: self.interval(view.interval_threshold),
            margin: contrast.and_then(|contrast| contrast.margin()),
            log_e_worse: reading.map_or(0.0, |test| test.log_e_worse),
            log_e_non_inferior: reading.map_or(0.0, |test| test.log_e_non_inferior),
            log_e_limit: limit.map(|test| test.log_e_worse),
            needs: match view.comparison {
                Comparison::Concurrent => contrast.and_then(|contrast| contrast.needs()),
                // Treated observations alone add nothing to a comparison.
                Comparison::TreatmentOnly => None,
            },
            verdict,
            silent_since,
        }
    }

    /// The confidence interval, cut to what differences of means can be at all.
    fn interval(&self, log_threshold: f64) -> Option<(f64, f64)> {
        let contrast = self.contrast.as_ref()?;
        let difference = contrast.difference()?;
        let half_width = contrast.half_width(log_threshold)?;
        let span = self.plan.span;
        let lower = (difference - half_width).max(-span).min(difference);
        let upper = (difference + half_width).min(span).max(difference);
        (lower.is_finite() && upper.is_finite()).then_some((lower, upper))
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

fn end_of(tick: Tick) -> Timestamp {
    Tick::new(tick.second().saturating_add(Tick::SECONDS)).begins()
}

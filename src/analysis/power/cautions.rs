//! What to think about before a rollout begins.

use super::expected::Stay;
use super::ladder::{Rollout, hours_of};
use super::{StepForecast, WaitsFor};
use crate::analysis::metric::MetricEngine;
use crate::analysis::settings::ContrastPlan;
use crate::ids::MetricName;
use crate::policy::{OnInconclusive, OnNoData};

/// Fewer treated observations than this in the time that a guardrail may be silent, and silence comes
/// by chance: at 5 it is 1 in 150 of such times.
const OBSERVATIONS_PER_SILENCE_MIN: f64 = 5.0;
/// A metric whose proof takes so many times that of the next one holds the rollout up alone.
const DOMINANCE: f64 = 3.0;
/// A rollout that takes so many times its bakes is another one than the policy shows.
const HOURS_PER_BAKES_MAX: f64 = 2.0;

/// Something to think about.
#[derive(Debug, Clone, PartialEq)]
pub enum Caution {
    /// A good candidate is not proved healthy before the policy's patience ends.
    OutlastsPatience {
        /// The step, from 0.
        step: usize,
        /// The guardrail that takes longest.
        metric: MetricName,
        /// Hours until its proof; none when that is beyond
        /// [`HORIZON_HOURS_MAX`](super::HORIZON_HOURS_MAX).
        hours: Option<f64>,
        /// Hours until the patience ends.
        patience_hours: f64,
        /// What then follows.
        then: OnInconclusive,
    },
    /// There are too few observations for any evidence before the policy's patience ends.
    GuardsOutlastPatience {
        /// The step, from 0.
        step: usize,
        /// The guardrail that takes longest.
        metric: MetricName,
        /// Hours until its evidence counts; none when that is beyond the horizon.
        hours: Option<f64>,
        /// Hours until the patience ends.
        patience_hours: f64,
    },
    /// A step asks for fewer samples than any evidence needs.
    SamplesBelowGuards {
        /// The step, from 0.
        step: usize,
        /// What it asks for.
        samples: u64,
        /// What evidence needs.
        least: u64,
    },
    /// Treated observations are so rare that they seem to stay away.
    Silence {
        /// The step, from 0.
        step: usize,
        /// Treated observations in the time that a guardrail may be silent.
        expected: f64,
        /// That time, in hours.
        silence_hours: f64,
        /// What follows from silence.
        then: OnNoData,
    },
    /// One guardrail alone holds the rollout up.
    Dominates {
        /// The step, from 0.
        step: usize,
        /// The guardrail.
        metric: MetricName,
        /// Hours until its proof.
        hours: f64,
        /// Hours that the step would take without it.
        hours_without: f64,
    },
    /// The rollout takes much longer than its bakes say.
    LongerThanBakes {
        /// Hours until promotion.
        hours: f64,
        /// All bakes, in hours.
        bake_hours: f64,
    },
}

/// What there is to think about, in the order of the steps.
pub(super) fn of(rollout: &Rollout<'_>, steps: &[StepForecast]) -> Vec<Caution> {
    let mut cautions = Vec::new();
    let mut before = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let exposure = step.exposure.ratio();
        cautions.extend(samples(rollout, index, step));
        cautions.extend(silence(rollout, index, exposure));
        match patience(rollout, index, step, &before) {
            Some(caution) => cautions.push(caution),
            None => cautions.extend(dominance(index, step)),
        }
        before.push(Stay {
            exposure,
            hours: step.hours.unwrap_or(0.0),
        });
    }
    cautions.extend(length(rollout, steps));
    cautions
}

fn samples(rollout: &Rollout<'_>, index: usize, step: &StepForecast) -> Option<Caution> {
    let least = rollout.treated_min()?;
    // Evidence carries over, so that only the first step is left too early; without any samples that
    // is another warning.
    (index == 0 && step.samples > 0 && step.samples < least).then_some(Caution::SamplesBelowGuards {
        step: index,
        samples: step.samples,
        least,
    })
}

fn silence(rollout: &Rollout<'_>, index: usize, exposure: f64) -> Option<Caution> {
    let rule = rollout.policy.analysis.no_data;
    let silence_hours = hours_of(rule.after);
    let expected = rollout.treated_per_hour(exposure) * silence_hours;
    // Later steps have more treated observations.
    (index == 0 && expected < OBSERVATIONS_PER_SILENCE_MIN).then_some(Caution::Silence {
        step: index,
        expected,
        silence_hours,
        then: rule.then,
    })
}

fn patience(rollout: &Rollout<'_>, index: usize, step: &StepForecast, before: &[Stay]) -> Option<Caution> {
    let rule = rollout.policy.analysis.inconclusive;
    let patience_hours = hours_of(rule.after);
    let late = |hours: Option<f64>| hours.is_none_or(|hours| hours > patience_hours);
    let (metric, hours) = slowest(&step.proofs)?;
    if !late(hours) {
        return None;
    }
    let exposure = step.exposure.ratio();
    let counts = rollout.counts_after(before, exposure);
    match slowest(&counts) {
        Some((metric, hours)) if late(hours) => Some(Caution::GuardsOutlastPatience {
            step: index,
            metric,
            hours,
            patience_hours,
        }),
        Some(_) | None => Some(Caution::OutlastsPatience {
            step: index,
            metric,
            hours,
            patience_hours,
            then: rule.then,
        }),
    }
}

fn dominance(index: usize, step: &StepForecast) -> Option<Caution> {
    let WaitsFor::Evidence(metric) = &step.waits_for else {
        return None;
    };
    let hours = step.hours?;
    let others = step.proofs.iter().filter(|(other, _)| other != metric);
    let slowest_other = others.filter_map(|(_, hours)| *hours).fold(0.0, f64::max);
    let hours_without = slowest_other.max(step.bake_hours).max(step.samples_hours);
    (hours > DOMINANCE * hours_without).then(|| Caution::Dominates {
        step: index,
        metric: metric.clone(),
        hours,
        hours_without,
    })
}

fn length(rollout: &Rollout<'_>, steps: &[StepForecast]) -> Option<Caution> {
    let bake_hours = steps.iter().map(|step| step.bake_hours).sum::<f64>();
    let all = steps.len() == rollout.policy.steps.len();
    let hours = steps
        .iter()
        .map(|step| step.hours)
        .sum::<Option<f64>>()
        .filter(|_| all)?;
    (hours > HOURS_PER_BAKES_MAX * bake_hours).then_some(Caution::LongerThanBakes { hours, bake_hours })
}

fn slowest(proofs: &[(MetricName, Option<f64>)]) -> Option<(MetricName, Option<f64>)> {
    let order = |proof: &Option<f64>| proof.unwrap_or(f64::INFINITY);
    let slowest = proofs.iter().max_by(|a, b| order(&a.1).total_cmp(&order(&b.1)));
    slowest.cloned()
}

impl Rollout<'_> {
    /// Least number of treated observations before any evidence of any guardrail counts.
    fn treated_min(&self) -> Option<u64> {
        let guardrails = self.guardrails();
        let least = guardrails.filter_map(|(_, engine)| match engine.plan.contrast.as_ref()? {
            ContrastPlan::Values(settings) => Some(settings.test.treated_min),
            ContrastPlan::Quantiles(settings) => settings
                .iter()
                .map(|settings| settings.exceedance.test.treated_min)
                .max(),
        });
        least.max()
    }

    /// Hours in a step, after `before`, until the evidence of each guardrail counts.
    fn counts_after(&self, before: &[Stay], exposure: f64) -> Vec<(MetricName, Option<f64>)> {
        let counts = |engine: &MetricEngine| {
            let reading = engine.contrast.as_ref().map(|contrast| contrast.reading());
            // It is 0 to the last bit until it counts.
            reading.is_some_and(|reading| reading.guards_hold && reading.log_e_non_inferior.abs() > 0.0)
        };
        self.guardrails()
            .map(|(outlook, _)| {
                let hours = self.hours_until(outlook, before, exposure, counts);
                (outlook.metric.name.clone(), hours)
            })
            .collect()
    }
}

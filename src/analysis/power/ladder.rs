//! A rollout as it is expected to go: through the steps, by the rules of `rollout::decide`.

use super::expected::{Outlook, Stay};
use super::values::Values;
use super::{Baseline, Conditions, ConditionsError, HORIZON_HOURS_MAX, StepForecast, WaitsFor};
use crate::analysis::Verdict;
use crate::analysis::engine::Engine;
use crate::analysis::metric::MetricEngine;
use crate::analysis::verdict::conclude;
use crate::ids::{Exposure, MetricName, Tick};
use crate::policy::{OnInconclusive, Policy, Step};
use jiff::SignedDuration;

/// Ratio of two neighbouring times that are looked at before a moment is bracketed.
const STRIDE: f64 = 1.25;
/// Halvings of a bracket: to a millionth of it.
const HALVINGS: usize = 20;

/// A policy, and what is expected under it.
pub(super) struct Rollout<'p> {
    pub(super) policy: &'p Policy,
    pub(super) conditions: &'p Conditions,
    /// The candidate as good as the stable version, in the policy's order.
    outlooks: Vec<Outlook<'p>>,
    engines: Vec<MetricEngine>,
}

/// A stay in a step, or in the watch after the last one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    /// The step, from 0; none for the watch.
    pub(super) step: Option<usize>,
    pub(super) stay: Stay,
    /// Hours from the start of the rollout to that of the stay.
    pub(super) begins: f64,
    /// Whether the step is left.
    pub(super) left: bool,
    /// Hours in the step after which it goes on although nothing is proved.
    pub(super) patience: Option<f64>,
}

/// A rollout from its start to its end, or to the step that it never leaves.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    pub(super) visits: Vec<Visit>,
    /// When the candidate is first proved to be worse, in hours.
    pub(super) fails: Option<f64>,
    /// When the policy's patience ends with a pause or a rollback, in hours.
    pub(super) patience_ends: Option<f64>,
}

impl<'p> Rollout<'p> {
    pub(super) fn new(policy: &'p Policy, conditions: &'p Conditions) -> Result<Self, ConditionsError> {
        let outlook = |metric| {
            let stable = Values::stable(metric, Baseline::of(metric, conditions))?;
            Ok(Outlook {
                metric,
                stable,
                candidate: stable,
            })
        };
        Ok(Self {
            policy,
            conditions,
            outlooks: policy.metrics.iter().map(outlook).collect::<Result<_, _>>()?,
            engines: Engine::new(policy).metrics,
        })
    }

    /// The course of a candidate that is as good as the stable version.
    pub(super) fn healthy(&self) -> Course {
        self.course(&self.outlooks)
    }

    /// The course of a candidate of which one metric has other values.
    pub(super) fn with(&self, worse: &MetricName, candidate: Values) -> Course {
        self.course(&self.outlooks_with(worse, candidate))
    }

    fn outlooks_with(&self, worse: &MetricName, candidate: Values) -> Vec<Outlook<'p>> {
        let mut outlooks = self.outlooks.clone();
        for outlook in outlooks
            .iter_mut()
            .filter(|outlook| outlook.metric.name == *worse)
        {
            outlook.candidate = candidate;
        }
        outlooks
    }

    /// The guardrails, each with its tests before any data.
    pub(super) fn guardrails(&self) -> impl Iterator<Item = (&Outlook<'p>, &MetricEngine)> {
        let all = self.outlooks.iter().zip(&self.engines);
        all.filter(|(_, engine)| engine.is_guardrail())
    }

    /// What is expected of a metric.
    pub(super) fn outlook(&self, name: &MetricName) -> Option<&Outlook<'p>> {
        self.outlooks.iter().find(|outlook| outlook.metric.name == *name)
    }

    /// The tests of a metric after `stays`, with the candidate of `outlook`.
    pub(super) fn engine(&self, outlook: &Outlook<'_>, stays: &[Stay]) -> Option<MetricEngine> {
        let mut engine = self
            .engines
            .iter()
            .find(|engine| engine.plan.name == outlook.metric.name)?
            .clone();
        outlook.tell(&mut engine, stays, self.conditions);
        Some(engine)
    }

    fn engines(&self, outlooks: &[Outlook<'_>], stays: &[Stay]) -> Vec<MetricEngine> {
        let mut engines = self.engines.clone();
        for (engine, outlook) in engines.iter_mut().zip(outlooks) {
            outlook.tell(engine, stays, self.conditions);
        }
        engines
    }

    fn course(&self, outlooks: &[Outlook<'_>]) -> Course {
        let mut course = Course::default();
        let mut begins = 0.0;
        for (index, step) in self.policy.steps.iter().enumerate() {
            let exposure = self.policy.exposure_of(index).ratio();
            let visit = self.visit(
                outlooks,
                &mut course,
                index,
                step,
                Stay { exposure, hours: 0.0 },
                begins,
            );
            begins += visit.stay.hours;
            self.note_failure(outlooks, &mut course, visit);
            course.visits.push(visit);
            if !visit.left {
                return course;
            }
        }
        let watch = Visit {
            step: None,
            stay: Stay {
                exposure: Exposure::EVERYBODY.ratio(),
                hours: hours_of(self.policy.watch),
            },
            begins,
            left: true,
            patience: None,
        };
        self.note_failure(outlooks, &mut course, watch);
        course.visits.push(watch);
        course
    }

    /// How long `decide` stays in a step.
    fn visit(
        &self,
        outlooks: &[Outlook<'_>],
        course: &mut Course,
        index: usize,
        step: &Step,
        stay: Stay,
        begins: f64,
    ) -> Visit {
        let before = stays(course);
        let passes = |engines: &[MetricEngine]| {
            let mut guardrails = engines.iter().filter(|engine| engine.is_guardrail());
            guardrails.all(|engine| verdict(engine) == Verdict::Pass)
        };
        let proof = first_time(|hours| passes(&self.engines(outlooks, &after(&before, stay, hours))));
        let least = hours_of(step.bake).max(self.samples_hours(index));
        let patience = self.policy.analysis.inconclusive;
        let patience_hours = hours_of(patience.after);
        let mut leaves = proof;
        let mut goes_on = None;
        if proof.is_none_or(|proof| proof >= patience_hours) {
            match patience.then {
                OnInconclusive::Hold => {}
                OnInconclusive::Pause | OnInconclusive::RollBack => {
                    course.patience_ends.get_or_insert(begins + patience_hours);
                }
                OnInconclusive::Advance => {
                    let engines = self.engines(outlooks, &after(&before, stay, patience_hours));
                    if within_margins(&engines) {
                        leaves = Some(patience_hours);
                        goes_on = Some(patience_hours);
                    }
                }
            }
        }
        let hours = leaves.map_or(HORIZON_HOURS_MAX, |leaves| leaves.max(least));
        Visit {
            step: Some(index),
            stay: Stay { hours, ..stay },
            begins,
            left: leaves.is_some(),
            patience: goes_on,
        }
    }

    fn note_failure(&self, outlooks: &[Outlook<'_>], course: &mut Course, visit: Visit) {
        if course.fails.is_some() {
            return;
        }
        let before = stays(course);
        let alpha = self.policy.analysis.alpha.log_threshold();
        let fails = |hours: f64| {
            let engines = self.engines(outlooks, &after(&before, visit.stay, hours));
            conclude(&engines, alpha).verdict == Verdict::Fail
        };
        let hours = first_time(fails).filter(|hours| *hours <= visit.stay.hours);
        course.fails = hours.map(|hours| visit.begins + hours);
    }

    /// Hours until a step has its samples.
    pub(super) fn samples_hours(&self, index: usize) -> f64 {
        let samples = self.policy.steps.get(index).map_or(0, |step| step.samples);
        let treated = self.treated_per_hour(self.policy.exposure_of(index).ratio());
        f64::from(u32::try_from(samples.max(1)).unwrap_or(u32::MAX)) / treated
    }

    /// Treated observations in an hour at an exposure.
    pub(super) fn treated_per_hour(&self, exposure: f64) -> f64 {
        self.conditions.observations_per_hour * exposure
    }

    /// Hours in a step, after `before`, until `holds` says so of the tests of one metric.
    pub(super) fn hours_until(
        &self,
        outlook: &Outlook<'_>,
        before: &[Stay],
        exposure: f64,
        holds: impl Fn(&MetricEngine) -> bool,
    ) -> Option<f64> {
        let stay = Stay { exposure, hours: 0.0 };
        first_time(|hours| {
            let engine = self.engine(outlook, &after(before, stay, hours));
            engine.is_some_and(|engine| holds(&engine))
        })
    }
}

/// What a metric's comparison with control concludes.
pub(super) fn verdict(engine: &MetricEngine) -> Verdict {
    engine
        .contrast
        .as_ref()
        .map_or(Verdict::Inconclusive, |contrast| contrast.reading().verdict)
}

fn within_margins(engines: &[MetricEngine]) -> bool {
    let mut guardrails = engines.iter().filter(|engine| engine.is_guardrail());
    guardrails.all(|engine| {
        let contrast = engine.contrast.as_ref();
        contrast.and_then(|contrast| contrast.within_margin()) == Some(true)
    })
}

fn stays(course: &Course) -> Vec<Stay> {
    course.visits.iter().map(|visit| visit.stay).collect()
}

fn after(before: &[Stay], stay: Stay, hours: f64) -> Vec<Stay> {
    let mut stays = before.to_vec();
    stays.push(Stay { hours, ..stay });
    stays
}

/// The hours in a duration.
pub(super) fn hours_of(duration: SignedDuration) -> f64 {
    duration.as_secs_f64() / 3_600.0
}

/// The first time in hours, from 0 to [`HORIZON_HOURS_MAX`], at which something holds.
///
/// It need not hold on: evidence that a metric is worse is void once the metric is proved to be inside
/// of its margin. Times are looked at in strides, and the first that holds is narrowed down.
pub(super) fn first_time(holds: impl Fn(f64) -> bool) -> Option<f64> {
    if holds(0.0) {
        return Some(0.0);
    }
    let tick = hours_of(SignedDuration::from_secs(Tick::SECONDS));
    let (mut below, mut above) = (0.0, tick);
    while !holds(above) {
        if above >= HORIZON_HOURS_MAX {
            return None;
        }
        below = above;
        above = (above * STRIDE).min(HORIZON_HOURS_MAX);
    }
    for _ in 0..HALVINGS {
        let middle = below + (above - below) / 2.0;
        if holds(middle) {
            above = middle;
        } else {
            below = middle;
        }
    }
    Some(above)
}

/// The steps of the course of a candidate that is as good as the stable version.
pub(super) fn step_forecasts(rollout: &Rollout<'_>, healthy: &Course) -> Vec<StepForecast> {
    let mut before = Vec::new();
    let mut forecasts = Vec::new();
    for visit in &healthy.visits {
        let step = visit
            .step
            .and_then(|index| Some((index, rollout.policy.steps.get(index)?)));
        let Some((index, step)) = step else { continue };
        let proofs = rollout.proofs(&before, visit.stay.exposure);
        let (bake_hours, samples_hours) = (hours_of(step.bake), rollout.samples_hours(index));
        forecasts.push(StepForecast {
            exposure: rollout.policy.exposure_of(index),
            bake_hours,
            samples: step.samples,
            samples_hours,
            waits_for: waits_for(visit, bake_hours, samples_hours, &proofs),
            proofs,
            hours: visit.left.then_some(visit.stay.hours),
            treated: rollout.treated_per_hour(visit.stay.exposure) * visit.stay.hours,
            approval: step.approval,
        });
        before.push(visit.stay);
    }
    forecasts
}

fn waits_for(
    visit: &Visit,
    bake_hours: f64,
    samples_hours: f64,
    proofs: &[(MetricName, Option<f64>)],
) -> WaitsFor {
    let hours = |proof: Option<f64>| proof.unwrap_or(f64::INFINITY);
    let slowest = proofs.iter().reduce(|slowest, proof| {
        if hours(proof.1) > hours(slowest.1) {
            proof
        } else {
            slowest
        }
    });
    let (proof, waits_for) = match (visit.patience, slowest) {
        (Some(patience), _) => (patience, WaitsFor::Patience),
        (None, Some((metric, proof))) => (hours(*proof), WaitsFor::Evidence(metric.clone())),
        (None, None) => (0.0, WaitsFor::Bake),
    };
    if bake_hours >= samples_hours && bake_hours >= proof {
        WaitsFor::Bake
    } else if samples_hours >= proof {
        WaitsFor::Samples
    } else {
        waits_for
    }
}

impl Rollout<'_> {
    /// Hours in a step, after `before`, until each guardrail is proved healthy.
    fn proofs(&self, before: &[Stay], exposure: f64) -> Vec<(MetricName, Option<f64>)> {
        self.guardrails()
            .map(|(outlook, _)| {
                let passes = |engine: &MetricEngine| verdict(engine) == Verdict::Pass;
                let proof = self.hours_until(outlook, before, exposure, passes);
                (outlook.metric.name.clone(), proof)
            })
            .collect()
    }
}

//! What comes of a candidate that makes one metric worse.

use super::ladder::{Course, Rollout, verdict};
use super::values::{Values, normal_quantile};
use super::{
    Baseline, Catch, Change, Conditions, ConditionsError, Outcome, P90_PER_MEDIAN, RegressionForecast,
};
use crate::analysis::Verdict;
use crate::ids::MetricName;
use crate::policy::{Better, LatencyStatistic, Margin, Metric, MetricKind};

/// Sizes of the regressions that are looked at when nobody asks for others, in margins.
const SIZES_IN_MARGINS: [f64; 3] = [1.0, 2.0, 5.0];

/// Regressions of a metric by some margins, as far as there are such values.
pub(super) fn in_margins(metric: &Metric, conditions: &Conditions) -> Vec<(MetricName, Change)> {
    let baseline = Baseline::of(metric, conditions);
    let Ok(stable) = Values::stable(metric, baseline) else {
        return Vec::new();
    };
    let changes = SIZES_IN_MARGINS
        .into_iter()
        .filter_map(|size| margins(metric, baseline, size));
    changes
        .filter(|change| stable.changed(metric, baseline.centre, *change).is_some())
        .map(|change| (metric.name.clone(), change))
        .collect()
}

/// A worsening by `size` margins.
fn margins(metric: &Metric, baseline: Baseline, size: f64) -> Option<Change> {
    let sign = match metric.better {
        Better::Higher => -1.0,
        Better::Lower => 1.0,
    };
    match metric.margin {
        Margin::Absolute(margin) => Some(Change::By(sign * size * margin)),
        Margin::Relative(margin) => {
            let ratio = 1.0 + sign * size * margin;
            (ratio > 0.0).then_some(Change::Times(ratio))
        }
        Margin::Exceedance(margin) => exceedance(metric.kind, baseline.spread, size * margin),
    }
}

/// The factor by which latencies grow when `more` of them come to lie above the highest quantile.
fn exceedance(kind: MetricKind, sigma: f64, more: f64) -> Option<Change> {
    let MetricKind::Latency {
        statistic: LatencyStatistic::Quantiles(quantiles),
        ..
    } = kind
    else {
        return None;
    };
    let below = quantiles.highest().ratio();
    let shift = normal_quantile(below) - normal_quantile(below - more);
    (below - more > 0.0).then(|| Change::Times((sigma * shift).exp()))
}

/// What comes of a candidate with this change.
pub(super) fn foretell(
    rollout: &Rollout<'_>,
    name: &MetricName,
    change: Change,
) -> Result<RegressionForecast, ConditionsError> {
    let Some(outlook) = rollout.outlook(name) else {
        return Err(ConditionsError::NoSuchMetric { metric: name.clone() });
    };
    let metric = outlook.metric;
    let refused = |why| ConditionsError::Change {
        metric: name.clone(),
        why,
    };
    let baseline = Baseline::of(metric, rollout.conditions);
    let candidate = outlook
        .stable
        .changed(metric, baseline.centre, change)
        .ok_or_else(|| ConditionsError::leaves_range(metric))?;
    if !is_worse(metric, change) {
        return Err(refused("that is no regression"));
    }
    let course = rollout.with(name, candidate);
    let outcome = match course.fails {
        Some(hours) => caught(rollout, &course, hours),
        None => tolerated(rollout, &course, name, candidate)
            .map_or(Outcome::Unnoticed, |hours| Outcome::Tolerated { hours }),
    };
    Ok(RegressionForecast {
        metric: name.clone(),
        role: metric.role,
        change,
        margins: super::in_margins(metric.margin, change, baseline.centre),
        outcome,
    })
}

fn is_worse(metric: &Metric, change: Change) -> bool {
    let more = match change {
        Change::By(size) => size,
        Change::Times(ratio) => ratio - 1.0,
    };
    match metric.better {
        Better::Higher => more < 0.0,
        Better::Lower => more > 0.0,
    }
}

fn caught(rollout: &Rollout<'_>, course: &Course, hours: f64) -> Outcome {
    let treated = treated_until(rollout, course, hours);
    Outcome::Caught {
        median: catch(rollout, course, treated, hours),
        p90: hours_until(rollout, course, treated * P90_PER_MEDIAN)
            .map(|hours| catch(rollout, course, treated * P90_PER_MEDIAN, hours)),
        patience_hours: course.patience_ends.filter(|ends| *ends < hours),
    }
}

fn catch(rollout: &Rollout<'_>, course: &Course, treated: f64, hours: f64) -> Catch {
    let begun = course.visits.iter().rev().find(|visit| visit.begins <= hours);
    Catch {
        treated,
        users: treated / rollout.conditions.visits.per_user,
        hours,
        step: begun.and_then(|visit| visit.step),
    }
}

/// Treated observations in the first `hours` of a rollout.
fn treated_until(rollout: &Rollout<'_>, course: &Course, hours: f64) -> f64 {
    let parts = course.visits.iter().map(|visit| {
        let spent = (hours - visit.begins).clamp(0.0, visit.stay.hours);
        spent * rollout.treated_per_hour(visit.stay.exposure)
    });
    parts.sum()
}

/// Hours until there are so many treated observations; none when the rollout is over before.
fn hours_until(rollout: &Rollout<'_>, course: &Course, treated: f64) -> Option<f64> {
    let mut missing = treated;
    for visit in &course.visits {
        let per_hour = rollout.treated_per_hour(visit.stay.exposure);
        if per_hour * visit.stay.hours >= missing {
            return Some(visit.begins + missing / per_hour);
        }
        missing -= per_hour * visit.stay.hours;
    }
    None
}

/// Hours until the metric is proved to be inside of its margin.
fn tolerated(rollout: &Rollout<'_>, course: &Course, name: &MetricName, candidate: Values) -> Option<f64> {
    let mut outlook = rollout.outlook(name)?.clone();
    outlook.candidate = candidate;
    let mut before = Vec::new();
    for visit in &course.visits {
        let proof = rollout.hours_until(&outlook, &before, visit.stay.exposure, |engine| {
            verdict(engine) == Verdict::Pass
        });
        if let Some(hours) = proof.filter(|hours| *hours <= visit.stay.hours) {
            return Some(visit.begins + hours);
        }
        before.push(visit.stay);
    }
    None
}

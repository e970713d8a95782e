//! Keeps the numbers of rollouts from time to time, for the charts.
//!
//! It follows the board as a page does, so that the controller neither knows of it nor waits for it. A
//! rollout's points lie the further apart the older it is, and the store lets every second one go when
//! there are too many: a chart of an hour and one of a month take the same room.

use super::numbers::arms;
use crate::analysis::{Assessment, Evidence};
use crate::controller::{Board, ControllerHandle, RolloutStatus};
use crate::ids::{RolloutId, Tick};
use crate::store::{MetricPoint, Point, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A rollout's age over the time between two of its points: there are about 83 more whenever it has
/// become twice as old.
const POINTS_PER_AGE: i64 = 120;

/// Keeps points until the controller or the store has ended.
pub async fn record(controller: ControllerHandle, store: Arc<dyn Store>) {
    let mut changes = controller.changes();
    let mut kept = BTreeMap::new();
    while changes.changed().await.is_ok() {
        let points = due(&controller.board(), &mut kept);
        if points.is_empty() {
            continue;
        }
        match store.keep_points(points).await {
            Ok(()) => {}
            Err(StoreError::Closed) => return,
            Err(error) => tracing::warn!(error = error.chain(), "points of charts are lost"),
        }
    }
}

/// The points that it is time for; from now on they count as kept.
fn due(board: &Board, kept: &mut BTreeMap<RolloutId, Tick>) -> Vec<(RolloutId, Point)> {
    let rollouts = || {
        board
            .policies
            .values()
            .filter_map(|status| status.rollout.as_deref())
    };
    let mut points = Vec::new();
    for rollout in rollouts() {
        let Some((through, assessment)) = rollout.through.zip(rollout.assessment.as_deref()) else {
            continue;
        };
        let id = rollout.state.id;
        let age = through.second() - Tick::of(rollout.state.started_at).second();
        let apart = (age / POINTS_PER_AGE).max(Tick::SECONDS);
        let last = kept.get(&id).copied();
        let is_end = rollout.state.phase.is_over() && last != Some(through);
        if is_end || last.is_none_or(|last| through.second() - last.second() >= apart) {
            kept.insert(id, through);
            points.push((id, point(rollout, through, assessment)));
        }
    }
    let known: std::collections::BTreeSet<RolloutId> = rollouts().map(|rollout| rollout.state.id).collect();
    kept.retain(|id, _| known.contains(id));
    points
}

/// What a rollout's numbers are.
fn point(rollout: &RolloutStatus, tick: Tick, assessment: &Assessment) -> Point {
    let split = assessment.data.split;
    #[expect(clippy::cast_precision_loss, reason = "counts of users lie far below 2^53")]
    let share = |part: f64| {
        let all = (split.users.control + split.users.treatment) as f64;
        (all > 0.0).then(|| part / all)
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of users lie far below 2^53")]
    let treated = split.users.treatment as f64;
    Point {
        tick,
        exposure: rollout.exposure,
        log_e_combined: assessment.log_e_combined,
        treated_share: share(treated),
        planned_share: share(split.expected),
        metrics: assessment.metrics.iter().map(metric_point).collect(),
    }
}

fn metric_point(evidence: &Evidence) -> MetricPoint {
    let (control, treatment) = arms(evidence);
    MetricPoint {
        metric: evidence.metric.clone(),
        control_count: evidence.control.count,
        treatment_count: evidence.treatment.count,
        control,
        treatment,
        difference: evidence.difference,
        interval: evidence.interval,
        margin: evidence.margin,
        log_e_worse: evidence.log_e_worse,
        log_e_non_inferior: evidence.log_e_non_inferior,
    }
}

//! What needs a world that a running server only comes to by and by.

use super::ingest::{Format, Ingested, World, ingest};
use super::refusal::{Ignored, RefusalCode};
use crate::assignment::receipt::ReceiptKey;
use crate::assignment::snapshot::Snapshot;
use crate::controller::{Board, PolicyStatus, RolloutStatus};
use crate::ids::{Generation, RolloutId, Version};
use crate::policy::{Policy, check};
use crate::rollout::aftermath::Aftermath;
use crate::rollout::route::route;
use crate::rollout::{Phase, RolloutState, StayReason};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

const SECRET: [u8; 32] = [7; 32];

fn policy(metrics: &str) -> Arc<Policy> {
    let text = format!(
        "apiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {{name: greeting}}\nspec:\n  prompt: greeting\n  \
         registry: embedded\n  labels: {{control: production, treatment: canary}}\n  \
         steps: [{{exposure: 100%, bake: 1h}}]\n  metrics: [{metrics}]\n"
    );
    Arc::new(check::check("greeting.yaml", &text).unwrap().policy)
}

/// A rollout that runs under one revision of a policy, of which another is in force.
fn world(running: &Arc<Policy>, in_force: &Arc<Policy>) -> (Board, Snapshot) {
    let state = RolloutState {
        id: RolloutId::new(1),
        policy: running.name.clone(),
        revision: running.revision,
        stable: Version::FIRST,
        candidate: Version::new(2).unwrap(),
        phase: Phase::Ramping { step: 0 },
        generation: Generation::new(1),
        started_at: Timestamp::UNIX_EPOCH,
        entered_at: Timestamp::UNIX_EPOCH,
        changed_at: Timestamp::UNIX_EPOCH,
        treated_at_entry: 0,
        promoted: false,
        fail_overruled: false,
        stepped_back: false,
        approvals: BTreeSet::new(),
        author: None,
    };
    let snapshot = Snapshot::new(1, [Arc::new(route(running, Some(&state), None, &SECRET))]);
    let rollout = RolloutStatus {
        policy: Arc::clone(running),
        exposure: state.exposure(running),
        state,
        stay: StayReason::Ended,
        assessment: None,
        through: None,
        moves_unconfirmed: 0,
        aftermath: Aftermath::of(&running.clients, false),
    };
    let status = PolicyStatus {
        policy: Arc::clone(in_force),
        labels: None,
        registry_error: None,
        rollout: Some(Arc::new(rollout)),
        warnings: Vec::new(),
        removed: false,
    };
    let board = Board {
        policies: [(running.name.clone(), Arc::new(status))].into(),
        ..Board::default()
    };
    (board, snapshot)
}

fn judged(metrics: &str) -> Ingested {
    let errors = "{name: errors, kind: rate, better: lower, margin: 1pp}";
    let tone = "{name: tone, kind: score, margin: 0.1}";
    let (board, snapshot) = world(&policy(errors), &policy(&format!("{errors}, {tone}")));
    let receipts = ReceiptKey::derive(&SECRET);
    let world = World {
        board: &board,
        snapshot: &snapshot,
        receipts: &receipts,
    };
    let line = format!(r#"{{"policy": "greeting", "user": "ann", "metrics": {metrics}}}"#);
    ingest(&world, line.as_bytes(), Format::Ndjson, 1).unwrap()
}

#[test]
fn a_metric_that_the_file_gained_since_is_left_out_and_the_others_count() {
    let judged = judged(r#"{"tone": 0.5, "errors": 1}"#);
    assert_eq!(judged.observations.len(), 1);
    let values: Vec<_> = judged.observations[0]
        .values
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    assert_eq!(values, [("errors", 1.0.into())]);
}

#[test]
fn a_line_of_such_metrics_alone_is_ignored() {
    let judged = judged(r#"{"tone": 0.5}"#);
    assert_eq!(judged.observations, []);
    assert_eq!(judged.ignored, [(Ignored::MetricsNotInRollout, 1)].into());
}

#[test]
fn such_a_metric_is_checked_all_the_same() {
    let judged = judged(r#"{"tone": 5, "errors": 1}"#);
    assert_eq!(judged.observations, []);
    assert_eq!(judged.refused[0].code, RefusalCode::OutOfRange);
}

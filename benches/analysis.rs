//! How long a decision takes: one closed tick of 50 metrics, to an assessment of all of them.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use serin::analysis::engine::Engine;
use serin::analysis::{Comparison, Headcount, Observation, TickTally};
use serin::ids::{Arm, Cluster, Tick};
use serin::policy::{Metric, MetricKind, Policy, check};
use std::hint::black_box;

/// Metrics of each of the kinds in [`policy`].
const METRICS_PER_KIND: usize = 10;
const OBSERVATIONS_PER_ARM: u64 = 200;
/// Ticks that the engine holds before it is measured.
const HISTORY_TICKS: i64 = 60;

/// 50 metrics, 10 of each kind, and of the latencies 10 by three quantiles each.
fn policy() -> Policy {
    let kinds = [
        "kind: score, margin: 0.02, floor: 0.5",
        "kind: rate, better: lower, margin: 2pp, ceiling: 30%",
        "kind: latency, quantiles: [50%, 95%, 99%], margin: 10%, ceiling: 20s",
        "kind: latency, scale: log, margin: 5%",
        "kind: amount, margin: 10%",
    ];
    let lines = kinds.iter().enumerate().flat_map(|(kind, settings)| {
        (0..METRICS_PER_KIND).map(move |number| format!("    - {{name: m{kind}-{number}, {settings}}}\n"))
    });
    let text = format!(
        "apiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {{name: many}}\nspec:\n  prompt: many\n  steps:\n    \
         - {{exposure: 50%, bake: 1h}}\n    - {{exposure: 100%, bake: 1h}}\n  metrics:\n{}",
        lines.collect::<String>()
    );
    check::check("many.yaml", &text).unwrap().policy
}

/// A tick in which every metric has observations in most clusters.
fn tick(policy: &Policy, second: i64) -> TickTally {
    let mut tick = TickTally {
        tick: Tick::new(second),
        metrics: Default::default(),
        headcount: Headcount::default(),
    };
    for metric in &policy.metrics {
        let arms = tick.metrics.entry(metric.name.clone()).or_default();
        for draw in 0..OBSERVATIONS_PER_ARM {
            // Weyl sequences: spread evenly, and the same in every run.
            let turn =
                (draw + OBSERVATIONS_PER_ARM * second.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let share = f64::from((turn >> 40) as u32) / f64::from(1_u32 << 24);
            let observation = Observation::of(metric, value(metric, share));
            arms.add(
                Arm::Control,
                Cluster::from_hash(turn.rotate_left(17)),
                observation,
            );
            arms.add(
                Arm::Treatment,
                Cluster::from_hash(turn.rotate_left(31)),
                observation,
            );
        }
    }
    tick
}

/// The value that `share` of a plausible population is below.
fn value(metric: &Metric, share: f64) -> f64 {
    match metric.kind {
        MetricKind::Score { .. } => 0.5 + 0.4 * share,
        MetricKind::Rate => f64::from(share < 0.1),
        MetricKind::Latency { .. } | MetricKind::Amount { .. } => 0.5 * (4.0 * share).exp(),
    }
}

fn analysis(criterion: &mut Criterion) {
    let policy = policy();
    let mut engine = Engine::new(&policy);
    (0..HISTORY_TICKS).for_each(|second| assert!(engine.absorb(&tick(&policy, second))));
    let next = tick(&policy, HISTORY_TICKS);
    let at = |second| Timestamp::from_second(second).unwrap();
    let (now, since) = (at(HISTORY_TICKS + 1), at(0));

    criterion.bench_function("closed tick to assessment, 50 metrics", |bencher| {
        bencher.iter_batched_ref(
            || engine.clone(),
            |engine| {
                engine.absorb(black_box(&next));
                engine.assess(now, since, Comparison::Concurrent)
            },
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("assessment alone, 50 metrics", |bencher| {
        bencher.iter(|| black_box(&engine).assess(now, since, Comparison::Concurrent));
    });
    criterion.bench_function("checkpoint, 50 metrics", |bencher| {
        bencher.iter(|| black_box(&engine).encode())
    });
}

criterion_group!(benches, analysis);
criterion_main!(benches);

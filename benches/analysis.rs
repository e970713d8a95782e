//! How long a decision takes: one closed tick of 50 metrics, to an assessment of all of them.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use serin::analysis::engine::Engine;
use serin::analysis::settings::{
    ContrastPlan, ContrastSettings, EnginePlan, HarmUnit, LimitSettings, MetricPlan, MixturePoint, Statistic,
    TestSettings,
};
use serin::analysis::{ArmTallies, Comparison, Headcount, TickTally};
use serin::ids::{Arm, Cluster, MetricName, Tick};
use serin::policy::{Alpha, Better, Role};
use std::hint::black_box;

const METRICS: u32 = 50;
const OBSERVATIONS_PER_ARM: u64 = 200;
/// Ticks that the engine holds before it is measured.
const HISTORY_TICKS: i64 = 60;

fn plan() -> EnginePlan {
    let alpha = Alpha::new(0.05).unwrap();
    let point = |size, share| MixturePoint { size, share };
    let metric = |number: u32| {
        let rate = number % 2 == 1;
        let test = TestSettings {
            statistic: if rate { Statistic::Rate } else { Statistic::Mean },
            better: if rate { Better::Lower } else { Better::Higher },
            alpha,
            scales: [point(0.02, 0.5), point(0.06, 0.3), point(0.18, 0.2)],
            odds_ratios: [
                point(1.3, 0.25),
                point(1.8, 0.25),
                point(3.0, 0.25),
                point(6.0, 0.25),
            ],
            clusters: Cluster::COUNT,
            treated_min: 20,
            effective_clusters_min: 12.0,
            prior_centre: if rate { 0.1 } else { 0.7 },
        };
        MetricPlan {
            name: MetricName::new(&format!("metric-{number}")).unwrap(),
            role: Role::Guardrail,
            weight: 1.0,
            critical: false,
            logarithmic: false,
            span: 1.0,
            contrast: Some(ContrastPlan::Values(ContrastSettings {
                test,
                alpha_non_inferior: Alpha::NON_INFERIOR,
                margin: 0.02,
                tolerance: 0.0,
                unit: HarmUnit::Metric,
                prior_weight: 200.0,
                control_min: 0,
            })),
            limit: Some(LimitSettings {
                test,
                limit: if rate { 0.3 } else { 0.5 },
                edge: None,
            }),
        }
    };
    EnginePlan {
        alpha,
        silence_max: SignedDuration::from_mins(30),
        metrics: (0..METRICS).map(metric).collect(),
    }
}

/// A tick in which every metric has observations in most clusters.
fn tick(second: i64) -> TickTally {
    let arms = |number: u32| {
        let mut arms = ArmTallies::default();
        for draw in 0..OBSERVATIONS_PER_ARM {
            // Weyl sequences: spread evenly, and the same in every run.
            let turn =
                (draw + OBSERVATIONS_PER_ARM * second.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let share = f64::from((turn >> 40) as u32) / f64::from(1_u32 << 24);
            let value = if number % 2 == 1 {
                f64::from(share < 0.1)
            } else {
                0.5 + 0.4 * share
            };
            arms.add(Arm::Control, Cluster::from_hash(turn.rotate_left(17)), value);
            arms.add(Arm::Treatment, Cluster::from_hash(turn.rotate_left(31)), value);
        }
        arms
    };
    let name = |number: u32| MetricName::new(&format!("metric-{number}")).unwrap();
    TickTally {
        tick: Tick::new(second),
        metrics: (0..METRICS).map(|number| (name(number), arms(number))).collect(),
        headcount: Headcount::default(),
    }
}

fn analysis(criterion: &mut Criterion) {
    let mut engine = Engine::from_plan(plan());
    (0..HISTORY_TICKS).for_each(|second| assert!(engine.absorb(&tick(second))));
    let next = tick(HISTORY_TICKS);
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

//! The power analysis against the published table, and against the engine on seeded data.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serin::analysis::engine::Engine;
use serin::analysis::power::{Catch, Change, Conditions, Outcome, Visits, forecast};
use serin::analysis::{ArmTallies, Headcount, Observation, TickTally, Verdict};
use serin::ids::{Arm, Cluster, Tick};
use serin::policy::Policy;
use serin::policy::check::check;
use serin::sim::population::Law;
use serin::sim::variates::{poisson, uniform};
use std::collections::BTreeMap;

/// Traffic of the published simulations.
const PER_SECOND: f64 = 40.0;
/// Runs of each case; the standard error of a median of them is about a tenth of it.
const RUNS: u64 = 61;
/// Ticks that a run may take.
const TICKS_MAX: i64 = 6_000;

/// One metric at 5% for as long as it takes.
fn policy(metric: &str) -> Policy {
    let text = format!(
        "apiVersion: serin/v1
kind: RolloutPolicy
metadata: {{name: answer}}
spec:
  prompt: answer
  steps:
    - {{exposure: 5%, bake: 10m, samples: 100}}
    - {{exposure: 100%, bake: 10m}}
  analysis: {{alpha: 5%, every: 1s}}
  metrics:
    - {{name: m, {metric}}}
"
    );
    check("answer.yaml", &text).unwrap().policy
}

fn conditions() -> Conditions {
    Conditions {
        observations_per_hour: PER_SECOND * 3_600.0,
        visits: Visits::ONCE,
        baselines: BTreeMap::new(),
    }
}

fn caught(policy: &Policy, change: Change) -> Catch {
    let name = policy.metrics[0].name.clone();
    let forecast = forecast(policy, &conditions(), &[(name, change)]).unwrap();
    match forecast.regressions[0].outcome {
        Outcome::Caught { median, .. } => median,
        other @ (Outcome::Tolerated { .. } | Outcome::Unnoticed) => unreachable!("{other:?}"),
    }
}

/// Treated observations until the engine's verdict is `until`, in the median of [`RUNS`] runs.
fn simulated(policy: &Policy, until: Verdict, draw: impl Fn(&mut ChaCha8Rng, Arm) -> f64) -> f64 {
    let mut treated: Vec<u64> = (0..RUNS)
        .map(|seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut engine = Engine::new(policy);
            let mut treated = 0;
            for second in 0..TICKS_MAX {
                let tick = tick(policy, &mut rng, second, &draw);
                treated += tick
                    .metrics
                    .values()
                    .map(|arms| arms.treatment.count)
                    .sum::<u64>();
                engine.absorb(&tick);
                if engine.conclusion().verdict == until {
                    break;
                }
            }
            treated
        })
        .collect();
    treated.sort_unstable();
    f64::from(u32::try_from(treated[treated.len() / 2]).unwrap())
}

fn tick(
    policy: &Policy,
    rng: &mut ChaCha8Rng,
    second: i64,
    draw: &impl Fn(&mut ChaCha8Rng, Arm) -> f64,
) -> TickTally {
    let metric = &policy.metrics[0];
    let mut arms = ArmTallies::default();
    for _ in 0..poisson(rng, PER_SECOND) {
        let arm = if uniform(rng) < 0.05 {
            Arm::Treatment
        } else {
            Arm::Control
        };
        let cluster = Cluster::new(rng.random::<u8>() % 128).unwrap();
        arms.add(arm, cluster, Observation::of(metric, draw(rng, arm)));
    }
    TickTally {
        tick: Tick::new(second),
        metrics: BTreeMap::from([(metric.name.clone(), arms)]),
        headcount: Headcount::default(),
    }
}

/// Metric, change, and treated observations as STATISTICS 7 plans them and as it has simulated them.
const PUBLISHED: [(&str, Change, f64, f64); 8] = [
    (SCORE, Change::By(-0.02), 325.0, 324.0),
    (SCORE, Change::By(-0.05), 53.0, 68.0),
    (SCORE, Change::By(-0.10), 20.0, 29.0),
    (ERRORS, Change::By(0.01), 1141.0, 919.0),
    (ERRORS, Change::By(0.04), 102.0, 98.0),
    (P95, Change::Times(1.1), 1464.0, 1054.0),
    (P95, Change::Times(1.25), 202.0, 175.0),
    (P95, Change::Times(2.0), 20.0, 21.0),
];
const SCORE: &str = "kind: score, margin: 0.02, baseline: 0.8";
const ERRORS: &str = "kind: rate, better: lower, margin: 1pp, baseline: 1%";
const P95: &str = "kind: latency, quantile: 95%, margin: 2pp";

/// How far a plan may be off a simulated median, as a factor.
const ERROR_MAX: f64 = 1.4;
/// The reference's simulations of p95 know control's quantile and rate from the start.
const ERROR_MAX_PUBLISHED: f64 = 1.5;

fn assert_within(what: &str, found: f64, expected: f64, factor: f64) {
    let within = found <= expected * factor && found >= expected / factor;
    assert!(within, "{what}: {found} is not within {factor} of {expected}");
}

#[test]
fn plans_agree_with_the_published_ones() {
    for (metric, change, plan, simulated) in PUBLISHED {
        let planned = caught(&policy(metric), change).treated;
        let what = format!("{metric}, {change:?}");
        assert_within(&what, planned, plan, ERROR_MAX);
        assert_within(&what, planned, simulated, ERROR_MAX_PUBLISHED);
    }
}

/// What is observed of somebody in an arm.
type Draw = Box<dyn Fn(&mut ChaCha8Rng, Arm) -> f64>;

/// The observations of both arms, when the candidate changes the metric.
fn draw(metric: &str, change: Change) -> Draw {
    let (added, times) = match change {
        Change::By(size) => (size, 1.0),
        Change::Times(ratio) => (0.0, ratio),
    };
    match metric {
        SCORE => {
            let laws = [0.8, 0.8 + added].map(|mean| Law::score(mean).unwrap());
            Box::new(move |rng, arm| laws[usize::from(arm == Arm::Treatment)].at(uniform(rng)))
        }
        ERRORS => {
            let laws = [0.01, 0.01 + added].map(|rate| Law::rate(rate).unwrap());
            Box::new(move |rng, arm| laws[usize::from(arm == Arm::Treatment)].at(uniform(rng)))
        }
        _ => {
            let laws = [1.0, times].map(|median| Law::lognormal(median, 0.6).unwrap());
            Box::new(move |rng, arm| laws[usize::from(arm == Arm::Treatment)].at(uniform(rng)))
        }
    }
}

#[test]
fn the_engine_catches_regressions_when_the_plan_says() {
    for (metric, change, ..) in PUBLISHED {
        let policy = policy(metric);
        let simulated = simulated(&policy, Verdict::Fail, draw(metric, change));
        let planned = caught(&policy, change).treated;
        assert_within(&format!("{metric}, {change:?}"), planned, simulated, ERROR_MAX);
    }
}

#[test]
fn the_engine_proves_health_when_the_plan_says() {
    for metric in [
        SCORE,
        ERRORS,
        P95,
        "kind: latency, quantile: 95%, margin: 10%",
        "kind: latency, scale: log, margin: 10%",
    ] {
        let policy = policy(metric);
        let simulated = simulated(&policy, Verdict::Pass, draw(metric, Change::By(0.0)));
        let forecast = forecast(&policy, &conditions(), &[]).unwrap();
        let planned = forecast.steps[0].proofs[0].1.unwrap() * conditions().observations_per_hour * 0.05;
        assert_within(metric, planned, simulated, ERROR_MAX);
    }
}

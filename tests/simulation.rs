//! The real controller, store and engine against seeded populations and seeded troubles.
//!
//! `SERIN_SIM_RUNS` is the number of runs of each test (by default few, so that a debug build is done
//! in seconds). The full figures:
//!
//! ```sh
//! SERIN_SIM_RUNS=300 cargo test --release --test simulation -- --nocapture
//! SERIN_SIM_RUNS=10000 cargo test --release --test simulation no_label_of_a_langfuse -- --nocapture
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "simulation/langfuse.rs"]
mod langfuse;

use serin::ids::{Actor, Justification, Label, MetricName, RegistryName, Version};
use serin::policy::Policy;
use serin::policy::check::check;
use serin::prompt::{Draft, Template};
use serin::rollout::{AuditEvent, Cause, Command, Phase, Verb, VerdictCause, explain};
use serin::sim::checker::Checker;
use serin::sim::faults::hazards::Strike;
use serin::sim::faults::schedule::{Schedule, Trouble};
use serin::sim::faults::storm::Storm;
use serin::sim::population::{Behaviour, Law, Population, Users};
use serin::sim::traffic::{Attribution, Traffic};
use serin::sim::world::{Policies, Setup, World};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs of each test without `SERIN_SIM_RUNS`.
const RUNS_DEFAULT: u64 = 18;

/// Three steps of 500 ticks, as in the published simulations of the method.
const LONG: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: answer}
spec:
  prompt: answer
  steps:
    - {exposure: 5%, bake: 500s}
    - {exposure: 25%, bake: 500s}
    - {exposure: 50%, bake: 500s}
    - {exposure: 100%, bake: 1h}
  analysis: {alpha: 5%, every: 1s}
  metrics:
    - {name: score, kind: score, margin: 0.02}
";

/// A rollout that is over in half a minute when nothing goes wrong.
const SHORT: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: answer}
spec:
  prompt: answer
  assignment: {holdback: 10%}
  steps:
    - {exposure: 30%, bake: 6s, samples: 20}
    - {exposure: 60%, bake: 6s}
    - {exposure: 100%, bake: 6s}
  watch: 10s
  analysis:
    every: 1s
    noData: {after: 20s, then: hold}
    inconclusive: {after: 60s, then: advance}
  metrics:
    - {name: score, kind: score, margin: 0.10}
    - {name: errors, kind: rate, better: lower, margin: 10pp}
";

/// Ticks of the three steps, and some to leave the last one.
const LONG_TICKS: u32 = 1_510;

/// Ticks in which troubles strike, and quiet ones in which everything must come to rest: the longest
/// wait between two attempts at a label move is a minute.
const TROUBLED_TICKS: u32 = 90;
const QUIET_TICKS: u32 = 150;

fn runs() -> u64 {
    runs_or(RUNS_DEFAULT)
}

fn runs_or(default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "only whoever runs the tests sets it")]
    let runs = std::env::var("SERIN_SIM_RUNS");
    runs.map_or(default, |runs| {
        runs.parse().expect("SERIN_SIM_RUNS must be a number")
    })
}

/// Runs `run` for the seeds 0 to `count` on every core; what each gave, by seed.
fn by_seed<T, F>(count: u64, run: impl Fn(u64) -> F + Sync) -> BTreeMap<u64, T>
where
    T: Send,
    F: Future<Output = T>,
{
    let (next, results) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                // Time that nobody uses is skipped, so that waiting for a silent registry takes none.
                let mut builder = tokio::runtime::Builder::new_current_thread();
                let runtime = builder.enable_time().start_paused(true).build().unwrap();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        break;
                    }
                    let result = runtime.block_on(run(seed));
                    results.lock().unwrap().insert(seed, result);
                }
            });
        }
    });
    results.into_inner().unwrap()
}

fn policy(text: &str) -> Policy {
    check("answer.yaml", text).unwrap().policy
}

fn version(number: u32) -> Version {
    Version::new(number).unwrap()
}

/// A world with four versions of the prompt, of which the second has just become the candidate.
async fn world(seed: u64, policy: &Policy) -> World {
    let registry = RegistryName::new("embedded").unwrap();
    let (start, policies) = (
        "2026-03-02T09:00:00Z".parse().unwrap(),
        Policies::Fixed(vec![policy.clone()]),
    );
    let world = World::new(Setup {
        seed,
        start,
        registry,
        policies,
    })
    .await
    .unwrap();
    let (anna, why) = (
        Actor::new("anna").unwrap(),
        Justification::new("to try it").unwrap(),
    );
    for number in 1..=4 {
        let draft = Draft {
            template: Template::Text(format!("text {number}").into()),
            semantic_version: None,
            reason: why.clone(),
            config: serde_json::Map::new(),
            owner: None,
            tags: BTreeSet::new(),
        };
        world
            .registry()
            .create_version(&policy.prompt, draft, anna.clone());
    }
    let point = |label: &Label, number| {
        let (actor, reason) = (anna.clone(), why.clone());
        let to = Some(version(number));
        world
            .registry()
            .move_label_as(actor, reason, &policy.prompt, label, to)
            .unwrap();
    };
    point(&policy.labels.control, 1);
    point(&policy.labels.treatment, 2);
    world
}

fn behaviour(metric: &str, control: Option<Law>, treatment: Option<Law>) -> Behaviour {
    let metric = MetricName::new(metric).unwrap();
    Behaviour {
        metric,
        control: control.unwrap(),
        treatment: treatment.unwrap(),
    }
}

fn traffic(seed: u64, users: Users, per_second: f64, behaviours: Vec<Behaviour>) -> Traffic {
    Traffic {
        population: Population::new(seed, users),
        per_second,
        behaviours,
        attribution: Attribution::Receipt,
        identified: false,
        observed: 0,
    }
}

/// How a long rollout ended: its phase, and how many treated observations there were at its end.
async fn long_rollout(seed: u64, users: Users, candidate: f64) -> (Phase, u64) {
    let policy = policy(LONG);
    let mut world = world(seed, &policy).await;
    let scores = behaviour("score", Law::score(0.80), Law::score(candidate));
    world.senders().set_traffic(
        policy.name.clone(),
        Some(traffic(seed, users, 40.0, vec![scores])),
    );
    let mut treated = 0;
    for _ in 0..LONG_TICKS {
        world.tick().await.unwrap();
        let Some(rollout) = world.rollout_of(&policy.name) else {
            continue;
        };
        treated = rollout
            .assessment
            .as_ref()
            .map_or(treated, |assessment| assessment.treated);
        if rollout.state.phase.is_over() || rollout.state.phase.step() == Some(3) {
            return (rollout.state.phase.clone(), treated);
        }
    }
    (
        world.rollout_of(&policy.name).unwrap().state.phase.clone(),
        treated,
    )
}

fn is_rolled_back(phase: &Phase) -> bool {
    matches!(
        phase,
        Phase::RolledBack {
            cause: Cause::Verdict(VerdictCause::Failed { .. })
        }
    )
}

#[test]
fn a_candidate_that_is_no_worse_is_rarely_rolled_back() {
    let ended = by_seed(runs(), |seed| long_rollout(seed, Users::Fresh, 0.80));
    let rolled_back = ended.values().filter(|(phase, _)| is_rolled_back(phase)).count();
    let advanced = ended
        .values()
        .filter(|(phase, _)| phase.step() == Some(3))
        .count();
    println!(
        "A/A: {rolled_back} of {} rolled back, {advanced} through all steps",
        ended.len()
    );
    // Alpha is 5%; 8% of 300 runs are 2.4 standard errors above it.
    assert!(
        rolled_back * 100 <= ended.len() * 8,
        "{rolled_back} of {}",
        ended.len()
    );
    assert!(
        advanced * 100 >= ended.len() * 85,
        "{advanced} of {}",
        ended.len()
    );
}

#[test]
fn a_crowd_that_comes_back_is_no_regression() {
    let users = Users::Returning {
        count: 600,
        correlation: 0.5,
        activity_sigma: 1.0,
    };
    let ended = by_seed(runs().div_ceil(3), |seed| long_rollout(seed, users, 0.80));
    let rolled_back = ended.values().filter(|(phase, _)| is_rolled_back(phase)).count();
    println!("A/A, clustered: {rolled_back} of {} rolled back", ended.len());
    // Without its variance by clusters, the method rolls back about half of them.
    assert!(
        rolled_back * 100 <= ended.len() * 8,
        "{rolled_back} of {}",
        ended.len()
    );
}

#[test]
fn a_drop_of_a_twentieth_is_always_rolled_back() {
    let ended = by_seed(runs().div_ceil(3), |seed| long_rollout(seed, Users::Fresh, 0.75));
    let mut treated: Vec<u64> = ended.values().map(|(_, treated)| *treated).collect();
    treated.sort_unstable();
    let at = |percent: usize| treated[(treated.len() - 1) * percent / 100];
    println!(
        "drop of 0.05: {} runs, treated median {}, p90 {}",
        ended.len(),
        at(50),
        at(90)
    );
    for (seed, (phase, _)) in &ended {
        assert!(is_rolled_back(phase), "seed {seed}: {phase:?}");
    }
}

/// Where a short rollout in a storm came to rest, and its whole history.
type Rest = (Phase, String);

/// A short rollout in a storm, with the checker on.
async fn storm(seed: u64) -> Result<Rest, String> {
    let policy = policy(SHORT);
    let mut world = world(seed, &policy).await;
    // Every other candidate is bad.
    let (score, errors) = if seed.is_multiple_of(2) {
        (0.80, 0.02)
    } else {
        (0.70, 0.10)
    };
    let behaviours = vec![
        behaviour("score", Law::score(0.80), Law::score(score)),
        behaviour("errors", Law::rate(0.02), Law::rate(errors)),
    ];
    let traffic = Traffic {
        identified: true,
        ..traffic(seed, Users::Fresh, 60.0, behaviours)
    };
    world.senders().set_traffic(policy.name.clone(), Some(traffic));
    let trouble = Trouble {
        ticks: TROUBLED_TICKS,
        faults_max: 14,
        versions: 4,
        is_langfuse: false,
        labels: ["production", "canary"],
    };
    let mut storm = Storm::new(Schedule::seeded(seed, &trouble), policy.clone()).unwrap();
    let mut checker = Checker::new(policy.clone());
    for tick in 0..TROUBLED_TICKS + QUIET_TICKS {
        if tick == TROUBLED_TICKS {
            world.hazards().clear();
            world.sender_hazards().clear();
        }
        storm
            .tick(&mut world)
            .await
            .map_err(|error| format!("tick {tick}: {error}"))?;
        checker
            .check(&world)
            .await
            .map_err(|violation| format!("tick {tick}: {violation}"))?;
    }
    let rollouts = world.store().rollouts(None, None, 100).await.unwrap();
    let last = rollouts.first().ok_or("no rollout ever began")?;
    // A promotion or a rollback that still waits for a label, although nothing stands in its way.
    if matches!(last.phase, Phase::Promoting | Phase::RollingBack { .. }) {
        return Err(format!(
            "it did not come to rest: {}",
            explain::phase(&last.phase)
        ));
    }
    let mut history = format!("{:?}", world.registry().journal(&policy.prompt));
    for rollout in &rollouts {
        let records = world.store().audit(rollout.id, None, 1_000).await.unwrap();
        write!(history, "{records:?}").unwrap();
    }
    Ok((last.phase.clone(), history))
}

#[test]
fn invariants_hold_in_every_storm() {
    let ended = by_seed(runs(), storm);
    let mut rests: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for (seed, ended) in &ended {
        match ended {
            Ok((phase, _)) => *rests.entry(phase.as_str()).or_default() += 1,
            Err(error) => failures.push(format!("seed {seed}, {error}")),
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        ended.len(),
        failures.join("\n")
    );
    println!("storms: {} runs, came to rest in {rests:?}", ended.len());
}

/// Runs on a runtime that skips the time which nobody uses.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

#[test]
fn a_rollout_that_is_opened_again_after_a_restart_has_its_evidence() {
    run(async {
        let policy = policy(SHORT);
        let mut world = world(2, &policy).await;
        let behaviours = vec![
            behaviour("score", Law::score(0.80), Law::score(0.80)),
            behaviour("errors", Law::rate(0.02), Law::rate(0.02)),
        ];
        let people = traffic(2, Users::Fresh, 60.0, behaviours);
        world.senders().set_traffic(policy.name.clone(), Some(people));
        for _ in 0..60 {
            world.tick().await.unwrap();
        }
        let promoted = world.rollout_of(&policy.name).unwrap();
        assert_eq!(promoted.state.phase, Phase::Promoted);
        let treated = promoted.assessment.as_ref().unwrap().treated;
        assert!(treated > 0);
        world.stop_server();
        world.tick().await.unwrap();
        let back = Command {
            verb: Verb::RollBack,
            actor: Actor::new("anna").unwrap(),
            reason: Justification::new("users complain").unwrap(),
            is_admin: true,
        };
        let reopened = world.command(promoted.state.id, back).await.unwrap().unwrap();
        assert!(matches!(reopened.phase, Phase::RollingBack { .. }));
        let records = world.store().audit(reopened.id, None, 1_000).await.unwrap();
        let of_command = records.iter().rev().find_map(|record| {
            let AuditEvent::Moved(transition) = &record.event else {
                return None;
            };
            let is_command = matches!(transition.cause, Cause::Operator { .. });
            transition.assessment.as_ref().filter(|_| is_command)
        });
        assert_eq!(of_command.unwrap().treated, treated);
    });
}

#[test]
fn a_command_that_the_store_took_without_saying_so_is_shown() {
    run(async {
        let policy = policy(SHORT);
        let mut world = world(2, &policy).await;
        world.tick().await.unwrap();
        let rollout = world.rollout_of(&policy.name).unwrap().state.id;
        let pause = Command {
            verb: Verb::Pause,
            actor: Actor::new("anna").unwrap(),
            reason: Justification::new("to look at it").unwrap(),
            is_admin: true,
        };
        world.hazards().fail_store_after(0, Strike::AfterCall);
        assert!(world.command(rollout, pause).await.unwrap().is_err());
        let stored = world.store().rollout(rollout).await.unwrap().unwrap();
        assert!(matches!(stored.phase, Phase::Paused { .. }));
        assert_eq!(world.rollout_of(&policy.name).unwrap().state, stored);
    });
}

#[test]
fn a_seed_is_one_run_byte_for_byte() {
    let once = by_seed(4, storm);
    let again = by_seed(4, storm);
    assert_eq!(once, again);
    assert_ne!(once[&0], once[&2], "two seeds are two runs");
}

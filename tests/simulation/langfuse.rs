//! The real controller against a model of a Langfuse, which has no fences, no journal and no
//! compare-and-set: nothing but Serin's own order keeps its labels right.

use crate::{QUIET_TICKS, SHORT, TROUBLED_TICKS, behaviour, by_seed, policy, run, runs_or, traffic, version};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use serin::assignment::assign::assign;
use serin::ids::{Actor, Arm, Justification, RegistryName, UserKey};
use serin::policy::Policy;
use serin::rollout::{AuditEvent, Command, LabelMoveOutcome, Phase, Verb, explain};
use serin::sim::checker::Checker;
use serin::sim::faults::schedule::{Schedule, Trouble};
use serin::sim::faults::storm::Storm;
use serin::sim::langfuse::{Call, Fault, Model, Writer};
use serin::sim::population::{Law, Users};
use serin::sim::traffic::Traffic;
use serin::sim::world::{Policies, Setup, World};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Storms without `SERIN_SIM_RUNS`.
const STORMS_DEFAULT: u64 = 150;

const LABELS: [&str; 2] = ["production", "canary"];
const REGISTRY: &str = "ours";

fn short() -> Policy {
    policy(&SHORT.replace("  prompt: answer\n", "  prompt: answer\n  registry: ours\n"))
}

fn model(world: &World) -> &Model {
    world.langfuse().unwrap()
}

/// A world with four versions of the prompt, of which the second has just become the candidate.
async fn world(seed: u64, policy: &Policy) -> World {
    let setup = Setup {
        seed,
        start: "2026-03-02T09:00:00Z".parse().unwrap(),
        registry: RegistryName::new(REGISTRY).unwrap(),
        policies: Policies::Fixed(vec![policy.clone()]),
    };
    let world = World::with_langfuse(setup).await.unwrap();
    for number in 1..=4 {
        model(&world).create("answer", json!(format!("text {number}")));
    }
    for (label, number) in LABELS.into_iter().zip(1..) {
        model(&world).point("answer", label, Some(number));
    }
    world
}

/// Every other candidate is bad.
fn people(seed: u64) -> Traffic {
    let (score, errors) = if seed.is_multiple_of(2) {
        (0.80, 0.02)
    } else {
        (0.70, 0.10)
    };
    let behaviours = vec![
        behaviour("score", Law::score(0.80), Law::score(score)),
        behaviour("errors", Law::rate(0.02), Law::rate(errors)),
    ];
    Traffic {
        identified: true,
        ..traffic(seed, Users::Fresh, 60.0, behaviours)
    }
}

/// What came of a storm: the last phase, how much was written late, and the whole history.
#[derive(Debug, PartialEq)]
struct Rest {
    phase: Option<Phase>,
    late: usize,
    history: String,
}

async fn storm(seed: u64) -> Result<Rest, String> {
    let policy = short();
    let mut world = world(seed, &policy).await;
    world
        .senders()
        .set_traffic(policy.name.clone(), Some(people(seed)));
    let trouble = Trouble {
        ticks: TROUBLED_TICKS,
        faults_max: 14,
        versions: 4,
        is_langfuse: true,
        labels: LABELS,
    };
    let mut storm = Storm::new(Schedule::seeded(seed, &trouble), policy.clone()).unwrap();
    let mut checker = Checker::new(policy.clone());
    for tick in 0..TROUBLED_TICKS + QUIET_TICKS {
        if tick == TROUBLED_TICKS {
            world.hazards().clear();
            world.sender_hazards().clear();
        }
        let broken = |error: String| format!("tick {tick}: {error}");
        storm
            .tick(&mut world)
            .await
            .map_err(|error| broken(error.to_string()))?;
        checker
            .check(&world)
            .await
            .map_err(|violation| broken(violation.to_string()))?;
    }
    checker
        .check_rest(&world)
        .map_err(|violation| format!("at rest: {violation}"))?;
    let rollouts = world.store().rollouts(None, None, 100).await.unwrap();
    // None began where somebody took the candidate away before it could be seen.
    let phase = rollouts.first().map(|last| last.phase.clone());
    if let Some(phase @ (Phase::Promoting | Phase::RollingBack { .. })) = &phase {
        let phase = explain::phase(phase);
        return Err(format!("it did not come to rest: {phase}"));
    }
    let journal = model(&world).journal();
    let mut history = format!("{journal:?}");
    for rollout in &rollouts {
        let records = world.store().audit(rollout.id, None, 1_000).await.unwrap();
        write!(history, "{records:?}").unwrap();
    }
    Ok(Rest {
        phase,
        late: journal
            .iter()
            .filter(|written| written.by == Writer::LateKey)
            .count(),
        history,
    })
}

#[test]
fn no_label_of_a_langfuse_ends_elsewhere_than_the_journal_says() {
    let ended = by_seed(runs_or(STORMS_DEFAULT), storm);
    let mut rests: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut failures, mut late) = (Vec::new(), 0);
    for (seed, ended) in &ended {
        match ended {
            Ok(rest) => {
                let word = rest.phase.as_ref().map_or("none", Phase::as_str);
                *rests.entry(word).or_default() += 1;
                late += rest.late;
            }
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
    assert!(late > 0, "no move was ever carried out late");
    println!(
        "storms on a langfuse: {} runs, {late} late moves, came to rest in {rests:?}",
        ended.len()
    );
}

#[test]
fn a_seed_of_a_langfuse_is_one_run_byte_for_byte() {
    let once = by_seed(3, storm);
    assert_eq!(once, by_seed(3, storm));
}

/// A world in which a good candidate is in its first step.
async fn ramping(policy: &Policy) -> World {
    let mut world = world(2, policy).await;
    world.senders().set_traffic(policy.name.clone(), Some(people(2)));
    pass(&mut world, 3).await;
    assert_eq!(phase(&world, policy), "ramping");
    world
}

async fn pass(world: &mut World, seconds: u32) {
    for _ in 0..seconds {
        world.tick().await.unwrap();
    }
}

fn phase(world: &World, policy: &Policy) -> &'static str {
    world.rollout_of(&policy.name).unwrap().state.phase.as_str()
}

async fn command(world: &mut World, policy: &Policy, verb: Verb) {
    let command = Command {
        verb,
        actor: Actor::new("anna").unwrap(),
        reason: Justification::new("to see").unwrap(),
        is_admin: true,
    };
    let rollout = world.rollout_of(&policy.name).unwrap().state.id;
    world.command(rollout, command).await.unwrap().unwrap();
}

fn production(world: &World) -> Option<u32> {
    model(world).label("answer", "production")
}

/// Users whom the snapshot assigns to treatment, of a hundred.
fn treated(world: &World, policy: &Policy) -> usize {
    let snapshot = world.handle().unwrap().snapshot();
    let route = snapshot.route(policy.name.as_str()).unwrap();
    let keys = (0..100).map(|number| format!("user-{number}"));
    keys.filter(|key| {
        let user = UserKey::new(key).unwrap();
        assign(route, user).arm == Arm::Treatment
    })
    .count()
}

/// When a label move of the rollout was first in the audit with such an outcome, and when it began to
/// roll back.
async fn told(world: &World, wanted: impl Fn(&LabelMoveOutcome) -> bool) -> (Timestamp, Timestamp) {
    let rollout = world.store().rollouts(None, None, 1).await.unwrap().remove(0);
    let records = world.store().audit(rollout.id, None, 1_000).await.unwrap();
    let at = |found: &dyn Fn(&AuditEvent) -> bool| {
        let record = records.iter().find(|record| found(&record.event));
        record.unwrap().at
    };
    let back = at(
        &|event| matches!(event, AuditEvent::Moved(transition) if matches!(transition.to.phase, Phase::RollingBack { .. })),
    );
    let moved = at(
        &|event| matches!(event, AuditEvent::LabelMove { outcome, label_move } if label_move.to == version(1) && wanted(outcome)),
    );
    (back, moved)
}

#[test]
fn a_rollback_stops_treatment_at_once_and_its_label_follows_when_langfuse_is_back() {
    run(async {
        let policy = short();
        let mut world = ramping(&policy).await;
        assert!(treated(&world, &policy) > 0);
        model(&world).set_away(true);
        pass(&mut world, 2).await;
        assert!(
            treated(&world, &policy) > 0,
            "assignments go on without the registry"
        );
        let began = world.now();
        command(&mut world, &policy, Verb::RollBack).await;
        assert_eq!(treated(&world, &policy), 0, "before any tick");
        pass(&mut world, 600).await;
        assert_eq!(phase(&world, &policy), "rolling_back");
        assert_eq!(
            (treated(&world, &policy), model(&world).label("answer", "canary")),
            (0, Some(2))
        );
        model(&world).set_away(false);
        let back = world.now();
        pass(&mut world, 6).await;
        assert_eq!(phase(&world, &policy), "rolled_back");
        assert_eq!(
            model(&world).label("answer", "canary"),
            Some(1),
            "it is parked on the stable version"
        );
        let (decided, followed) = told(&world, |outcome| *outcome == LabelMoveOutcome::Confirmed).await;
        assert_eq!(decided, began);
        assert!(followed > back && followed.duration_since(began) > SignedDuration::from_mins(10));
        let (_, failed) = told(&world, |outcome| {
            matches!(outcome, LabelMoveOutcome::Failed { .. })
        })
        .await;
        assert!(failed.duration_since(began) < SignedDuration::from_secs(2));
    });
}

#[test]
fn a_promotion_that_arrives_late_is_waited_for_before_its_rollback_counts() {
    run(async {
        let policy = short();
        let mut world = ramping(&policy).await;
        // Every attempt of that second is carried out 20 s later.
        for _ in 0..5 {
            model(&world).inject(Call::Change, Fault::Late(20));
        }
        command(&mut world, &policy, Verb::Promote).await;
        pass(&mut world, 1).await;
        assert_eq!(
            (phase(&world, &policy), production(&world)),
            ("promoting", Some(1))
        );
        model(&world).clear_faults();
        command(&mut world, &policy, Verb::RollBack).await;
        assert_eq!(treated(&world, &policy), 0);
        pass(&mut world, 15).await;
        assert_eq!(
            phase(&world, &policy),
            "rolling_back",
            "the promotion may still arrive"
        );
        pass(&mut world, 10).await;
        assert_eq!(production(&world), Some(2), "it did");
        pass(&mut world, 30).await;
        assert_eq!(
            (phase(&world, &policy), production(&world)),
            ("rolled_back", Some(1))
        );
        pass(&mut world, 60).await;
        assert_eq!(production(&world), Some(1));
    });
}

#[test]
fn what_a_killed_process_asked_for_is_waited_for_as_well() {
    run(async {
        let policy = short();
        let mut world = ramping(&policy).await;
        model(&world).inject(Call::Change, Fault::Late(20));
        command(&mut world, &policy, Verb::Promote).await;
        // The second attempt is answered, so that nothing in the store tells of the first.
        pass(&mut world, 3).await;
        assert_eq!(
            (phase(&world, &policy), production(&world)),
            ("watching", Some(2))
        );
        world.stop_server();
        pass(&mut world, 1).await;
        command(&mut world, &policy, Verb::RollBack).await;
        assert_eq!(treated(&world, &policy), 0);
        pass(&mut world, 60).await;
        assert_eq!(
            (phase(&world, &policy), production(&world)),
            ("rolled_back", Some(1))
        );
        let late = model(&world)
            .journal()
            .iter()
            .any(|written| written.by == Writer::LateKey);
        assert!(
            !late,
            "it arrived while its version was in place, and changed nothing"
        );
    });
}

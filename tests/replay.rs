//! A recorded rollout that is replayed goes the way it went: the same moves in the same ticks, for the
//! same reasons, by the same numbers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use serin::analysis::Assessment;
use serin::assignment::receipt::ReceiptKey;
use serin::ids::{Actor, Justification, Label, MetricName, RegistryName, RolloutId, UserKey, Version};
use serin::policy::Policy;
use serin::policy::check::check;
use serin::prompt::{Draft, Template};
use serin::rehearsal::Approvals;
use serin::replay::{Counts, Move, Planned, Replay, Settings};
use serin::rollout::{AuditEvent, Phase, Transition};
use serin::sim::population::{Behaviour, Law, Population, Users};
use serin::sim::traffic::{Attribution, Traffic};
use serin::sim::world::{Policies, Setup, World};
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Largest difference of two log e-values: tallies may be added up in another order.
const LOG_E_DIFFERENCE_MAX: f64 = 1e-9;

/// Ticks after which every rollout here is over, or waits for somebody.
const TICKS_MAX: usize = 400;

/// More records than any rollout here has.
const RECORDS_MAX: usize = 1_000;

const SEED: u64 = 7;

const POLICY: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: answer}
spec:
  prompt: answer
  assignment: {holdback: 10%, force: {treatment: [user-3]}}
  steps:
    - {exposure: 30%, bake: 20s, samples: 50}
    - {exposure: 60%, bake: 15s}
    - {exposure: 100%, bake: 12s}
  watch: 30s
  analysis:
    every: 5s
    noData: {after: 60s, then: pause}
    inconclusive: {after: 120s, then: hold}
  metrics:
    - {name: score, kind: score, margin: 0.10}
    - {name: errors, kind: rate, better: lower, margin: 10pp}
    - {name: latency, kind: latency, quantile: 90%, margin: 30%}
    - {name: cost, kind: amount, better: lower, margin: 20%, role: watched}
";

/// What a rollout left behind.
struct Recording {
    policy: Arc<Policy>,
    rollout: RolloutId,
    /// One observation a line, with the time at which it was acknowledged.
    lines: String,
    history: Vec<Transition>,
}

/// How lines name the arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// As they were sent, by receipt.
    Receipt,
    /// As they were sent, by the user alone.
    User,
    /// By the user and the arm that was served.
    Arm,
}

fn secret() -> [u8; 32] {
    sha2::Sha256::digest(SEED.to_le_bytes()).into()
}

fn version(number: u32) -> Version {
    Version::new(number).unwrap()
}

/// A world with two versions of the prompt, of which the second has just become the candidate.
async fn world(policy: &Policy) -> World {
    let setup = Setup {
        seed: SEED,
        start: "2026-03-02T09:00:00Z".parse().unwrap(),
        registry: RegistryName::new("embedded").unwrap(),
        policies: Policies::Fixed(vec![policy.clone()]),
    };
    let world = World::new(setup).await.unwrap();
    let anna = Actor::new("anna").unwrap();
    let why = Justification::new("to try it").unwrap();
    for number in 1..=2 {
        let draft = Draft {
            template: Template::Text(format!("text {number}").into()),
            semantic_version: None,
            reason: why.clone(),
            config: serde_json::Map::new(),
            owner: None,
            tags: BTreeSet::new(),
        };
        let registry = world.registry();
        registry.create_version(&policy.prompt, draft, anna.clone());
    }
    let point = |label: &Label, number| {
        let to = Some(version(number));
        let (actor, reason) = (anna.clone(), why.clone());
        let registry = world.registry();
        registry
            .move_label_as(actor, reason, &policy.prompt, label, to)
            .unwrap();
    };
    point(&policy.labels.control, 1);
    point(&policy.labels.treatment, 2);
    world
}

fn traffic(treatment_score: f64, attribution: Attribution) -> Traffic {
    let behaviour = |metric: &str, control: Option<Law>, treatment: Option<Law>| Behaviour {
        metric: MetricName::new(metric).unwrap(),
        control: control.unwrap(),
        treatment: treatment.unwrap(),
    };
    let users = Users::Returning {
        count: 800,
        correlation: 0.3,
        activity_sigma: 1.0,
    };
    Traffic {
        population: Population::new(SEED, users),
        per_second: 60.0,
        behaviours: vec![
            behaviour("score", Law::score(0.8), Law::score(treatment_score)),
            behaviour("errors", Law::rate(0.02), Law::rate(0.02)),
            behaviour("latency", Law::score(0.4), Law::score(0.4)),
            behaviour("cost", Law::score(0.1), Law::score(0.1)),
        ],
        attribution,
        identified: true,
        observed: 0,
    }
}

/// Runs a rollout in a world, and writes down every observation that was acknowledged.
///
/// Observations stop for `silence`, a range of ticks.
async fn record(treatment_score: f64, naming: Naming, silence: std::ops::Range<usize>) -> Recording {
    let policy = Arc::new(check("answer.yaml", POLICY).unwrap().policy);
    let mut world = world(&policy).await;
    world.tick().await.unwrap();
    let attribution = match naming {
        Naming::Receipt => Attribution::Receipt,
        Naming::User | Naming::Arm => Attribution::User,
    };
    let mut traffic = traffic(treatment_score, attribution);
    let receipts = ReceiptKey::derive(&secret());
    let mut lines = String::new();
    for tick in 0..TICKS_MAX {
        let snapshot = world.handle().unwrap().snapshot().clone();
        let body = traffic.second(&policy.name, &snapshot, &receipts);
        if !silence.contains(&tick) {
            let ingested = world.post(&body).await.unwrap();
            assert_eq!(ingested.refused, []);
            for line in String::from_utf8(body).unwrap().lines() {
                let mut line: Value = serde_json::from_str(line).unwrap();
                line["time"] = json!(world.now().to_string());
                if naming == Naming::Arm {
                    let user = UserKey::new(line["user"].as_str().unwrap()).unwrap();
                    let assignment = snapshot.assign("answer", user).unwrap();
                    line["arm"] = json!(assignment.arm.as_str());
                }
                lines.push_str(&format!("{line}\n"));
            }
        }
        world.tick().await.unwrap();
        if world.rollout_of(&policy.name).unwrap().state.phase.is_over() {
            break;
        }
    }
    let rollout = world.rollout_of(&policy.name).unwrap().state.id;
    let audit = world.store().audit(rollout, None, RECORDS_MAX).await.unwrap();
    let moved = |event| match event {
        AuditEvent::Moved(transition) => Some(*transition),
        AuditEvent::LabelMove { .. }
        | AuditEvent::Registry { .. }
        | AuditEvent::Cache { .. }
        | AuditEvent::Fallback(_)
        | AuditEvent::Notice { .. }
        | AuditEvent::Refused { .. } => None,
    };
    // The first record tells of the beginning, which is no transition.
    let history = audit.into_iter().filter_map(|record| moved(record.event)).skip(1);
    Recording {
        policy,
        rollout,
        history: history.collect(),
        lines,
    }
}

fn replay(recording: &Recording, planned: Planned) -> (Vec<Move>, Counts) {
    let mut replay = Replay::new(Settings {
        policy: Arc::clone(&recording.policy),
        versions: Some((version(1), version(2))),
        secret: Some(secret()),
        rollout: Some(recording.rollout),
        planned,
        approvals: Approvals::Given,
        disorder: jiff::SignedDuration::from_secs(30),
        from: Some(recording.history[0].to.started_at),
        until: None,
    });
    let mut moves = Vec::new();
    for (line, number) in recording.lines.lines().zip(1..) {
        let outcome = replay.push(number, line.as_bytes());
        assert_eq!(outcome.bad, []);
        moves.extend(outcome.moves);
    }
    moves.extend(replay.finish().moves);
    (moves, replay.counts().clone())
}

fn close(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= LOG_E_DIFFERENCE_MAX,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn assert_same_numbers(replayed: &Assessment, recorded: &Assessment, with_users: bool) {
    assert_eq!(
        (
            replayed.at,
            replayed.through,
            replayed.verdict,
            replayed.treated,
            &replayed.blame
        ),
        (
            recorded.at,
            recorded.through,
            recorded.verdict,
            recorded.treated,
            &recorded.blame
        )
    );
    assert!(close(replayed.log_e_combined, recorded.log_e_combined));
    for (one, other) in replayed.metrics.iter().zip(&recorded.metrics) {
        assert_eq!(
            (
                &one.metric,
                one.control.count,
                one.treatment.count,
                one.verdict,
                one.silent_since
            ),
            (
                &other.metric,
                other.control.count,
                other.treatment.count,
                other.verdict,
                other.silent_since
            )
        );
        assert_eq!(one.quantiles.len(), other.quantiles.len());
        let pairs = [
            (Some(one.log_e_worse), Some(other.log_e_worse)),
            (Some(one.log_e_non_inferior), Some(other.log_e_non_inferior)),
            (one.log_e_limit, other.log_e_limit),
        ];
        assert!(
            pairs.iter().all(|(one, other)| close(*one, *other)),
            "{one:?}\n{other:?}"
        );
    }
    if with_users {
        let (one, other) = (&replayed.data, &recorded.data);
        assert_eq!(
            (one.split.users, one.excluded.users),
            (other.split.users, other.excluded.users)
        );
        assert!(close(Some(one.split.log_e), Some(other.split.log_e)));
    }
}

fn assert_same_history(recording: &Recording, moves: &[Move], with_users: bool) {
    let words = |transition: &Transition| {
        let (from, to) = (transition.from.as_str(), transition.to.phase.as_str());
        (
            transition.to.changed_at,
            transition.to.entered_at,
            from,
            to,
            transition.cause.clone(),
        )
    };
    let replayed: Vec<_> = moves.iter().map(|moved| words(&moved.transition)).collect();
    let recorded: Vec<_> = recording.history.iter().map(words).collect();
    assert_eq!(replayed, recorded);
    for (one, other) in moves.iter().zip(&recording.history) {
        let (one, other) = (one.transition.assessment.as_ref(), other.assessment.as_ref());
        assert_same_numbers(one.unwrap(), other.unwrap(), with_users);
    }
}

/// Time that nobody uses is skipped.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

#[test]
fn a_promotion_is_replayed_as_it_was() {
    for naming in [Naming::Receipt, Naming::User, Naming::Arm] {
        let recording = block_on(record(0.8, naming, 0..0));
        assert_eq!(
            recording.history.last().unwrap().to.phase,
            Phase::Promoted,
            "{naming:?}"
        );
        // Whoever only claims an arm counts for the split later than the one whom the server assigned.
        let is_known = naming != Naming::Arm;
        let planned = if is_known {
            Planned::Policy
        } else {
            Planned::Nothing
        };
        let (moves, counts) = replay(&recording, planned);
        assert_same_history(&recording, &moves, is_known);
        assert_eq!(
            counts.read,
            counts.observations() + counts.ignored.values().sum::<u64>()
        );
        assert!(
            counts.used.treatment > 500 && counts.users.total() > 500,
            "{counts:?}"
        );
    }
}

#[test]
fn a_rollback_is_replayed_as_it_was_and_names_the_line() {
    let recording = block_on(record(0.5, Naming::Arm, 0..0));
    assert!(matches!(
        recording.history.last().unwrap().to.phase,
        Phase::RolledBack { .. }
    ));
    let (moves, _) = replay(&recording, Planned::Nothing);
    assert_same_history(&recording, &moves, false);
    let fatal = moves.last().unwrap();
    let number = usize::try_from(fatal.line).unwrap();
    let line: Value = serde_json::from_str(recording.lines.lines().nth(number - 1).unwrap()).unwrap();
    let at: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
    let waited = fatal.transition.to.changed_at.duration_since(at);
    assert_eq!(
        waited,
        jiff::SignedDuration::from_secs(1),
        "it is the last line of the tick before"
    );
}

#[test]
fn silence_is_replayed_as_it_was() {
    let recording = block_on(record(0.8, Naming::Receipt, 10..120));
    let paused = recording.history.last().unwrap();
    assert!(
        matches!(paused.to.phase, Phase::Paused { .. }),
        "{:?}",
        paused.to.phase
    );
    let (moves, _) = replay(&recording, Planned::Policy);
    assert_same_history(&recording, &moves, true);
}

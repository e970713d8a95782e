//! Which lines count, which do not, and that order within the allowance does not matter.

use super::*;
use crate::policy::check::check;
use proptest::prelude::*;
use serde_json::json;

const BEGIN: i64 = 1_800_000_000;

const POLICY: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: answer}
spec:
  prompt: answer
  labels: {control: production, treatment: canary}
  steps:
    - {exposure: 50%, bake: 20s, samples: 20}
    - {exposure: 100%, bake: 10s}
  watch: 10s
  analysis: {every: 1s}
  metrics:
    - {name: quality, kind: score, margin: 0.3}
";

fn settings() -> Settings {
    Settings {
        policy: Arc::new(check("answer.yaml", POLICY).unwrap().policy),
        versions: None,
        secret: None,
        rollout: None,
        planned: Planned::Nothing,
        approvals: Approvals::Given,
        disorder: SignedDuration::from_secs(5),
        from: None,
        until: None,
    }
}

/// A line of `user` at `second`, with `more` keys.
fn line(second: i64, user: u64, more: &serde_json::Value) -> String {
    let mut line = json!({
        "time": BEGIN + second, "policy": "answer", "user": format!("user-{user}"),
        "metrics": {"quality": 0.8},
    });
    let (Some(line_keys), Some(more)) = (line.as_object_mut(), more.as_object()) else {
        panic!("both are objects");
    };
    line_keys.extend(more.clone());
    line.to_string()
}

/// Both arms in equal parts, eight lines a second.
fn both_arms(seconds: i64) -> Vec<String> {
    let users = (0..seconds).flat_map(|second| (0..8).map(move |user| (second, user)));
    users
        .map(|(second, user)| {
            let arm = if user % 2 == 0 { "control" } else { "treatment" };
            let number = u64::try_from(second * 8 + user).unwrap();
            line(second, number, &json!({"arm": arm}))
        })
        .collect()
}

fn run(settings: Settings, lines: &[String]) -> (Replay, Outcome) {
    let mut replay = Replay::new(settings);
    let mut whole = Outcome::default();
    for (text, number) in lines.iter().zip(1..) {
        let outcome = replay.push(number, text.as_bytes());
        whole.moves.extend(outcome.moves);
        whole.bad.extend(outcome.bad);
    }
    let outcome = replay.finish();
    whole.moves.extend(outcome.moves);
    whole.bad.extend(outcome.bad);
    (replay, whole)
}

/// Each move as its line, second and phase after.
fn told(outcome: &Outcome) -> Vec<(u64, i64, &'static str)> {
    let tell = |moved: &Move| {
        let to = &moved.transition.to;
        (moved.line, to.changed_at.as_second() - BEGIN, to.phase.as_str())
    };
    outcome.moves.iter().map(tell).collect()
}

#[test]
fn a_stream_is_followed_to_the_end_of_its_rollout_and_no_further() {
    let (replay, outcome) = run(settings(), &both_arms(60));
    let expected = [
        (0, 0, "ramping"),
        (160, 20, "ramping"),
        (240, 30, "promoting"),
        (240, 30, "watching"),
        (320, 40, "promoted"),
    ];
    assert_eq!(told(&outcome), expected);
    assert!(replay.is_over());
    let counts = replay.counts();
    // Lines up to the end of the allowance were read before that was known.
    assert_eq!(
        (counts.read, counts.observations(), counts.users.total()),
        (361, 320, 160)
    );
    assert_eq!(replay.line(), 320);
}

#[test]
fn time_passes_to_the_end_that_is_asked_for() {
    let end = |until| {
        let until = Timestamp::from_second(BEGIN + until).unwrap();
        let settings = Settings {
            until: Some(until),
            ..settings()
        };
        let (replay, outcome) = run(settings, &both_arms(35));
        (
            outcome.moves.last().unwrap().transition.to.phase.as_str(),
            replay.counts().outside,
        )
    };
    assert_eq!(end(60), ("promoted", 0));
    assert_eq!(end(39), ("watching", 0));
    assert_eq!(end(25), ("ramping", 80));
}

#[test]
fn the_rollout_begins_with_its_first_observation_or_when_told() {
    let other = line(0, 1, &json!({"policy": "greeting", "arm": "control"}));
    let mine = line(100, 1, &json!({"arm": "control"}));
    let (replay, outcome) = run(settings(), &[other.clone(), mine.clone()]);
    assert_eq!(told(&outcome), [(0, 100, "ramping")]);
    assert_eq!(
        (replay.counts().other_policies, replay.counts().observations()),
        (1, 1)
    );
    let from = Timestamp::from_second(BEGIN + 50).unwrap();
    let settings = Settings {
        from: Some(from),
        ..settings()
    };
    let (replay, outcome) = run(settings, &[other, mine]);
    assert_eq!(told(&outcome), [(0, 50, "ramping")]);
    assert_eq!((replay.counts().outside, replay.counts().observations()), (1, 1));
}

#[test]
fn what_was_served_is_taken_from_the_record() {
    let version = |number| Version::new(number).unwrap();
    let used = |settings: Settings, more: serde_json::Value| {
        let (replay, outcome) = run(settings, &[line(0, 1, &more)]);
        let bad = outcome.bad.first().map(|bad| bad.fault.detail.clone());
        (replay.counts().used, bad)
    };
    let arms = |control, treatment| PerArm { control, treatment };
    let versions = || Settings {
        versions: Some((version(3), version(4))),
        ..settings()
    };
    assert_eq!(used(settings(), json!({"arm": "control"})).0, arms(1, 0));
    assert_eq!(used(settings(), json!({"label": "canary"})).0, arms(0, 1));
    // Versions that nobody has told apart do not count beside an arm, and neither do receipts.
    let noted = json!({"arm": "treatment", "version": 9, "receipt": "AQ"});
    assert_eq!(used(settings(), noted).0, arms(0, 1));
    assert_eq!(used(versions(), json!({"version": 4})).0, arms(0, 1));
    assert_eq!(
        used(versions(), json!({"version": 9, "arm": "treatment"})).0,
        arms(0, 0)
    );
    for (more, mend) in [
        (json!({}), "add `arm`, `label` or `version`"),
        (json!({"version": 4}), "only with `--stable` and `--candidate`"),
        (json!({"receipt": "AQ"}), "name it with `--secret-file`"),
    ] {
        let (counted, bad) = used(settings(), more);
        assert_eq!(counted, arms(0, 0));
        assert!(bad.as_ref().is_some_and(|bad| bad.contains(mend)), "{bad:?}");
    }
    let split = Settings {
        secret: Some([7; SECRET_BYTES]),
        ..versions()
    };
    let (replay, _) = run(split, &[line(0, 1, &json!({}))]);
    assert_eq!(
        (replay.counts().observations(), replay.counts().split_by_hash),
        (1, 1)
    );
}

#[test]
fn wrong_lines_are_named_and_the_others_count() {
    let mut lines = both_arms(2);
    lines.insert(1, "{\"time\": 1".to_owned());
    lines.insert(
        3,
        line(0, 1, &json!({"arm": "control", "metrics": {"quality": 2}})),
    );
    lines.insert(5, line(0, 1, &json!({"arm": "control", "metrix": 2})));
    lines.push(String::new());
    lines.push("x".repeat(LINE_BYTES_MAX + 1));
    let (replay, outcome) = run(settings(), &lines);
    let mut bad: Vec<(u64, &str)> = outcome
        .bad
        .iter()
        .map(|bad| (bad.line, bad.fault.code.as_str()))
        .collect();
    bad.sort_unstable();
    assert_eq!(
        bad,
        [
            (2, "malformed"),
            (4, "out_of_range"),
            (6, "unknown_key"),
            (21, "too_long")
        ]
    );
    assert_eq!((replay.counts().read, replay.counts().observations()), (20, 16));
    let excluded = replay.rehearsal().unwrap().assessment().data.out_of_range;
    assert_eq!(excluded.control, 1);
}

#[test]
fn repeats_and_latecomers_are_counted_and_left_out() {
    let mine = |second| line(second, 1, &json!({"arm": "control"}));
    let with_id = |second| line(second, 1, &json!({"arm": "control", "id": "trace-1"}));
    let lines = [with_id(0), with_id(1), mine(10), mine(20), mine(9), mine(11)];
    let (replay, _) = run(settings(), &lines);
    let counts = replay.counts();
    assert_eq!((counts.observations(), counts.duplicates, counts.late), (4, 1, 1));
}

#[test]
fn the_split_is_held_against_the_plan_that_is_named() {
    let assessed = |planned| {
        let settings = Settings {
            planned,
            ..settings()
        };
        let (replay, _) = run(settings, &both_arms(15));
        replay.rehearsal().unwrap().assessment().data.split
    };
    assert_eq!(assessed(Planned::Nothing).users.total(), 0);
    let wrong = assessed(Planned::Share(Exposure::from_ppm(50_000).unwrap()));
    assert_eq!(wrong.users.total(), 120);
    assert!(wrong.since.is_some());
    // Arms that are only claimed count once ten minutes have passed since the exposure changed.
    assert_eq!(assessed(Planned::Policy).users.total(), 0);
}

proptest! {
    #[test]
    fn the_order_of_lines_within_the_allowance_does_not_matter(
        keys in prop::collection::vec(0..5_000_i64, 8 * 45)
    ) {
        let lines = both_arms(45);
        // A line comes up to five seconds after its time.
        let mut shuffled: Vec<(i64, &String)> = (0..).zip(&lines).map(|(at, text)| {
            let late = keys.get(usize::try_from(at).unwrap()).copied().unwrap_or(0);
            (at / 8 * 1_000 + late, text)
        }).collect();
        shuffled.sort_by_key(|(at, _)| *at);
        let shuffled: Vec<String> = shuffled.into_iter().map(|(_, text)| text.clone()).collect();
        let (in_order, expected) = run(settings(), &lines);
        let (replay, outcome) = run(settings(), &shuffled);
        let moves = |outcome: &Outcome| -> Vec<_> { told(outcome).into_iter().map(|(_, at, to)| (at, to)).collect() };
        prop_assert_eq!(moves(&outcome), moves(&expected));
        prop_assert_eq!((replay.counts().late, replay.counts().used), (0, in_order.counts().used));
    }
}

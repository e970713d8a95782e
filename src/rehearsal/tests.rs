//! How rollouts go in memory, and that skipping empty ticks skips nothing else.

use super::*;
use crate::analysis::{ArmTallies, Headcount, Verdict};
use crate::ids::{Arm, Cluster};
use crate::policy::check::check;
use crate::rollout::{Cause, Phase, PolicyCause, VerdictCause};
use proptest::prelude::*;
use std::collections::BTreeMap;

const BEGIN: i64 = 1_800_000_000;

/// Two steps, with `analysis` and `gates` as they are to be tried.
fn policy(analysis: &str, approval: &str) -> Arc<Policy> {
    let text = format!(
        "apiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {{name: answer}}\nspec:\n  prompt: answer\n  \
         labels: {{control: production, treatment: canary}}\n  steps:\n  \
         - {{exposure: 50%, bake: 40s, samples: 20{approval}}}\n  - {{exposure: 100%, bake: 20s}}\n  \
         watch: 30s\n  analysis: {{{analysis}}}\n  \
         metrics:\n  - {{name: quality, kind: score, better: higher, margin: 0.3}}\n"
    );
    Arc::new(check("answer.yaml", &text).unwrap().policy)
}

fn start(policy: &Arc<Policy>, approvals: Approvals) -> (Rehearsal, Vec<Transition>) {
    let version = |number| Version::new(number).unwrap();
    let at = Tick::new(BEGIN).begins();
    Rehearsal::start(Arc::clone(policy), version(1), version(2), approvals, at)
}

/// A tick in which both arms, or one, were observed `count` times.
fn tally(second: i64, control: Option<f64>, treatment: Option<f64>, count: u8) -> TickTally {
    let mut arms = ArmTallies::default();
    let offset = u8::try_from(second.rem_euclid(128)).unwrap();
    for (arm, value) in [(Arm::Control, control), (Arm::Treatment, treatment)] {
        for user in 0..value.map_or(0, |_| count) {
            let cluster = Cluster::new(user.wrapping_mul(37).wrapping_add(offset) % 128).unwrap();
            let spread = f64::from(user % 3) * 0.05;
            arms.add(arm, cluster, value.unwrap_or(0.0) + spread);
        }
    }
    TickTally {
        tick: Tick::new(BEGIN + second),
        metrics: BTreeMap::from([("quality".parse().unwrap(), arms)]),
        headcount: Headcount::default(),
    }
}

/// Each transition as second, words and exposure after.
fn told(moved: &[Transition]) -> Vec<String> {
    let tell = |transition: &Transition| {
        let second = transition.to.changed_at.as_second() - BEGIN;
        let (from, to) = (transition.from.as_str(), transition.to.phase.as_str());
        format!("{second} {from} → {to}")
    };
    moved.iter().map(tell).collect()
}

#[test]
fn a_good_candidate_is_promoted_and_a_bad_one_is_taken_back() {
    let policy = policy("every: 5s", "");
    let run = |treatment: f64| {
        let (mut rehearsal, mut moved) = start(&policy, Approvals::Withheld);
        assert_eq!(rehearsal.exposure(), policy.exposure_of(0));
        for second in 0..200 {
            let tally = tally(second, Some(0.8), Some(treatment), 6);
            moved.extend(rehearsal.advance(tally.tick, Some(&tally)));
        }
        assert!(rehearsal.is_over());
        moved
    };
    assert_eq!(
        told(&run(0.8)),
        [
            "0 pending → ramping",
            "40 ramping → ramping",
            "60 ramping → promoting",
            "60 promoting → watching",
            "90 watching → promoted",
        ]
    );
    let bad = run(0.2);
    assert_eq!(told(&bad)[2..], ["5 rolling_back → rolled_back"]);
    assert!(matches!(
        bad[1].cause,
        Cause::Verdict(VerdictCause::Failed { .. })
    ));
    assert_eq!(
        bad[1].assessment.as_ref().map(|seen| seen.verdict),
        Some(Verdict::Fail)
    );
}

#[test]
fn approvals_are_assumed_one_by_one_or_waited_for() {
    let policy = policy("every: 1s", ", approval: required");
    let run = |approvals| {
        let (mut rehearsal, mut moved) = start(&policy, approvals);
        for second in 0..50 {
            let tally = tally(second, Some(0.8), Some(0.8), 6);
            moved.extend(rehearsal.advance(tally.tick, Some(&tally)));
        }
        (rehearsal, moved)
    };
    let (given, moved) = run(Approvals::Given);
    assert_eq!(
        told(&moved)[1..],
        ["0 ramping → ramping", "40 ramping → ramping"],
        "an approval does not change when the phase began"
    );
    let approved: Vec<&str> = given
        .state()
        .approvals
        .iter()
        .map(|given| given.actor.as_str())
        .collect();
    assert_eq!(approved, ["assumed-1"]);
    let (withheld, moved) = run(Approvals::Withheld);
    assert_eq!(moved.len(), 1);
    assert!(matches!(withheld.stay(), StayReason::Approval { given, .. } if given.is_empty()));
}

#[test]
fn what_follows_from_time_alone_happens_in_its_own_tick() {
    let policy = policy("every: 7s, noData: {after: 10m, then: pause}", "");
    let (mut rehearsal, _) = start(&policy, Approvals::Given);
    let first = tally(100, Some(0.8), Some(0.8), 6);
    assert!(rehearsal.advance(first.tick, Some(&first)).is_empty());
    let a_year = Tick::new(BEGIN + 31_536_000);
    let moved = rehearsal.wait_through(a_year);
    // The last tick with observations ends at 101 s; verdicts are due at multiples of 7 s of the epoch.
    let due = 701 + (7 - (BEGIN + 701) % 7) % 7;
    assert_eq!(told(&moved), [format!("{due} ramping → paused")]);
    assert!(matches!(
        &moved[0].cause,
        Cause::Policy(PolicyCause::NoData { since, .. }) if since.as_second() == BEGIN + 101
    ));
    assert!(matches!(rehearsal.state().phase, Phase::Paused { .. }));
    assert_eq!(rehearsal.through(), Some(a_year));
    assert!(
        rehearsal.advance(first.tick, Some(&first)).is_empty(),
        "it is closed"
    );
}

/// What arrives after so many empty ticks.
type Arrival = (u16, Option<f64>, Option<f64>, u8);

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let value = || prop::option::weighted(0.8, prop::sample::select(vec![0.1, 0.6, 0.8]));
    let pause = prop_oneof![3 => 0..4u16, 1 => 0..200u16];
    prop::collection::vec((pause, value(), value(), 0..8u8), 1..40)
}

fn rules() -> impl Strategy<Value = String> {
    let then = |words: &[&'static str]| prop::sample::select(words.to_vec());
    let every = prop::sample::select(vec![1, 3, 5, 60]);
    (
        every,
        then(&["hold", "pause", "rollBack"]),
        then(&["rollBack", "stepBack", "pause"]),
        then(&["hold", "pause", "rollBack", "advance"]),
        60..400u32,
        30..400u32,
    )
        .prop_map(|(every, no_data, on_fail, undecided, silence, patience)| {
            format!(
                "every: {every}s, onFail: {on_fail}, noData: {{after: {silence}s, then: {no_data}}}, \
                 inconclusive: {{after: {patience}s, then: {undecided}}}"
            )
        })
}

proptest! {
    #[test]
    fn skipping_empty_ticks_changes_nothing(
        rules in rules(), arrivals in arrivals(), approval in any::<bool>(), given in any::<bool>(),
    ) {
        let policy = policy(&rules, if approval { ", approval: required" } else { "" });
        let approvals = if given { Approvals::Given } else { Approvals::Withheld };
        let (mut skipping, mut moved) = start(&policy, approvals);
        let (mut patient, mut moved_by_patience) = start(&policy, approvals);
        let mut second = 0;
        for (pause, control, treatment, count) in arrivals {
            let end = second + i64::from(pause);
            for empty in second..end {
                // Looks at every tick that is due, whether or not anything can have changed.
                patient.settled = false;
                moved_by_patience.extend(patient.advance(Tick::new(BEGIN + empty), None));
            }
            let tally = tally(end, control, treatment, count);
            patient.settled = false;
            moved_by_patience.extend(patient.advance(tally.tick, Some(&tally)));
            moved.extend(skipping.advance(tally.tick, Some(&tally)));
            prop_assert_eq!(&moved, &moved_by_patience);
            second = end + 1;
        }
    }
}

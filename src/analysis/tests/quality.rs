//! Whether the data can carry a verdict: the split of users, and what was left out.

use super::*;
use crate::analysis::{ByShare, DataQuality, MismatchOf, PerArm, Verdict};

const GOOD: Values = Values::Around(0.75);

fn users(control: u64, treatment: u64) -> ByShare {
    let share = Exposure::from_ppm(500_000).unwrap();
    ByShare::from([(share, PerArm { control, treatment })])
}

/// Lets time pass with equal values, and so many users and users with something left out in each tick.
fn pass(world: &mut World, seconds: i64, seen: &ByShare, excluded: &ByShare) {
    for _ in 0..seconds {
        let mut tick = world.tick(&[("quality", GOOD, GOOD)]);
        tick.headcount.users = seen.clone();
        tick.headcount.excluded = excluded.clone();
        assert!(world.engine.absorb(&tick));
    }
}

#[test]
fn a_wrong_split_makes_the_verdict_invalid_for_good() {
    let mut world = World::new(vec![score("quality")]);
    let wrong_from = world.second;
    pass(&mut world, 300, &users(60, 50), &ByShare::new());
    let assessment = world.assess();
    assert_eq!(assessment.verdict, Verdict::Invalid);
    let mismatch = assessment.data.mismatch().unwrap();
    assert_eq!(mismatch.of, MismatchOf::Users);
    assert_eq!(
        (mismatch.treatment, mismatch.users, mismatch.expected),
        (15_000, 33_000, 16_500)
    );
    assert!(at(wrong_from) < mismatch.since && mismatch.since < at(wrong_from + 60));
    // The metric itself is as healthy as ever, and what was proved stays proved.
    assert_eq!(world.evidence("quality").verdict, Verdict::Pass);
    pass(&mut world, 3_000, &users(50, 60), &ByShare::new());
    assert_eq!(world.assess().data.mismatch().unwrap().since, mismatch.since);
}

#[test]
fn a_split_as_planned_leaves_the_verdict_alone() {
    let mut world = World::new(vec![score("quality")]);
    pass(&mut world, 300, &users(50, 50), &users(1, 1));
    let assessment = world.assess();
    assert_eq!(
        (assessment.verdict, assessment.data.mismatch()),
        (Verdict::Pass, None)
    );
}

#[test]
fn something_left_out_in_one_arm_makes_the_verdict_invalid_too() {
    let mut world = World::new(vec![score("quality")]);
    pass(&mut world, 300, &users(50, 50), &users(0, 1));
    let assessment = world.assess();
    assert_eq!(assessment.verdict, Verdict::Invalid);
    assert_eq!(assessment.data.mismatch().unwrap().of, MismatchOf::Exclusions);
}

#[test]
fn without_control_there_is_no_split_to_be_wrong() {
    let mut world = World::new(vec![score("quality")]);
    pass(&mut world, 300, &users(60, 50), &ByShare::new());
    let alone = world
        .engine
        .assess(at(world.second), at(START), Comparison::TreatmentOnly);
    assert_eq!(alone.verdict, Verdict::Pass);
    assert!(alone.data.mismatch().is_some());
}

#[test]
fn a_wrong_split_does_not_hide_a_failure() {
    let mut world = World::new(vec![score("quality")]);
    pass(&mut world, 300, &users(60, 50), &ByShare::new());
    world.pass(300, &[("quality", GOOD, Values::Around(0.5))]);
    assert_eq!(world.assess().verdict, Verdict::Fail);
}

#[test]
fn lines_that_were_left_out_are_counted() {
    let mut world = World::new(vec![score("quality")]);
    for _ in 0..3 {
        let mut tick = world.tick(&[]);
        tick.headcount.fallback = PerArm {
            control: 1,
            treatment: 2,
        };
        tick.headcount.out_of_range = PerArm {
            control: 0,
            treatment: 5,
        };
        world.engine.absorb(&tick);
    }
    let DataQuality {
        fallback,
        out_of_range,
        ..
    } = world.assess().data;
    assert_eq!((fallback.control, fallback.treatment), (3, 6));
    assert_eq!((out_of_range.control, out_of_range.treatment), (0, 15));
}

#[test]
fn a_restart_keeps_who_came_and_what_was_left_out() {
    let mut world = World::new(vec![score("quality")]);
    pass(&mut world, 40, &users(60, 50), &users(0, 1));
    let restored = Engine::decode(&policy(vec![score("quality")]), &world.engine.encode()).unwrap();
    assert_eq!(restored, world.engine);
}

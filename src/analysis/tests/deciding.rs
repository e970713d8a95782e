//! Which verdict follows from which data.

use super::*;
use crate::analysis::Verdict;

const GOOD: Values = Values::Around(0.75);
const BAD: Values = Values::Around(0.60);

#[test]
fn equal_arms_pass_in_the_end() {
    let mut world = World::new(vec![score("quality"), rate("errors")]);
    world.pass(
        1,
        &[
            ("quality", GOOD, GOOD),
            ("errors", Values::Chance(0.1), Values::Chance(0.1)),
        ],
    );
    assert_eq!(world.assess().verdict, Verdict::Inconclusive);
    world.pass(
        400,
        &[
            ("quality", GOOD, GOOD),
            ("errors", Values::Chance(0.1), Values::Chance(0.1)),
        ],
    );
    let assessment = world.assess();
    assert_eq!(assessment.verdict, Verdict::Pass);
    assert_eq!((assessment.blame, assessment.log_e_combined), (None, None));
    assert_eq!(assessment.treated, 4010);
    assert!(
        assessment
            .metrics
            .iter()
            .all(|evidence| evidence.verdict == Verdict::Pass)
    );
}

#[test]
fn a_worse_score_fails_and_is_blamed() {
    let mut world = World::new(vec![rate("errors"), score("quality")]);
    world.pass(
        40,
        &[
            ("quality", GOOD, BAD),
            ("errors", Values::Chance(0.1), Values::Chance(0.1)),
        ],
    );
    let assessment = world.assess();
    assert_eq!(
        (assessment.verdict, assessment.blame),
        (Verdict::Fail, worse("quality"))
    );
    assert!(assessment.log_e_combined.unwrap() >= assessment.threshold);
    let quality = world.evidence("quality");
    assert_eq!(quality.verdict, Verdict::Fail);
    assert!(quality.difference.unwrap() < -0.1 && quality.log_e_worse > quality.log_e_non_inferior);
}

#[test]
fn a_worse_rate_fails_in_either_direction() {
    let thumbs = Metric {
        better: Better::Higher,
        baseline: Some(0.9),
        ..rate("thumbs")
    };
    let mut world = World::new(vec![thumbs]);
    world.pass(60, &[("thumbs", Values::Chance(0.9), Values::Chance(0.7))]);
    assert_eq!(world.assess().verdict, Verdict::Fail);
    assert!(world.evidence("thumbs").difference.unwrap() < -0.1);

    let mut world = World::new(vec![rate("errors")]);
    world.pass(60, &[("errors", Values::Chance(0.1), Values::Chance(0.3))]);
    assert_eq!(world.assess().verdict, Verdict::Fail);
    assert!(world.evidence("errors").difference.unwrap() > 0.1);
}

#[test]
fn a_failure_stays_with_the_blame_of_its_first_tick() {
    let mut world = World::new(vec![score("first"), score("second")]);
    world.pass(30, &[("first", GOOD, BAD), ("second", GOOD, GOOD)]);
    assert_eq!(world.assess().blame, worse("first"));
    world.pass(3000, &[("first", GOOD, GOOD), ("second", GOOD, BAD)]);
    let assessment = world.assess();
    assert_eq!(
        (assessment.verdict, assessment.blame),
        (Verdict::Fail, worse("first"))
    );
    assert_eq!(world.engine.conclusion().lead, Some(name("second")));
}

#[test]
fn a_harmless_difference_does_not_hide_a_harmful_one() {
    let wide = Metric {
        margin: Margin::Absolute(0.3),
        weight: 100.0,
        ..score("harmless")
    };
    let mut world = World::new(vec![wide, score("harmful")]);
    let both = [("harmless", GOOD, Values::Around(0.65)), ("harmful", GOOD, BAD)];
    world.pass(100, &both);
    let assessment = world.assess();
    assert_eq!(world.evidence("harmless").verdict, Verdict::Pass);
    assert!(world.evidence("harmless").log_e_worse > assessment.threshold);
    assert_eq!(
        (assessment.verdict, assessment.blame),
        (Verdict::Fail, worse("harmful"))
    );
}

#[test]
fn watched_metrics_are_shown_and_never_act() {
    let watched = Metric {
        role: Role::Watched,
        limit: Some(0.7),
        ..score("watched")
    };
    let mut world = World::new(vec![watched, score("quality")]);
    world.pass(400, &[("watched", GOOD, BAD), ("quality", GOOD, GOOD)]);
    assert_eq!(world.assess().verdict, Verdict::Pass);
    let watched = world.evidence("watched");
    assert_eq!(watched.verdict, Verdict::Fail);
    assert!(watched.log_e_limit.unwrap() > world.assess().threshold_limit);
}

#[test]
fn goals_fail_a_rollout_but_do_not_hold_it() {
    let goal = Metric {
        role: Role::Goal,
        ..score("goal")
    };
    let mut world = World::new(vec![goal.clone(), score("quality")]);
    world.pass(400, &[("quality", GOOD, GOOD)]);
    assert_eq!(world.assess().verdict, Verdict::Pass);

    let mut world = World::new(vec![goal, score("quality")]);
    world.pass(60, &[("goal", GOOD, BAD), ("quality", GOOD, GOOD)]);
    assert_eq!(
        (world.assess().verdict, world.assess().blame),
        (Verdict::Fail, worse("goal"))
    );
}

#[test]
fn a_broken_limit_fails_where_both_arms_are_bad() {
    let floored = Metric {
        limit: Some(0.7),
        ..score("quality")
    };
    let mut world = World::new(vec![floored]);
    world.pass(60, &[("quality", BAD, BAD)]);
    let assessment = world.assess();
    assert_eq!(
        (assessment.verdict, assessment.blame),
        (Verdict::Fail, blame("quality", Versus::Limit))
    );
    let quality = world.evidence("quality");
    assert!(quality.log_e_limit.unwrap() >= assessment.threshold_limit);
    assert!(quality.log_e_worse < assessment.threshold);
}

#[test]
fn a_ceiling_guards_a_rate_without_control() {
    let capped = Metric {
        limit: Some(0.2),
        ..rate("errors")
    };
    let mut world = World::new(vec![capped]);
    world.pass(60, &[("errors", Values::Absent, Values::Chance(0.4))]);
    let assessment = world
        .engine
        .assess(at(world.second), at(START), Comparison::TreatmentOnly);
    assert_eq!(
        (assessment.verdict, assessment.blame),
        (Verdict::Fail, blame("errors", Versus::Limit))
    );
    assert_eq!(assessment.metrics[0].difference, None);
}

#[test]
fn a_silent_guardrail_is_invalid() {
    let mut world = World::new(vec![score("quality"), score("other")]);
    world.pass(400, &[("quality", GOOD, GOOD), ("other", GOOD, GOOD)]);
    let last = world.second;
    assert_eq!(world.assess().verdict, Verdict::Pass);
    let patience = SILENCE_MAX.as_secs();

    // One second before its patience ends, `other` still counts; then it does not.
    world.pass(patience - 1, &[("quality", GOOD, GOOD)]);
    assert_eq!(world.assess().verdict, Verdict::Pass);
    world.pass(1, &[("quality", GOOD, GOOD)]);
    assert_eq!(world.assess().verdict, Verdict::Invalid);
    let other = world.evidence("other");
    assert_eq!(
        (other.verdict, other.silent_since),
        (Verdict::Invalid, Some(at(last)))
    );
    assert_eq!(world.evidence("quality").silent_since, None);

    // A step that began later gives it the whole time again.
    let assess = |since| {
        world
            .engine
            .assess(at(world.second), at(since), Comparison::Concurrent)
    };
    assert_eq!(assess(last + 1).verdict, Verdict::Pass);
}

#[test]
fn one_silent_arm_is_enough_unless_control_is_gone() {
    let mut world = World::new(vec![score("quality")]);
    world.pass(400, &[("quality", GOOD, GOOD)]);
    world.pass(SILENCE_MAX.as_secs(), &[("quality", Values::Absent, GOOD)]);
    let assess = |comparison| world.engine.assess(at(world.second), at(START), comparison);
    assert_eq!(assess(Comparison::Concurrent).verdict, Verdict::Invalid);
    assert_eq!(assess(Comparison::TreatmentOnly).verdict, Verdict::Pass);

    let mut world = World::new(vec![score("quality")]);
    world.pass(400, &[("quality", GOOD, GOOD)]);
    world.pass(SILENCE_MAX.as_secs(), &[("quality", GOOD, Values::Absent)]);
    let assess = |comparison| world.engine.assess(at(world.second), at(START), comparison);
    assert_eq!(assess(Comparison::TreatmentOnly).verdict, Verdict::Invalid);
}

#[test]
fn silence_from_the_start_counts_from_the_start() {
    let world = World::new(vec![score("quality")]);
    let assess = |after| {
        world
            .engine
            .assess(at(START + after), at(START), Comparison::Concurrent)
    };
    assert_eq!(assess(SILENCE_MAX.as_secs() - 1).verdict, Verdict::Inconclusive);
    let silent = assess(SILENCE_MAX.as_secs());
    assert_eq!(
        (silent.verdict, silent.metrics[0].silent_since),
        (Verdict::Invalid, Some(at(START)))
    );
    assert_eq!(silent.through, Tick::new(START - 1));
    // A clock that jumps back is not silence.
    assert_eq!(assess(-100_000).verdict, Verdict::Inconclusive);
}

#[test]
fn a_failure_wins_over_silence() {
    let mut world = World::new(vec![score("quality"), score("silent")]);
    world.pass(SILENCE_MAX.as_secs(), &[("quality", GOOD, BAD)]);
    assert!(world.evidence("silent").silent_since.is_some());
    assert_eq!(world.assess().verdict, Verdict::Fail);
}

#[test]
fn silent_goals_and_watched_metrics_are_not_waited_for() {
    let goal = Metric {
        role: Role::Goal,
        ..score("goal")
    };
    let watched = Metric {
        role: Role::Watched,
        ..score("watched")
    };
    let mut world = World::new(vec![score("quality"), goal, watched]);
    world.pass(SILENCE_MAX.as_secs() + 1, &[("quality", GOOD, GOOD)]);
    assert_eq!(world.assess().verdict, Verdict::Pass);
}

#[test]
fn a_policy_sets_the_tests() {
    use crate::analysis::settings::{ContrastPlan, EnginePlan, HarmUnit};
    let relative = Margin::Relative(0.1);
    let metrics = vec![
        score("absolute"),
        Metric {
            margin: relative,
            ..score("relative")
        },
        Metric {
            margin: relative,
            baseline: None,
            ..score("guessed")
        },
        Metric {
            margin: relative,
            baseline: None,
            kind: MetricKind::Score { min: -2.0, max: 2.0 },
            ..score("centred")
        },
        Metric {
            margin: relative,
            baseline: None,
            ..rate("errors")
        },
        Metric {
            margin: relative,
            baseline: None,
            better: Better::Higher,
            limit: Some(0.8),
            ..rate("thumbs")
        },
    ];
    let plan = EnginePlan::of(&policy(metrics));
    let expected = [
        ("absolute", 0.05, HarmUnit::Metric, 0.05, 0.75, 200.0),
        ("relative", 0.1, HarmUnit::ControlMean, 0.075, 0.75, 200.0),
        ("guessed", 0.1, HarmUnit::ControlMean, 0.05, 0.5, 10.0),
        ("centred", 0.1, HarmUnit::ControlMean, 0.2, 0.0, 10.0),
        ("errors", 0.1, HarmUnit::ControlMean, 0.005, 0.05, 10.0),
        ("thumbs", 0.1, HarmUnit::ControlGood, 0.095, 0.95, 10.0),
    ];
    for (plan, (metric, margin, unit, scale, centre, weight)) in plan.metrics.iter().zip(expected) {
        let Some(ContrastPlan::Values(contrast)) = &plan.contrast else {
            panic!("{metric} is compared by its values")
        };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert_eq!((plan.name.as_str(), contrast.unit), (metric, unit));
        assert!(
            close(contrast.margin, margin) && close(contrast.test.scales[0].size, scale),
            "{metric}"
        );
        assert!(close(contrast.test.scales[2].size, 9.0 * scale), "{metric}");
        assert!(
            close(contrast.test.prior_centre, centre) && close(contrast.prior_weight, weight),
            "{metric}"
        );
    }
    let limit = plan.metrics[5].limit.unwrap();
    assert_eq!((limit.limit, limit.test.alpha), (0.8, Alpha::LIMIT));
}

#[test]
fn a_relative_margin_of_a_good_rate_is_a_share_of_what_people_see() {
    // Nine of ten are good: losing a tenth of them is nine points, losing a tenth of the bad is one.
    let thumbs = Metric {
        better: Better::Higher,
        margin: Margin::Relative(0.1),
        baseline: Some(0.9),
        ..rate("thumbs")
    };
    let mut world = World::new(vec![thumbs]);
    world.pass(300, &[("thumbs", Values::Chance(0.9), Values::Chance(0.88))]);
    let thumbs = world.evidence("thumbs");
    assert!((thumbs.margin.unwrap() - 0.09).abs() < 0.005, "{thumbs:?}");
    assert_eq!(thumbs.verdict, Verdict::Pass);
}

#[test]
fn a_relative_margin_of_a_good_rate_is_that_of_its_mean() {
    // Zeros and ones as a rate and as scores: bets on the one, the mean of the other, one margin.
    let relative = Metric {
        better: Better::Higher,
        margin: Margin::Relative(0.5),
        baseline: Some(0.2),
        ..rate("it")
    };
    let as_mean = Metric {
        kind: MetricKind::Score { min: 0.0, max: 1.0 },
        ..relative.clone()
    };
    let evidence = |metric| {
        let mut world = World::new(vec![metric]);
        world.pass(40, &[("it", Values::Chance(0.2), Values::Chance(0.2))]);
        world.evidence("it")
    };
    let (rate, mean) = (evidence(relative), evidence(as_mean));
    assert_eq!((rate.verdict, mean.verdict), (Verdict::Pass, Verdict::Pass));
    assert!((rate.margin.unwrap() - mean.margin.unwrap()).abs() < 1e-12);
}

#[test]
fn a_relative_margin_of_a_good_rate_expects_its_events() {
    // Harm of 5% may rise to 14.5%: a hundred treated would have shown more than ten.
    let thumbs = Metric {
        better: Better::Higher,
        margin: Margin::Relative(0.1),
        baseline: Some(0.95),
        ..rate("it")
    };
    let mut world = World::new(vec![thumbs]);
    world.pass(6, &[("it", Values::Chance(0.95), Values::Chance(0.95))]);
    assert!(world.evidence("it").log_e_non_inferior.abs() < f64::MIN_POSITIVE);
    world.pass(4, &[("it", Values::Chance(0.95), Values::Chance(0.95))]);
    assert!(world.evidence("it").log_e_non_inferior.abs() > 0.01);
}

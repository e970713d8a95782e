//! Treatment against control as it was, when nobody is in control any more.

use super::*;
use crate::analysis::Verdict;

const GOOD: Values = Values::Around(0.75);

/// A world whose control ended after 200 ticks in which both arms were alike.
fn without_control(metric: Metric, values: Values) -> World {
    let metric_name = metric.name.to_string();
    let mut world = World::new(vec![metric]);
    world.pass(200, &[(&metric_name, values, values)]);
    world.engine.compare_with(Comparison::TreatmentOnly);
    world
}

/// Lets treatment alone pass some ticks.
fn alone(world: &mut World, metric: &str, ticks: i64, values: Values) -> Assessment {
    world.pass(ticks, &[(metric, Values::Absent, values)]);
    world
        .engine
        .assess(at(world.second), at(START), Comparison::TreatmentOnly)
}

#[test]
fn what_gets_worse_after_control_is_gone_fails_and_says_that_it_is_the_past() {
    let usual = Values::LogNormal(1.0, 0.6);
    let cases = [
        (score("it"), GOOD, Values::Around(0.6)),
        (rate("it"), Values::Chance(0.1), Values::Chance(0.3)),
        (
            latency("it", &[500_000, 950_000]),
            usual,
            Values::LogNormal(1.6, 0.6),
        ),
        (amount("it", AmountScale::Log), usual, Values::LogNormal(1.5, 0.6)),
    ];
    for (metric, good, bad) in cases {
        let mut world = without_control(metric.clone(), good);
        let assessment = alone(&mut world, "it", 300, bad);
        assert_eq!(
            (assessment.verdict, assessment.blame),
            (Verdict::Fail, blame("it", Versus::Past)),
            "{metric:?}"
        );
        let past = assessment.metrics[0].past.unwrap();
        assert!(past.log_e >= Alpha::PAST.log_threshold() && past.treated > 0);
        assert_eq!(past.since, Some(Tick::new(START + 199)), "{metric:?}");
    }
}

#[test]
fn what_stays_as_it_was_does_not_fail() {
    let usual = Values::LogNormal(1.0, 0.6);
    let cases = [
        (score("it"), GOOD),
        (rate("it"), Values::Chance(0.1)),
        (latency("it", &[500_000, 950_000]), usual),
        (amount("it", AmountScale::Log), usual),
    ];
    for (metric, good) in cases {
        let mut world = without_control(metric.clone(), good);
        let assessment = alone(&mut world, "it", 2_000, good);
        assert_ne!(assessment.verdict, Verdict::Fail, "{metric:?}");
        let past = assessment.metrics[0].past.unwrap();
        assert!(past.log_e < 0.0, "{metric:?}: {past:?}");
    }
}

#[test]
fn the_limit_is_the_worst_that_control_may_have_been_and_the_margin() {
    let mut world = without_control(score("it"), GOOD);
    let past = alone(&mut world, "it", 1, GOOD).metrics[0].past.unwrap();
    // The margin is 0.05; 2,000 observations are known to about a hundredth.
    assert!((0.68..0.70).contains(&past.limit), "{past:?}");

    let mut world = without_control(latency("it", &[950_000]), Values::LogNormal(1.0, 0.6));
    let past = alone(&mut world, "it", 1, GOOD).metrics[0].past.unwrap();
    let p95 = (0.6_f64 * 1.645).exp();
    assert!((past.limit / (1.1 * p95) - 1.0).abs() < 0.06, "{past:?}");
}

#[test]
fn nothing_is_compared_with_a_control_that_is_hardly_known() {
    let mut world = World::new(vec![score("it")]);
    world.pass(1, &[("it", GOOD, GOOD)]);
    world.engine.compare_with(Comparison::TreatmentOnly);
    assert_eq!(alone(&mut world, "it", 10, GOOD).metrics[0].past, None);
}

#[test]
fn a_control_that_comes_back_ends_the_comparison_with_the_past() {
    let mut world = without_control(score("it"), GOOD);
    alone(&mut world, "it", 10, GOOD);
    let before = world.engine.clone();
    world.engine.compare_with(Comparison::TreatmentOnly);
    assert_eq!(world.engine, before, "to say it twice changes nothing");
    world.engine.compare_with(Comparison::Concurrent);
    assert_eq!(world.evidence("it").past, None);
}

#[test]
fn a_restart_goes_on_with_the_same_past() {
    let mut world = without_control(latency("it", &[500_000, 950_000]), Values::LogNormal(1.0, 0.6));
    for ticks in [0, 50, 250] {
        alone(&mut world, "it", ticks, Values::LogNormal(1.6, 0.6));
        let decoded = Engine::decode(&policy(world.metrics.clone()), &world.engine.encode()).unwrap();
        assert_eq!(decoded, world.engine, "after {ticks} ticks");
    }
    assert_eq!(world.engine.conclusion().blame, blame("it", Versus::Past));
}

/// Of candidates that stay as control was, at most alpha and the chance that the bound misses are taken
/// back, together 0.6%: of 150, four would be a one in four hundred chance.
#[test]
fn good_candidates_are_rarely_taken_back_for_the_past() {
    const RUNS: u64 = 150;
    let failed = (0..RUNS).filter(|&seed| {
        let metric = Metric {
            margin: Margin::Absolute(0.001),
            ..score("it")
        };
        let mut world = World {
            random: 500 + seed,
            ..World::new(vec![metric])
        };
        world.pass(40, &[("it", GOOD, GOOD)]);
        world.engine.compare_with(Comparison::TreatmentOnly);
        alone(&mut world, "it", 300, GOOD).verdict == Verdict::Fail
    });
    let failed = failed.count();
    assert!(failed < 4, "{failed} of {RUNS} are taken back");
}

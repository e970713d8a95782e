//! Intervals, margins and "how many more", as people see them.

use super::*;
use crate::analysis::{QuantileInterval, Verdict};
use proptest::prelude::*;

const GOOD: Values = Values::Around(0.75);

#[test]
fn nothing_is_shown_before_there_is_anything() {
    let world = World::new(vec![score("quality")]);
    let quality = world.evidence("quality");
    assert_eq!(
        (quality.difference, quality.interval, quality.needs),
        (None, None, None)
    );
    assert_eq!((quality.control.mean, quality.control.last_seen), (None, None));
    assert_eq!(quality.margin, Some(0.05));
}

#[test]
fn the_interval_waits_for_the_guards() {
    let mut world = World::new(vec![score("quality")]);
    world.pass(1, &[("quality", GOOD, GOOD)]);
    let quality = world.evidence("quality");
    assert!(quality.difference.is_some());
    assert_eq!(quality.interval, None);
    world.pass(4, &[("quality", GOOD, GOOD)]);
    assert!(world.evidence("quality").interval.is_some());
}

#[test]
fn intervals_shrink_and_hold_the_truth() {
    for (metric, control, treatment, truth) in [
        (score("it"), GOOD, Values::Around(0.72), -0.03),
        (
            Metric {
                better: Better::Lower,
                ..score("it")
            },
            GOOD,
            Values::Around(0.72),
            -0.03,
        ),
        (rate("it"), Values::Chance(0.2), Values::Chance(0.25), 0.05),
        (
            Metric {
                better: Better::Higher,
                ..rate("it")
            },
            Values::Chance(0.2),
            Values::Chance(0.25),
            0.05,
        ),
    ] {
        let mut world = World::new(vec![metric]);
        let mut last_width = f64::INFINITY;
        for _ in 0..4 {
            let seconds = (world.second - START).max(10) * 3;
            world.pass(seconds, &[("it", control, treatment)]);
            let it = world.evidence("it");
            let (lower, upper) = it.interval.unwrap();
            assert!(
                lower < it.difference.unwrap() && it.difference.unwrap() < upper,
                "{it:?}"
            );
            assert!(lower < truth && truth < upper, "{it:?}");
            assert!(upper - lower < last_width, "{it:?}");
            last_width = upper - lower;
        }
    }
}

#[test]
fn an_interval_clear_of_zero_and_a_failure_agree_for_scores() {
    let mut world = World::new(vec![score("quality")]);
    world.pass(5, &[("quality", GOOD, Values::Around(0.70))]);
    while world.evidence("quality").interval.unwrap().1 >= 0.0 {
        world.pass(1, &[("quality", GOOD, Values::Around(0.70))]);
    }
    // The interval spends half of alpha on this side, so it is the later one to speak.
    assert_eq!(world.assess().verdict, Verdict::Fail);
}

#[test]
fn intervals_stay_inside_of_what_is_possible() {
    let mut world = World::new(vec![rate("errors")]);
    world.pass(5, &[("errors", Values::Chance(0.0), Values::Chance(1.0))]);
    let errors = world.evidence("errors");
    let (lower, upper) = errors.interval.unwrap();
    assert!(lower > 0.0 && upper <= 1.0, "{errors:?}");
}

#[test]
fn an_interval_that_bounds_nothing_is_the_whole_range() {
    // A mixture tuned to differences of a hair knows nothing of large ones after so little data.
    let fine = Metric {
        margin: Margin::Absolute(1e-6),
        ..score("quality")
    };
    let mut world = World::new(vec![fine]);
    world.pass(5, &[("quality", GOOD, GOOD)]);
    assert_eq!(world.evidence("quality").interval, Some((-1.0, 1.0)));
}

#[test]
fn a_difference_at_the_edge_has_half_of_alpha_against_it() {
    let log_e_worse_if = |shift: f64| {
        let mut world = World::new(vec![score("quality")]);
        world.pass(100, &[("quality", GOOD, Values::Around(0.75 - shift))]);
        (
            world.evidence("quality").log_e_worse,
            world.evidence("quality").interval.unwrap(),
        )
    };
    let (_, (lower, upper)) = log_e_worse_if(0.0);
    // Treatment moved by the interval's end: equality is now at the edge. Only the predicted
    // centres, and with them the variance, differ a little.
    let (log_e, _) = log_e_worse_if(upper);
    assert!((log_e - 40.0_f64.ln()).abs() < 0.15, "{log_e}");
    let (log_e, _) = log_e_worse_if(lower);
    assert!(log_e < 0.0, "{log_e}");
}

#[test]
fn a_relative_margin_is_shown_in_metric_units() {
    let metric = Metric {
        margin: Margin::Relative(0.1),
        ..score("quality")
    };
    let mut world = World::new(vec![metric]);
    assert_eq!(world.evidence("quality").margin, None);
    world.pass(100, &[("quality", GOOD, GOOD)]);
    assert!((world.evidence("quality").margin.unwrap() - 0.075).abs() < 0.002);
}

#[test]
fn needs_foretells_when_health_is_proved() {
    for (metric, values) in [(score("it"), GOOD), (rate("it"), Values::Chance(0.1))] {
        let mut world = World::new(vec![metric]);
        world.pass(8, &[("it", values, values)]);
        let (have, needs) = (world.assess().treated, world.evidence("it").needs.unwrap());
        while world.assess().verdict != Verdict::Pass {
            world.pass(1, &[("it", values, values)]);
            assert!(world.assess().treated < 40 * (have + needs), "it never passes");
        }
        // Chance moves the estimate, so the forecast is held to a factor of three.
        let took = world.assess().treated - have;
        assert!(
            took <= 3 * needs.max(20) && needs <= 3 * took.max(20),
            "{needs} foretold, {took} taken"
        );
        assert_eq!(world.evidence("it").needs, None);
    }
}

#[test]
fn needs_covers_the_events_that_a_rate_must_have_had_time_for() {
    let rare = Metric {
        margin: Margin::Absolute(0.4),
        baseline: Some(0.001),
        ..rate("errors")
    };
    let mut world = World::new(vec![rare]);
    world.pass(2, &[("errors", Values::Chance(0.0), Values::Chance(0.0))]);
    // Ten harmful ones at four in ten take 25, of which 20 are there; the e-value is high enough.
    assert_eq!(world.evidence("errors").needs, Some(5));
    world.pass(1, &[("errors", Values::Chance(0.0), Values::Chance(0.0))]);
    assert_eq!(world.assess().verdict, Verdict::Pass);
}

#[test]
fn needs_is_silent_when_it_cannot_tell() {
    let wide = Metric {
        margin: Margin::Absolute(0.01),
        ..score("quality")
    };
    let mut world = World::new(vec![wide]);
    world.pass(5, &[("quality", GOOD, Values::Around(0.72))]);
    let quality = world.evidence("quality");
    assert!(quality.difference.unwrap() < -0.01);
    assert_eq!((quality.verdict, quality.needs), (Verdict::Inconclusive, None));
}

#[test]
fn needs_is_silent_while_the_users_are_few() {
    let mut world = World::new(vec![score("quality")]);
    for _ in 0..50 {
        let mut tick = world.tick(&[("quality", GOOD, GOOD)]);
        let arms = tick.metrics.get_mut(&name("quality")).unwrap();
        let one_user = Cluster::new(9).unwrap();
        let treatment = std::mem::take(&mut arms.treatment);
        treatment
            .clusters
            .values()
            .for_each(|part| arms.treatment.add(one_user, part.sum / part.count as f64));
        assert!(world.engine.absorb(&tick));
    }
    let quality = world.evidence("quality");
    assert_eq!(
        (quality.verdict, quality.interval, quality.needs),
        (Verdict::Inconclusive, None, None)
    );
    assert_eq!((quality.log_e_worse, quality.log_e_non_inferior), (0.0, 0.0));
}

#[test]
fn without_control_nothing_more_is_needed() {
    let mut world = World::new(vec![score("quality")]);
    world.pass(5, &[("quality", GOOD, GOOD)]);
    let needs = |comparison| {
        world
            .engine
            .assess(at(world.second), at(START), comparison)
            .metrics[0]
            .needs
    };
    assert!(needs(Comparison::Concurrent).is_some());
    assert_eq!(needs(Comparison::TreatmentOnly), None);
}

#[test]
fn arms_show_what_they_sent() {
    let mut world = World::new(vec![rate("errors")]);
    world.pass(3, &[("errors", Values::Chance(0.0), Values::Absent)]);
    world.pass(2, &[("errors", Values::Absent, Values::Chance(1.0))]);
    let errors = world.evidence("errors");
    assert_eq!((errors.control.count, errors.control.mean), (30, Some(0.0)));
    assert_eq!((errors.treatment.count, errors.treatment.mean), (20, Some(1.0)));
    assert_eq!(errors.control.last_seen, Some(Tick::new(START + 2)));
    assert_eq!(errors.treatment.last_seen, Some(Tick::new(START + 4)));
    // The first stratum ends with the first treated observations; the others wait for control's.
    assert_eq!((errors.difference, world.assess().treated), (Some(1.0), 20));
    let compared = world.engine.contrast(&name("errors")).unwrap();
    assert_eq!((compared.treated, compared.controls), (10, 30));
}

proptest! {
    #[test]
    fn directions_mirror_each_other(shift in -0.2..0.2, seconds in 5..40_i64) {
        let treatment = Values::Around(0.75 + shift);
        let assess = |better| {
            let mut world = World::new(vec![Metric { better, ..score("it") }]);
            world.pass(seconds, &[("it", GOOD, treatment)]);
            world.evidence("it")
        };
        let (higher, lower) = (assess(Better::Higher), assess(Better::Lower));
        prop_assert_eq!(higher.difference, lower.difference);
        prop_assert_eq!(higher.interval, lower.interval);
    }
}

#[test]
fn what_is_decided_by_is_all_but_the_intervals() {
    let mut world = World::new(vec![score("quality"), latency("latency", &[500_000, 950_000])]);
    let slow = Values::LogNormal(1.2, 0.6);
    let tick = [
        ("quality", GOOD, GOOD),
        ("latency", Values::LogNormal(1.0, 0.6), slow),
    ];
    for _ in 0..20 {
        world.pass(5, &tick);
        let mut whole = world.assess();
        let shown = whole.metrics.iter().flat_map(|evidence| evidence.interval);
        assert_eq!(shown.count(), 1);
        for evidence in &mut whole.metrics {
            evidence.interval = None;
            for quantile in &mut evidence.quantiles {
                quantile.control_interval = QuantileInterval::default();
                quantile.treatment_interval = QuantileInterval::default();
            }
        }
        let brief = world
            .engine
            .assess_to_decide(at(world.second), at(START), Comparison::Concurrent);
        assert_eq!(brief, whole);
    }
}

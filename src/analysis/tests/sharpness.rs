//! What little data must not prove, and what much data must.

use super::*;
use crate::analysis::{ArmTallies, ClusterTally, Tally, Verdict};

/// Lets `seconds` ticks pass with ten observations of treatment and a hundred of control.
fn pass(world: &mut World, seconds: i64, control: Values, treatment: Values) {
    for _ in 0..seconds {
        let mut tick = world.tick(&[("it", control, treatment)]);
        for _ in 0..9 {
            let more = world.tick(&[("it", control, Values::Absent)]);
            tick.metrics
                .get_mut(&name("it"))
                .unwrap()
                .merge(&more.metrics[&name("it")]);
        }
        assert!(world.engine.absorb(&tick));
    }
}

#[test]
fn passes_without_exception_are_no_proof_of_health() {
    // At the margin, 93% of treatment pass: thirty passes in a row are one chance in nine.
    let metric = Metric {
        margin: Margin::Absolute(0.02),
        baseline: Some(0.95),
        ..score("it")
    };
    let mut world = World::new(vec![metric]);
    pass(&mut world, 3, Values::Chance(0.95), Values::Chance(1.0));
    let evidence = world.evidence("it");
    assert_eq!(
        (evidence.treatment.count, evidence.treatment.mean),
        (30, Some(1.0))
    );
    assert_eq!(evidence.verdict, Verdict::Inconclusive, "{evidence:?}");
    // Three hundred are one in three billion.
    pass(&mut world, 27, Values::Chance(0.95), Values::Chance(1.0));
    assert_eq!(world.evidence("it").verdict, Verdict::Pass);
}

#[test]
fn no_success_in_a_row_is_no_proof_of_harm() {
    // One in ten succeeds: none of thirty is one chance in 24.
    let metric = Metric {
        baseline: Some(0.1),
        ..score("it")
    };
    let mut world = World::new(vec![metric]);
    pass(&mut world, 3, Values::Chance(0.1), Values::Chance(0.0));
    let evidence = world.evidence("it");
    assert_eq!(
        (evidence.treatment.count, evidence.treatment.mean),
        (30, Some(0.0))
    );
    assert_eq!(evidence.verdict, Verdict::Inconclusive, "{evidence:?}");
    pass(&mut world, 27, Values::Chance(0.1), Values::Chance(0.0));
    assert_eq!(world.evidence("it").verdict, Verdict::Fail);
}

/// An arm with `harmful` of 10,000 observations in every cluster.
fn even(harmful: u32) -> Tally {
    let mut tally = Tally::default();
    for number in 0..128 {
        let part = ClusterTally {
            count: 10_000,
            sum: f64::from(harmful),
        };
        tally.count += part.count;
        tally.sum += part.sum;
        tally.sum_of_squares += part.sum;
        tally.clusters.insert(Cluster::new(number).unwrap(), part);
    }
    tally
}

#[test]
fn a_small_odds_ratio_is_found_in_large_numbers() {
    // 10% and 10.8%, an odds ratio of 1.09: below the root of 1.3.
    let mut world = World::new(vec![Metric {
        margin: Margin::Absolute(0.001),
        ..rate("it")
    }]);
    let arms = ArmTallies {
        control: even(1_000),
        treatment: even(1_080),
    };
    world.engine.absorb(&TickTally {
        tick: Tick::new(START),
        metrics: BTreeMap::from([(name("it"), arms)]),
        headcount: Headcount::default(),
    });
    assert_eq!(world.evidence("it").verdict, Verdict::Fail);
}

//! What little data must not prove, and what much data must.

use super::*;
use crate::analysis::{ArmTallies, ClusterTally, Tally, Verdict};

#[test]
fn passes_without_exception_are_no_proof_of_health() {
    // At the margin, 93% of treatment pass: forty passes in a row are one chance in eighteen.
    let metric = Metric {
        margin: Margin::Absolute(0.02),
        baseline: Some(0.95),
        ..score("it")
    };
    let mut world = World::new(vec![metric]);
    world.pass(4, &[("it", Values::Chance(0.95), Values::Chance(1.0))]);
    let evidence = world.evidence("it");
    assert_eq!(
        (evidence.treatment.count, evidence.treatment.mean),
        (40, Some(1.0))
    );
    assert_ne!(evidence.verdict, Verdict::Pass, "{evidence:?}");
    // A thousand are.
    world.pass(100, &[("it", Values::Chance(0.95), Values::Chance(1.0))]);
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
    world.pass(3, &[("it", Values::Chance(0.1), Values::Chance(0.0))]);
    let evidence = world.evidence("it");
    assert_eq!(
        (evidence.treatment.count, evidence.treatment.mean),
        (30, Some(0.0))
    );
    assert_ne!(evidence.verdict, Verdict::Fail, "{evidence:?}");
    world.pass(60, &[("it", Values::Chance(0.1), Values::Chance(0.0))]);
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

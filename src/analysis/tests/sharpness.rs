//! What little data must not prove.

use super::*;
use crate::analysis::Verdict;

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

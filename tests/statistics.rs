//! The error rates and the speed of the verdicts, by simulation: the published scenarios with a
//! quarter of their replicates. With all of them, and against the rules of others: `cargo bench --bench scoreboard`.

#[path = "../benches/scoreboard/cells.rs"]
#[expect(dead_code, reason = "most of it is what the tables alone need")]
mod cells;
#[path = "../benches/scoreboard/figures.rs"]
#[expect(dead_code, reason = "most of it is what the tables alone need")]
mod figures;
#[path = "../benches/scoreboard/peers.rs"]
#[expect(dead_code, reason = "most of it is what the tables alone need")]
mod peers;
#[path = "../benches/scoreboard/scenarios.rs"]
mod scenarios;
#[path = "../benches/scoreboard/seeds.rs"]
mod seeds;
#[path = "../benches/scoreboard/verdicts.rs"]
mod verdicts;

use cells::Measure;
use figures::{Share, least_treated, quantile};
use scenarios::Summary;

const SCENARIOS: &str = include_str!("conformance/statistics/scenarios.public.json");

/// The part of the published replicates that is run here.
const PART: u64 = 4;

#[test]
fn the_scenarios_come_out_as_published() {
    let scenarios = scenarios::read(SCENARIOS).unwrap();
    assert_eq!(scenarios.len(), 10);
    for scenario in &scenarios {
        let outcomes = seeds::on_every_core(scenario.seed, scenario.replicates / PART, |seed| {
            scenario.run(seed)
        });
        let failures = scenario.failures(&Summary::of(&outcomes));
        assert!(failures.is_empty(), "{}: {}", scenario.id, failures.join("; "));
    }
}

#[test]
fn a_scenario_that_asks_for_the_impossible_fails() {
    let mut file: serde_json::Value = serde_json::from_str(SCENARIOS).unwrap();
    let found = |file: &serde_json::Value| {
        let scenarios = scenarios::read(&file.to_string()).unwrap();
        let outcome = scenarios[0].run(scenarios[0].seed);
        scenarios[0].failures(&Summary::of(&[outcome]))
    };
    assert_eq!(found(&file), [""; 0]);
    // Twenty treated observations are the least that any evidence needs.
    file["scenarios"][0]["expected"]["median_treated_window"] = serde_json::json!([1, 19]);
    assert_eq!(found(&file).len(), 1);
}

/// STATISTICS 3.2.
#[test]
fn no_rule_needs_less_than_the_published_bounds() {
    for (measure, worse, bound) in [
        (Measure::Score, 0.02, 215.5),
        (Measure::Score, 0.05, 37.4),
        (Measure::Score, 0.10, 10.5),
        (Measure::Errors, 0.01, 817.4),
        (Measure::Errors, 0.04, 79.9),
        (Measure::Latency, 0.10, 963.0),
        (Measure::Latency, 0.25, 146.7),
        (Measure::Latency, 1.00, 9.5),
    ] {
        let found = least_treated(measure, worse, 0.05);
        assert!((found - bound).abs() < 0.15, "{found}, not {bound}");
    }
}

#[test]
fn shares_have_their_upper_limits() {
    let limit = |count, of| Share { count, of }.percent_max();
    // (1 − p)¹⁰⁰ = .05.
    assert!((limit(0, 100) - 2.951).abs() < 0.001);
    assert!((limit(5, 100) - 10.225).abs() < 0.001);
    assert!((limit(100, 100) - 100.0).abs() < 1e-9);
}

#[test]
fn percentiles_count_those_who_never_came() {
    let outcomes = [Some(30), None, Some(10), Some(20)];
    let at = |share| quantile(outcomes, share);
    assert_eq!(
        (at(0.25), at(0.5), at(0.75), at(0.9)),
        (Some(10), Some(20), Some(30), None)
    );
}

#[test]
fn the_rank_test_counts_ties() {
    // Ranks of treatment 2.5, 5, 5, 8, so U = 10.5 of a mean of 8; a pair and a triple are tied.
    let z = peers::mann_whitney(&[2.0, 3.0, 3.0, 5.0], &[1.0, 2.0, 3.0, 4.0]);
    let variance = 16.0 / 12.0 * (9.0 - (6.0 + 24.0) / 56.0);
    assert!((z - 2.0 / f64::sqrt(variance)).abs() < 1e-12, "{z}");
}

//! More harm is more evidence: the e-value grows with the harm, in expectation, on the same streams.

use super::*;

const RUNS: u64 = 24;
const TICKS: i64 = 60;

/// Mean log e-value against "not worse", over seeded streams with this treatment.
fn mean_log_e(metric: &Metric, control: Values, treatment: Values) -> f64 {
    let runs = (0..RUNS).map(|seed| {
        let mut world = World {
            random: 9_000 + seed,
            ..World::new(vec![metric.clone()])
        };
        world.pass(TICKS, &[("it", control, treatment)]);
        world.evidence("it").log_e_worse
    });
    runs.sum::<f64>() / RUNS as f64
}

fn assert_rises(metric: &Metric, control: Values, rising_harm: &[Values]) {
    let logs: Vec<f64> = rising_harm
        .iter()
        .map(|&treatment| mean_log_e(metric, control, treatment))
        .collect();
    assert!(
        logs.is_sorted_by(|less, more| less < more),
        "{metric:?}: {logs:?}"
    );
    assert!(logs[0] < 0.0, "no harm is no evidence of harm: {logs:?}");
}

#[test]
fn more_harm_is_more_evidence_of_it() {
    let scores = [0.75, 0.74, 0.73, 0.7, 0.65, 0.5].map(Values::Around);
    assert_rises(&score("it"), scores[0], &scores);

    let errors = [0.1, 0.13, 0.16, 0.2, 0.3, 0.6].map(Values::Chance);
    assert_rises(&rate("it"), errors[0], &errors);

    let times = [1.0, 1.1, 1.2, 1.4, 2.0, 4.0].map(|median| Values::LogNormal(median, 0.6));
    assert_rises(&latency("it", &[500_000]), times[0], &times);
    assert_rises(&latency("it", &[500_000, 950_000]), times[0], &times);
    assert_rises(&amount("it", AmountScale::Log), times[0], &times);
}

#[test]
fn less_than_no_harm_is_evidence_against_harm() {
    let better = [0.95, 0.85, 0.8, 0.75].map(Values::Around);
    assert_rises(&score("it"), better[3], &better);
}

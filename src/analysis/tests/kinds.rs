//! Latencies and amounts: what is compared of them, and how it is shown.

use super::*;
use crate::analysis::Verdict;
use crate::analysis::bins::LogBin;
use crate::analysis::settings::{ContrastPlan, EdgeMove, EnginePlan, HarmUnit, QuantileSettings};

/// Replies that take about a second.
const USUAL: Values = Values::LogNormal(1.0, 0.6);
const P95: &[u32] = &[950_000];

fn log_latency(metric: &str) -> Metric {
    Metric {
        kind: MetricKind::Latency {
            unit: TimeUnit::Milliseconds,
            statistic: LatencyStatistic::LogMean,
        },
        ..latency(metric, P95)
    }
}

fn slower(times: f64) -> Values {
    Values::LogNormal(times, 0.6)
}

/// Lets time pass until there is a verdict, and says how many were treated by then.
fn decided(metric: Metric, treatment: Values) -> (Verdict, u64, World) {
    let name = metric.name.to_string();
    let mut world = World::new(vec![metric]);
    while world.assess().verdict == Verdict::Inconclusive && world.second < START + 3_000 {
        world.pass(1, &[(&name, USUAL, treatment)]);
    }
    (world.assess().verdict, world.assess().treated, world)
}

#[test]
fn every_way_to_compare_finds_what_is_worse_and_what_is_not() {
    let winsorised = AmountScale::Winsorised { cap: 6.4 };
    let metrics = [
        latency("it", P95),
        latency("it", &[500_000]),
        latency("it", &[500_000, 950_000, 990_000]),
        Metric {
            margin: Margin::Absolute(0.3),
            ..latency("it", P95)
        },
        Metric {
            margin: Margin::Exceedance(0.02),
            ..latency("it", P95)
        },
        log_latency("it"),
        amount("it", AmountScale::Log),
        amount("it", winsorised),
    ];
    for metric in metrics {
        let (verdict, treated, world) = decided(metric.clone(), slower(1.5));
        assert_eq!(verdict, Verdict::Fail, "{metric:?}");
        assert!(treated <= 1_000, "{treated} treated before {metric:?} failed");
        assert_eq!(world.evidence("it").within_margin, Some(false));
        let (verdict, treated, world) = decided(metric.clone(), USUAL);
        assert_eq!(verdict, Verdict::Pass, "{metric:?} after {treated}");
        assert_eq!(world.evidence("it").within_margin, Some(true));
        let (verdict, _, _) = decided(metric.clone(), slower(0.7));
        assert_eq!(verdict, Verdict::Pass, "{metric:?}");
    }
}

#[test]
fn more_of_an_amount_can_be_better() {
    let revenue = Metric {
        better: Better::Higher,
        ..amount("it", AmountScale::Log)
    };
    assert_eq!(decided(revenue.clone(), slower(0.7)).0, Verdict::Fail);
    let (verdict, _, world) = decided(revenue, slower(1.3));
    assert_eq!(verdict, Verdict::Pass);
    assert!((world.evidence("it").margin.unwrap() - 0.1).abs() < 1e-12);
}

#[test]
fn logarithms_are_shown_as_ratios_of_geometric_means() {
    let mut world = World::new(vec![amount("cost", AmountScale::Log)]);
    let cost = |median| Values::LogNormal(median, 0.6);
    world.pass(400, &[("cost", cost(0.02), cost(0.025))]);
    let cost = world.evidence("cost");
    assert!(cost.relative);
    let (control, treatment) = (cost.control.mean.unwrap(), cost.treatment.mean.unwrap());
    assert!(
        (control / 0.02 - 1.0).abs() < 0.05 && (treatment / 0.025 - 1.0).abs() < 0.05,
        "{cost:?}"
    );
    let (lower, upper) = cost.interval.unwrap();
    assert!(lower < 0.25 && 0.25 < upper && upper < 0.5, "{cost:?}");
    assert!((cost.margin.unwrap() - 0.1).abs() < 1e-12);
    assert!((cost.difference.unwrap() - 0.25).abs() < 0.05);
}

#[test]
fn nothing_has_a_logarithm_of_a_thousandth_of_the_baseline() {
    let cost = Metric {
        baseline: Some(0.02),
        ..amount("cost", AmountScale::Log)
    };
    let of = |number| Observation::of(&cost, number);
    assert!((of(0.0).value - 0.00002_f64.ln()).abs() < 1e-12 && of(0.0).clipped);
    assert!((of(0.03).value - 0.03_f64.ln()).abs() < 1e-12 && !of(0.03).clipped);
    let mut world = World::new(vec![cost]);
    world.pass(5, &[("cost", Values::LogNormal(0.02, 0.6), Values::Chance(0.0))]);
    let cost = world.evidence("cost");
    assert_eq!((cost.control.clipped, cost.treatment.clipped), (0, 50));
    assert!((cost.treatment.mean.unwrap() / 0.00002 - 1.0).abs() < 1e-9);
}

#[test]
fn an_outlier_counts_as_much_as_the_cap_and_is_counted() {
    let cost = amount("cost", AmountScale::Winsorised { cap: 2.0 });
    let cut = Observation::of(&cost, 1e9);
    assert_eq!((cut.value.to_bits(), cut.clipped), (2.0_f64.to_bits(), true));
    let mut world = World::new(vec![cost]);
    world.pass(100, &[("cost", Values::Around(1.0), Values::Around(1.0))]);
    let mut tick = world.tick(&[("cost", Values::Around(1.0), Values::Around(1.0))]);
    let outlier = world.observation("cost", 1e9);
    let arms = tick.metrics.get_mut(&name("cost")).unwrap();
    arms.add(Arm::Treatment, Cluster::new(1).unwrap(), outlier);
    world.engine.absorb(&tick);
    let cost = world.evidence("cost");
    assert_eq!((cost.control.clipped, cost.treatment.clipped), (0, 1));
    assert!((cost.treatment.mean.unwrap() - 1.0).abs() < 0.02);
    assert_ne!(cost.verdict, Verdict::Fail);
}

#[test]
fn a_mean_that_nobody_could_guess_is_learned_before_anything_is_compared() {
    let mut world = World::new(vec![amount("tokens", AmountScale::Log)]);
    let tokens = Values::LogNormal(900.0, 0.6);
    world.pass(2, &[("tokens", tokens, tokens)]);
    assert_eq!(world.engine.contrast(&name("tokens")).unwrap().treated, 0);
    world.pass(20, &[("tokens", tokens, tokens)]);
    let reading = world.engine.contrast(&name("tokens")).unwrap();
    assert_eq!(reading.treated, 200);
    // Centres near the data: with the guess of 1 token, the variance would be a hundred times this.
    let per_observation = reading.variance_by_observation / 100.0;
    assert!((0.2..0.7).contains(&per_observation), "{per_observation}");
}

#[test]
fn quantiles_are_shown_for_both_arms() {
    let mut world = World::new(vec![latency("it", &[500_000, 950_000])]);
    world.pass(500, &[("it", USUAL, slower(1.3))]);
    let it = world.evidence("it");
    let expected = [1.0, (0.6_f64 * 1.645).exp()];
    for (quantile, value) in it.quantiles.iter().zip(expected) {
        assert!((quantile.control.unwrap() / value - 1.0).abs() < 0.06, "{it:?}");
        assert!(
            (quantile.treatment.unwrap() / (1.3 * value) - 1.0).abs() < 0.06,
            "{it:?}"
        );
        assert_eq!(quantile.verdict, Verdict::Fail);
        for (interval, value) in [
            (quantile.control_interval, value),
            (quantile.treatment_interval, 1.3 * value),
        ] {
            let (lower, upper) = (interval.lower.unwrap(), interval.upper.unwrap());
            assert!(lower < value && value < upper && upper / lower < 1.3, "{it:?}");
        }
    }
    assert!(!it.relative);
    assert!((it.difference.unwrap() - 0.3 * expected[1]).abs() < 0.2, "{it:?}");
    assert!((it.margin.unwrap() - 0.1 * expected[1]).abs() < 0.03, "{it:?}");
}

#[test]
fn nothing_is_compared_before_the_controls_quantile_is_known() {
    let mut world = World::new(vec![latency("it", &[990_000])]);
    world.pass(19, &[("it", USUAL, USUAL)]);
    assert_eq!(world.evidence("it").margin, None);
    world.pass(1, &[("it", USUAL, USUAL)]);
    // Known now, for the ticks to come.
    assert!(world.evidence("it").margin.is_some());
    assert_eq!(world.engine.contrast(&name("it")).unwrap().treated, 0);
    world.pass(1, &[("it", USUAL, USUAL)]);
    assert_eq!(world.engine.contrast(&name("it")).unwrap().treated, 10);
}

#[test]
fn a_baseline_stands_in_for_the_controls_quantile() {
    let known = Metric {
        baseline: Some(2.7),
        ..latency("it", P95)
    };
    let mut world = World::new(vec![known]);
    world.pass(1, &[("it", USUAL, USUAL)]);
    assert_eq!(world.engine.contrast(&name("it")).unwrap().treated, 10);
}

#[test]
fn a_tick_is_compared_at_the_edge_of_earlier_ticks() {
    // A first tick that is slow in both arms moves the edge for later ticks alone.
    let known = Metric {
        baseline: Some(1.0),
        ..latency("it", &[500_000])
    };
    let mut world = World::new(vec![known]);
    world.pass(1, &[("it", slower(100.0), slower(100.0))]);
    let reading = world.engine.contrast(&name("it")).unwrap();
    assert_eq!((reading.treated, reading.sum.to_bits()), (10, 0.0_f64.to_bits()));
}

#[test]
fn the_ceiling_of_a_latency_is_that_of_its_highest_quantile() {
    let with_ceiling = |ceiling| Metric {
        limit: Some(ceiling),
        ..latency("it", &[500_000, 950_000])
    };
    // Both arms alike: nothing but the ceiling can fail.
    let (verdict, _, world) = decided(with_ceiling(1.5), USUAL);
    assert_eq!(verdict, Verdict::Fail);
    assert!(world.evidence("it").log_e_limit.unwrap() >= world.assess().threshold_limit);
    let (verdict, _, world) = decided(with_ceiling(3.2), USUAL);
    assert_eq!(verdict, Verdict::Pass);
    assert!(world.evidence("it").log_e_limit.unwrap() < 0.0);
}

#[test]
fn the_ceiling_of_a_geometric_mean_is_one_of_values() {
    let with_ceiling = |ceiling| Metric {
        limit: Some(ceiling),
        ..log_latency("it")
    };
    assert_eq!(decided(with_ceiling(0.8), USUAL).0, Verdict::Fail);
    assert_eq!(decided(with_ceiling(1.2), USUAL).0, Verdict::Pass);
}

#[test]
fn one_bad_quantile_of_several_fails_the_metric() {
    // The same median, a much heavier tail.
    let (verdict, _, world) = decided(
        latency("it", &[500_000, 950_000, 990_000]),
        Values::LogNormal(1.0, 1.0),
    );
    assert_eq!(verdict, Verdict::Fail);
    let verdicts: Vec<_> = world
        .evidence("it")
        .quantiles
        .iter()
        .map(|it| it.verdict)
        .collect();
    assert_ne!(verdicts[0], Verdict::Fail);
}

#[test]
fn a_quantile_that_is_healthy_leaves_the_mean_of_the_metric() {
    let mut world = World::new(vec![latency("it", &[500_000, 950_000])]);
    while world.evidence("it").quantiles[0].verdict != Verdict::Pass {
        world.pass(1, &[("it", USUAL, Values::LogNormal(1.0, 0.63))]);
        assert!(world.second < START + 3_000, "the median never passes");
    }
    let it = world.evidence("it");
    assert_eq!(it.quantiles[1].verdict, Verdict::Inconclusive, "{it:?}");
    let half_of_the_other = it.quantiles[1].log_e_worse - 2.0_f64.ln();
    assert!((it.log_e_worse - half_of_the_other).abs() < 1e-12, "{it:?}");
    assert!(it.needs.is_some());
}

#[test]
fn needs_foretells_when_a_quantile_is_healthy() {
    let mut world = World::new(vec![latency("it", P95)]);
    world.pass(120, &[("it", USUAL, USUAL)]);
    let (have, needs) = (world.assess().treated, world.evidence("it").needs.unwrap());
    while world.assess().verdict != Verdict::Pass {
        world.pass(1, &[("it", USUAL, USUAL)]);
        assert!(world.assess().treated < 40 * (have + needs), "it never passes");
    }
    let took = world.assess().treated - have;
    assert!(
        took <= 4 * needs.max(20) && needs <= 4 * took.max(20),
        "{needs} foretold, {took} taken"
    );
    assert_eq!(world.evidence("it").needs, None);
}

#[test]
fn margins_of_quantiles_become_moves_of_the_edge() {
    let settings = |metric: Metric| -> QuantileSettings {
        let plan = EnginePlan::of(&policy(vec![metric])).metrics.remove(0);
        let Some(ContrastPlan::Quantiles(quantiles)) = plan.contrast else {
            panic!("quantiles are compared")
        };
        quantiles[0]
    };
    let tenth = settings(latency("it", P95));
    let moved = tenth.moved.unwrap();
    assert_eq!(moved.by, EdgeMove::Bins(5));
    assert_eq!((tenth.seed, tenth.control_min), (None, 40));
    assert_eq!(moved.test.test.alpha, Alpha::NON_INFERIOR);
    assert!((moved.test.test.odds_ratios.as_slice()[1].size - 1.21).abs() < 1e-12);
    let known = settings(Metric {
        margin: Margin::Absolute(0.3),
        baseline: Some(2.0),
        ..latency("it", P95)
    });
    assert_eq!(known.moved.unwrap().by, EdgeMove::Value(0.3));
    assert_eq!(known.seed, Some(LogBin::of(2.0)));
    assert!((known.moved.unwrap().test.test.odds_ratios.as_slice()[0].size - 1.15).abs() < 1e-12);
    let points = settings(Metric {
        margin: Margin::Exceedance(0.02),
        ..latency("it", P95)
    });
    assert_eq!(points.moved, None);
    let exceedance = points.exceedance;
    assert_eq!(
        (exceedance.unit, exceedance.margin.to_bits()),
        (HarmUnit::Metric, 0.02_f64.to_bits())
    );
}

/// Of arms that are alike, at most alpha are taken back; of arms that are worse by the margin, at most
/// alpha are called healthy. Both counts are far below what would be unlucky at those rates.
#[test]
fn quantiles_hold_their_error_rates() {
    const RUNS: u64 = 120;
    let outcomes = |treatment: Values, verdict: Verdict| {
        let runs = (0..RUNS).filter(|&seed| {
            let mut world = World {
                random: 1_000 + seed,
                ..World::new(vec![latency("it", &[500_000, 950_000])])
            };
            world.pass(150, &[("it", USUAL, treatment)]);
            world.assess().verdict == verdict
        });
        runs.count()
    };
    // 5% of 120 are 6; 13 or more would be a one in two hundred chance.
    let taken_back = outcomes(USUAL, Verdict::Fail);
    assert!(taken_back < 13, "{taken_back} good ones of {RUNS} are taken back");
    let passed = outcomes(slower(1.1), Verdict::Pass);
    assert!(passed < 13, "{passed} bad ones of {RUNS} pass");
}

#[test]
fn a_critical_guardrail_fails_inside_of_its_margin() {
    let wide = |critical| Metric {
        margin: Margin::Absolute(0.4),
        critical,
        ..score("quality")
    };
    let pass = |metric| {
        let mut world = World::new(vec![metric]);
        world.pass(100, &[("quality", Values::Around(0.75), Values::Around(0.65))]);
        world.assess()
    };
    assert_eq!(pass(wide(false)).verdict, Verdict::Pass);
    let failed = pass(wide(true));
    assert_eq!((failed.verdict, failed.blame), (Verdict::Fail, worse("quality")));
    assert_eq!(failed.metrics[0].verdict, Verdict::Fail);
}

#[test]
fn a_critical_failure_takes_the_place_of_another() {
    let critical = Metric {
        critical: true,
        ..score("critical")
    };
    let mut world = World::new(vec![score("other"), critical]);
    let (good, bad) = (Values::Around(0.75), Values::Around(0.6));
    world.pass(60, &[("other", good, bad), ("critical", good, good)]);
    assert_eq!(world.assess().blame, worse("other"));
    world.pass(400, &[("other", good, bad), ("critical", good, bad)]);
    assert_eq!(world.assess().blame, worse("critical"));
    world.pass(
        400,
        &[("other", good, bad), ("critical", good, Values::Around(0.9))],
    );
    assert_eq!(world.assess().blame, worse("critical"));
}

#[test]
fn a_critical_metric_needs_as_much_evidence_as_its_weight_asks_for() {
    let critical = Metric {
        critical: true,
        ..score("critical")
    };
    let heavy = Metric {
        weight: 1_000.0,
        ..score("heavy")
    };
    let mut world = World::new(vec![critical, heavy]);
    let (good, bad) = (Values::Around(0.75), Values::Around(0.6));
    while world.assess().verdict != Verdict::Fail {
        world.pass(1, &[("critical", good, bad), ("heavy", good, good)]);
    }
    let log_e = world.evidence("critical").log_e_worse;
    assert!(log_e >= world.assess().threshold + 900.0_f64.ln(), "{log_e}");
}

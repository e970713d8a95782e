//! Whatever the data are: no panic, and no number that is not finite.

use super::*;
use crate::analysis::bins::LogBin;
use crate::analysis::{ArmTallies, ClusterTally, Tally, Verdict};
use proptest::prelude::*;

fn metrics() -> Vec<Metric> {
    let boundless = MetricKind::Score {
        min: f64::MIN,
        max: f64::MAX,
    };
    vec![
        Metric {
            limit: Some(0.5),
            ..score("unit")
        },
        Metric {
            limit: Some(0.3),
            ..rate("rate")
        },
        Metric {
            better: Better::Higher,
            margin: Margin::Relative(0.2),
            limit: Some(0.9),
            ..rate("thumbs")
        },
        Metric {
            margin: Margin::Relative(0.1),
            baseline: Some(f64::MIN_POSITIVE),
            ..score("tiny")
        },
        Metric {
            kind: boundless,
            margin: Margin::Absolute(1e200),
            baseline: None,
            ..score("wide")
        },
        Metric {
            kind: boundless,
            margin: Margin::Absolute(1e-9),
            limit: Some(-1e100),
            ..score("boundless")
        },
        Metric {
            limit: Some(3.0),
            ..latency("quantiles", &[1, 500_000, 999_999])
        },
        Metric {
            margin: Margin::Absolute(1e-7),
            baseline: Some(1e-6),
            ..latency("fast", &[950_000])
        },
        Metric {
            margin: Margin::Exceedance(0.02),
            ..latency("points", &[950_000])
        },
        Metric {
            limit: Some(1e-9),
            ..amount("amount", AmountScale::Log)
        },
        Metric {
            better: Better::Higher,
            limit: Some(0.1),
            ..amount("winsorised", AmountScale::Winsorised { cap: 1e-300 })
        },
    ]
}

fn odd_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1.0,
        2 => prop_oneof![Just(0.0), Just(1.0), Just(0.7)],
        1 => prop_oneof![Just(f64::MIN_POSITIVE), Just(5e-324), Just(-1e-300)],
        1 => prop_oneof![Just(1e15), Just(1e140), Just(-1e150), Just(1e153)],
        1 => prop_oneof![Just(f64::MAX), Just(-1e300)],
    ]
}

fn odd_count() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 1..40_u64, 1 => Just(1_000_000_000_000_000_u64), 1 => Just(u64::MAX / 64)]
}

/// An arm in which the clusters before a certain one send one of two values, all the same count.
fn odd_tally() -> impl Strategy<Value = Tally> {
    let parts = (0..128_u8, 1..5_u8, odd_count(), odd_value(), odd_value());
    let tally = parts.prop_map(|(clusters, every, count, one, other)| {
        let mut tally = Tally::default();
        for number in 0..clusters {
            let value = if number % every == 0 { one } else { other };
            let sum = count as f64 * value;
            let cluster = Cluster::new(number).unwrap();
            tally.merge(&Tally {
                count,
                sum,
                sum_of_squares: sum * value,
                clipped: count / 2,
                clusters: BTreeMap::from([(cluster, ClusterTally { count, sum })]),
                bins: BTreeMap::from([((cluster, LogBin::of(value)), count)]),
            });
        }
        tally
    });
    // Now and then the sums do not even belong together.
    (tally, prop::option::weighted(0.1, (odd_value(), odd_value()))).prop_map(|(tally, odd)| match odd {
        Some((sum, sum_of_squares)) => Tally {
            sum,
            sum_of_squares,
            ..tally
        },
        None => tally,
    })
}

/// Ticks of one rollout: arms per metric, each stream with habits of its own.
fn odd_ticks() -> impl Strategy<Value = Vec<Vec<ArmTallies>>> {
    let arms = (odd_tally(), odd_tally()).prop_map(|(control, treatment)| ArmTallies { control, treatment });
    prop::collection::vec(prop::collection::vec(arms, metrics().len()), 1..6)
}

fn assert_finite(assessment: &Assessment) -> Result<(), TestCaseError> {
    prop_assert!(assessment.log_e_combined.is_none_or(f64::is_finite));
    for evidence in &assessment.metrics {
        let (lower, upper) = evidence.interval.unzip();
        let numbers = [
            Some(evidence.log_e_worse),
            Some(evidence.log_e_non_inferior),
            evidence.log_e_limit,
            evidence.past.map(|past| past.limit),
            evidence.past.map(|past| past.log_e),
            evidence.difference,
            lower,
            upper,
            evidence.margin,
            evidence.control.mean,
            evidence.treatment.mean,
        ];
        let of_quantiles = evidence.quantiles.iter().flat_map(|quantile| {
            let logs = [quantile.log_e_worse, quantile.log_e_non_inferior];
            let (control, treatment) = (quantile.control_interval, quantile.treatment_interval);
            let ends = [control.lower, control.upper, treatment.lower, treatment.upper];
            [quantile.control, quantile.treatment]
                .into_iter()
                .chain(ends)
                .flatten()
                .chain(logs)
        });
        let all = numbers.into_iter().flatten().chain(of_quantiles);
        prop_assert!(all.into_iter().all(f64::is_finite), "{evidence:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn odd_data_give_finite_evidence(ticks in odd_ticks(), control_ticks in 0..12_i64) {
        let metrics = metrics();
        let policy = policy(metrics.clone());
        let mut engine = Engine::new(&policy);
        for (second, arms) in (START..).zip(ticks) {
            // From some tick on, nobody is in control as far as the rollout knows.
            let comparison = if second < START + control_ticks {
                Comparison::Concurrent
            } else {
                Comparison::TreatmentOnly
            };
            engine.compare_with(comparison);
            let metrics = metrics.iter().map(|metric| metric.name.clone()).zip(arms).collect();
            engine.absorb(&TickTally { tick: Tick::new(second), metrics, headcount: Headcount::default(), });
            assert_finite(&engine.assess(at(second + 1), at(START), comparison))?;
        }
        // Compared as bytes, because sums that have overflowed may hold NaN.
        let restored = Engine::decode(&policy, &engine.encode()).unwrap();
        prop_assert_eq!(restored.encode(), engine.encode());
    }
}

#[test]
fn constant_equal_data_prove_nothing() {
    let mut engine = Engine::new(&policy(vec![score("quality")]));
    for second in START..START + 50 {
        let mut arms = ArmTallies::default();
        for cluster in 0..40 {
            arms.add(Arm::Control, Cluster::new(cluster).unwrap(), 0.75);
            arms.add(Arm::Treatment, Cluster::new(cluster).unwrap(), 0.75);
        }
        let metrics = BTreeMap::from([(name("quality"), arms)]);
        engine.absorb(&TickTally {
            tick: Tick::new(second),
            metrics,
            headcount: Headcount::default(),
        });
    }
    let assessment = engine.assess(at(START + 50), at(START), Comparison::Concurrent);
    let quality = &assessment.metrics[0];
    assert_eq!(
        (quality.verdict, quality.interval, quality.needs),
        (Verdict::Inconclusive, None, None)
    );
    assert_eq!((quality.log_e_worse, quality.log_e_non_inferior), (0.0, 0.0));
}

#[test]
fn all_successes_pass() {
    let mut world = World::new(vec![rate("errors")]);
    world.pass(200, &[("errors", Values::Chance(0.0), Values::Chance(0.0))]);
    assert_eq!(world.assess().verdict, Verdict::Pass);
}

#[test]
fn one_arm_alone_decides_nothing() {
    let mut world = World::new(vec![score("quality")]);
    world.pass(200, &[("quality", Values::Absent, Values::Around(0.1))]);
    let quality = world.evidence("quality");
    assert_eq!(
        (quality.verdict, quality.difference, quality.interval),
        (Verdict::Inconclusive, None, None)
    );
}

#[test]
fn a_sum_that_overflowed_does_not_blind_the_rest() {
    let cluster = Cluster::new(1).unwrap();
    let odd = |sum, sum_of_squares, clustered| Tally {
        count: 1,
        sum,
        sum_of_squares,
        clusters: BTreeMap::from([(
            cluster,
            ClusterTally {
                count: 1,
                sum: clustered,
            },
        )]),
        ..Tally::default()
    };
    let inf = f64::INFINITY;
    let mut world = World::new(vec![score("quality")]);
    for treatment in [odd(inf, 1.0, 1.0), odd(1.0, inf, 1.0), odd(1.0, 1.0, inf)] {
        let arms = ArmTallies {
            control: Tally::default(),
            treatment,
        };
        let metrics = BTreeMap::from([(name("quality"), arms)]);
        world.engine.absorb(&TickTally {
            tick: Tick::new(world.second),
            metrics,
            headcount: Headcount::default(),
        });
        world.second += 1;
    }
    assert_eq!(world.evidence("quality").treatment.count, 0);
    world.pass(60, &[("quality", Values::Around(0.75), Values::Around(0.5))]);
    assert_eq!(world.assess().verdict, Verdict::Fail);
}

#[test]
fn a_mean_that_overflowed_is_not_shown() {
    let mut engine = Engine::new(&policy(vec![score("quality")]));
    for second in START..START + 2 {
        let clusters = BTreeMap::from([(Cluster::new(1).unwrap(), ClusterTally { count: 1, sum: 1.0 })]);
        let treatment = Tally {
            count: 1,
            sum: f64::MAX,
            sum_of_squares: 1.0,
            clusters,
            ..Tally::default()
        };
        let arms = ArmTallies {
            control: Tally::default(),
            treatment,
        };
        engine.absorb(&TickTally {
            tick: Tick::new(second),
            metrics: BTreeMap::from([(name("quality"), arms)]),
            headcount: Headcount::default(),
        });
    }
    let assessment = engine.assess(at(START + 2), at(START), Comparison::Concurrent);
    assert_eq!(assessment.metrics[0].treatment.count, 2);
    assert_eq!(assessment.metrics[0].treatment.mean, None);
}

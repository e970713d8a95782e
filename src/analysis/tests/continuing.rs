//! Restarts, replays, replicas: the same ticks give the same numbers.

use super::*;
use crate::analysis::codec::CodecError;
use crate::analysis::{ArmTallies, Tally};
use proptest::prelude::*;

fn metrics() -> Vec<Metric> {
    vec![
        Metric {
            limit: Some(0.5),
            ..score("quality")
        },
        Metric {
            limit: Some(0.3),
            ..rate("errors")
        },
        Metric {
            role: Role::Watched,
            margin: Margin::Relative(0.1),
            ..score("cost")
        },
        Metric {
            limit: Some(3.0),
            ..latency("latency", &[500_000, 950_000])
        },
        amount("tokens", AmountScale::Winsorised { cap: 1.5 }),
    ]
}

/// Some seconds of all metrics, with an arm missing now and then.
fn ticks(seconds: usize, seed: u64) -> Vec<TickTally> {
    let mut world = World {
        random: seed,
        ..World::new(metrics())
    };
    (0..seconds)
        .map(|_| {
            let arm = |values, draw: u64| {
                if draw.is_multiple_of(5) {
                    Values::Absent
                } else {
                    values
                }
            };
            let draws: [u64; 4] = std::array::from_fn(|_| world.random());
            world.tick(&[
                (
                    "quality",
                    arm(Values::Around(0.7), draws[0]),
                    Values::Around(0.68),
                ),
                ("errors", Values::Chance(0.1), arm(Values::Chance(0.15), draws[1])),
                ("cost", Values::Around(0.4), arm(Values::Around(0.5), draws[2])),
                (
                    "latency",
                    arm(Values::LogNormal(1.0, 0.6), draws[3]),
                    Values::LogNormal(1.2, 0.6),
                ),
                ("tokens", Values::LogNormal(1.0, 0.5), Values::LogNormal(1.0, 0.5)),
            ])
        })
        .collect()
}

fn absorb(engine: &mut Engine, ticks: &[TickTally]) {
    ticks.iter().for_each(|tick| assert!(engine.absorb(tick)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_restart_anywhere_changes_no_bit(seed: u64, seconds in 1..60_usize, cut: prop::sample::Index) {
        let policy = policy(metrics());
        let ticks = ticks(seconds, seed);
        let cut = cut.index(seconds + 1);
        let mut straight = Engine::new(&policy);
        absorb(&mut straight, &ticks);
        let mut first = Engine::new(&policy);
        absorb(&mut first, &ticks[..cut]);
        let mut second = Engine::decode(&policy, &first.encode()).unwrap();
        prop_assert_eq!(&second, &first);
        absorb(&mut second, &ticks[cut..]);
        prop_assert_eq!(&second, &straight);
        prop_assert_eq!(second.encode(), straight.encode());
    }

    #[test]
    fn any_change_of_the_bytes_is_noticed(seed: u64, seconds in 1..10_usize, place: prop::sample::Index, bit in 0..8_u8) {
        let policy = policy(metrics());
        let mut engine = Engine::new(&policy);
        absorb(&mut engine, &ticks(seconds, seed));
        let mut bytes = engine.encode();
        let place = place.index(bytes.len());
        prop_assert!(Engine::decode(&policy, &bytes[..place]).is_err());
        bytes[place] ^= 1 << bit;
        prop_assert!(Engine::decode(&policy, &bytes).is_err());
    }

    /// What replicas count apart and merge per tick gives the verdict of the whole.
    #[test]
    fn replicas_merge_to_the_same_evidence(seed: u64, seconds in 5..40_usize) {
        let policy = policy(metrics());
        let whole = ticks(seconds, seed);
        let (mut one, mut other) = (Engine::new(&policy), Engine::new(&policy));
        absorb(&mut one, &whole);
        let merged: Vec<_> = whole.iter().map(split_and_merge).collect();
        absorb(&mut other, &merged);
        let assess = |engine: &Engine| engine.assess(at(START + 100), at(START), Comparison::Concurrent);
        let (one, other) = (assess(&one), assess(&other));
        prop_assert_eq!(one.verdict, other.verdict);
        for (one, other) in one.metrics.iter().zip(&other.metrics) {
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
            prop_assert!(close(one.log_e_worse, other.log_e_worse));
            prop_assert!(close(one.log_e_non_inferior, other.log_e_non_inferior));
            prop_assert_eq!(one.verdict, other.verdict);
        }
    }
}

/// Deals every cluster to one of two replicas, and merges what they counted.
fn split_and_merge(tick: &TickTally) -> TickTally {
    let metrics = tick.metrics.iter().map(|(metric, arms)| {
        let merged = ArmTallies {
            control: dealt(&arms.control),
            treatment: dealt(&arms.treatment),
        };
        (metric.clone(), merged)
    });
    TickTally {
        tick: tick.tick,
        metrics: metrics.collect(),
        headcount: Headcount::default(),
    }
}

fn dealt(tally: &Tally) -> Tally {
    let mut replicas = [Tally::default(), Tally::default()];
    for (&cluster, part) in &tally.clusters {
        let replica = &mut replicas[usize::from(cluster.get() % 2)];
        replica.count += part.count;
        replica.sum += part.sum;
        replica.clusters.insert(cluster, *part);
        let of_cluster = tally.bins.iter().filter(|((number, _), _)| *number == cluster);
        replica
            .bins
            .extend(of_cluster.map(|(place, count)| (*place, *count)));
    }
    // Neither clipped values nor squares are kept by cluster; any division of them is as good.
    replicas[0].clipped = tally.clipped / 2;
    replicas[1].clipped = tally.clipped - tally.clipped / 2;
    replicas[0].sum_of_squares = tally.sum_of_squares / 3.0;
    replicas[1].sum_of_squares = tally.sum_of_squares - tally.sum_of_squares / 3.0;
    let [mut first, second] = replicas;
    first.merge(&second);
    first
}

#[test]
fn a_tick_is_taken_once_and_in_order() {
    let policy = policy(metrics());
    let ticks = ticks(20, 3);
    let mut engine = Engine::new(&policy);
    absorb(&mut engine, &ticks);
    let before = engine.clone();
    for tick in [&ticks[19], &ticks[4]] {
        assert!(!engine.absorb(tick));
    }
    assert_eq!(engine, before);
}

#[test]
fn empty_seconds_move_the_clock_alone() {
    let mut world = World::new(metrics());
    world.pass(5, &[("quality", Values::Around(0.7), Values::Around(0.7))]);
    let mut engine = world.engine.clone();
    engine.close_through(Tick::new(START + 60));
    assert_eq!(engine.through(), Some(Tick::new(START + 60)));
    engine.close_through(Tick::new(START + 30));
    let assess = |engine: &Engine| engine.assess(at(START + 61), at(START), Comparison::Concurrent);
    assert_eq!(assess(&engine).through, Tick::new(START + 60));
    assert_eq!(assess(&engine).metrics, assess(&world.engine).metrics);
    assert!(!engine.absorb(&TickTally {
        tick: Tick::new(START + 60),
        metrics: BTreeMap::new(),
        headcount: Headcount::default(),
    }));
    assert!(engine.absorb(&TickTally {
        tick: Tick::new(START + 61),
        metrics: BTreeMap::new(),
        headcount: Headcount::default(),
    }));
}

#[test]
fn another_policys_state_is_refused() {
    let mut engine = Engine::new(&policy(metrics()));
    absorb(&mut engine, &ticks(5, 1));
    let bytes = engine.encode();
    let refused = |metrics| Engine::decode(&policy(metrics), &bytes).unwrap_err();
    let mut fewer = metrics();
    fewer.pop();
    let mut renamed = metrics();
    renamed[1].name = name("erroro");
    let mut unlimited = metrics();
    unlimited[0].limit = None;
    let mut of_values = metrics();
    of_values[3].kind = MetricKind::Rate;
    let mut fewer_quantiles = metrics();
    fewer_quantiles[3] = latency("latency", &[950_000]);
    let mut by_points = metrics();
    by_points[3].margin = Margin::Exceedance(0.02);
    for other in [fewer, renamed, unlimited, of_values, fewer_quantiles, by_points] {
        assert_eq!(refused(other), CodecError::OtherMetrics);
    }
    let mut newer = bytes.clone();
    newer[0] = 5;
    assert_eq!(
        Engine::decode(&policy(metrics()), &newer).unwrap_err(),
        CodecError::Format { found: 5, known: 4 }
    );
}

#[test]
fn ten_metrics_stay_small() {
    let many = (0..10)
        .map(|number| Metric {
            limit: Some(0.5),
            ..score(&format!("m{number}"))
        })
        .collect();
    let mut world = World::new(many);
    let names: Vec<_> = (0..10).map(|number| format!("m{number}")).collect();
    let values = Values::Around(0.7);
    let all: Vec<_> = names
        .iter()
        .map(|metric| (metric.as_str(), values, values))
        .collect();
    world.pass(100, &all);
    let bytes = world.engine.encode().len();
    assert!(bytes < 64 * 1024, "{bytes} bytes");
}

#[test]
fn ten_metrics_with_two_families_of_quantiles_stay_small() {
    let quantiles = [500_000, 950_000, 990_000];
    let many = (0..10)
        .map(|number| match number {
            0 | 1 => Metric {
                limit: Some(9.0),
                ..latency(&format!("m{number}"), &quantiles)
            },
            _ => Metric {
                limit: Some(0.5),
                ..score(&format!("m{number}"))
            },
        })
        .collect();
    let mut world = World::new(many);
    let names: Vec<_> = (0..10).map(|number| format!("m{number}")).collect();
    let values = Values::LogNormal(0.7, 0.8);
    let all: Vec<_> = names
        .iter()
        .map(|metric| (metric.as_str(), values, values))
        .collect();
    world.pass(1_000, &all);
    let bytes = world.engine.encode().len();
    assert!(bytes < 64 * 1024, "{bytes} bytes");
}

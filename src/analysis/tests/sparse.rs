//! Little traffic: observations that come one at a time wait for some of the other arm.

use super::*;
use crate::analysis::ArmTallies;
use crate::analysis::stratum::HELD_OBSERVATIONS_MAX;
use proptest::prelude::*;

fn metrics() -> Vec<Metric> {
    vec![
        Metric {
            limit: Some(0.5),
            ..score("quality")
        },
        rate("errors"),
        latency("latency", &[500_000, 950_000]),
    ]
}

/// Seconds in each of which one person comes, every fifth of them to treatment.
fn rare(seconds: usize, seed: u64) -> Vec<TickTally> {
    let mut world = World {
        random: seed,
        ..World::new(metrics())
    };
    let tick = |_| {
        let arm = if world.uniform() < 0.2 {
            Arm::Treatment
        } else {
            Arm::Control
        };
        let cluster = Cluster::from_hash(world.random());
        let mut tick = world.tick(&[]);
        for (metric, values) in [
            ("quality", Values::Around(0.7)),
            ("errors", Values::Chance(0.1)),
            ("latency", Values::LogNormal(1.0, 0.6)),
        ] {
            let value = world.draw(values).unwrap();
            let tallies = tick.metrics.entry(name(metric)).or_default();
            tallies.add(arm, cluster, world.observation(metric, value));
        }
        tick
    };
    (0..seconds).map(tick).collect()
}

/// Somebody of one arm, at a second after the start.
fn somebody(arm: Arm, second: i64, times: u64) -> TickTally {
    let mut tallies = ArmTallies::default();
    for hash in 0..times {
        tallies.add(arm, Cluster::from_hash(hash << 57), 0.7);
    }
    TickTally {
        tick: Tick::new(START + second),
        metrics: BTreeMap::from([(name("quality"), tallies)]),
        headcount: Headcount::default(),
    }
}

/// How many treated observations and how many of control are compared after these ticks.
fn compared(ticks: &[TickTally], step_begins: Option<i64>) -> (u64, u64) {
    let mut engine = Engine::new(&policy(metrics()));
    if let Some(second) = step_begins {
        engine.begin_step(at(START + second));
    }
    ticks.iter().for_each(|tick| assert!(engine.absorb(tick)));
    let reading = engine.contrast(&name("quality")).unwrap();
    (reading.treated, reading.controls)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn one_at_a_time_is_as_one_of_the_other_arm_after_many(seed: u64) {
        let (mut engine, mut by_hand) = (Engine::new(&policy(metrics())), Engine::new(&policy(metrics())));
        let mut stratum: Option<TickTally> = None;
        for tick in rare(300, seed) {
            prop_assert!(engine.absorb(&tick));
            let mut whole = tick.clone();
            for (metric, tallies) in &mut whole.metrics {
                let held = stratum.as_ref().and_then(|stratum| stratum.metrics.get(metric));
                held.into_iter().for_each(|held| tallies.merge(held));
            }
            let both = |arms: &ArmTallies| !arms.control.is_empty() && !arms.treatment.is_empty();
            if whole.metrics.values().all(both) {
                prop_assert!(by_hand.absorb(&whole));
                stratum = None;
            } else {
                stratum = Some(whole);
            }
        }
        for metric in metrics() {
            let of = |engine: &Engine| *engine.contrast(&metric.name).unwrap();
            let (one, other) = (of(&engine), of(&by_hand));
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
            prop_assert!(close(one.log_e_worse, other.log_e_worse), "{metric:?}");
            prop_assert!(close(one.log_e_non_inferior, other.log_e_non_inferior), "{metric:?}");
            prop_assert_eq!((one.treated, one.controls), (other.treated, other.controls));
            // Hardly any are left out: the last ones wait, and edges of latencies are unknown at first.
            let treated = engine.assess(at(START), at(START), Comparison::Concurrent).treated;
            let unknown = if metric.name == name("latency") { 25 } else { 0 };
            prop_assert!(one.treated + unknown + 10 >= treated, "{} of {treated}", one.treated);
        }
    }

    #[test]
    fn a_restart_between_rare_observations_changes_no_bit(seed: u64, cut in 0..120_usize) {
        let policy = policy(metrics());
        let ticks = rare(120, seed);
        let mut straight = Engine::new(&policy);
        ticks.iter().for_each(|tick| assert!(straight.absorb(tick)));
        let mut first = Engine::new(&policy);
        ticks[..cut].iter().for_each(|tick| assert!(first.absorb(tick)));
        let mut second = Engine::decode(&policy, &first.encode()).unwrap();
        prop_assert_eq!(&second, &first);
        ticks[cut..].iter().for_each(|tick| assert!(second.absorb(tick)));
        prop_assert_eq!(second, straight);
    }
}

#[test]
fn nobody_waits_longer_than_an_hour() {
    let after = |seconds| {
        compared(
            &[somebody(Arm::Control, 0, 3), somebody(Arm::Treatment, seconds, 2)],
            None,
        )
    };
    assert_eq!(after(3_599), (2, 3));
    assert_eq!(after(3_600), (0, 0));
    // What waited in vain is known all the same.
    let mut engine = Engine::new(&policy(metrics()));
    for tick in [somebody(Arm::Treatment, 0, 3), somebody(Arm::Treatment, 4_000, 1)] {
        assert!(engine.absorb(&tick));
    }
    assert_eq!(engine.limit(&name("quality")).unwrap().treated, 4);
    assert!(engine.absorb(&somebody(Arm::Control, 4_001, 1)));
    assert_eq!(engine.contrast(&name("quality")).unwrap().treated, 1);
}

#[test]
fn not_more_wait_than_the_state_has_room_for() {
    let most = HELD_OBSERVATIONS_MAX;
    let after = |times| {
        compared(
            &[somebody(Arm::Control, 0, times), somebody(Arm::Treatment, 1, 1)],
            None,
        )
    };
    assert_eq!(after(most), (1, most));
    assert_eq!(after(most + 1), (0, 0));
}

#[test]
fn nobody_waits_for_the_next_step() {
    let ticks = [somebody(Arm::Control, 2, 3), somebody(Arm::Treatment, 6, 2)];
    let begins = |second| compared(&ticks, Some(second));
    assert_eq!([1, 2, 7].map(begins), [(2, 3); 3]);
    assert_eq!([3, 6].map(begins), [(0, 0); 2]);
}

#[test]
fn what_waits_takes_little_room() {
    let quantiles = [500_000, 950_000, 990_000];
    let many: Vec<_> = (0..10)
        .map(|number| match number {
            0 | 1 => latency(&format!("m{number}"), &quantiles),
            _ => score(&format!("m{number}")),
        })
        .collect();
    let mut world = World::new(many);
    let names: Vec<_> = (0..10).map(|number| format!("m{number}")).collect();
    let values = Values::LogNormal(0.7, 0.8);
    let all = |treatment| -> Vec<_> {
        let metric = |metric: &'static str| (metric, values, treatment);
        names.iter().map(|name| metric(name.clone().leak())).collect()
    };
    world.pass(1_000, &all(values));
    let before = world.engine.encode().len();
    // 250 of control, ten a second.
    world.pass(25, &all(Values::Absent));
    let bytes = world.engine.encode().len();
    assert!(
        (before + 10_000..64 * 1024).contains(&bytes),
        "{before}, then {bytes} bytes"
    );
}

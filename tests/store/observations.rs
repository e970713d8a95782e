//! Observations: counted once, in the tick of their arrival.

use crate::world::{World, count, counted, quality, start, transition, version};
use serin::analysis::{ArmTallies, Headcount, TickTally};
use serin::ids::{Arm, Cluster, MetricName, RolloutId, Tick};
use serin::rollout::{Cause, Phase, VerdictCause};
use serin::store::{Answer, Batch, BatchKey, BatchReceipt, ClosedTicks, Counted, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long the store recognises a repeat.
const SEEN_KEPT_SECONDS: i64 = 7 * 24 * 60 * 60;

fn keyed(key: u8, body: u8, answer: &str, observations: Vec<Counted>) -> Batch {
    Batch {
        key: Some(BatchKey {
            key: [key; 32],
            body: [body; 32],
            answer: Answer {
                before: format!("{answer}, ").into(),
                after: " of them before".into(),
            },
        }),
        observations,
        exclusions: Vec::new(),
    }
}

#[tokio::test]
async fn tallies_are_the_sums_of_what_arrived() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let latency = MetricName::new("latency").unwrap();
        let cluster = |number| Cluster::new(number).unwrap();
        let one = |arm, number, values: &[(&MetricName, f64)]| Counted {
            rollout,
            arm,
            cluster: cluster(number),
            sight: None,
            values: values
                .iter()
                .map(|(metric, value)| ((*metric).clone(), (*value).into()))
                .collect(),
            id: None,
        };
        let quality = quality();
        let first = vec![
            one(Arm::Control, 0, &[(&quality, 0.25), (&latency, 3.0)]),
            one(Arm::Treatment, 127, &[(&quality, -0.1)]),
        ];
        let second = vec![
            one(Arm::Treatment, 5, &[(&latency, 0.0)]),
            one(Arm::Control, 0, &[(&quality, 0.5)]),
            one(Arm::Control, 1, &[]),
        ];
        let mut expected: BTreeMap<MetricName, ArmTallies> = BTreeMap::new();
        for counted in first.iter().chain(&second) {
            for (metric, value) in &counted.values {
                let arms = expected.entry(metric.clone()).or_default();
                arms.add(counted.arm, counted.cluster, *value);
            }
        }
        assert_eq!(world.ingest(first).await.unwrap(), Vec::<usize>::new());
        assert_eq!(world.ingest(second).await.unwrap(), Vec::<usize>::new());
        let open = world.store.closed_ticks(rollout, None).await.unwrap();
        assert_eq!(open.ticks, [], "{}: the tick is not over", world.name);
        world.advance(1);
        let tick = Tick::of(start());
        assert_eq!(
            world.store.closed_ticks(rollout, None).await.unwrap(),
            ClosedTicks {
                through: tick,
                ticks: vec![TickTally {
                    tick,
                    metrics: expected,
                    headcount: Headcount::default(),
                }]
            },
            "{}",
            world.name
        );
        let after = world.store.closed_ticks(rollout, Some(tick)).await.unwrap();
        assert_eq!(after.ticks, []);
    }
}

#[tokio::test]
async fn an_id_is_counted_once_however_often_it_is_sent() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let ids = |ids: &[u128]| {
            ids.iter()
                .map(|id| counted(rollout, Some(*id)))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            world.ingest(ids(&[1, 2, 1, 3, 2])).await.unwrap(),
            [2, 4],
            "{}",
            world.name
        );
        assert_eq!(world.ingest(ids(&[4, 3])).await.unwrap(), [1]);
        world.advance(5);
        assert_eq!(world.ingest(ids(&[1, 2, 3, 4])).await.unwrap(), [0, 1, 2, 3]);
        let without_id = vec![counted(rollout, None), counted(rollout, None)];
        assert_eq!(world.ingest(without_id).await.unwrap(), Vec::<usize>::new());
        assert_eq!(world.total(rollout).await, 6);
    }
}

#[tokio::test]
async fn many_senders_of_the_same_ids_are_counted_once() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let mut senders = Vec::new();
        for sender in 0..16_u128 {
            let store = Arc::clone(&world.store);
            senders.push(tokio::spawn(async move {
                let mut duplicates = 0;
                for batch in 0..10 {
                    // Each sender walks the same 1,000 ids from another place.
                    let ids = (0..100).map(|id| (sender * 61 + batch * 100 + id) % 1_000);
                    let batch = Batch {
                        key: None,
                        observations: ids.map(|id| counted(rollout, Some(id))).collect(),
                        exclusions: Vec::new(),
                    };
                    match store.ingest(batch).await.unwrap() {
                        BatchReceipt::Counted { duplicates: found } => duplicates += found.len(),
                        BatchReceipt::Repeated { .. } => panic!("the batch has no key"),
                    }
                }
                duplicates
            }));
        }
        let mut duplicates = 0;
        for sender in senders {
            duplicates += sender.await.unwrap();
        }
        assert_eq!(duplicates, 15_000, "{}", world.name);
        assert_eq!(world.total(rollout).await, 1_000);
    }
}

#[tokio::test]
async fn a_request_sent_again_gets_the_same_answer_and_counts_once() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let batch = || {
            keyed(
                1,
                1,
                "2 counted",
                vec![counted(rollout, None), counted(rollout, None)],
            )
        };
        let counted_once = BatchReceipt::Counted {
            duplicates: Vec::new(),
        };
        assert_eq!(world.store.ingest(batch()).await.unwrap(), counted_once);
        let again = keyed(1, 1, "another answer", vec![counted(rollout, None)]);
        assert_eq!(
            world.store.ingest(again).await.unwrap(),
            BatchReceipt::Repeated {
                answer: "2 counted, 0 of them before".into()
            },
            "{}",
            world.name
        );
        let refused = world.store.ingest(keyed(1, 2, "", Vec::new())).await.unwrap_err();
        assert!(matches!(refused, StoreError::KeyReused), "{refused}");
        let other_key = keyed(2, 1, "", vec![counted(rollout, None)]);
        assert_eq!(world.store.ingest(other_key).await.unwrap(), counted_once);
        assert_eq!(world.total(rollout).await, 3);
    }
}

#[tokio::test]
async fn the_answer_that_is_repeated_knows_how_many_were_duplicates() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let first = Batch {
            key: None,
            observations: vec![counted(rollout, Some(7))],
            exclusions: Vec::new(),
        };
        world.store.ingest(first).await.unwrap();
        let batch = || {
            keyed(
                1,
                1,
                "2 counted",
                vec![counted(rollout, Some(7)), counted(rollout, Some(8))],
            )
        };
        let receipt = world.store.ingest(batch()).await.unwrap();
        assert_eq!(receipt, BatchReceipt::Counted { duplicates: vec![0] });
        assert_eq!(
            world.store.ingest(batch()).await.unwrap(),
            BatchReceipt::Repeated {
                answer: "2 counted, 1 of them before".into()
            },
            "{}",
            world.name
        );
    }
}

#[tokio::test]
async fn a_batch_that_fails_leaves_nothing_and_harms_no_other() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let nobody = RolloutId::new(99);
        let mut nan = counted(rollout, Some(8));
        nan.values[0].1 = f64::NAN.into();
        let mut huge = counted(rollout, Some(9));
        huge.values[0].1 = 1e300.into();
        let broken = [counted(nobody, Some(7)), nan, huge];
        let mut waiting = Vec::new();
        for (key, broken) in (10..).zip(broken) {
            let good = vec![counted(rollout, Some(100 + u128::from(key)))];
            let bad = vec![counted(rollout, Some(1)), broken];
            for batch in [keyed(key, 1, "", bad), keyed(key + 50, 1, "", good)] {
                let store = Arc::clone(&world.store);
                waiting.push(tokio::spawn(async move { store.ingest(batch).await }));
            }
        }
        let mut refused = Vec::new();
        for answer in waiting {
            refused.extend(answer.await.unwrap().err().map(|error| error.chain()));
        }
        assert_eq!(
            refused,
            [
                "there is no rollout r99",
                "the store failed: an observation of `quality` is NaN: it must be within ±1e120",
                "the store failed: an observation of `quality` is 1e300: it must be within ±1e120",
            ],
            "{}",
            world.name
        );
        // Neither ids nor keys of the refused batches were kept.
        for key in 10..13 {
            let batch = keyed(key, 2, "", Vec::new());
            let receipt = world.store.ingest(batch).await.unwrap();
            assert_eq!(
                receipt,
                BatchReceipt::Counted {
                    duplicates: Vec::new()
                }
            );
        }
        let ids = [1, 7, 8, 9].map(|id| counted(rollout, Some(id)));
        assert_eq!(world.ingest(ids.to_vec()).await.unwrap(), Vec::<usize>::new());
        assert_eq!(world.total(rollout).await, 3 + 4);
    }
}

#[tokio::test]
async fn a_repeat_is_recognised_for_a_week_and_a_key_not_for_ever() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let batch = || keyed(1, 1, "first", vec![counted(rollout, Some(1))]);
        world.store.ingest(batch()).await.unwrap();
        world.advance(SEEN_KEPT_SECONDS);
        let repeat = world.ingest(vec![counted(rollout, Some(1))]).await;
        assert_eq!(repeat.unwrap(), [0], "{}", world.name);
        assert!(matches!(
            world.store.ingest(batch()).await.unwrap(),
            BatchReceipt::Repeated { .. }
        ));
        world.advance(1);
        // The group that comes after the week forgets; the next one has forgotten.
        world.ingest(Vec::new()).await.unwrap();
        let anew = keyed(1, 2, "second", vec![counted(rollout, Some(2))]);
        let receipt = world.store.ingest(anew).await.unwrap();
        assert_eq!(
            receipt,
            BatchReceipt::Counted {
                duplicates: Vec::new()
            },
            "{}",
            world.name
        );
    }
}

#[tokio::test]
async fn ticks_are_handed_out_in_order_and_by_rollout() {
    for world in World::every() {
        let (one, other) = (world.begin("greeting").await.id, world.begin("farewell").await.id);
        for second in 0..5 {
            let observations = (0..=second).map(|_| counted(one, None)).collect();
            world.ingest(observations).await.unwrap();
            if second % 2 == 0 {
                world.ingest(vec![counted(other, None)]).await.unwrap();
            }
            world.advance(1);
        }
        let first = Tick::of(start()).second();
        let counts = world.counts(one, None).await;
        assert_eq!(
            counts,
            (0..5).map(|n| (first + n, n.unsigned_abs() + 1)).collect(),
            "{}",
            world.name
        );
        let counts = world.counts(one, Some(Tick::new(first + 2))).await;
        assert_eq!(counts, [(first + 3, 4), (first + 4, 5)].into());
        let counts = world.counts(other, None).await;
        assert_eq!(counts, [(first, 1), (first + 2, 1), (first + 4, 1)].into());
        let nobody = world
            .store
            .closed_ticks(RolloutId::new(99), None)
            .await
            .unwrap_err();
        assert!(matches!(nobody, StoreError::UnknownRollout(_)), "{nobody}");
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_adds_to_no_closed_tick() {
    for world in World::durable() {
        let rollout = world.begin("greeting").await.id;
        world.ingest(vec![counted(rollout, None)]).await.unwrap();
        world.advance(1);
        let before = world.store.closed_ticks(rollout, None).await.unwrap();
        world.advance(-3_600);
        world.ingest(vec![counted(rollout, None)]).await.unwrap();
        assert_eq!(
            world.store.closed_ticks(rollout, None).await.unwrap(),
            before,
            "{}",
            world.name
        );
        let world = world.reopen();
        world.ingest(vec![counted(rollout, None)]).await.unwrap();
        assert_eq!(world.store.closed_ticks(rollout, None).await.unwrap(), before);
        world.advance(3_600);
        world.advance(1);
        let after = world
            .store
            .closed_ticks(rollout, Some(before.through))
            .await
            .unwrap();
        assert_eq!(after.ticks.len(), 1);
        assert_eq!(after.ticks[0].metrics.values().map(count).sum::<u64>(), 2);
    }
}

#[tokio::test]
async fn a_tick_goes_on_after_a_restart_within_it() {
    for mut world in World::durable() {
        let rollout = world.begin("greeting").await.id;
        for id in 0..5 {
            world.ingest(vec![counted(rollout, Some(id))]).await.unwrap();
            world = world.reopen();
        }
        assert_eq!(world.ingest(vec![counted(rollout, Some(2))]).await.unwrap(), [0]);
        assert_eq!(world.total(rollout).await, 5, "{}", world.name);
        assert_eq!(world.counts(rollout, None).await.len(), 1);
    }
}

#[tokio::test]
async fn a_rollout_that_is_over_counts_no_more() {
    for world in World::every() {
        let state = world.begin("greeting").await;
        world.ingest(vec![counted(state.id, Some(1))]).await.unwrap();
        let over = transition(
            &state,
            Phase::Superseded { by: version(3) },
            Cause::Verdict(VerdictCause::Passed),
        );
        world.store.commit(start(), &over, None).await.unwrap();
        assert_eq!(
            world.ingest(vec![counted(state.id, Some(2))]).await.unwrap(),
            Vec::<usize>::new()
        );
        assert_eq!(
            world.ingest(vec![counted(state.id, Some(2))]).await.unwrap(),
            [0],
            "{}",
            world.name
        );
        assert_eq!(world.total(state.id).await, 0);
    }
}

#[tokio::test]
async fn very_many_ticks_are_handed_out_in_parts() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let metrics: Vec<MetricName> = (0..1_000)
            .map(|n| MetricName::new(&format!("m{n}")).unwrap())
            .collect();
        let mut wide = counted(rollout, None);
        wide.values = metrics.into_iter().map(|metric| (metric, 1.0.into())).collect();
        for _ in 0..20 {
            world.ingest(vec![wide.clone()]).await.unwrap();
            world.advance(1);
        }
        let last = Tick::of(world.clock.now()).previous();
        let mut after = None;
        let mut parts = Vec::new();
        while after != Some(last) {
            let closed = world.store.closed_ticks(rollout, after).await.unwrap();
            assert!(
                closed.ticks.iter().all(|tick| tick.metrics.len() == 1_000),
                "{}",
                world.name
            );
            parts.push(closed.ticks.len());
            after = Some(closed.through);
        }
        assert_eq!(parts.iter().sum::<usize>(), 20);
        assert!(parts.len() > 1, "{parts:?}");
    }
}

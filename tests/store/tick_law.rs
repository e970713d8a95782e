//! The tick law: what was handed out as closed never changes, and nothing is lost or counted twice,
//! whatever comes in which order, the clock and restarts included.

use crate::world::{World, count, counted};
use proptest::prelude::*;
use serin::ids::{RolloutId, Tick};
use serin::rollout::Checkpoint;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rollouts that share the store.
const ROLLOUTS: usize = 2;

#[derive(Debug, Clone)]
enum Step {
    /// Batches sent at once, each as (rollout, ids).
    Send(Vec<(usize, Vec<u8>)>),
    /// The clock moves, mostly forwards.
    Clock { seconds: i64 },
    /// Closed ticks are read while batches are under way.
    Close { rollout: usize, meanwhile: Vec<u8> },
    /// What was read is checkpointed.
    Checkpoint { rollout: usize },
    /// The process ends and starts again.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ids = || prop::collection::vec(any::<u8>(), 0..6);
    let step = prop_oneof![
        4 => prop::collection::vec((0..ROLLOUTS, ids()), 1..4).prop_map(Step::Send),
        3 => (0..3_i64).prop_map(|seconds| Step::Clock { seconds }),
        1 => (-5..0_i64).prop_map(|seconds| Step::Clock { seconds }),
        3 => (0..ROLLOUTS, ids()).prop_map(|(rollout, meanwhile)| Step::Close { rollout, meanwhile }),
        2 => (0..ROLLOUTS).prop_map(|rollout| Step::Checkpoint { rollout }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// What must be true of one rollout.
#[derive(Default)]
struct Ledger {
    /// Ids that were counted, by this rollout.
    sent: u64,
    /// Ticks as they were first handed out, those that are checkpointed included.
    closed: BTreeMap<Tick, u64>,
    through: Option<Tick>,
    checkpoint: Option<Tick>,
}

struct Run {
    world: World,
    rollouts: [RolloutId; ROLLOUTS],
    ledgers: [Ledger; ROLLOUTS],
    seen: BTreeSet<u8>,
    durable: bool,
}

impl Run {
    async fn start(world: World, durable: bool) -> Self {
        let rollouts = [world.begin("greeting").await.id, world.begin("farewell").await.id];
        Self {
            world,
            rollouts,
            ledgers: Default::default(),
            seen: BTreeSet::new(),
            durable,
        }
    }

    async fn send(&mut self, batches: &[(usize, Vec<u8>)]) {
        let mut under_way = Vec::new();
        for (rollout, ids) in batches {
            under_way.push(self.spawn(*rollout, ids));
        }
        for (sending, (rollout, ids)) in under_way.into_iter().zip(batches) {
            let counted = sending.await.unwrap();
            self.ledgers[*rollout].sent += counted;
            self.seen.extend(ids);
        }
        let counted: u64 = self.ledgers.iter().map(|ledger| ledger.sent).sum();
        assert_eq!(counted, self.seen.len() as u64, "each id is counted once");
    }

    /// Sends a batch beside whatever else goes on; the answer is how many were counted.
    fn spawn(&self, rollout: usize, ids: &[u8]) -> tokio::task::JoinHandle<u64> {
        let store = Arc::clone(&self.world.store);
        let rollout = self.rollouts[rollout];
        let observations: Vec<_> = ids
            .iter()
            .map(|id| counted(rollout, Some(u128::from(*id))))
            .collect();
        tokio::spawn(async move {
            let sent = observations.len();
            let batch = serin::store::Batch {
                key: None,
                observations,
                exclusions: Vec::new(),
            };
            match store.ingest(batch).await.unwrap() {
                serin::store::BatchReceipt::Counted { duplicates } => (sent - duplicates.len()) as u64,
                serin::store::BatchReceipt::Repeated { .. } => panic!("the batch has no key"),
            }
        })
    }

    /// Reads everything that is closed, and holds it against what was read before.
    async fn close(&mut self, rollout: usize) {
        let ledger = &mut self.ledgers[rollout];
        let closed = self
            .world
            .store
            .closed_ticks(self.rollouts[rollout], None)
            .await
            .unwrap();
        assert!(
            Some(closed.through) >= ledger.through,
            "what is closed stays closed"
        );
        let mut known: BTreeMap<Tick, u64> = ledger.closed.clone();
        known.retain(|tick, _| Some(*tick) > ledger.checkpoint);
        let now: BTreeMap<Tick, u64> = closed
            .ticks
            .iter()
            .map(|tick| (tick.tick, tick.metrics.values().map(count).sum()))
            .collect();
        let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) = now
            .into_iter()
            .partition(|(tick, _)| Some(*tick) <= ledger.through);
        assert_eq!(old, known, "a closed tick has changed");
        assert!(new.keys().all(|tick| *tick <= closed.through));
        ledger.closed.extend(new);
        ledger.through = Some(closed.through);
    }

    async fn checkpoint(&mut self, rollout: usize) {
        let Some(through) = self.ledgers[rollout].through else {
            return;
        };
        let checkpoint = Checkpoint {
            through,
            engine: vec![1],
        };
        let saved = self
            .world
            .store
            .save_checkpoint(self.rollouts[rollout], checkpoint);
        saved.await.unwrap();
        self.ledgers[rollout].checkpoint = Some(through);
    }

    async fn step(mut self, step: Step) -> Self {
        match step {
            Step::Send(batches) => self.send(&batches).await,
            Step::Clock { seconds } => self.world.advance(seconds),
            Step::Close { rollout, meanwhile } => {
                let sending = self.spawn(rollout, &meanwhile);
                self.close(rollout).await;
                self.ledgers[rollout].sent += sending.await.unwrap();
                self.seen.extend(meanwhile);
            }
            Step::Checkpoint { rollout } => self.checkpoint(rollout).await,
            Step::Restart if self.durable => self.world = self.world.reopen(),
            Step::Restart => {}
        }
        self
    }

    /// Long after, everything that was counted is in exactly one closed tick.
    async fn end(mut self) {
        self.world.advance(1_000);
        for rollout in 0..ROLLOUTS {
            self.close(rollout).await;
            let ledger = &self.ledgers[rollout];
            assert_eq!(ledger.closed.values().sum::<u64>(), ledger.sent);
        }
    }
}

fn obey(world: World, durable: bool, steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut run = Run::start(world, durable).await;
        for step in steps {
            run = run.step(step).await;
        }
        run.end().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn closed_ticks_never_change(steps in steps()) {
        for world in World::every() {
            obey(world, false, steps.clone());
        }
    }

    #[test]
    fn closed_ticks_never_change_across_restarts(steps in steps()) {
        for world in World::durable() {
            obey(world, true, steps.clone());
        }
    }
}

//! Stores to test, and things to put into them.

use jiff::{SignedDuration, Timestamp};
use serin::analysis::ArmTallies;
use serin::clock::{Clock, ManualClock};
use serin::ids::{
    Actor, Arm, Cluster, Generation, Justification, MetricName, PolicyName, Revision, RolloutId, Tick,
    Version,
};
use serin::rollout::{Cause, Effect, LabelMove, Parents, Phase, RegistryCause, RolloutState, Transition};
use serin::store::sqlite::SqliteStore;
use serin::store::{Batch, BatchReceipt, Counted, NewRollout, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A store, the clock that it reads, and where it keeps its data.
pub(crate) struct World {
    /// For the message of a failed assertion.
    pub(crate) name: &'static str,
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<dyn Store>,
    backend: Backend,
}

enum Backend {
    SqliteInMemory,
    SqliteFile(TempDir),
}

impl World {
    /// Every kind of store, empty.
    pub(crate) fn every() -> Vec<Self> {
        let mut worlds = vec![Self::new("sqlite in memory", Backend::SqliteInMemory)];
        worlds.extend(Self::durable());
        worlds
    }

    /// Every kind of store that outlives its process, empty.
    pub(crate) fn durable() -> Vec<Self> {
        vec![Self::sqlite_file()]
    }

    pub(crate) fn sqlite_file() -> Self {
        let directory = TempDir::new().unwrap();
        Self::new("sqlite file", Backend::SqliteFile(directory))
    }

    fn new(name: &'static str, backend: Backend) -> Self {
        let clock = ManualClock::starting_at(start());
        let store = backend.open(&clock);
        Self {
            name,
            clock,
            store,
            backend,
        }
    }

    /// Where a store in a file keeps its data.
    pub(crate) fn directory(&self) -> &Path {
        self.backend.directory()
    }

    /// Stops the store and starts another one on the same data.
    pub(crate) fn reopen(self) -> Self {
        self.close().open()
    }

    /// Stops the store; the data stay.
    pub(crate) fn close(self) -> Closed {
        assert_eq!(Arc::strong_count(&self.store), 1, "somebody else has the store");
        drop(self.store);
        Closed {
            name: self.name,
            clock: self.clock,
            backend: self.backend,
        }
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// Begins a rollout of the policy, without effects.
    pub(crate) async fn begin(&self, policy: &str) -> RolloutState {
        let start = new_rollout(policy, Vec::new());
        self.store.begin(start).await.unwrap().state
    }

    pub(crate) async fn ingest(&self, observations: Vec<Counted>) -> Result<Vec<usize>, StoreError> {
        let batch = Batch {
            key: None,
            observations,
            exclusions: Vec::new(),
        };
        match self.store.ingest(batch).await? {
            BatchReceipt::Counted { duplicates } => Ok(duplicates),
            BatchReceipt::Repeated { .. } => panic!("the batch has no key"),
        }
    }

    /// Everything that is in closed ticks after `after`, as counts by tick.
    pub(crate) async fn counts(&self, rollout: RolloutId, after: Option<Tick>) -> BTreeMap<i64, u64> {
        let closed = self.store.closed_ticks(rollout, after).await.unwrap();
        closed
            .ticks
            .iter()
            .map(|tick| (tick.tick.second(), tick.metrics.values().map(count).sum()))
            .collect()
    }

    /// Closes the present tick and counts every observation that is in ticks.
    pub(crate) async fn total(&self, rollout: RolloutId) -> u64 {
        self.advance(1);
        self.counts(rollout, None).await.values().sum()
    }
}

/// A world between two stores.
pub(crate) struct Closed {
    name: &'static str,
    clock: ManualClock,
    backend: Backend,
}

impl Closed {
    /// Starts a store on the data.
    pub(crate) fn open(self) -> World {
        World {
            name: self.name,
            store: self.backend.open(&self.clock),
            clock: self.clock,
            backend: self.backend,
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.backend.directory()
    }
}

impl Backend {
    fn directory(&self) -> &Path {
        match self {
            Self::SqliteFile(directory) => directory.path(),
            Self::SqliteInMemory => panic!("it has no directory"),
        }
    }

    fn open(&self, clock: &ManualClock) -> Arc<dyn Store> {
        let clock = Clock::Manual(clock.clone());
        match self {
            Self::SqliteInMemory => Arc::new(SqliteStore::in_memory(clock).unwrap()),
            Self::SqliteFile(directory) => Arc::new(SqliteStore::open(directory.path(), clock).unwrap()),
        }
    }
}

/// What every clock shows at first.
pub(crate) fn start() -> Timestamp {
    "2026-03-01T12:00:00.5Z".parse().unwrap()
}

/// Observations of both arms.
pub(crate) fn count(arms: &ArmTallies) -> u64 {
    arms.control.count + arms.treatment.count
}

pub(crate) fn actor(name: &str) -> Actor {
    Actor::new(name).unwrap()
}

pub(crate) fn reason(text: &str) -> Justification {
    Justification::new(text).unwrap()
}

pub(crate) fn version(number: u32) -> Version {
    Version::new(number).unwrap()
}

/// The text of a policy; the store does not read it.
pub(crate) fn policy_source(policy: &str) -> Arc<str> {
    format!("metadata: {{name: {policy}}}").into()
}

pub(crate) fn new_rollout(policy: &str, effects: Vec<Effect>) -> NewRollout {
    let policy_source = policy_source(policy);
    NewRollout {
        state: RolloutState {
            id: RolloutId::new(0),
            policy: PolicyName::new(policy).unwrap(),
            revision: Revision::of(&policy_source),
            stable: version(1),
            candidate: version(2),
            phase: Phase::Pending,
            generation: Generation::ZERO.next(),
            started_at: start(),
            entered_at: start(),
            changed_at: start(),
            treated_at_entry: 0,
            stepped_back: false,
            promoted: false,
            fail_overruled: false,
            approvals: BTreeSet::new(),
            author: None,
        },
        policy_source,
        cause: Cause::Registry(RegistryCause::CandidateAppeared { by: None }),
        effects,
        at: start(),
    }
}

/// A label move of a rollout, with which a label of another prompt changes.
pub(crate) fn label_move(state: &RolloutState, label: &str, from: Option<u32>, to: u32) -> Effect {
    let parent = ("page".parse().unwrap(), "live".parse().unwrap());
    Effect::MoveLabel(LabelMove {
        prompt: "greeting".parse().unwrap(),
        label: label.parse().unwrap(),
        from: from.map(version),
        to: version(to),
        rollout: state.id,
        generation: state.generation.next(),
        parents: Parents::new([parent], Some("there may be others")),
    })
}

/// The transition from `state` into `phase`.
pub(crate) fn transition(state: &RolloutState, phase: Phase, cause: Cause) -> Transition {
    let mut to = state.clone();
    to.phase = phase;
    to.generation = state.generation.next();
    Transition {
        from: state.phase.clone(),
        to,
        cause,
        assessment: None,
        effects: Vec::new(),
    }
}

/// One treated observation of `quality`.
pub(crate) fn counted(rollout: RolloutId, id: Option<u128>) -> Counted {
    Counted {
        rollout,
        arm: Arm::Treatment,
        cluster: Cluster::new(3).unwrap(),
        sight: None,
        values: vec![(quality(), 0.5.into())],
        id: id.map(u128::to_be_bytes),
    }
}

pub(crate) fn quality() -> MetricName {
    MetricName::new("quality").unwrap()
}

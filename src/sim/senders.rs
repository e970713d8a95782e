//! Applications that send observations, and send them again until they are acknowledged.

use super::faults::hazards::Hazards;
use super::faults::store::HazardousStore;
use super::traffic::Traffic;
use super::world::WorldError;
use crate::assignment::receipt::ReceiptKey;
use crate::controller::ControllerHandle;
use crate::ids::{Arm, MetricName, PolicyName, RolloutId};
use crate::source::ingest::{self, Format, Ingested};
use crate::store::{Batch, Counted, Store};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Bodies that wait to be sent again; the oldest is given up first.
const UNSENT_BODIES_MAX: usize = 64;

/// Observations in one body.
const BODY_OBSERVATIONS_MAX: usize = 100_000;

/// How many observations of one metric in one arm of a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Those that the store has acknowledged.
    pub acknowledged: u64,
    /// Those that were sent, acknowledged or not.
    pub sent: u64,
}

/// What an account is about.
pub type AccountKey = (RolloutId, MetricName, Arm);

/// A body that is not acknowledged yet.
#[derive(Debug)]
struct Unsent {
    body: Vec<u8>,
    /// What it may have counted for so far; who is in no rollout today may be in one tomorrow.
    counted: BTreeMap<AccountKey, u64>,
}

/// Everybody who sends observations.
#[derive(Debug)]
pub struct Senders {
    store: HazardousStore,
    receipts: ReceiptKey,
    traffic: BTreeMap<PolicyName, Traffic>,
    unsent: VecDeque<Unsent>,
    accounts: BTreeMap<AccountKey, Account>,
}

impl Senders {
    /// Nobody yet, in front of `store`.
    pub(super) fn new(store: Arc<dyn Store>, hazards: Arc<Hazards>, receipts: ReceiptKey) -> Self {
        Self {
            store: HazardousStore::new(store, hazards),
            receipts,
            traffic: BTreeMap::new(),
            unsent: VecDeque::new(),
            accounts: BTreeMap::new(),
        }
    }

    /// Who comes to a policy from now on; none stops them.
    pub fn set_traffic(&mut self, policy: PolicyName, traffic: Option<Traffic>) {
        match traffic {
            Some(traffic) => self.traffic.insert(policy, traffic),
            None => self.traffic.remove(&policy),
        };
    }

    /// How many observations were sent and acknowledged so far.
    pub fn accounts(&self) -> &BTreeMap<AccountKey, Account> {
        &self.accounts
    }

    /// One second of everybody: first what was not acknowledged, then what is new.
    pub(super) async fn second(&mut self, server: &ControllerHandle) -> Result<(), WorldError> {
        for unsent in std::mem::take(&mut self.unsent) {
            self.send(server, unsent).await?;
        }
        let mut bodies = Vec::with_capacity(self.traffic.len());
        for (policy, traffic) in &mut self.traffic {
            bodies.push(traffic.second(policy, &server.snapshot(), &self.receipts));
        }
        for body in bodies.into_iter().filter(|body| !body.is_empty()) {
            let counted = BTreeMap::new();
            self.send(server, Unsent { body, counted }).await?;
        }
        Ok(())
    }

    /// The way of a request body through the server: judged line by line, then made durable.
    async fn send(&mut self, server: &ControllerHandle, mut unsent: Unsent) -> Result<(), WorldError> {
        let observations = self.judge(server, &unsent.body)?;
        let counts = counts(&observations);
        for (key, count) in &counts {
            let before = unsent.counted.entry(key.clone()).or_default();
            let account = self.accounts.entry(key.clone()).or_default();
            account.sent += count.saturating_sub(*before);
            *before = (*before).max(*count);
        }
        match self
            .store
            .ingest(Batch {
                key: None,
                observations,
                exclusions: Vec::new(),
            })
            .await
        {
            Ok(_) => {
                for (key, count) in counts {
                    self.accounts.entry(key).or_default().acknowledged += count;
                }
            }
            Err(_) => {
                self.unsent.push_back(unsent);
                if self.unsent.len() > UNSENT_BODIES_MAX {
                    self.unsent.pop_front();
                }
            }
        }
        Ok(())
    }

    /// One body outside of the traffic; what came of each line.
    pub(super) async fn post(&self, server: &ControllerHandle, body: &[u8]) -> Result<Ingested, WorldError> {
        let ingested = self.read(server, body)?;
        self.store
            .ingest(Batch {
                key: None,
                observations: ingested.observations.clone(),
                exclusions: ingested.exclusions.clone(),
            })
            .await?;
        Ok(ingested)
    }

    fn judge(&self, server: &ControllerHandle, body: &[u8]) -> Result<Vec<Counted>, WorldError> {
        let ingested = self.read(server, body)?;
        match ingested.refused.first() {
            Some(refused) => Err(WorldError::Refused(refused.detail.clone())),
            None => Ok(ingested.observations),
        }
    }

    fn read(&self, server: &ControllerHandle, body: &[u8]) -> Result<Ingested, WorldError> {
        let (board, snapshot) = (server.board(), server.snapshot());
        let world = ingest::World {
            board: &board,
            snapshot: &snapshot,
            receipts: &self.receipts,
        };
        ingest::ingest(&world, body, Format::Ndjson, BODY_OBSERVATIONS_MAX)
            .map_err(|error| WorldError::Refused(error.to_string()))
    }
}

fn counts(observations: &[Counted]) -> BTreeMap<AccountKey, u64> {
    let mut counts = BTreeMap::new();
    for counted in observations {
        for (metric, _) in &counted.values {
            *counts
                .entry((counted.rollout, metric.clone(), counted.arm))
                .or_default() += 1;
        }
    }
    counts
}

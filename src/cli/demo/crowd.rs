//! People who use the demo's application: each asks for an assignment over HTTP, and what is
//! observed of the answer is sent with its receipt.

use super::ledger::Ledger;
use crate::clock::Clock;
use crate::ids::Arm;
use crate::sim::population::{Law, Population, Users, Visitor};
use anyhow::Context as _;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Visits in a second, on average.
const VISITS_PER_SECOND: f64 = 500.0;
/// Time between two handfuls of visits.
const HANDFUL: Duration = Duration::from_millis(20);
/// Visits that may wait for a worker.
const VISITS_QUEUED_MAX: usize = 1_024;
/// Workers that ask for assignments, each over a connection that it keeps.
const WORKERS: usize = 4;
/// Time between two batches of observations.
const BATCH: Duration = Duration::from_millis(50);
/// Time between two questions of the one who watches for the end of treatment.
const PROBE: Duration = Duration::from_millis(5);
/// How many people there are.
const PEOPLE: u32 = 20_000;
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What is observed of the answers of one version.
#[derive(Debug, Clone)]
pub(super) struct Quality {
    /// Scores of `faithfulness`.
    pub(super) faithfulness: Law,
    /// `errors`.
    pub(super) errors: Law,
}

/// People who come and go until this value is dropped.
#[derive(Debug)]
pub(super) struct Crowd {
    ledger: Arc<Ledger>,
    _tasks: JoinSet<()>,
}

/// Where everybody goes.
#[derive(Clone)]
struct Shop {
    http: reqwest::Client,
    assignments: Url,
    observations: Url,
    policy: &'static str,
    qualities: Arc<BTreeMap<u32, Quality>>,
    ledger: Arc<Ledger>,
}

/// Somebody comes; their place in each law is drawn before anybody knows their arm.
struct Visit {
    visitor: Visitor,
    faithfulness: f64,
    errors: f64,
}

/// As much of an assignment as an application needs.
#[derive(Deserialize)]
struct Assignment {
    arm: String,
    version: Option<u32>,
    receipt: Option<String>,
}

impl Assignment {
    fn arm(&self) -> Arm {
        self.arm.parse().unwrap_or(Arm::Control)
    }
}

/// An observation on its way.
struct Observed {
    line: String,
    is_treated: bool,
}

impl Crowd {
    /// People who ask `server` under `policy`, and are observed as the quality of each version says.
    pub(super) fn gather(
        server: &Url,
        policy: &'static str,
        seed: u64,
        qualities: BTreeMap<u32, Quality>,
    ) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .context("cannot set up the crowd's HTTP client")?;
        let ledger = Arc::<Ledger>::default();
        let shop = Shop {
            http,
            assignments: server.join(&format!("v1/assignments/{policy}"))?,
            observations: server.join("v1/observations")?,
            policy,
            qualities: Arc::new(qualities),
            ledger: Arc::clone(&ledger),
        };
        let (visits, queue) = mpsc::channel(VISITS_QUEUED_MAX);
        let (observations, batches) = mpsc::channel(VISITS_QUEUED_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let mut tasks = JoinSet::new();
        tasks.spawn(come(seed, visits));
        for _ in 0..WORKERS {
            tasks.spawn(shop.clone().serve(Arc::clone(&queue), observations.clone()));
        }
        tasks.spawn(shop.clone().send(batches));
        tasks.spawn(shop.probe());
        Ok(Self {
            ledger,
            _tasks: tasks,
        })
    }

    /// What the crowd has seen and done.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

async fn come(seed: u64, visits: mpsc::Sender<Visit>) {
    let users = Users::Returning {
        count: PEOPLE,
        correlation: 0.2,
        activity_sigma: 0.5,
    };
    let mut population = Population::new(seed, users);
    let mut handfuls = tokio::time::interval(HANDFUL);
    handfuls.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        handfuls.tick().await;
        for visitor in population.arrivals(VISITS_PER_SECOND * HANDFUL.as_secs_f64()) {
            let (faithfulness, errors) = (population.place(&visitor), population.place(&visitor));
            let visit = Visit {
                visitor,
                faithfulness,
                errors,
            };
            match visits.try_send(visit) {
                Ok(()) => {}
                // A queue that is full sends people away, as it does in life.
                Err(mpsc::error::TrySendError::Full(_)) => break,
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }
}

impl Shop {
    async fn serve(self, queue: Arc<Mutex<mpsc::Receiver<Visit>>>, observations: mpsc::Sender<Observed>) {
        loop {
            let visit = queue.lock().await.recv().await;
            let Some(visit) = visit else { return };
            let user = &visit.visitor.user;
            let Some(assignment) = self.ask(user).await else {
                continue;
            };
            self.ledger.answered(user, assignment.arm(), Clock::System.now());
            let observed = self.observe(&visit, &assignment);
            if let Some(observed) = observed
                && observations.send(observed).await.is_err()
            {
                return;
            }
        }
    }

    async fn ask(&self, user: &str) -> Option<Assignment> {
        let asked = self.http.get(self.assignments.clone()).query(&[("user", user)]);
        let answer = async { asked.send().await?.error_for_status()?.json::<Assignment>().await };
        let Ok(assignment) = answer.await else {
            self.ledger.failed();
            return None;
        };
        Some(assignment)
    }

    /// What is observed of a visit; nothing where it would not count.
    fn observe(&self, visit: &Visit, assignment: &Assignment) -> Option<Observed> {
        let receipt = assignment.receipt.as_deref()?;
        let quality = self.qualities.get(&assignment.version?)?;
        let line = serde_json::json!({
            "policy": self.policy,
            "receipt": receipt,
            "metrics": {
                "faithfulness": quality.faithfulness.at(visit.faithfulness),
                "errors": quality.errors.at(visit.errors),
            },
        });
        Some(Observed {
            line: line.to_string(),
            is_treated: assignment.arm() == Arm::Treatment,
        })
    }

    async fn send(self, mut batches: mpsc::Receiver<Observed>) {
        let mut pauses = tokio::time::interval(BATCH);
        pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pauses.tick().await;
            let mut batch = Vec::with_capacity(VISITS_QUEUED_MAX);
            if batches.recv_many(&mut batch, VISITS_QUEUED_MAX).await == 0 {
                return;
            }
            let body: String = batch
                .iter()
                .map(|observed| format!("{}\n", observed.line))
                .collect();
            let posted = self
                .http
                .post(self.observations.clone())
                .header(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))
                .body(body);
            match posted.send().await.and_then(reqwest::Response::error_for_status) {
                Ok(_) => {
                    let is_treated = batch.iter().any(|observed| observed.is_treated);
                    let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                    self.ledger.acknowledged(count, is_treated, Clock::System.now());
                }
                Err(_) => self.ledger.failed(),
            }
        }
    }

    /// Asks for one treated user again and again, so that the end of treatment is seen to a few
    /// milliseconds.
    async fn probe(self) {
        let mut pauses = tokio::time::interval(PROBE);
        pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pauses.tick().await;
            if let Some(user) = self.ledger.treated_user()
                && let Some(assignment) = self.ask(&user).await
            {
                self.ledger.probed(assignment.arm(), Clock::System.now());
            }
        }
    }
}

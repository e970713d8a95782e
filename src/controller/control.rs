//! The controller's memory, how it comes back after a start, and the loop that drives it.

use super::book::PolicyBook;
use super::composed::Composed;
use super::execute::Unfinished;
use super::labels::SeenLabels;
use super::outages::Outage;
use super::rest::Resting;
use super::running::Running;
use super::unheard::Unheard;
use super::{Board, CommandError, ControllerSide, Request};
use crate::assignment::Route;
use crate::assignment::admission::Segment;
use crate::clock::Clock;
use crate::ids::{Exposure, PolicyName, RegistryName, Tick};
use crate::policy::{Policy, check};
use crate::registry::{Freshness, Registry};
use crate::rollout::RolloutState;
use crate::store::{Secret, Store, StoreError};
use crate::telemetry::Telemetry;
use crate::telemetry::traces::{Parent, Work};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long after the end of a second its tick is read: the writer has stamped everything by then.
const AFTER_TICK_MILLISECONDS: u64 = 5;

/// Time between two looks at the policy folder, in seconds.
const FOLDER_EVERY_SECONDS: i64 = 2;

/// What a controller is made of.
pub struct Parts {
    /// Keeps everything.
    pub store: Arc<dyn Store>,
    /// By name.
    pub registries: BTreeMap<RegistryName, Arc<dyn Registry>>,
    /// The policies.
    pub book: PolicyBook,
    /// The time.
    pub clock: Clock,
    /// The secret that keys are derived from.
    pub secret: Secret,
    /// Counts transitions and label moves.
    pub telemetry: Arc<Telemetry>,
    /// The other end of the handle.
    pub side: ControllerSide,
}

/// Makes reality match what `decide` says.
pub struct Controller {
    pub(super) store: Arc<dyn Store>,
    pub(super) registries: BTreeMap<RegistryName, Arc<dyn Registry>>,
    pub(super) book: PolicyBook,
    pub(super) clock: Clock,
    pub(super) secret: Secret,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) side: ControllerSide,
    /// The policies in force.
    pub(super) policies: BTreeMap<PolicyName, Arc<Policy>>,
    /// The running rollout of each policy, or its last one.
    pub(super) rollouts: BTreeMap<PolicyName, Running>,
    /// The labels of each policy as last read.
    pub(super) labels: BTreeMap<PolicyName, SeenLabels>,
    /// Prompts that take in what policies steer.
    pub(super) composed: Composed,
    /// Policies whose registry does not answer.
    pub(super) outages: BTreeMap<PolicyName, Outage>,
    /// Policies whose labels are said to have moved since they were read.
    pub(super) nudged: BTreeSet<PolicyName>,
    /// Policies that need not be looked at.
    pub(super) resting: Resting,
    /// The last tick in which each policy was looked at.
    pub(super) looked_at: BTreeMap<PolicyName, Tick>,
    /// Effects that are committed and not finished.
    pub(super) unfinished: VecDeque<Unfinished>,
    /// Label moves that may still be carried out, although nobody heard of them.
    pub(super) unheard: Unheard,
    /// Policies whose status or route may have changed since they were published.
    pub(super) touched: BTreeSet<PolicyName>,
    /// Why the store could not do its part in the last tick that asked it for something.
    pub(super) store_error: Option<String>,
    /// Whether the store may hold something else than is in memory.
    pub(super) is_behind: bool,
    pub(super) board: Board,
    /// What assignments are answered from, by policy.
    pub(super) routes: BTreeMap<PolicyName, Arc<Route>>,
    /// How many snapshots were published.
    pub(super) published: u64,
    /// Users who are in treatment of no policy.
    pub(super) reserve: Option<Segment>,
    /// What is told of the tick, or the command, that is worked on.
    pub(super) traced: Work,
    folder_read: Option<Timestamp>,
}

impl Controller {
    /// Goes on from what the store holds, and publishes it.
    ///
    /// Policies are read first: a rollout whose policy is gone goes on under the text that it
    /// started with.
    pub async fn resume(parts: Parts) -> Result<Self, StoreError> {
        let Parts {
            store,
            registries,
            book,
            clock,
            secret,
            telemetry,
            side,
        } = parts;
        let mut controller = Self {
            store,
            registries,
            book,
            clock,
            secret,
            telemetry,
            side,
            policies: BTreeMap::new(),
            rollouts: BTreeMap::new(),
            labels: BTreeMap::new(),
            composed: Composed::default(),
            outages: BTreeMap::new(),
            nudged: BTreeSet::new(),
            resting: Resting::default(),
            looked_at: BTreeMap::new(),
            unfinished: VecDeque::new(),
            unheard: Unheard::default(),
            touched: BTreeSet::new(),
            store_error: None,
            is_behind: false,
            board: Board::default(),
            routes: BTreeMap::new(),
            published: 0,
            reserve: None,
            traced: Work::default(),
            folder_read: None,
        };
        controller.read_folder().await;
        controller.restore().await?;
        controller.note_inherited(controller.clock.now());
        let names: Vec<PolicyName> = controller.touched.iter().cloned().collect();
        controller.read_labels(&names, Freshness::Polled).await;
        controller.look_at_compositions(controller.clock.now()).await;
        controller.publish();
        Ok(controller)
    }

    /// The same with a share of users, drawn by `salt`, who are in treatment of no policy.
    #[must_use]
    pub fn with_reserve(mut self, share: Exposure, salt: &str) -> Self {
        self.reserve = (share > Exposure::NOBODY).then(|| Segment::reserve(share, salt, &self.secret.0));
        let (policies, rollouts) = (self.policies.keys(), self.rollouts.keys());
        self.touched = policies.chain(rollouts).cloned().collect();
        self.publish();
        self
    }

    /// Reads rollouts and effects from the store, instead of what is in memory.
    pub(super) async fn restore(&mut self) -> Result<(), StoreError> {
        let loaded = self.store.load().await?;
        let mut rollouts = BTreeMap::new();
        for state in loaded.rollouts {
            let policy = self.policy_for(&state).await?;
            let name = state.policy.clone();
            self.touched.insert(name.clone());
            rollouts.insert(name, Running::restore(self.store.as_ref(), policy, state).await?);
        }
        self.rollouts = rollouts;
        let unfinished = loaded.effects.into_iter();
        self.unfinished = unfinished
            .map(|effect| Unfinished::new(effect, Parent::default()))
            .collect();
        Ok(())
    }

    /// The policy that a rollout started under.
    async fn policy_for(&self, state: &RolloutState) -> Result<Arc<Policy>, StoreError> {
        if let Some(policy) = self
            .policies
            .get(&state.policy)
            .filter(|policy| policy.revision == state.revision)
        {
            return Ok(Arc::clone(policy));
        }
        let corrupt = |why: String| StoreError::Corrupt {
            what: "the policy of a rollout",
            why,
        };
        let source = self.store.policy_source(&state.revision).await?;
        let source = source.ok_or_else(|| corrupt(format!("revision {} is not there", state.revision)))?;
        match check::check(&state.policy.to_string(), &source) {
            Ok(sound) => Ok(Arc::new(sound.policy)),
            Err(problems) => Err(corrupt(
                problems
                    .first()
                    .map(|problem| problem.message.clone())
                    .unwrap_or_default(),
            )),
        }
    }

    /// Looks at the policy folder, when it is time to.
    pub async fn read_folder(&mut self) {
        let now = self.clock.now();
        let every = SignedDuration::from_secs(FOLDER_EVERY_SECONDS);
        if self
            .folder_read
            .is_some_and(|read| now.duration_since(read).abs() < every)
        {
            return;
        }
        self.folder_read = Some(now);
        match self.book.refresh(now).await {
            Ok(false) if !self.policies.is_empty() => {}
            Ok(_) => {
                let policies = self.book.policies();
                let known = self.policies.keys().chain(policies.keys());
                self.touched.extend(known.cloned());
                for name in policies.keys().filter(|name| !self.policies.contains_key(*name)) {
                    self.looked_at.remove(name);
                }
                tracing::info!(
                    policies = policies.len(),
                    problems = self.book.problems().len(),
                    "policies read"
                );
                self.policies = policies;
                self.wake_for_policies();
                self.warn_of_parents();
            }
            Err(error) => {
                tracing::error!(error = %error, "the policy folder cannot be read; policies stay as they are")
            }
        }
    }

    /// Whether another `every` of the policy has passed since it was last looked at.
    pub(super) fn is_due(&self, name: &PolicyName, tick: Tick) -> bool {
        let running = self
            .rollouts
            .get(name)
            .filter(|running| !running.course.state.phase.is_over());
        let policy = running
            .map(|running| &running.course.policy)
            .or_else(|| self.policies.get(name));
        self.looked_at.get(name).is_none_or(|looked| {
            policy.map_or(*looked != tick, |policy| policy.analysis.is_due(*looked, tick))
        })
    }

    /// Ticks at the end of every second and answers requests in between, until `stop` resolves.
    ///
    /// A tick that is due goes first: however much is asked, a candidate that is worse is taken back.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) -> Self {
        let mut end_of_tick = std::pin::pin!(tokio::time::sleep(until_tick(self.clock.now())));
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => return self,
                () = &mut end_of_tick => {
                    self.read_folder().await;
                    self.tick().await;
                    end_of_tick.set(tokio::time::sleep(until_tick(self.clock.now())));
                }
                request = self.side.requests.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return self,
                },
            }
        }
    }

    /// Does what somebody asks for, publishes it, and answers.
    pub async fn answer(&mut self, request: Request) {
        let now = self.clock.now();
        self.traced = self.telemetry.tracer().work("serin.command", now);
        self.carry_out(request, now).await;
        self.traced = Work::default();
    }

    async fn carry_out(&mut self, request: Request, now: Timestamp) {
        let (answer, reply) = match request {
            Request::Start { start, reply } => (self.start(start, now).await, reply),
            Request::Command {
                rollout,
                command,
                reply,
            } => (self.command(rollout, command, now).await, reply),
            Request::Look { registry, prompt } => return self.nudge(&registry, &prompt),
        };
        if let Ok(state) = &answer {
            // What follows from it is decided with the next tick, by labels that are read then: those
            // of the last look may be the very reason for the request.
            self.wake(&state.policy);
            self.looked_at.remove(&state.policy);
        }
        if let Err(CommandError::Store(error)) = &answer
            && !matches!(error, StoreError::AlreadyRunning { .. })
        {
            self.note_store_trouble(error).await;
        }
        self.publish();
        let granted = answer.is_ok();
        // Whoever asked may have gone; what was done stays done.
        let _: Result<(), Result<RolloutState, CommandError>> = reply.send(answer);
        if granted {
            if let Err(error) = self.act(now).await {
                self.note_store_trouble(&error).await;
            }
            self.publish();
        }
    }
}

/// Time until the present tick is closed and stamped.
fn until_tick(now: Timestamp) -> Duration {
    let into_tick = now.as_millisecond().rem_euclid(1000 * Tick::SECONDS);
    let rest = u64::try_from(1000 * Tick::SECONDS - into_tick).unwrap_or(1000);
    Duration::from_millis(rest + AFTER_TICK_MILLISECONDS)
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller")
            .field("rollouts", &self.rollouts)
            .finish_non_exhaustive()
    }
}

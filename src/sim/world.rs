//! A server without sockets: the real controller and store, a model of a registry, a clock that
//! is moved by hand, and people who come.

use super::faults::hazards::Hazards;
use super::faults::registry::HazardousRegistry;
use super::faults::store::HazardousStore;
use super::faults::transport::HazardousTransport;
use super::langfuse::Model;
use super::senders::{Account, AccountKey, Senders};
use crate::assignment::receipt::ReceiptKey;
use crate::clock::{Clock, ManualClock};
use crate::controller::book::PolicyBook;
use crate::controller::{
    self, CommandError, Controller, ControllerHandle, Parts, Request, RolloutStatus, StartRequest,
};
use crate::ids::{Label, PolicyName, PromptName, RegistryName, RolloutId, Tick, Version};
use crate::policy::Policy;
use crate::registry::Registry;
use crate::registry::in_memory::InMemory;
use crate::registry::langfuse::{Langfuse, Manner};
use crate::rollout::{Command, RolloutState};
use crate::source::ingest::Ingested;
use crate::store::sqlite::SqliteStore;
use crate::store::{Secret, Store, StoreError};
use crate::telemetry::Telemetry;
use jiff::{SignedDuration, Timestamp};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the secret that users are hashed with is drawn from.
    pub seed: u64,
    /// When it begins.
    pub start: Timestamp,
    /// The registry that policies name.
    pub registry: RegistryName,
    /// What steers the rollouts.
    pub policies: Policies,
}

/// Where the policies of a world are.
#[derive(Debug, Clone)]
pub enum Policies {
    /// In memory; they never change.
    Fixed(Vec<Policy>),
    /// In a folder, which the controller reads again and again.
    Folder(PathBuf),
}

/// What can go wrong with a world, other than what is made to go wrong in it.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The store that everything is built on.
    #[error("the world's store failed")]
    Store(#[from] StoreError),
    /// Two of the server's counters have the same name.
    #[error("the telemetry cannot be set up")]
    Telemetry(#[source] prometheus::Error),
    /// The people of this world send what the server does not understand.
    #[error("an observation was refused: {0}")]
    Refused(String),
    /// Somebody asked a server that is down.
    #[error("the server is down")]
    Down,
}

/// A server without sockets, and everything around it.
pub struct World {
    setup: Setup,
    secret: Secret,
    clock: ManualClock,
    /// What the clock showed at most, before it last moved.
    latest: Timestamp,
    store: Arc<dyn Store>,
    registry: Arc<InMemory>,
    /// Where labels live instead, in a world with a Langfuse.
    langfuse: Option<Arc<Model>>,
    reached: Arc<HazardousRegistry>,
    hazards: Arc<Hazards>,
    sender_hazards: Arc<Hazards>,
    senders: Senders,
    server: Option<Server>,
    /// Ticks until the server is started again.
    down_ticks: u32,
    /// Ticks that it will be down after its next crash.
    down_ticks_next: u32,
}

/// What dies in a crash.
struct Server {
    controller: Controller,
    handle: ControllerHandle,
}

impl World {
    /// A world whose server has just started.
    pub async fn new(setup: Setup) -> Result<Self, WorldError> {
        let clock = ManualClock::starting_at(setup.start);
        Self::assemble(setup, clock, None).await
    }

    /// A world whose prompts and labels live in a model of a Langfuse.
    pub async fn with_langfuse(setup: Setup) -> Result<Self, WorldError> {
        let clock = ManualClock::starting_at(setup.start);
        let model = Arc::new(Model::new(clock.clone()));
        Self::assemble(setup, clock, Some(model)).await
    }

    async fn assemble(
        setup: Setup,
        clock: ManualClock,
        langfuse: Option<Arc<Model>>,
    ) -> Result<Self, WorldError> {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory(Clock::Manual(clock.clone()))?);
        let registry = Arc::new(InMemory::new(clock.clone()));
        let (hazards, sender_hazards) = (Arc::<Hazards>::default(), Arc::<Hazards>::default());
        let secret = Secret(sha2::Sha256::digest(setup.seed.to_le_bytes()).into());
        let receipts = ReceiptKey::derive(&secret.0);
        let mut world = Self {
            reached: Arc::new(HazardousRegistry::new(
                Arc::clone(&registry) as Arc<dyn Registry>,
                Arc::clone(&hazards),
            )),
            senders: Senders::new(Arc::clone(&store), Arc::clone(&sender_hazards), receipts),
            latest: setup.start,
            setup,
            secret,
            clock,
            store,
            registry,
            langfuse,
            hazards,
            sender_hazards,
            server: None,
            down_ticks: 0,
            down_ticks_next: 0,
        };
        world.start_server().await?;
        Ok(world)
    }

    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the clock shows what it never showed before: then every earlier tick is closed.
    pub fn is_ahead(&self) -> bool {
        self.now() > self.latest
    }

    /// Moves the clock, without a tick.
    pub fn jump(&mut self, by: SignedDuration) {
        self.latest = self.latest.max(self.now());
        self.clock.advance(by);
    }

    /// The store, without hazards.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The registry, without hazards; in a world with a Langfuse nobody asks it.
    pub fn registry(&self) -> &InMemory {
        &self.registry
    }

    /// The Langfuse, without hazards, in a world that has one.
    pub fn langfuse(&self) -> Option<&Model> {
        self.langfuse.as_deref()
    }

    /// Where a label points in truth.
    pub fn label(&self, prompt: &PromptName, label: &Label) -> Option<Version> {
        match &self.langfuse {
            Some(model) => {
                let found = model.label(prompt.as_str(), label.as_str())?;
                Version::new(found).ok()
            }
            None => self.registry.label(prompt, label),
        }
    }

    /// Cuts whoever has the labels off, or brings it back.
    pub fn set_registry_away(&self, is_away: bool) {
        match &self.langfuse {
            Some(model) => model.set_away(is_away),
            None => self.registry.set_away(is_away),
        }
    }

    /// The registry as the controller reaches it.
    pub fn reached(&self) -> &HazardousRegistry {
        &self.reached
    }

    /// What is about to strike the controller.
    pub fn hazards(&self) -> &Hazards {
        &self.hazards
    }

    /// What is about to strike the senders of observations.
    pub fn sender_hazards(&self) -> &Hazards {
        &self.sender_hazards
    }

    /// How many observations were sent and acknowledged so far.
    pub fn accounts(&self) -> &BTreeMap<AccountKey, Account> {
        self.senders.accounts()
    }

    /// Everybody who sends observations.
    pub fn senders(&mut self) -> &mut Senders {
        &mut self.senders
    }

    /// What the server shows; none while it is down.
    pub fn handle(&self) -> Option<&ControllerHandle> {
        self.server.as_ref().map(|server| &server.handle)
    }

    /// The running rollout of a policy, or its last one; none while the server is down.
    pub fn rollout_of(&self, policy: &PolicyName) -> Option<Arc<RolloutStatus>> {
        let board = self.handle()?.board();
        board.policies.get(policy)?.rollout.clone()
    }

    /// One second: people come, the second ends, and the controller looks at it.
    pub async fn tick(&mut self) -> Result<(), WorldError> {
        if let Some(server) = &self.server {
            self.senders.second(&server.handle).await?;
        }
        self.jump(SignedDuration::from_secs(Tick::SECONDS));
        self.tell_of_webhooks().await;
        if self.server.is_none() {
            if self.down_ticks > 0 {
                self.down_ticks -= 1;
                return Ok(());
            }
            self.start_server().await?;
        }
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        let controller = &mut server.controller;
        let work = async {
            controller.read_folder().await;
            controller.tick().await;
        };
        let crashes = tokio::select! {
            biased;
            () = self.hazards.crashed() => true,
            () = work => false,
        };
        if crashes {
            self.stop_server();
        }
        Ok(())
    }

    /// Each webhook comes twice, and all of them one tick late.
    async fn tell_of_webhooks(&mut self) {
        let events = self.langfuse.as_ref().map(|model| model.take_events());
        let Some(server) = &mut self.server else {
            return;
        };
        for event in events.iter().flatten() {
            let Ok(prompt) = PromptName::new(event["prompt"]["name"].as_str().unwrap_or_default()) else {
                continue;
            };
            for _ in 0..2 {
                let (registry, prompt) = (self.setup.registry.clone(), prompt.clone());
                server.controller.answer(Request::Look { registry, prompt }).await;
            }
        }
    }

    /// Has the server crash at the next of the controller's points after `points` of them, and stay
    /// down for so many ticks.
    pub fn crash_after(&mut self, points: u32, down_ticks: u32) {
        self.down_ticks_next = down_ticks;
        self.hazards.crash_after(points);
    }

    /// Sends one body of observations as an application would; what came of each line.
    pub async fn post(&self, body: &[u8]) -> Result<Ingested, WorldError> {
        let Some(server) = &self.server else {
            return Err(WorldError::Down);
        };
        self.senders.post(&server.handle, body).await
    }

    /// Kills the server between two ticks.
    pub fn stop_server(&mut self) {
        self.server = None;
        self.down_ticks = std::mem::take(&mut self.down_ticks_next);
    }

    /// Starts the server from what the store holds; it may crash, or fail, in the middle of it.
    async fn start_server(&mut self) -> Result<(), WorldError> {
        let (handle, side) = controller::channel();
        let store: Arc<dyn Store> = Arc::new(HazardousStore::new(
            Arc::clone(&self.store),
            Arc::clone(&self.hazards),
        ));
        if let Some(model) = &self.langfuse {
            // What a client remembers dies with its process.
            let (model, hazards) = (Arc::clone(model), Arc::clone(&self.hazards));
            let transport = Arc::new(HazardousTransport::new(model, hazards));
            let clock = Clock::Manual(self.clock.clone());
            let client = Langfuse::new(transport, manner(), clock);
            self.reached.replace(Arc::new(client));
        }
        let reached: Arc<dyn Registry> = Arc::clone(&self.reached) as Arc<dyn Registry>;
        let parts = Parts {
            store,
            registries: BTreeMap::from([(self.setup.registry.clone(), reached)]),
            book: match &self.setup.policies {
                Policies::Fixed(policies) => PolicyBook::of_policies(policies.clone()),
                Policies::Folder(folder) => PolicyBook::of_folder(folder.clone()),
            },
            clock: Clock::Manual(self.clock.clone()),
            secret: self.secret.clone(),
            telemetry: Arc::new(Telemetry::new().map_err(WorldError::Telemetry)?),
            side,
        };
        self.reached.witness(handle.clone());
        let resumed = tokio::select! {
            biased;
            () = self.hazards.crashed() => None,
            resumed = Controller::resume(parts) => resumed.ok(),
        };
        // One that did not come up is started again at the next tick.
        self.server = resumed.map(|controller| Server { controller, handle });
        Ok(())
    }

    /// Asks the server to start a rollout.
    pub async fn start(
        &mut self,
        start: StartRequest,
    ) -> Result<Result<RolloutState, CommandError>, WorldError> {
        self.ask(|reply| Request::Start { start, reply }).await
    }

    /// Hands a person's command to a rollout.
    pub async fn command(
        &mut self,
        rollout: RolloutId,
        command: Command,
    ) -> Result<Result<RolloutState, CommandError>, WorldError> {
        self.ask(|reply| Request::Command {
            rollout,
            command,
            reply,
        })
        .await
    }

    async fn ask(
        &mut self,
        request: impl FnOnce(oneshot::Sender<Result<RolloutState, CommandError>>) -> Request,
    ) -> Result<Result<RolloutState, CommandError>, WorldError> {
        let Some(server) = &mut self.server else {
            return Err(WorldError::Down);
        };
        let (reply, answer) = oneshot::channel();
        let crashes = tokio::select! {
            biased;
            () = self.hazards.crashed() => true,
            () = server.controller.answer(request(reply)) => false,
        };
        if crashes {
            self.stop_server();
        }
        answer.await.map_err(|_| WorldError::Down)
    }
}

/// Labels are looked at in every tick, so that checks see what the controller saw.
fn manner() -> Manner {
    Manner {
        look_every: Duration::from_secs(1),
        ..Manner::default()
    }
}

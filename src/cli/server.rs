//! The server as one value: store, registries, controller and API, put together.

use super::report::Hinted;
use crate::api::access::{Access, access_mode};
use crate::api::{self, App};
use crate::caches::{self, Keeper};
use crate::clock::Clock;
use crate::config::{LangfuseSettings, RegistryKind, Settings};
use crate::console::playground::Model;
use crate::console::{self, Console, recorder};
use crate::controller::book::PolicyBook;
use crate::controller::{self, Controller, ControllerHandle, ControllerSide};
use crate::ids::RegistryName;
use crate::notify::{self, Notifier, Secrets};
use crate::registry::embedded::Embedded;
use crate::registry::langfuse::transport::{Http, Keys};
use crate::registry::langfuse::{CacheManner, Langfuse, Manner};
use crate::registry::{HookSecret, Registry};
use crate::store::sqlite::SqliteStore;
use crate::store::{Secret, Store, StoreError};
use crate::telemetry::Telemetry;
use crate::telemetry::traces::Exporting;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// How often calls are looked for that were held long enough.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// A server that runs in this process, until [`Self::stop`] or until one of its parts fails.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    work: JoinHandle<anyhow::Result<()>>,
}

/// The parts of a server that run.
struct Running {
    store: Arc<SqliteStore>,
    /// Held until the controller is told to stop: it takes it for the end when nobody can ask any more.
    app: Arc<App>,
    controller: JoinHandle<Controller>,
    stop_controller: oneshot::Sender<()>,
    answers: JoinHandle<std::io::Result<()>>,
    settling: JoinHandle<()>,
    stop_settling: oneshot::Sender<()>,
    telling: Telling,
    exporting: Option<Exporting>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Opens the store, goes on with its rollouts, and answers requests from here on.
    ///
    /// Port 0 takes a free one: see [`Self::address`]. Logs are the caller's to set up.
    ///
    /// # Errors
    ///
    /// When the data are in use or cannot be read, the policy folder or the address cannot be used, or
    /// the address can be reached from other machines and there is no token.
    pub async fn start(settings: &Settings, clock: Clock) -> anyhow::Result<Self> {
        check_folder(&settings.policies)?;
        let busy = "stop the other server, or give this one a `--data` folder of its own";
        let store = Arc::new(open(&settings.data, clock.clone(), busy).await?);
        let started = Self::with_store(settings, clock, Arc::clone(&store)).await;
        if started.is_err() {
            store.close().await;
        }
        started
    }

    async fn with_store(settings: &Settings, clock: Clock, store: Arc<SqliteStore>) -> anyhow::Result<Self> {
        let tokens = store.tokens().await.context("cannot read the tokens")?.len();
        let mode = access_mode(settings.listen, tokens, settings.insecure)?;
        let access = Access::load(mode, store.as_ref())
            .await
            .context("cannot read the tokens")?;
        let (listener, address) = listen(settings.listen).await?;
        let secret = match &settings.secret {
            Some(secret) => secret.clone(),
            None => store.secret().await.context("cannot read the secret")?,
        };
        let (telemetry, exporting) = telemetry(settings, &clock)?;
        let Registries { all, langfuses } = registries(settings, &clock, &store)?;
        let (handle, side) = controller::channel();
        let parts = caches::Parts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            registries: all.clone(),
            controller: handle.clone(),
            telemetry: Arc::clone(&telemetry),
            clock: clock.clone(),
        };
        // Before the controller: what it says of the time after a rollback knows of them.
        let keepers = super::caches::keepers(settings, &parts)?;
        let controller = resume(settings, &secret, parts, side).await?;
        let telling = Telling::start(settings, &store, &handle, &clock, &telemetry)?;
        let app = App::new(api::Parts {
            controller: handle,
            store: Arc::clone(&store) as Arc<dyn Store>,
            registries: all,
            clock,
            secret: secret.clone(),
            access,
            telemetry,
            limits: settings.limits,
            hooks: hooks(settings),
        });
        let app = app.with_allowed_origins(settings.allowed_origins.clone());
        let app = Arc::new(app.with_langfuses(langfuses));
        keep_up(&app, &store, keepers);
        let model = settings.playground.as_ref().map(Model::new).transpose()?;
        let console = Console::new(Arc::clone(&app), &secret).with_model(model);
        let pages = console::routes(Arc::new(console));
        let front = api::wrap(api::routes(console::described()).merge(pages), Arc::clone(&app));
        let (stop, stopped) = watch::channel(false);
        let (stop_controller, controller_stopped) = oneshot::channel();
        let (stop_settling, settling_stopped) = oneshot::channel();
        let running = Running {
            store,
            controller: tokio::spawn(control(controller, controller_stopped)),
            stop_controller,
            answers: tokio::spawn(answer(
                listener,
                Arc::clone(&app),
                front,
                stopped,
                settings.shutdown_grace,
            )),
            settling: tokio::spawn(settle(Arc::clone(&app), settling_stopped)),
            stop_settling,
            telling,
            exporting,
            app,
            stop: stop.clone(),
        };
        Ok(Self {
            address,
            stop,
            work: tokio::spawn(running.finish()),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it ends by itself, which it does only when a part of it failed.
    ///
    /// # Errors
    ///
    /// What failed.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.work).await.context("the server broke off")?
    }

    /// Takes no more requests, lets those that are worked on finish within the grace, and closes the store.
    ///
    /// # Errors
    ///
    /// When a part of it failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.work.await.context("the server broke off")?
    }
}

/// Notifications on their way, beside the controller.
struct Telling {
    work: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Telling {
    fn start(
        settings: &Settings,
        store: &Arc<SqliteStore>,
        controller: &ControllerHandle,
        clock: &Clock,
        telemetry: &Arc<Telemetry>,
    ) -> anyhow::Result<Self> {
        let notifier = Notifier::new(notify::Parts {
            store: Arc::clone(store) as Arc<dyn Store>,
            controller: controller.clone(),
            clock: clock.clone(),
            telemetry: Arc::clone(telemetry),
            secrets: notify_secrets(settings),
            timeout: Notifier::TIMEOUT,
        })?;
        let (stop, stopped) = oneshot::channel();
        let work = tokio::spawn(notifier.run(stopped));
        Ok(Self { work, stop })
    }

    async fn stop(self) -> anyhow::Result<()> {
        // It may have ended by itself; then nobody listens.
        self.stop.send(()).ok();
        self.work.await.context("the notifications broke off")
    }
}

impl Running {
    /// Waits for the signal to stop, or for a part that ends before it; then ends the others in order.
    async fn finish(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        let mut controller = None;
        let answers = tokio::select! {
            answers = &mut self.answers => answers,
            // Without its controller a server would keep up appearances while nothing is watched.
            ended = &mut self.controller => {
                outcome = Err(anyhow::anyhow!("the controller ended"));
                controller = Some(ended);
                self.stop.send_replace(true);
                (&mut self.answers).await
            }
        };
        match answers.context("the API broke off")? {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "not every request could be answered"),
        }
        // Likewise; what it holds is counted before it ends.
        self.stop_settling.send(()).ok();
        self.settling.await.context("the source of spans broke off")?;
        self.telling.stop().await?;
        // It may have ended by itself; then nobody listens.
        self.stop_controller.send(()).ok();
        drop(self.app);
        let ended = match controller {
            Some(ended) => ended,
            None => self.controller.await,
        };
        let ended = ended.context("the controller broke off");
        self.store.close().await;
        // Last, so that what was told at the end is sent, too.
        if let Some(exporting) = self.exporting {
            exporting.stop().await;
        }
        ended.map(drop)?;
        outcome
    }
}

/// The counters, with spans of Serin's own where the settings say where they go.
fn telemetry(settings: &Settings, clock: &Clock) -> anyhow::Result<(Arc<Telemetry>, Option<Exporting>)> {
    let telemetry = Telemetry::new().context("cannot set up telemetry")?;
    let Some(traces) = &settings.traces else {
        return Ok((Arc::new(telemetry), None));
    };
    let (telemetry, exporting) = telemetry.with_traces(traces, clock.clone())?;
    tracing::info!(service = traces.service, "spans of Serin's own are sent");
    Ok((Arc::new(telemetry), Some(exporting)))
}

/// Counts what spans told, once it was waited for long enough, and all of it at the end.
async fn settle(app: Arc<App>, mut stopped: oneshot::Receiver<()>) {
    let mut beat = tokio::time::interval(SETTLE_EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => app.settle_spans(false).await,
            // A sender that is gone cannot ask any more, which is as good as asking.
            _ = &mut stopped => return app.settle_spans(true).await,
        }
    }
}

/// Answers requests until the signal to stop.
async fn answer(
    listener: TcpListener,
    app: Arc<App>,
    front: api::Front,
    mut stopped: watch::Receiver<bool>,
    grace: Duration,
) -> std::io::Result<()> {
    let shutdown = async move {
        // A sender that is gone cannot ask any more, which is as good as asking.
        stopped.wait_for(|stop| *stop).await.ok();
    };
    api::serve(listener, app, front, shutdown, grace).await
}

/// Opens the store in `directory`, away from the threads that answer; a store that somebody else has
/// open is refused with `hint`.
pub(super) async fn open(directory: &Path, clock: Clock, hint: &'static str) -> anyhow::Result<SqliteStore> {
    let path = directory.to_owned();
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&path, clock)).await;
    opened.context("opening the store broke off")?.map_err(|error| {
        if matches!(error, StoreError::Busy { .. }) {
            return Hinted::new(error.to_string(), hint).into();
        }
        anyhow::Error::new(error).context(format!("cannot open the store in `{}`", directory.display()))
    })
}

/// The controller, with whatever the store holds.
async fn resume(
    settings: &Settings,
    secret: &Secret,
    parts: caches::Parts,
    side: ControllerSide,
) -> anyhow::Result<Controller> {
    let resumed = Controller::resume(controller::Parts {
        store: parts.store,
        registries: parts.registries,
        book: PolicyBook::of_folder(settings.policies.clone()),
        clock: parts.clock,
        secret: secret.clone(),
        telemetry: parts.telemetry,
        side,
    });
    let controller = resumed
        .await
        .context("cannot go on with the rollouts in the store")?;
    Ok(match &settings.reserve {
        Some(reserve) => controller.with_reserve(reserve.share, reserve.salt.as_str()),
        None => controller,
    })
}

/// Ticks until the signal to stop; at once for the first time, because the server is ready with it.
async fn control(mut controller: Controller, stopped: oneshot::Receiver<()>) -> Controller {
    controller.tick().await;
    controller.run(stopped).await
}

/// Starts what goes on beside the answers, and ends when the controller does.
fn keep_up(app: &Arc<App>, store: &Arc<SqliteStore>, keepers: Vec<Keeper>) {
    for keeper in keepers {
        tokio::spawn(keeper.run());
    }
    tokio::spawn(api::keep_warm(Arc::clone(app)));
    tokio::spawn(api::keep_surveyed(Arc::clone(app)));
    let store = Arc::clone(store) as Arc<dyn Store>;
    tokio::spawn(recorder::record(app.controller().clone(), store));
}

fn check_folder(policies: &Path) -> anyhow::Result<()> {
    std::fs::read_dir(policies).map(drop).map_err(|error| {
        let message = format!("cannot read the policy folder `{}`", policies.display());
        Hinted::new(message, "make it, or name another with `--policies`")
            .because(error)
            .into()
    })
}

/// A listener, and where it listens: port 0 takes a free one.
async fn listen(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let message = format!("cannot listen on {address}");
        Hinted::new(
            message,
            "choose another address or port with `--listen`; port 0 takes a free one",
        )
        .because(error)
    })?;
    let address = listener
        .local_addr()
        .context("cannot tell the address that is listened on")?;
    Ok((listener, address))
}

/// The registries of the settings, and those of them that are a Langfuse.
struct Registries {
    all: BTreeMap<RegistryName, Arc<dyn Registry>>,
    langfuses: BTreeMap<RegistryName, Arc<Langfuse>>,
}

fn registries(settings: &Settings, clock: &Clock, store: &Arc<SqliteStore>) -> anyhow::Result<Registries> {
    let mut all: BTreeMap<RegistryName, Arc<dyn Registry>> = BTreeMap::new();
    let mut langfuses = BTreeMap::new();
    for (name, kind) in &settings.registries {
        let registry: Arc<dyn Registry> = match kind {
            RegistryKind::Embedded => Arc::new(Embedded::new(Arc::clone(store) as _)),
            RegistryKind::Langfuse(langfuse) => {
                let reached = self::langfuse(langfuse, clock);
                let reached = reached.with_context(|| format!("cannot use the registry `{name}`"))?;
                let reached = Arc::new(reached);
                langfuses.insert(name.clone(), Arc::clone(&reached));
                reached
            }
        };
        all.insert(name.clone(), registry);
    }
    Ok(Registries { all, langfuses })
}

/// What policies name as the secrets of notifications.
fn notify_secrets(settings: &Settings) -> Secrets {
    let secrets = settings.notify_secrets.iter();
    Secrets::new(
        secrets
            .map(|(name, secret)| (name.clone(), secret.0.clone()))
            .collect(),
    )
}

/// What the webhooks of registries are signed with.
fn hooks(settings: &Settings) -> BTreeMap<RegistryName, HookSecret> {
    let secret = |kind: &RegistryKind| match kind {
        RegistryKind::Embedded => None,
        RegistryKind::Langfuse(langfuse) => langfuse.webhook_secret.clone(),
    };
    let named = settings.registries.iter();
    named
        .filter_map(|(name, kind)| Some((name.clone(), HookSecret::new(secret(kind)?.0))))
        .collect()
}

fn langfuse(settings: &LangfuseSettings, clock: &Clock) -> anyhow::Result<Langfuse> {
    let keys = Keys {
        public: settings.public_key.0.clone(),
        secret: settings.secret_key.0.clone(),
    };
    let http = Http::new(settings.base_url.clone(), &keys, settings.timeout)?;
    let manner = Manner {
        requests_per_minute: settings.requests_per_minute,
        look_every: settings.look_every,
        cache: CacheManner {
            fresh: settings.cache_fresh,
            stale: settings.cache_stale,
        },
    };
    Ok(Langfuse::new(Arc::new(http), manner, clock.clone()))
}

//! The HTTP API: one file for each concern, each handler parse → call → view.
//!
//! Every route is declared once, for the router and for `/openapi.json` alike. Every refusal is a
//! problem (RFC 9457) with a stable code; what is Serin's own failure is told by number only.

pub mod access;
mod assignments;
mod body;
mod cors;
mod counting;
mod edge;
mod etag;
mod events;
mod extract;
mod fallbacks;
mod flagd;
mod follow;
mod front;
mod gateway;
mod growthbook;
mod head_timer;
mod health;
mod hooks;
mod langfuse;
mod observations;
mod ofrep;
mod openapi;
mod otlp;
mod page;
mod policies;
pub mod problem;
mod prompt_labels;
mod prompt_parents;
mod prompt_reading;
mod prompt_versions;
mod prompt_warming;
mod prompts;
mod published;
mod query;
mod rollouts;
mod route_table;
pub mod schema;
mod serve;
mod strict;
mod surveying;
mod tokens;
mod unleash;
pub mod views;

use self::access::Access;
use self::edge::InFlight;
use crate::assignment::receipt::ReceiptKey;
use crate::clock::Clock;
use crate::config::{AllowedOrigins, Limits};
use crate::controller::ControllerHandle;
use crate::ids::RegistryName;
use crate::registry::{HookSecret, Langfuse, Registry};
use crate::source::otlp::held::SpanTraces;
use crate::source::traces::Traces;
use crate::store::{Secret, Store};
use crate::telemetry::{Answers, Telemetry};
use axum::Router;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::{Semaphore, watch};
use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::events::Following;
pub(crate) use self::extract::Path;
pub use self::extract::TokenName;
pub(crate) use self::follow::kept_alive;
pub use self::front::Front;
pub use self::openapi::document;
pub use self::prompt_warming::keep_warm;
pub(crate) use self::query::Query;
pub use self::serve::serve;
pub use self::surveying::keep_surveyed;

/// Everything that handlers read and ask.
pub struct App {
    controller: ControllerHandle,
    store: Arc<dyn Store>,
    registries: BTreeMap<RegistryName, Arc<dyn Registry>>,
    clock: Clock,
    receipts: ReceiptKey,
    access: Access,
    telemetry: Arc<Telemetry>,
    limits: Limits,
    hooks: BTreeMap<RegistryName, HookSecret>,
    langfuses: BTreeMap<RegistryName, Arc<Langfuse>>,
    in_flight: InFlight,
    /// The series of assignments that were answered with one, from the first one on.
    assigned: OnceLock<Answers>,
    subscribers: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    addresses: ofrep::AddressKey,
    last_table: route_table::LastTable,
    allowed_origins: AllowedOrigins,
    stopping: watch::Sender<bool>,
    /// What clients of Langfuse told a while ago.
    traces: Mutex<Traces>,
    /// What spans said a while ago.
    spans: Mutex<SpanTraces>,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// The controller to read and ask.
    pub controller: ControllerHandle,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The registries that policies can name.
    pub registries: BTreeMap<RegistryName, Arc<dyn Registry>>,
    /// Where the time comes from.
    pub clock: Clock,
    /// What receipts are signed with.
    pub secret: Secret,
    /// Who may do what.
    pub access: Access,
    /// Where requests are counted.
    pub telemetry: Arc<Telemetry>,
    /// What clients may ask for.
    pub limits: Limits,
    /// What the webhooks of registries are signed with; a registry that is not here takes none.
    pub hooks: BTreeMap<RegistryName, HookSecret>,
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            receipts: ReceiptKey::derive(&parts.secret.0),
            subscribers: Arc::new(Semaphore::new(parts.limits.event_subscribers_max)),
            followers: Arc::new(Semaphore::new(parts.limits.assignment_subscribers_max)),
            addresses: ofrep::AddressKey::derive(&parts.secret.0),
            last_table: route_table::LastTable::default(),
            allowed_origins: AllowedOrigins::default(),
            in_flight: InFlight::default(),
            assigned: OnceLock::new(),
            stopping: watch::Sender::new(false),
            traces: Mutex::default(),
            spans: Mutex::default(),
            controller: parts.controller,
            registries: parts.registries,
            store: parts.store,
            clock: parts.clock,
            access: parts.access,
            telemetry: parts.telemetry,
            limits: parts.limits,
            hooks: parts.hooks,
            langfuses: BTreeMap::new(),
        }
    }

    /// With pages of these origins as readers of assignments.
    #[must_use]
    pub fn with_allowed_origins(self, allowed_origins: AllowedOrigins) -> Self {
        Self {
            allowed_origins,
            ..self
        }
    }

    /// With the registries that are a Langfuse: prompts of theirs are served too.
    #[must_use]
    pub fn with_langfuses(self, langfuses: BTreeMap<RegistryName, Arc<Langfuse>>) -> Self {
        Self { langfuses, ..self }
    }

    /// The controller to read and ask.
    pub fn controller(&self) -> &ControllerHandle {
        &self.controller
    }

    /// The store.
    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Who may do what.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Counts calls of traces whose first span was waited for long enough, or all that are held when the
    /// server stops; to be called every second or so.
    pub async fn settle_spans(&self, everything: bool) {
        otlp::settle(self, everything).await;
    }

    /// Ends every stream of events, so that the server can stop.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }
}

impl std::fmt::Debug for App {
    /// Nothing of it is worth a log line, and some of it is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App(…)")
    }
}

/// Every route of the API, with its documentation at `/openapi.json` and `/docs`.
pub fn router(app: Arc<App>) -> Front {
    wrap(routes(OpenApiRouter::new()), app)
}

/// Puts the edge around routes: host check, bounds, clock, counters; `/` may be added to them before.
pub fn wrap(routes: Router<Arc<App>>, app: Arc<App>) -> Front {
    let router = routes
        .fallback(edge::no_route)
        .method_not_allowed_fallback(edge::no_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), edge::edge))
        .with_state(Arc::clone(&app));
    Front::new(app, router)
}

/// Every route of the API, for a server that adds routes of its own and then [`wrap`]s them all; `more` are
/// those that are described with the API's.
pub fn routes(more: OpenApiRouter<Arc<App>>) -> Router<Arc<App>> {
    let native = openapi::routes(more).split_for_parts().0;
    native
        .merge(langfuse::routes())
        .merge(otlp::routes())
        .merge(growthbook::routes())
        .merge(unleash::routes())
        .merge(flagd::routes())
}

//! The console: server-rendered pages at `/`, beside the API and under its rules.
//!
//! Every page works without JavaScript: links, tables, and forms with a page of their own that asks for
//! a reason. With it, `static/console.js` follows `/events` and puts the new page's parts in the place
//! of the old ones. Nothing is loaded from elsewhere, nothing is inline, and every text is escaped
//! ([`frame`] sends the policy that browsers hold this to).
//!
//! A page is a view model, made of domain values in one pure function, and a template that has no logic
//! beyond loops. Sentences are [`rollout::explain`](crate::rollout::explain)'s, as in the CLI and the API.

mod assets;
mod chart;
mod events;
mod form;
mod frame;
mod lanes;
mod numbers;
mod overview;
pub mod playground;
mod policy;
mod prompt;
pub mod recorder;
mod rollout;
mod session;
mod sign_in;
mod visitor;
mod words;

use self::playground::Model;
use self::session::Sessions;
use crate::api::App;
use crate::controller::Board;
use crate::store::Secret;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use jiff::Timestamp;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Largest form that is read, in bytes.
const FORM_BYTES_MAX: usize = 1024 * 1024;

/// Everything that pages read and ask.
#[derive(Debug)]
pub struct Console {
    app: Arc<App>,
    sessions: Sessions,
    /// What the playground asks; none where it only compiles.
    model: Option<Arc<Model>>,
}

impl Console {
    /// The console of a server, whose sessions are signed under its secret.
    pub fn new(app: Arc<App>, secret: &Secret) -> Self {
        Self {
            app,
            sessions: Sessions::new(secret),
            model: None,
        }
    }

    /// With a model that the playground may ask.
    #[must_use]
    pub fn with_model(self, model: Option<Model>) -> Self {
        Self {
            model: model.map(Arc::new),
            ..self
        }
    }

    fn board(&self) -> Arc<Board> {
        self.app.controller().board()
    }

    fn now(&self) -> Timestamp {
        self.app.now()
    }
}

/// What is made here and belongs to the API: described with its routes, and under its access.
pub fn described() -> OpenApiRouter<Arc<App>> {
    rollout::report::described()
}

/// Every page, for [`api::wrap`](crate::api::wrap) to put the server's edge around.
pub fn routes(console: Arc<Console>) -> Router<Arc<App>> {
    Router::new()
        .route("/", get(overview::show))
        .route("/events", get(events::follow))
        .route("/policies", get(policy::list))
        .route("/policies/{policy}", get(policy::show))
        .route("/prompts", get(prompt::list))
        .route("/prompts/{prompt}", get(prompt::show))
        .route(
            "/prompts/{prompt}/playground",
            get(playground::show).post(playground::work),
        )
        .route("/rollouts/{rollout}", get(rollout::show))
        .route("/rollouts/{rollout}/report", get(rollout::report::show))
        .route(
            "/rollouts/{rollout}/{verb}",
            get(rollout::command::ask).post(rollout::command::carry_out),
        )
        .route("/sign-in", get(sign_in::ask).post(sign_in::begin))
        .route("/sign-out", post(sign_in::end))
        .route("/static/{file}", get(assets::file))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(axum::middleware::map_response(frame::protected))
        .with_state(console)
}

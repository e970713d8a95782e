//! Serin as a Langfuse: the part of its public API that the SDKs of Langfuse use, over the embedded
//! registry.
//!
//! Paths, shapes and statuses are those of Langfuse's own description of its API (`langfuse` 4.16,
//! `/api/public`); the SDKs of Python 2 to 5 and JavaScript 3 and 5 are held against it for real by
//! `tests/real/langfuse_sdks.py`, and recorded requests by `tests/langfuse.rs`. These routes are not in
//! `/openapi.json`, because they are Langfuse's to describe.
//!
//! What differs, on purpose:
//!
//! - A protected label, and the control label of a policy, are moved by Serin and administrators alone:
//!   403. Langfuse protects labels in its user interface only.
//! - Labels must be labels on `PATCH` too, where Langfuse takes any text.
//! - A chat needs a message, a text a character, and `config` must be an object.
//! - Versions stay in the history: `DELETE` withdraws them, and a number is never used again.
//! - No refusal is 408, 409, 429 or 5xx: the Python SDKs would send the request up to nine times.

mod access;
pub(super) mod composition;
mod ingestion;
mod list;
mod prompt_body;
mod prompt_view;
mod prompts;
mod refusal;
mod request;
mod score_body;
mod score_configs;
mod score_reads;
mod score_view;
mod scores;
mod server;
mod told;
mod withdraw;

use super::problem::Problem;
use super::{App, otlp};
use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use std::sync::Arc;

pub(super) use self::access::secret_key;
pub(super) use self::score_body::Sent;

/// What every path begins with.
pub(super) const PREFIX: &str = "/api/public/";

/// The one project of a server; Langfuse's keys belong to one.
const PROJECT: &str = "serin";

/// A problem in Langfuse's form, where it arose before the route was reached.
pub(super) fn refused(problem: Problem) -> Response {
    refusal::Refusal::from(problem).into_response()
}

/// The routes, each under `/api/public/`.
///
/// A name may have slashes, written plainly or as `%2F`: what follows `prompts/` is one text.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/api/public/v2/prompts",
            get(list::list).post(prompts::create).fallback(refusal::no_method),
        )
        .route(
            "/api/public/v2/prompts/{*name}",
            get(prompts::fetch)
                .patch(prompts::label)
                .delete(withdraw::withdraw)
                .fallback(refusal::no_method),
        )
        .route(
            "/api/public/projects",
            get(server::projects).fallback(refusal::no_method),
        )
        .route(
            "/api/public/health",
            get(server::health).fallback(refusal::no_method),
        )
        .merge(score_routes())
        .route("/api/public/{*rest}", any(refusal::no_route))
}

/// The routes of scores, and of what tracing clients send.
fn score_routes() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/api/public/scores",
            post(scores::create).fallback(refusal::no_method),
        )
        .route(
            "/api/public/ingestion",
            post(ingestion::ingest).fallback(refusal::no_method),
        )
        .route(
            "/api/public/otel/v1/traces",
            post(|app, request| async { otlp::export(app, request).await.map_err(refusal::Refusal::from) })
                .fallback(refusal::no_method),
        )
        .route(
            "/api/public/v3/scores",
            get(score_reads::v3).fallback(refusal::no_method),
        )
        .route(
            "/api/public/v2/scores",
            get(score_reads::v2).fallback(refusal::no_method),
        )
        .route(
            "/api/public/v2/scores/{id}",
            get(score_reads::one).fallback(refusal::no_method),
        )
        .route(
            "/api/public/score-configs",
            get(score_configs::list).fallback(refusal::no_method),
        )
        .route(
            "/api/public/score-configs/{id}",
            get(score_configs::one).fallback(refusal::no_method),
        )
}

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
mod composition;
mod list;
mod prompt_body;
mod prompt_view;
mod prompts;
mod refusal;
mod request;
mod server;
mod withdraw;

use super::App;
use axum::Router;
use axum::routing::{any, get};
use std::sync::Arc;

/// The one project of a server; Langfuse's keys belong to one.
const PROJECT: &str = "serin";

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
        .route("/api/public/{*rest}", any(refusal::no_route))
}

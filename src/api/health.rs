//! Whether the server is alive, ready, and how it stands.

use super::App;
use super::access::{Allowed, Read};
use super::problem::Problem;
use super::query::Query;
use super::views::server::{AliveView, ReadyView, StatusView};
use crate::policy::problem::Severity;
use crate::telemetry;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest time that the store may take to count as answering.
const STORE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(alive))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .routes(routes!(status))
}

/// The process is alive.
///
/// Needs no token.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "server",
    security(()),
    responses((status = 200, description = "alive", body = AliveView))
)]
async fn alive() -> Json<AliveView> {
    Json(AliveView {
        status: "alive",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Whether the store answers, the controller has worked off a tick and the policies were read.
///
/// A policy file with problems does not make the server unready: the last good one stays in force.
/// Needs no token.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    security(()),
    responses(
        (status = 200, description = "ready", body = ReadyView),
        (status = 503, description = "not ready, and why", body = ReadyView),
    )
)]
async fn ready(State(app): State<Arc<App>>) -> Response {
    let asked = tokio::time::timeout(STORE_ANSWERS_WITHIN, app.store.tokens()).await;
    let board = app.controller.board();
    let errors = board
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    let (store, controller, policies) = (
        matches!(asked, Ok(Ok(_))),
        board.ticked_at.is_some(),
        board.loaded_at.is_some(),
    );
    let view = ReadyView {
        ready: store && controller && policies,
        store,
        controller,
        policies,
        policy_errors: errors.count(),
        ticked_at: board.ticked_at.map(|at| at.to_string()),
    };
    let status = if view.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(view)).into_response()
}

/// Serin's counters in Prometheus' text format.
///
/// Needs no token.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    security(()),
    responses((status = 200, description = "the counters", body = String, content_type = "text/plain"))
)]
async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let board = app.controller.board();
    // With thousands of policies this is long enough to keep others waiting.
    let rendered = tokio::task::spawn_blocking(move || app.telemetry.render(&board)).await;
    let text = rendered
        .map_err(|failed| Problem::internal(&failed))?
        .map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], text).into_response())
}

/// The server at a glance: policies, how they stand and why, problems and troubles.
///
/// Needs any token.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "server",
    responses((status = 200, description = "the status", body = StatusView))
)]
async fn status(
    State(app): State<Arc<App>>,
    _: Allowed<Read>,
    query: Query,
) -> Result<Json<StatusView>, Problem> {
    let [] = query.fields([])?;
    let (board, snapshot) = (app.controller.board(), app.controller.snapshot());
    Ok(Json(StatusView::new(
        &board,
        snapshot.number(),
        app.access.is_open(),
        app.clock.now(),
    )))
}

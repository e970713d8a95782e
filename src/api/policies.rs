//! Policies in force, and the snapshot that assignments are answered from.

use super::App;
use super::access::{Allowed, MayAssign, Operate, Read};
use super::etag::TaggedJson;
use super::extract::Path;
use super::problem::{Code, Problem};
use super::query::Query;
use super::schema::DnsLabel;
use super::views::assignment::{RouteView, SnapshotView};
use super::views::policy::{PoliciesView, PolicyDetailView, PolicyView};
use crate::ids::PolicyName;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(snapshot))
}

/// Every policy in force, and the problems of the files that are not.
///
/// Needs any token.
#[utoipa::path(
    get,
    path = "/v1/policies",
    tag = "policies",
    responses((status = 200, description = "the policies", body = PoliciesView))
)]
async fn list(
    State(app): State<Arc<App>>,
    _: Allowed<Read>,
    query: Query,
) -> Result<Json<PoliciesView>, Problem> {
    let [] = query.fields([])?;
    let (board, now) = (app.controller.board(), app.clock.now());
    Ok(Json(PoliciesView {
        policies: board
            .policies
            .values()
            .map(|status| PolicyView::new(status, now))
            .collect(),
        problems: board.problems.iter().map(Into::into).collect(),
    }))
}

/// A policy with the text of its file.
///
/// Needs the scope `operate`, because the file may name webhooks.
#[utoipa::path(
    get,
    path = "/v1/policies/{policy}",
    tag = "policies",
    params(("policy" = inline(DnsLabel), Path)),
    responses(
        (status = 200, description = "the policy", body = PolicyDetailView),
        (status = 404, description = "no such policy"),
    )
)]
async fn show(
    State(app): State<Arc<App>>,
    _: Allowed<Operate>,
    Path(policy): Path<PolicyName>,
    query: Query,
) -> Result<Json<PolicyDetailView>, Problem> {
    let [] = query.fields([])?;
    let board = app.controller.board();
    let status = board
        .policies
        .get(&policy)
        .ok_or_else(|| Problem::new(Code::UnknownPolicy, format!("there is no policy `{policy}`")))?;
    Ok(Json(PolicyDetailView::new(status, app.clock.now())))
}

/// How the users of every policy are served at this moment.
///
/// Send the `ETag` back as `If-None-Match` to be told when nothing has changed. Needs the scope
/// `assign`.
#[utoipa::path(
    get,
    path = "/v1/snapshot",
    tag = "assignments",
    params(("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "the snapshot", body = SnapshotView, headers(("ETag" = String))),
        (status = 304, description = "nothing has changed", headers(("ETag" = String))),
    )
)]
async fn snapshot(
    State(app): State<Arc<App>>,
    _: MayAssign,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    let [] = query.fields([])?;
    let snapshot = app.controller.snapshot();
    let routes = snapshot
        .routes()
        .map(|route| RouteView::from(route.as_ref()))
        .collect();
    let view = SnapshotView {
        number: snapshot.number(),
        routes,
    };
    Ok(TaggedJson::new(&view)?.answer(&headers, None))
}

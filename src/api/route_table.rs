//! The route table, for applications that assign by themselves ([`crate::client`] is such a one).
//!
//! | asked | answered |
//! |---|---|
//! | `GET /v1/route-table` | every route with its hash line, with `ETag` |
//! | `GET /v1/route-table/events` | the event `table` with the tag of the table, at once and after each change |
//!
//! Both need the scope `assign`. Whoever has it can ask for the assignment of any user key already, so the
//! key of a rollout's split tells them nothing that they could not find out; it saves them asking. The key
//! is derived from the server's secret by HMAC: the secret, the keys of other rollouts, the clusters
//! and the signature of receipts do not follow from it. Those are not given out, so an application that
//! assigns by itself sends its observations with `user` and `version` instead of a receipt.
//!
//! Likewise the keys of segments, groups and the reserve, each of which draws users for one purpose alone.
//! They outlive a rollout: where a token with the scope has come into wrong hands, give them other salts.

use super::App;
use super::access::{MayAssign, bearer};
use super::etag::TaggedJson;
use super::follow::{Follower, kept_alive};
use super::problem::Problem;
use super::query::Query;
use super::views::route_table::{FORMAT, RouteTableNoticeView, RouteTableView};
use crate::assignment::snapshot::Snapshot;
use crate::store::Scope;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(table))
        .routes(routes!(table_events))
}

/// The table of one snapshot, as it is sent.
#[derive(Debug, Clone)]
struct Rendered {
    number: u64,
    json: TaggedJson,
}

/// The table that was rendered last: every client asks for the same one.
#[derive(Debug, Default)]
pub(super) struct LastTable(Mutex<Option<Rendered>>);

impl LastTable {
    fn of(&self, snapshot: &Snapshot) -> Result<TaggedJson, Problem> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| last.number == snapshot.number()) {
            return Ok(last.json.clone());
        }
        let number = snapshot.number();
        let json = render(snapshot)?;
        Ok(last.insert(Rendered { number, json }).json.clone())
    }
}

fn render(snapshot: &Snapshot) -> Result<TaggedJson, Problem> {
    TaggedJson::new(&RouteTableView {
        format: FORMAT,
        routes: snapshot.routes().map(|route| route.as_ref().into()).collect(),
    })
}

fn rendered(app: &App) -> Result<TaggedJson, Problem> {
    app.last_table.of(&app.controller.snapshot())
}

/// Everything that an application needs to assign by itself.
///
/// Holds the split key of each running rollout, so keep it as you keep the token. Send the `ETag` back as
/// `If-None-Match` to be told when nothing has changed. Needs the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/route-table",
    tag = "assignments",
    params(("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "the table", body = RouteTableView, headers(("ETag" = String))),
        (status = 304, description = "nothing has changed", headers(("ETag" = String))),
    )
)]
async fn table(
    State(app): State<Arc<App>>,
    _: MayAssign,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    let [] = query.fields([])?;
    Ok(rendered(&app)?.answer(&headers, Some("private, no-cache")))
}

/// The tag of the route table, at once and whenever it changes.
///
/// The event `table` has `{"tag": …}`: where it is not that of the table at hand, ask for the table. Needs
/// the scope `assign`; the stream ends when the token is revoked.
#[utoipa::path(
    get,
    path = "/v1/route-table/events",
    tag = "assignments",
    responses((status = 200, description = "the stream", body = String, content_type = "text/event-stream"))
)]
async fn table_events(
    State(app): State<Arc<App>>,
    _: MayAssign,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    let [] = query.fields([])?;
    let permit = app.access.permit(bearer(&headers).ok(), Scope::Assign)?;
    let follower = Follower::new(Arc::clone(&app), permit)?;
    let notices = stream::unfold(
        (app, follower, None),
        |(app, mut follower, mut told)| async move {
            loop {
                follower.next().await?;
                // A table that cannot be rendered is told of when it can be again.
                let Ok(json) = rendered(&app) else {
                    continue;
                };
                let tag = json.tag();
                if told.replace(tag.clone()).as_ref() != Some(tag) {
                    let event = notice(tag);
                    return Some((Ok::<_, Infallible>(event), (app, follower, told)));
                }
            }
        },
    );
    Ok(kept_alive(notices))
}

fn notice(tag: &HeaderValue) -> Event {
    // Tags are ASCII, and text can always be written; a notice without data would be overlooked.
    let notice = RouteTableNoticeView {
        tag: tag.to_str().unwrap_or_default(),
    };
    Event::default()
        .event("table")
        .json_data(&notice)
        .unwrap_or_default()
}

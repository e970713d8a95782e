//! Every flag for one user.

use super::refusal::Refusal;
use super::request::{MayEvaluate, body, context};
use super::single::WHOLE;
use super::views::{
    EndpointView, EvaluationView, EvaluationsView, EventStreamView, FailureView, RequestView,
};
use crate::api::App;
use crate::api::assignments;
use crate::api::etag::{is_known, not_modified, tag};
use crate::api::problem::Problem;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use std::borrow::Cow;
use std::sync::Arc;

/// How long a page may be out of sight before it hangs up, in seconds.
const INACTIVITY_SECONDS: u32 = 120;

/// OFREP: every policy for one user.
///
/// Send the `ETag` back as `If-None-Match` to be told when nothing has changed. The query of a client that
/// asks because of an event is taken and not needed: answers always come from the newest state. Needs the
/// scope `assign`.
#[utoipa::path(
    post,
    path = "/ofrep/v1/evaluate/flags",
    tag = super::TAG,
    params(
        ("If-None-Match" = Option<String>, Header),
        ("flagConfigEtag" = Option<String>, Query),
        ("flagConfigLastModified" = Option<String>, Query),
    ),
    request_body = RequestView,
    security((), ("token" = []), ("key" = [])),
    responses(
        (status = 200, description = "the evaluations", body = EvaluationsView, headers(("ETag" = String))),
        (status = 304, description = "nothing has changed", headers(("ETag" = String))),
        (status = 400, description = "the request cannot be understood", body = FailureView),
        (status = 401, description = "a token is needed", body = FailureView),
        (status = 403, description = "the token lacks the scope, or the host name is foreign to a local server", body = FailureView),
        (status = 429, description = "overloaded; try again", body = FailureView),
        (status = 500, description = "Serin failed; its log tells more", body = FailureView),
    )
)]
pub(super) async fn evaluate_all(
    State(app): State<Arc<App>>,
    MayEvaluate(permit): MayEvaluate,
    request: Request,
) -> Result<Response, Refusal> {
    let headers = request.headers().clone();
    let body = body(&app, request).await?;
    let context = context(&body)?;
    let who = context.who()?;
    let snapshot = app.controller.snapshot();
    let wholes = context.serin_assignments.unwrap_or(false);
    let mut flags = Vec::with_capacity(snapshot.routes().len() * if wholes { 2 } else { 1 });
    for route in snapshot.routes() {
        let policy = route.policy.as_str();
        let assignment = assignments::view(&app, &snapshot, policy, who)?;
        if wholes {
            let key = Cow::Owned(format!("{policy}{WHOLE}"));
            flags.push(EvaluationView::new(key, assignment.clone(), true));
        }
        flags.push(EvaluationView::new(Cow::Borrowed(policy), assignment, false));
    }
    let flags = serde_json::value::to_raw_value(&flags).map_err(|error| Problem::internal(&error))?;
    let address = app.addresses.address(permit, app.clock.now());
    // A client that is told "not modified" keeps the address of the stream; with an old one it would
    // stay deaf, so a new address is a change.
    let tag = tag(&[flags.get().as_bytes(), address.as_bytes()])?;
    if is_known(&headers, &tag) {
        return Ok(not_modified(&tag));
    }
    let view = EvaluationsView {
        flags,
        event_streams: [EventStreamView {
            kind: "sse",
            endpoint: EndpointView { request_uri: address },
            inactivity_delay_sec: INACTIVITY_SECONDS,
        }],
    };
    let no_store = HeaderValue::from_static("no-store");
    Ok((
        [(header::ETAG, tag), (header::CACHE_CONTROL, no_store)],
        Json(view),
    )
        .into_response())
}

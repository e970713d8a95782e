//! "Something has changed: ask again", as server-sent events (ADR 0008 of OFREP).

use super::address;
use super::refusal::Refusal;
use super::views::{FailureView, NoticeView};
use crate::api::App;
use crate::api::follow::{Follower, kept_alive};
use crate::api::problem::{Code, Problem};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::StreamExt as _;
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// OFREP: a notice whenever assignments are answered from a new snapshot, and one at the beginning.
///
/// The address comes with every answer of `POST /ofrep/v1/evaluate/flags`; it needs no header, and ends
/// after an hour or two, or with the token of whoever got it.
#[utoipa::path(
    get,
    path = "/ofrep/v1/events",
    tag = super::TAG,
    params(("token" = String, Query)),
    security(()),
    responses(
        (status = 200, description = "the stream", body = String, content_type = "text/event-stream"),
        (status = 401, description = "the address has ended: evaluate again for a new one", body = FailureView),
        (status = 403, description = "a local server without tokens was asked under a foreign host name", body = FailureView),
        (status = 429, description = "too many clients listen; try again", body = FailureView),
        (status = 500, description = "Serin failed; its log tells more", body = FailureView),
    )
)]
pub(super) async fn events(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Refusal> {
    let now = app.clock.now();
    let listener = address::token(&uri).and_then(|token| app.addresses.listener(token, &app.access, now));
    let listener = listener.ok_or_else(|| {
        let detail = "the address has ended: evaluate the flags again for a new one";
        Problem::new(Code::Unauthenticated, detail)
    })?;
    let left = u64::try_from(listener.until - now.as_second()).unwrap_or(0);
    let follower = Follower::new(Arc::clone(&app), listener.permit)?;
    let notices = stream::unfold((app, follower), |(app, mut follower)| async move {
        let number = follower.next().await?;
        let notice = notice(number, app.clock.now().as_second());
        Some((Ok::<_, Infallible>(notice), (app, follower)))
    });
    let ended = tokio::time::sleep(Duration::from_secs(left));
    Ok(kept_alive(notices.take_until(ended)))
}

fn notice(number: u64, now: i64) -> Event {
    let notice = NoticeView {
        kind: "refetchEvaluation",
        etag: number.to_string(),
        last_modified: now,
    };
    // Text and numbers can always be written; a notice without data would be overlooked.
    Event::default()
        .id(number.to_string())
        .json_data(&notice)
        .unwrap_or_default()
}

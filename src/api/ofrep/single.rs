//! One flag for one user.

use super::refusal::{ErrorCode, Refusal};
use super::request::{MayEvaluate, body, context};
use super::views::{EvaluationView, FailureView, RequestView};
use crate::api::App;
use crate::api::assignments;
use crate::api::problem::{Code, Problem};
use axum::Json;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use std::borrow::Cow;
use std::sync::Arc;

/// What a key ends with that asks for an object.
pub(super) const WHOLE: &str = ".assignment";

/// OFREP: one policy for one user.
///
/// The key is the policy's name, for its label; or the name and `.assignment`, for an object. Needs the
/// scope `assign`.
#[utoipa::path(
    post,
    path = "/ofrep/v1/evaluate/flags/{key}",
    tag = super::TAG,
    params(("key" = String, Path, min_length = 1)),
    request_body = RequestView,
    security((), ("token" = []), ("key" = [])),
    responses(
        (status = 200, description = "the evaluation", body = EvaluationView),
        (status = 400, description = "the request cannot be understood", body = FailureView),
        (status = 401, description = "a token is needed", body = FailureView),
        (status = 403, description = "the token lacks the scope, or the host name is foreign to a local server", body = FailureView),
        (status = 404, description = "no such policy", body = FailureView),
        (status = 429, description = "overloaded; try again", body = FailureView),
        (status = 500, description = "Serin failed; its log tells more", body = FailureView),
    )
)]
pub(super) async fn evaluate(
    State(app): State<Arc<App>>,
    _: MayEvaluate,
    params: Result<RawPathParams, axum::extract::rejection::RawPathParamsRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let params = params
        .map_err(|_| Refusal::invalid(ErrorCode::Parse, "the key is not percent-encoded UTF-8").of(""))?;
    let key = key(&params);
    answer(&app, &key, request)
        .await
        .map_err(|refusal| refusal.of(&key))
}

/// The same without the route, for a key without slashes and escapes.
pub(in crate::api) async fn evaluate_key(app: &App, key: &str, request: Request) -> Response {
    let allowed = MayEvaluate::of(app, request.headers());
    let answered = match allowed {
        Ok(MayEvaluate(_)) => answer(app, key, request).await.map_err(|refusal| refusal.of(key)),
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(Refusal::into_response)
}

/// The key, which clients write with its slashes.
fn key(params: &RawPathParams) -> String {
    let parts: Vec<&str> = params.iter().map(|(_, part)| part).collect();
    parts.join("/")
}

async fn answer(app: &App, key: &str, request: Request) -> Result<Response, Refusal> {
    let body = body(app, request).await?;
    let context = context(&body)?;
    let (policy, whole) = match key.strip_suffix(WHOLE) {
        Some(policy) => (policy, true),
        None => (key, false),
    };
    let snapshot = app.controller.snapshot();
    if snapshot.route(policy).is_none() {
        return Err(unknown(policy));
    }
    let assignment = assignments::view(app, &snapshot, policy, context.who()?)?;
    let view = EvaluationView::new(Cow::Borrowed(key), assignment, whole);
    let no_store = HeaderValue::from_static("no-store");
    Ok(([(header::CACHE_CONTROL, no_store)], Json(view)).into_response())
}

fn unknown(policy: &str) -> Refusal {
    let name: String = policy.chars().filter(|c| !c.is_control()).take(64).collect();
    Problem::new(Code::UnknownPolicy, format!("there is no policy `{name}`")).into()
}

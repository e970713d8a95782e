//! `POST /api/public/scores`: one score, or a list of them.

use super::access::Keys;
use super::refusal::Refusal;
use super::request::{JsonText, read};
use super::score_body::{ScoreBody, Sent};
use crate::api::App;
use crate::api::access::Observe;
use crate::api::counting::{Delivery, deliver};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// Most scores or events in one request.
pub(super) const EVENTS_MAX: usize = 10_000;

/// Keeps scores, and counts those that say something of a rollout.
///
/// One score is answered with its id. A list is answered with 202 where all of it was accepted, and with
/// 207 and the reasons where some were not; the others are.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    _: Keys<Observe>,
    JsonText(bytes): JsonText,
) -> Result<Response, Refusal> {
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return many(&app, read(&bytes)?).await;
    }
    let sent = checked(read(&bytes)?, &app).map_err(|why| Refusal::data("", why))?;
    let id = sent.score.id.clone();
    let scores = vec![sent];
    deliver(&app, of_scores(scores)).await?;
    Ok(Json(json!({"id": id})).into_response())
}

fn of_scores(scores: Vec<Sent>) -> Delivery<'static> {
    Delivery {
        scores,
        ..Delivery::default()
    }
}

fn checked(body: ScoreBody, app: &App) -> Result<Sent, String> {
    body.checked(None, app.clock.now())
}

async fn many(app: &App, bodies: Vec<Value>) -> Result<Response, Refusal> {
    if bodies.len() > EVENTS_MAX {
        return Err(Refusal::data(
            "",
            format!("at most {EVENTS_MAX} scores are taken at once"),
        ));
    }
    let (mut scores, mut errors) = (Vec::with_capacity(bodies.len()), Vec::new());
    for body in bodies {
        let body = serde_json::from_value::<ScoreBody>(body).map_err(|error| error.to_string());
        match body.and_then(|body| checked(body, app)) {
            Ok(sent) => scores.push(sent),
            Err(message) => errors.push(json!({"message": message})),
        }
    }
    let accepted = scores.len();
    deliver(app, of_scores(scores)).await?;
    if errors.is_empty() {
        return Ok((StatusCode::ACCEPTED, Json(json!({"message": "Accepted"}))).into_response());
    }
    let view = json!({"accepted": accepted, "rejected": errors.len(), "errors": errors});
    Ok((StatusCode::MULTI_STATUS, Json(view)).into_response())
}

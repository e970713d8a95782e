//! `POST /api/public/ingestion`: batches of events of the SDKs, answered with 207 one by one.
//!
//! Scores are counted. Of traces and their parts nothing is kept but what was served there; the rest of
//! them is for a tracing system, and is accepted so that an SDK that sends everything to one place works.

use super::access::Keys;
use super::refusal::Refusal;
use super::request::Body;
use super::score_body::ScoreBody;
use super::scores::EVENTS_MAX;
use super::told::{of_observation, of_trace, text_in};
use crate::api::App;
use crate::api::access::Observe;
use crate::api::counting::{Delivery, deliver};
use crate::telemetry::TraceEvents;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The body of a batch.
#[derive(Debug, Deserialize)]
pub(super) struct BatchBody {
    batch: Vec<Value>,
}

/// What became of a batch.
#[derive(Debug, Default, Serialize)]
pub(super) struct BatchView {
    successes: Vec<AcceptedView>,
    errors: Vec<RefusedView>,
}

#[derive(Debug, Serialize)]
struct AcceptedView {
    id: String,
    status: u16,
}

#[derive(Debug, Serialize)]
struct RefusedView {
    id: String,
    status: u16,
    message: String,
    error: &'static str,
}

/// Takes a batch in.
pub(super) async fn ingest(
    State(app): State<Arc<App>>,
    _: Keys<Observe>,
    Body(body): Body<BatchBody>,
) -> Result<(StatusCode, Json<BatchView>), Refusal> {
    if body.batch.len() > EVENTS_MAX {
        return Err(Refusal::data(
            "batch",
            format!("at most {EVENTS_MAX} events are taken at once"),
        ));
    }
    let mut delivery = Delivery::default();
    let mut view = BatchView::default();
    let mut counts: BTreeMap<TraceEvents, u64> = BTreeMap::new();
    for event in body.batch {
        let none = Map::new();
        let fields = event.as_object().unwrap_or(&none);
        let id = text_in(fields, &["id"]).unwrap_or_default();
        match take(&app, fields, &mut delivery) {
            Ok(kind) => {
                *counts.entry(kind).or_default() += 1;
                view.successes.push(AcceptedView { id, status: 201 });
            }
            Err(message) => view.errors.push(RefusedView {
                id,
                status: 400,
                message,
                error: "InvalidRequestError",
            }),
        }
    }
    for (kind, events) in counts {
        app.telemetry.trace_events(kind, events);
    }
    deliver(&app, delivery).await?;
    Ok((StatusCode::MULTI_STATUS, Json(view)))
}

/// Puts an event where it belongs, or says what is wrong with it.
fn take(app: &App, event: &Map<String, Value>, delivery: &mut Delivery<'_>) -> Result<TraceEvents, String> {
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    let none = Map::new();
    let body = event.get("body").and_then(Value::as_object).unwrap_or(&none);
    match kind {
        "trace-create" => {
            delivery.told.extend(of_trace(body));
            Ok(TraceEvents::Trace)
        }
        "span-create" | "span-update" | "generation-create" | "generation-update" | "event-create"
        | "observation-create" | "observation-update" => {
            delivery.told.extend(of_observation(body));
            Ok(TraceEvents::Observation)
        }
        "score-create" => {
            let body = Value::Object(body.clone());
            let body: ScoreBody = serde_json::from_value(body).map_err(|error| error.to_string())?;
            let timestamp = text_in(event, &["timestamp"]);
            let sent = body.checked(timestamp.as_deref(), app.clock.now())?;
            delivery.scores.push(sent);
            Ok(TraceEvents::Score)
        }
        "sdk-log" => Ok(TraceEvents::Log),
        other => {
            let other: String = other.chars().take(64).collect();
            Err(format!("there is no event of type `{other}`"))
        }
    }
}

//! `POST /api/public/otel/v1/traces`: exports of OpenTelemetry, as the newer SDKs send them.
//!
//! An export is accepted and counted, so that an SDK that sends its traces where its prompts come from
//! does not fail; nothing is read from it.

use super::access::Keys;
use super::refusal::Refusal;
use crate::api::App;
use crate::api::access::Observe;
use crate::api::body;
use crate::telemetry::TraceEvents;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The media type of an export in Protocol Buffers (OTLP 1.5, "OTLP/HTTP").
const PROTOBUF: &str = "application/x-protobuf";
/// The media type of an export in JSON.
const JSON: &str = "application/json";

/// Takes an export in, and answers in its own encoding that nothing was refused.
pub(super) async fn export(
    State(app): State<Arc<App>>,
    _: Keys<Observe>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Refusal> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    let (answer_type, answer) = match essence.trim().to_ascii_lowercase().as_str() {
        // A message without fields is empty.
        PROTOBUF => (PROTOBUF, ""),
        JSON => (JSON, "{}"),
        _ => {
            return Err(Refusal::invalid(format!(
                "an export must have the media type `{PROTOBUF}` or `{JSON}`"
            )));
        }
    };
    body::read(request, &app.limits).await?;
    app.telemetry.trace_events(TraceEvents::Export, 1);
    Ok(([(header::CONTENT_TYPE, answer_type)], answer).into_response())
}

//! `POST /v1/traces`: exports of OpenTelemetry over HTTP (OTLP 1.9, "OTLP/HTTP"), in Protocol Buffers
//! and JSON; the same under Langfuse's path.
//!
//! Answers are in the encoding of the request: a partial success where spans were refused, a
//! `google.rpc.Status` where the request was. Exporters send again what was answered with 429, 502, 503
//! or 504. This route is not in `/openapi.json`, because it is OpenTelemetry's to describe.

use super::App;
use super::access::{Needs as _, Observe};
use super::body::{self, Decoded};
use super::edge;
use super::langfuse::secret_key;
use super::problem::{Code, Problem, RETRY_AFTER_SECONDS};
use crate::source::otlp::{self, Encoding, Export, Rejected, answer};
use crate::telemetry::TraceEvents;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use std::sync::Arc;

/// Bodies from this size on are read away from the threads that answer, in bytes.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// The route under its own path.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/traces", post(export).fallback(edge::no_method))
}

/// Takes an export in. Needs the scope `observe`.
///
/// A problem is what has no encoding to be told in.
pub(super) async fn export(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let Some(encoding) = content_type.and_then(Encoding::of_media_type) else {
        let detail = format!(
            "an export must have the media type `{}` or `{}`",
            Encoding::Protobuf.media_type(),
            Encoding::Json.media_type()
        );
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    };
    Ok(match take(&app, request, encoding).await {
        Ok(rejected) => respond(StatusCode::OK, answer::accepted(&rejected, encoding), encoding),
        Err(problem) => refuse(&problem, encoding),
    })
}

async fn take(app: &Arc<App>, request: Request, encoding: Encoding) -> Result<Rejected, Problem> {
    app.access
        .caller_by(request.headers(), secret_key, Observe::SCOPE)?;
    let Decoded { bytes } = body::read(request, &app.limits).await?;
    let Export { rejected, .. } = read(bytes, encoding).await?;
    app.telemetry.trace_events(TraceEvents::Export, 1);
    Ok(rejected)
}

/// Reads the body; a long one away from the threads that answer others.
async fn read(bytes: Bytes, encoding: Encoding) -> Result<Export, Problem> {
    let is_long = bytes.len() > INLINE_BYTES_MAX;
    let work = move || otlp::read(&bytes, encoding);
    let read = if is_long {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|failed| Problem::internal(&failed))?
    } else {
        work()
    };
    read.map_err(|unreadable| Problem::new(Code::MalformedBody, unreadable.to_string()))
}

fn respond(status: StatusCode, body: Vec<u8>, encoding: Encoding) -> Response {
    (status, [(header::CONTENT_TYPE, encoding.media_type())], body).into_response()
}

fn refuse(problem: &Problem, encoding: Encoding) -> Response {
    let status = problem.code().status();
    let body = answer::refused(grpc_code(status), problem.detail(), encoding);
    let mut response = respond(status, body, encoding);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = HeaderValue::from_static(RETRY_AFTER_SECONDS);
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}

/// The code of gRPC that says the same (`google/rpc/code.proto`).
fn grpc_code(status: StatusCode) -> i32 {
    match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::REQUEST_TIMEOUT => 4,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        status if status.is_server_error() => 13,
        _ => 3,
    }
}

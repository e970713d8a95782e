//! `POST /v1/traces`: exports of OpenTelemetry over HTTP (OTLP 1.9, "OTLP/HTTP"), in Protocol Buffers
//! and JSON; the same under Langfuse's path.
//!
//! Answers are in the encoding of the request: a partial success where spans were refused, a
//! `google.rpc.Status` where the request was. Exporters send again what was answered with 429, 502, 503
//! or 504. This route is not in `/openapi.json`, because it is OpenTelemetry's to describe.

use super::App;
use super::access::{Needs as _, Observe};
use super::body::{self, Decoded};
use super::counting::{Delivery, deliver};
use super::edge;
use super::langfuse::{Sent, secret_key};
use super::problem::{Code, Problem, RETRY_AFTER_SECONDS};
use crate::source::otlp::facts::{self, Evaluation, EvaluationValue, Facts};
use crate::source::otlp::held::Settled;
use crate::source::otlp::judged::SpanOutcome;
use crate::source::otlp::{self, Encoding, Export, Rejected, Unreadable, answer};
use crate::store::{Score, ScoreSource, ScoreSubject, ScoreValue};
use crate::telemetry::TraceEvents;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

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
    let taken = match read(bytes, encoding).await {
        Ok(heard) => count(app, heard).await,
        Err(problem) => Err(problem),
    };
    app.telemetry.spans_up(taken.is_ok());
    taken
}

/// What an export says.
struct Heard {
    facts: Vec<Facts>,
    rejected: Rejected,
}

/// Counts what can be counted already, durably, and holds the rest.
async fn count(app: &App, heard: Heard) -> Result<Rejected, Problem> {
    let Heard { facts, rejected } = heard;
    let now = app.clock.now();
    let mut scores = Vec::new();
    let mut outcomes = BTreeMap::from([(SpanOutcome::Rejected, rejected.count())]);
    let settled = {
        let mut spans = app.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for facts in facts {
            scores.extend(evaluations(&facts, now));
            let outcome = facts.call.is_none().then_some(SpanOutcome::NoPrompt);
            let has_room = spans.hear(facts, now);
            let outcome = outcome.or((!has_room).then_some(SpanOutcome::Overlooked));
            if let Some(outcome) = outcome {
                *outcomes.entry(outcome).or_default() += 1;
            }
        }
        spans.settle(now, false)
    };
    deliver_settled(app, settled, scores).await?;
    app.telemetry.trace_events(TraceEvents::Export, 1);
    let outcomes = outcomes.into_iter().filter(|(_, spans)| *spans > 0);
    app.telemetry
        .spans(outcomes.map(|(outcome, spans)| (outcome.as_str(), spans)));
    Ok(rejected)
}

/// Counts calls of settled traces and keeps scores; calls that could not be counted are held again.
async fn deliver_settled(app: &App, settled: Vec<Settled>, scores: Vec<Sent>) -> Result<(), Problem> {
    let delivery = Delivery {
        scores,
        settled: &settled,
        ..Delivery::default()
    };
    let delivered = deliver(app, delivery).await;
    let mut spans = app.spans.lock().unwrap_or_else(PoisonError::into_inner);
    if delivered.is_err() {
        spans.restore(settled);
    }
    app.telemetry.span_calls_held(spans.calls_held());
    delivered
}

/// Counts calls whose traces were waited for long enough, or all that are held.
pub(super) async fn settle(app: &App, everything: bool) {
    let settled = {
        let mut spans = app.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.settle(app.clock.now(), everything)
    };
    if settled.is_empty() {
        return;
    }
    if let Err(problem) = deliver_settled(app, settled, Vec::new()).await {
        tracing::warn!(
            problem = problem.detail(),
            "calls that spans tell of could not be counted and are held"
        );
    }
}

/// Evaluations as scores: they wait for what was served, are counted by metric, and can be read.
fn evaluations(facts: &Facts, now: Timestamp) -> Vec<Sent> {
    let Facts { trace, span, .. } = facts;
    let numbered = facts.evaluations.iter().enumerate();
    let score = |(number, evaluation): (usize, &Evaluation)| Score {
        id: format!("span:{trace}:{span}:{number}"),
        name: evaluation.name.clone(),
        value: match &evaluation.value {
            EvaluationValue::Number(number) => ScoreValue::Number(*number),
            EvaluationValue::Word(word) => ScoreValue::Category(word.clone()),
        },
        about: ScoreSubject {
            trace: Some(trace.to_string()),
            observation: Some(span.to_string()),
            ..ScoreSubject::default()
        },
        source: ScoreSource::Eval,
        environment: facts.environment.clone().unwrap_or_else(|| "default".to_owned()),
        config: None,
        queue: None,
        comment: None,
        metadata: serde_json::Map::new(),
        at: now,
        created_at: now,
        updated_at: now,
        waiting: false,
    };
    numbered.map(score).map(Sent::from).collect()
}

/// Reads the body; a long one away from the threads that answer others.
async fn read(bytes: Bytes, encoding: Encoding) -> Result<Heard, Problem> {
    let is_long = bytes.len() > INLINE_BYTES_MAX;
    let work = move || {
        let Export { spans, rejected } = otlp::read(&bytes, encoding)?;
        let facts = spans.iter().filter_map(facts::facts).collect();
        Ok(Heard { facts, rejected })
    };
    let read = if is_long {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|failed| Problem::internal(&failed))?
    } else {
        work()
    };
    read.map_err(|unreadable: Unreadable| Problem::new(Code::MalformedBody, unreadable.to_string()))
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

//! Observations that applications push.

use super::App;
use super::access::{Allowed, Observe};
use super::body::{self, Decoded};
use super::extract::{MediaType, media_type};
use super::problem::{Code, LineError, Problem};
use super::views::observation::{JudgedView, ObservationBody, ObservationsBody, ObservationsView};
use crate::source::ingest::{BodyError, Format, Ingested, World, ingest};
use crate::source::refusal::{RefusalCode, Refused};
use crate::store::{Answer, Batch, BatchKey, BatchReceipt};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// Bodies from this size on are judged away from the threads that answer, in bytes.
const INLINE_BYTES_MAX: usize = 256 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(observe))
}

/// Counts observations; answered once they are durable.
///
/// A body is one object, an array of objects, or NDJSON; it may be compressed with gzip or zstd. A line
/// is counted whole or refused whole, and a wrong line does not keep the others from being counted. An
/// `id` makes a line that is sent again harmless, an `Idempotency-Key` does so for the whole request:
/// the same key with the same body gets the same answer. Needs the scope `observe`.
#[utoipa::path(
    post,
    path = "/v1/observations",
    tag = "observations",
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255, min_length = 1, pattern = "^[!-~]+$")),
    request_body(content(
        (ObservationsBody = "application/json"),
        (ObservationBody = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "what became of the lines: at least one was right, or there was none",
            body = ObservationsView,
            headers(("Idempotency-Replayed" = bool, description = "`true` when the request was answered before"))),
        (status = 422, description = "every line was refused, or the idempotency key was used with another body"),
    )
)]
async fn observe(
    State(app): State<Arc<App>>,
    caller: Allowed<Observe>,
    request: Request,
) -> Result<Response, Problem> {
    let format = format(request.headers())?;
    let key = idempotency_key(request.headers())?;
    let Decoded { bytes } = body::read(request, &app.limits).await?;
    let key = key.map(|key| {
        (
            digest(&[caller.actor.as_str().as_bytes(), b"\n", key.as_bytes()]),
            digest(&[&bytes]),
        )
    });
    let mut ingested = judge(Arc::clone(&app), bytes, format).await?;
    count_refusals(&app, &ingested);
    if let Some(problem) = all_refused(&ingested) {
        note_exclusions(&app, &mut ingested).await?;
        return Err(problem);
    }
    commit(&app, ingested, key).await
}

fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    match media_type(headers) {
        Some(MediaType::Json) => Ok(Format::Json),
        Some(MediaType::Ndjson) => Ok(Format::Ndjson),
        None => Err(Problem::new(
            Code::UnsupportedMediaType,
            "send `Content-Type: application/json` for an object or array, `application/x-ndjson` for lines",
        )),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).into_iter();
    let (first, second) = (keys.next(), keys.next());
    let Some(key) = first else { return Ok(None) };
    let text = key
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    text.filter(|text| second.is_none() && (1..=KEY_BYTES_MAX).contains(&text.len()))
        .map(|text| Some(text.to_owned()))
        .ok_or_else(|| {
            let detail =
                format!("`Idempotency-Key` must be one of 1 to {KEY_BYTES_MAX} visible ASCII characters");
            Problem::new(Code::BadHeader, detail)
        })
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Judges the lines; long bodies do so away from the threads that answer others.
async fn judge(app: Arc<App>, bytes: Bytes, format: Format) -> Result<Ingested, Problem> {
    let is_long = bytes.len() > INLINE_BYTES_MAX;
    let work = move || {
        let (board, snapshot) = (app.controller.board(), app.controller.snapshot());
        let world = World {
            board: &board,
            snapshot: &snapshot,
            receipts: &app.receipts,
        };
        ingest(&world, &bytes, format, app.limits.observations_max)
    };
    let judged = if is_long {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|failed| Problem::internal(&failed))?
    } else {
        work()
    };
    judged.map_err(|error| {
        let code = match error {
            BodyError::NotJson(_) => Code::MalformedBody,
            BodyError::NotAList => Code::BadField,
            BodyError::TooMany { .. } => Code::TooManyObservations,
        };
        Problem::new(code, error.to_string())
    })
}

/// Counts the lines that are not counted.
pub(super) fn count_refusals(app: &App, ingested: &Ingested) {
    let mut by_code: BTreeMap<RefusalCode, u64> = BTreeMap::new();
    for refused in &ingested.refused {
        *by_code.entry(refused.code).or_default() += 1;
    }
    for (code, lines) in by_code {
        app.telemetry.observations_refused(code.as_str(), lines);
    }
    for (reason, lines) in &ingested.ignored {
        app.telemetry.observations_ignored(reason.as_str(), *lines);
    }
}

/// The problem of a request of which nothing is right.
fn all_refused(ingested: &Ingested) -> Option<Problem> {
    if ingested.refused.is_empty() || !ingested.observations.is_empty() || !ingested.ignored.is_empty() {
        return None;
    }
    let error = |refused: &Refused| LineError {
        line: refused.line,
        code: refused.code.as_str(),
        detail: refused.detail.clone(),
    };
    let errors = ingested.refused.iter().map(error).collect();
    let detail = "every line was refused: `errors` says why";
    Some(Problem::new(Code::AllRefused, detail).with_errors(errors))
}

/// Commits that lines were left out, of a request of which nothing else is to be committed.
async fn note_exclusions(app: &App, ingested: &mut Ingested) -> Result<(), Problem> {
    let exclusions = std::mem::take(&mut ingested.exclusions);
    if !exclusions.is_empty() {
        let batch = Batch {
            key: None,
            observations: Vec::new(),
            exclusions,
        };
        app.store.ingest(batch).await?;
    }
    Ok(())
}

/// Commits what counts, and says what became of the lines.
async fn commit(
    app: &App,
    mut ingested: Ingested,
    key: Option<([u8; 32], [u8; 32])>,
) -> Result<Response, Problem> {
    let answer = answer(&ingested).map_err(|error| Problem::internal(&error))?;
    let observations = std::mem::take(&mut ingested.observations);
    let exclusions = std::mem::take(&mut ingested.exclusions);
    let key = key.map(|(key, body)| BatchKey {
        key,
        body,
        answer: answer.clone(),
    });
    let receipt = if observations.is_empty() && exclusions.is_empty() && key.is_none() {
        BatchReceipt::Counted {
            duplicates: Vec::new(),
        }
    } else {
        let batch = Batch {
            key,
            observations,
            exclusions,
        };
        app.store.ingest(batch).await?
    };
    match receipt {
        BatchReceipt::Repeated { answer } => {
            let replayed = [(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"))];
            Ok((replayed, json(answer.to_string())).into_response())
        }
        BatchReceipt::Counted { duplicates } => {
            for ((policy, metric, arm), values) in ingested.values_without(&duplicates) {
                app.telemetry.observed(&policy, &metric, arm, values);
            }
            Ok(json(answer.with_duplicates(duplicates.len())))
        }
    }
}

/// The answer as JSON, whole but for the number of duplicates.
fn answer(ingested: &Ingested) -> Result<Answer, serde_json::Error> {
    let refused = |refused: &Refused| LineError {
        line: refused.line,
        code: refused.code.as_str(),
        detail: refused.detail.clone(),
    };
    let ignored_by = ingested.ignored.iter();
    let rest = serde_json::to_string(&JudgedView {
        accepted: ingested.observations.len(),
        ignored: ingested.ignored.values().sum(),
        ignored_by: ignored_by
            .map(|(reason, lines)| (reason.as_str(), *lines))
            .collect(),
        refused: ingested.refused.iter().map(refused).collect(),
    })?;
    // An object of several keys: without its brace, it goes on after the first key.
    let rest = rest.strip_prefix('{').unwrap_or_default();
    Ok(Answer {
        before: "{\"duplicates\":".into(),
        after: format!(",{rest}").into(),
    })
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

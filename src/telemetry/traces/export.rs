//! Where spans go: a bounded queue, and a task that sends what is in it as OTLP over HTTP.
//!
//! Whoever ends a span never waits: when the queue is full, the span is dropped and counted. An endpoint
//! that is away costs a log line now and then, and the spans that did not fit meanwhile. Statuses, retries
//! and partial success follow the OTLP specification 1.5, section "OTLP/HTTP".

use super::{TraceSettings, Tracer, resource};
use crate::clock::{Clock, Stopwatch};
use crate::outbound::{Place, body, cause};
use crate::telemetry::own_spans::{Counters, SpanOutcome};
use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url, redirect};
use std::io::Write as _;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Spans that wait to be sent.
const QUEUED_MAX: usize = 2_048;
/// Spans that are sent at once.
const BATCH_MAX: usize = 512;
/// How long a batch waits for more.
const BATCH_WAIT: Duration = Duration::from_secs(1);
/// Longest time for one attempt, unless the caller says otherwise.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts at one batch.
const ATTEMPTS_MAX: u32 = 3;
/// Wait before the second attempt; the next one is twice as long.
const RETRY_AFTER_FIRST: Duration = Duration::from_secs(1);
/// Longest wait that an endpoint may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// Longest time in which what is left is sent when the server stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Least time between two log lines about an endpoint that does not take spans.
const COMPLAINTS_APART: Duration = Duration::from_secs(300);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why spans cannot be sent at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client of traces")]
pub struct ClientError(#[source] reqwest::Error);

/// The task that sends spans.
#[derive(Debug)]
pub struct Exporting {
    work: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Exporting {
    /// Begins to send, in the present runtime; what comes of it is counted in `counters`.
    ///
    /// # Errors
    ///
    /// When there is no HTTP client to be had.
    pub(in crate::telemetry) fn start(
        settings: &TraceSettings,
        clock: Clock,
        counters: Counters,
    ) -> Result<(Tracer, Self), ClientError> {
        let (sender, queue) = mpsc::channel(QUEUED_MAX);
        let (stop, stopped) = oneshot::channel();
        let exporter = Exporter {
            http: client(&settings.endpoint)?,
            resource: ResourceAttributesWithSchema::from(&resource(settings)),
            settings: settings.clone(),
            counters: counters.clone(),
            queue,
            batch: Batch::default(),
            complained: None,
        };
        let tracer = Tracer::new(settings, clock, Queue { sender, counters });
        let work = tokio::spawn(exporter.run(stopped));
        Ok((tracer, Self { work, stop }))
    }

    /// Sends what is left, for a bounded time, and ends.
    pub async fn stop(self) {
        // It may have ended by itself; then nobody listens.
        self.stop.send(()).ok();
        if let Err(error) = self.work.await {
            tracing::error!(%error, "the export of traces broke off");
        }
    }
}

fn client(endpoint: &Url) -> Result<Client, ClientError> {
    let builder = Place::of(endpoint).client();
    let bounded = builder
        .timeout(ATTEMPT_TIMEOUT)
        .redirect(redirect::Policy::none());
    bounded.build().map_err(ClientError)
}

/// Where spans that have ended go.
#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<SpanData>,
    counters: Counters,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.counters.add(SpanOutcome::Dropped, 1);
        }
    }

    /// Spans are sent by themselves, soon.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// Whoever stops the exporter waits for it.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What is on its way: spans, and the same as a body once it was made.
#[derive(Debug, Default)]
struct Batch {
    spans: Vec<SpanData>,
    body: Option<(Vec<u8>, u64)>,
}

/// Why a batch was not taken.
struct Refused {
    why: String,
    /// How long to wait before it is sent again; none where that is of no use.
    retry_after: Option<Duration>,
}

struct Exporter {
    http: Client,
    settings: TraceSettings,
    resource: ResourceAttributesWithSchema,
    counters: Counters,
    queue: mpsc::Receiver<SpanData>,
    batch: Batch,
    /// Since the last complaint, while there is something to complain about.
    complained: Option<Stopwatch>,
}

impl Exporter {
    /// Sends until `stop` resolves, and then what is left.
    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        tokio::select! {
            biased;
            // A sender that is gone cannot ask any more, which is as good as asking.
            _ = &mut stop => {}
            () = self.keep_sending() => return,
        }
        self.queue.close();
        if tokio::time::timeout(FLUSH_TIMEOUT, self.flush()).await.is_err() {
            let left = self.batch.len() + u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
            self.counters.add(SpanOutcome::Failed, left);
            tracing::warn!(spans = left, "the last spans could not be sent in time");
        }
    }

    async fn keep_sending(&mut self) {
        while self.fill().await {
            self.send().await;
        }
    }

    /// Waits for spans, and then a while for more; none come any more when it says so.
    async fn fill(&mut self) -> bool {
        let spans = &mut self.batch.spans;
        if self.queue.recv_many(spans, BATCH_MAX).await == 0 {
            return false;
        }
        let more = async {
            while spans.len() < BATCH_MAX {
                let room = BATCH_MAX - spans.len();
                if self.queue.recv_many(spans, room).await == 0 {
                    break;
                }
            }
        };
        // The wait is over either way.
        tokio::time::timeout(BATCH_WAIT, more).await.ok();
        true
    }

    /// Sends everything that is there.
    async fn flush(&mut self) {
        loop {
            while self.batch.spans.len() < BATCH_MAX
                && let Ok(span) = self.queue.try_recv()
            {
                self.batch.spans.push(span);
            }
            if self.batch.len() == 0 {
                return;
            }
            self.send().await;
        }
    }

    /// Sends the batch, until it is taken or given up.
    async fn send(&mut self) {
        let mut wait = RETRY_AFTER_FIRST;
        for attempt in 1..=ATTEMPTS_MAX {
            let (body, spans) = self.batch.body(&self.resource, self.settings.gzip);
            let spans = *spans;
            let sent = post(&self.http, &self.settings, body.clone()).await;
            let refused = match sent {
                Ok(rejected) => {
                    self.batch.body = None;
                    self.taken(spans, rejected.min(spans));
                    return;
                }
                Err(refused) => refused,
            };
            match refused.retry_after.filter(|_| attempt < ATTEMPTS_MAX) {
                Some(asked) => tokio::time::sleep(asked.max(wait)).await,
                None => {
                    self.batch.body = None;
                    self.counters.add(SpanOutcome::Failed, spans);
                    self.complain(&refused.why);
                    return;
                }
            }
            wait *= 2;
        }
    }

    fn taken(&mut self, spans: u64, rejected: u64) {
        self.counters.add(SpanOutcome::Exported, spans - rejected);
        if rejected > 0 {
            self.counters.add(SpanOutcome::Failed, rejected);
            self.complain("the endpoint rejected some of them");
        } else if self.complained.take().is_some() {
            tracing::info!("spans are taken again");
        }
    }

    fn complain(&mut self, why: &str) {
        let is_due = self
            .complained
            .is_none_or(|last| last.elapsed() >= COMPLAINTS_APART);
        if is_due {
            self.complained = Some(Stopwatch::start());
            tracing::warn!(
                error = why,
                "spans cannot be sent; `serin_own_spans_total` counts those that are lost"
            );
        }
    }
}

impl Batch {
    fn len(&self) -> u64 {
        let made = self.body.as_ref().map_or(0, |(_, spans)| *spans);
        made + u64::try_from(self.spans.len()).unwrap_or(u64::MAX)
    }

    /// The spans as a request's body, and how many they are; it stays the same until it is taken away.
    fn body(&mut self, resource: &ResourceAttributesWithSchema, gzip: bool) -> &(Vec<u8>, u64) {
        let spans = &mut self.spans;
        self.body.get_or_insert_with(|| {
            let spans = std::mem::take(spans);
            let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
            let request = ExportTraceServiceRequest {
                resource_spans: group_spans_by_resource_and_scope(spans, resource),
            };
            let plain = request.encode_to_vec();
            (if gzip { compressed(&plain) } else { plain }, count)
        })
    }
}

/// The same with gzip, which cannot fail in memory.
fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).ok();
    encoder.finish().unwrap_or_default()
}

/// One attempt; how many spans the endpoint has rejected.
async fn post(http: &Client, settings: &TraceSettings, bytes: Vec<u8>) -> Result<u64, Refused> {
    let mut request = http
        .post(settings.endpoint.clone())
        .headers(settings.headers.clone())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    if settings.gzip {
        request = request.header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let no_answer = |error: reqwest::Error| Refused {
        why: cause(error),
        retry_after: Some(Duration::ZERO),
    };
    let response = request.body(bytes).send().await.map_err(no_answer)?;
    let status = response.status();
    if !status.is_success() {
        return Err(Refused {
            why: format!("the endpoint answered {status}"),
            retry_after: is_passing(status).then(|| wait_of(&response)),
        });
    }
    // It has taken them; what it says besides is not worth another attempt.
    let answer = body(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
    Ok(u64::try_from(rejected).unwrap_or(0))
}

/// Statuses after which the same may be taken.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// `Retry-After` in seconds, as far as it is followed.
fn wait_of(response: &reqwest::Response) -> Duration {
    let header = response.headers().get(RETRY_AFTER);
    let seconds = header
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(RETRY_AFTER_MAX)
}

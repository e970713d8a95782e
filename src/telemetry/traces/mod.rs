//! Serin's own spans, for a collector of OpenTelemetry (trace API and SDK, specification 1.0 and later).
//!
//! A span is made when what it tells of is over, so that whoever works holds nothing and waits for
//! nothing: without an endpoint each call below is one look at a missing tracer. Sampling is drawn before
//! anything else is done. What goes on with a trace that others began is told if they say so in
//! `traceparent` (W3C Trace Context); else `ratio` says how many requests, and how many verdicts that
//! change nothing, are told. Whatever moves a rollout, a label or a person is always told.
//!
//! Names of attributes are those of OpenTelemetry's semantic conventions where they have one, and begin
//! with `serin.` where they do not. Prompts are never named by `gen_ai.prompt.name` and the like: by those,
//! spans of applications are counted as observations, by Serin itself among others.

mod export;
mod work;

pub use self::export::{ClientError, Exporting};
pub use self::work::{Change, Moved, Parent, Work};

use crate::clock::Clock;
use crate::rollout::NoticeOutcome;
use jiff::Timestamp;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    IdGenerator as _, RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider, SpanProcessor,
};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName};
use std::sync::Arc;
use std::time::SystemTime;

/// Name of the header by which a trace goes on (W3C Trace Context, section 3.2).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Routes that take spans: a server that sends its own to itself would never come to an end.
const UNTOLD_ROUTES: [&str; 1] = ["/v1/traces"];
/// What Serin speaks; TLS is in front of it.
const SCHEME: &str = "http";
/// How notifications are sent.
const NOTIFICATION_METHOD: &str = "POST";
/// Parts per million in a whole.
const WHOLE_PPM: u128 = 1_000_000;

/// Where spans go, and how many.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// The address that takes them, as OTLP over HTTP in Protocol Buffers.
    pub endpoint: Url,
    /// Headers of each export; they may hold secrets.
    pub headers: HeaderMap,
    /// `service.name`.
    pub service: String,
    /// How many requests without a trace of their own are told, in parts per million.
    pub ratio_ppm: u32,
    /// Whether bodies are compressed.
    pub gzip: bool,
}

impl std::fmt::Debug for TraceSettings {
    /// Addresses and headers may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TraceSettings")
            .field("service", &self.service)
            .field("ratio_ppm", &self.ratio_ppm)
            .field("gzip", &self.gzip)
            .finish_non_exhaustive()
    }
}

/// Makes spans, where there is somebody to send them to; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    /// Shuts its processor down when it goes.
    provider: SdkTracerProvider,
    sdk: SdkTracer,
    ids: RandomIdGenerator,
    clock: Clock,
    /// Draws below this are told.
    drawn_below: u64,
}

impl Tracer {
    fn new(settings: &TraceSettings, clock: Clock, processor: impl SpanProcessor + 'static) -> Self {
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource(settings))
            .with_span_processor(processor)
            .build();
        let scope = InstrumentationScope::builder("serin").with_version(env!("CARGO_PKG_VERSION"));
        let below = (u128::from(settings.ratio_ppm) << 64) / WHOLE_PPM;
        Self(Some(Arc::new(Recorder {
            sdk: provider.tracer_with_scope(scope.build()),
            provider,
            ids: RandomIdGenerator::default(),
            clock,
            drawn_below: u64::try_from(below).unwrap_or(u64::MAX),
        })))
    }

    /// A request that is about to be answered, if it is to be told; `route` is a template, none where no
    /// route fits.
    pub fn request(&self, request: &Head<'_>) -> Option<Requested> {
        let recorder = self.0.as_ref()?;
        if request.route.is_some_and(|route| UNTOLD_ROUTES.contains(&route)) {
            return None;
        }
        let parent = parent(request.headers);
        let is_told = match &parent {
            Some(parent) => parent.span().span_context().is_sampled(),
            None => recorder.draws(),
        };
        is_told.then(|| Requested {
            recorder: Arc::clone(recorder),
            parent: parent.unwrap_or_default(),
            began: recorder.clock.now(),
            method: request.method,
            route: request.route.map(str::to_owned),
            // Where no route fits, clients may have written anything.
            path: request.route.map(|_| request.path.to_owned()),
        })
    }

    /// A piece of work that began at `began`, whose parts are told as spans below one of its own.
    pub fn work(&self, name: &'static str, began: Timestamp) -> Work {
        Work::new(self.0.clone(), name, began)
    }

    /// Tells of an attempt to tell people something.
    pub fn notified(&self, attempt: &Notified<'_>) {
        let Some(recorder) = &self.0 else {
            return;
        };
        let error = match attempt.outcome {
            NoticeOutcome::Delivered => None,
            NoticeOutcome::Failed { error } | NoticeOutcome::GivenUp { error } => Some(error.as_str()),
        };
        let outcome = match attempt.outcome {
            NoticeOutcome::Delivered => "delivered",
            NoticeOutcome::Failed { .. } => "failed",
            NoticeOutcome::GivenUp { .. } => "given_up",
        };
        let status = attempt.status.map(i64::from);
        let mut attributes = vec![
            KeyValue::new("http.request.method", NOTIFICATION_METHOD),
            KeyValue::new("http.request.resend_count", i64::from(attempt.resend_count)),
            KeyValue::new("serin.policy", attempt.policy.to_owned()),
            KeyValue::new("serin.rollout", attempt.rollout.to_owned()),
            KeyValue::new("serin.notification.on", attempt.on),
            KeyValue::new("serin.notification.format", attempt.format),
            KeyValue::new("serin.outcome", outcome),
        ];
        attributes.extend(status.map(|status| KeyValue::new("http.response.status_code", status)));
        if error.is_some() {
            let kind = status.map_or_else(|| "no_answer".to_owned(), |status| status.to_string());
            attributes.push(KeyValue::new("error.type", kind));
        }
        let span = Told {
            name: "serin.notification".into(),
            kind: SpanKind::Client,
            began: attempt.began,
            attributes,
            error: error.map(str::to_owned),
        };
        recorder.tell(span, &Context::new());
    }
}

/// What makes the spans: `service.name` and the like, and what `OTEL_RESOURCE_ATTRIBUTES` says.
fn resource(settings: &TraceSettings) -> Resource {
    Resource::builder()
        .with_service_name(settings.service.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The trace that a request goes on with, where it says so in a form that can be understood.
fn parent(headers: &HeaderMap) -> Option<Context> {
    headers.get(TRACEPARENT)?;
    let carried = TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(headers));
    carried.span().span_context().is_valid().then_some(carried)
}

struct Carrier<'h>(&'h HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// A span as it is told once it is over.
struct Told {
    name: std::borrow::Cow<'static, str>,
    kind: SpanKind,
    began: Timestamp,
    attributes: Vec<KeyValue>,
    error: Option<String>,
}

impl Recorder {
    /// Whether one of those of which only a part is told is among them.
    fn draws(&self) -> bool {
        let drawn = self.ids.new_span_id().to_bytes();
        u64::from_be_bytes(drawn) < self.drawn_below
    }

    /// A span that has begun, below `parent`.
    fn begin(&self, span: &mut Told, parent: &Context) -> opentelemetry_sdk::trace::Span {
        let builder = SpanBuilder::from_name(std::mem::take(&mut span.name))
            .with_kind(span.kind.clone())
            .with_start_time(SystemTime::from(span.began))
            .with_attributes(std::mem::take(&mut span.attributes));
        let mut begun = self.sdk.build_with_context(builder, parent);
        if let Some(error) = span.error.take() {
            begun.set_status(Status::error(error));
        }
        begun
    }

    /// Tells of what is over now.
    fn tell(&self, mut span: Told, parent: &Context) {
        self.begin(&mut span, parent)
            .end_with_timestamp(self.clock.now().into());
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // It only says that nothing else comes.
        self.provider.shutdown().ok();
    }
}

/// The head of a request.
#[derive(Debug)]
pub struct Head<'r> {
    /// The method, one of a closed set of words.
    pub method: &'static str,
    /// The route's template; none where no route fits.
    pub route: Option<&'r str>,
    /// The path without its query, which may hold keys of users.
    pub path: &'r str,
    /// The headers.
    pub headers: &'r HeaderMap,
}

/// A request that is answered, and is to be told.
#[derive(Debug)]
pub struct Requested {
    recorder: Arc<Recorder>,
    parent: Context,
    began: Timestamp,
    method: &'static str,
    route: Option<String>,
    path: Option<String>,
}

impl Requested {
    /// Tells that it was answered with `status`.
    ///
    /// Names follow "Semantic conventions for HTTP spans", 1.23 and later.
    pub fn answered(self, status: u16) {
        let name = match &self.route {
            Some(route) => format!("{} {route}", self.method),
            None => self.method.to_owned(),
        };
        let method = if self.method == "other" {
            "_OTHER"
        } else {
            self.method
        };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.response.status_code", i64::from(status)),
            KeyValue::new("url.scheme", SCHEME),
        ];
        attributes.extend(self.route.map(|route| KeyValue::new("http.route", route)));
        attributes.extend(self.path.map(|path| KeyValue::new("url.path", path)));
        // What the client did wrong is no failure of the server.
        let has_failed = status >= 500;
        if has_failed {
            attributes.push(KeyValue::new("error.type", status.to_string()));
        }
        let span = Told {
            name: name.into(),
            kind: SpanKind::Server,
            began: self.began,
            attributes,
            error: has_failed.then(String::new),
        };
        self.recorder.tell(span, &self.parent);
    }
}

/// An attempt to tell people something.
#[derive(Debug)]
pub struct Notified<'n> {
    /// The policy that asks for it.
    pub policy: &'n str,
    /// The rollout that it is about.
    pub rollout: &'n str,
    /// What happened to it.
    pub on: &'static str,
    /// The form that is asked for.
    pub format: &'static str,
    /// How often it was tried before.
    pub resend_count: u32,
    /// When the attempt began.
    pub began: Timestamp,
    /// The status that the receiver answered; none where it did not.
    pub status: Option<u16>,
    /// What came of it.
    pub outcome: &'n NoticeOutcome,
}

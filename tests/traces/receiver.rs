//! An endpoint of OTLP over HTTP, which decodes what it gets with OpenTelemetry's own messages.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// What the endpoint does with an export.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// Takes it.
    Take,
    /// Takes all but so many.
    Reject(i64),
    /// Answers this status, and has not taken it.
    Refuse(u16),
    /// Never answers.
    Hang,
}

/// One export.
#[derive(Debug, Clone)]
pub(crate) struct Export {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) request: ExportTraceServiceRequest,
}

#[derive(Debug, Default)]
struct Held {
    answers: VecDeque<Answer>,
    exports: Vec<Export>,
}

/// An endpoint on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    held: Arc<Mutex<Held>>,
}

impl Receiver {
    /// One that answers these first, and takes everything afterwards.
    pub(crate) async fn start(answers: &[Answer]) -> Self {
        let held = Arc::new(Mutex::new(Held {
            answers: answers.iter().copied().collect(),
            exports: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&held));
        tokio::spawn(async move { axum_serve(listener, router).await });
        Self { url, held }
    }

    pub(crate) fn exports(&self) -> Vec<Export> {
        self.held.lock().unwrap().exports.clone()
    }

    /// Every span that was taken.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let exports = self.exports();
        let of_resource = exports
            .into_iter()
            .flat_map(|export| export.request.resource_spans);
        let of_scope = of_resource.flat_map(|resource| resource.scope_spans);
        of_scope.flat_map(|scope| scope.spans).collect()
    }

    /// Waits until what was taken is enough.
    pub(crate) async fn until(&self, what: &str, is_enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        for _ in 0..600 {
            let spans = self.spans();
            if is_enough(&spans) {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never came: {what}; there were {:#?}", self.spans());
    }
}

/// `axum::serve` without the feature that has it.
async fn axum_serve(listener: TcpListener, router: Router) {
    use hyper::server::conn::http1;
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn take(State(held): State<Arc<Mutex<Held>>>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let answer = held.lock().unwrap().answers.pop_front().unwrap_or(Answer::Take);
    let rejected_spans = match answer {
        Answer::Take => 0,
        Answer::Reject(spans) => spans,
        Answer::Refuse(status) => return (StatusCode::from_u16(status).unwrap(), Vec::new()),
        Answer::Hang => std::future::pending().await,
    };
    let plain = if headers.get("content-encoding").is_some_and(|it| it == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_ref())
            .read_to_end(&mut plain)
            .unwrap();
        plain
    } else {
        body.to_vec()
    };
    let request = ExportTraceServiceRequest::decode(plain.as_slice()).unwrap();
    held.lock().unwrap().exports.push(Export {
        headers,
        body: plain,
        request,
    });
    let partial_success = (rejected_spans > 0).then(|| ExportTracePartialSuccess {
        rejected_spans,
        error_message: "too old".to_owned(),
    });
    let answer = ExportTraceServiceResponse { partial_success };
    (StatusCode::OK, answer.encode_to_vec())
}

/// The value of an attribute.
pub(crate) fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

/// The value of an attribute that must be text.
#[track_caller]
pub(crate) fn text<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    match attribute(attributes, key) {
        Some(Value::StringValue(text)) => text,
        other => panic!("`{key}` is {other:?} in {attributes:#?}"),
    }
}

/// The value of an attribute that must be a number.
#[track_caller]
pub(crate) fn number(attributes: &[KeyValue], key: &str) -> f64 {
    match attribute(attributes, key) {
        Some(Value::DoubleValue(number)) => *number,
        Some(Value::IntValue(whole)) => f64::from(i32::try_from(*whole).unwrap()),
        other => panic!("`{key}` is {other:?} in {attributes:#?}"),
    }
}

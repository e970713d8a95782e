//! A whole server whose variables name an endpoint: a rollout from its start to its rollback.

use crate::receiver::{Receiver, attribute, number, text};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};
use serin::cli::server::Server;
use serin::clock::Clock;
use serin::config::{ServeArgs, Settings};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tempfile::TempDir;

const POLICY: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: greeting}
spec:
  prompt: team/greeting
  labels: {control: production, treatment: canary}
  steps: [{exposure: 50%, bake: 1h}, {exposure: 100%, bake: 1h}]
  analysis: {every: 1s}
  metrics: [{name: faithfulness, kind: score, margin: 0.05}]
";
/// A trace that somebody began, and wants to be told.
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00";
/// Users of each arm in one round of observations.
const USERS: usize = 400;

/// A server, and whoever asks it.
struct World {
    server: Server,
    http: reqwest::Client,
    receiver: Receiver,
    _folder: TempDir,
}

impl World {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let receiver = Receiver::start(&[]).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/greeting.yaml"), POLICY).unwrap();
        let args = ServeArgs {
            policies: Some(folder.path().join("policies")),
            data: Some(folder.path().join("data")),
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            ..ServeArgs::default()
        };
        let base = receiver.url.strip_suffix("/v1/traces").unwrap();
        let environment = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(base.to_owned()),
            _ => {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            }
        };
        let settings = Settings::resolve(args, &environment).unwrap();
        let server = Server::start(&settings, Clock::System).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            server,
            http,
            receiver,
            _folder: folder,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(self.http.post(self.url(path)).json(&body)).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    async fn get_with(&self, path: &str, traceparent: &str) -> u16 {
        let request = self.http.get(self.url(path)).header("traceparent", traceparent);
        self.send(request).await.0
    }

    async fn phase(&self) -> String {
        let rollout = self.send(self.http.get(self.url("/v1/rollouts/r1"))).await.1;
        rollout["phase"]["code"].as_str().unwrap().to_owned()
    }

    /// A rollout whose candidate is so bad that it is taken back.
    async fn roll_out_and_back(&self) {
        for (text, label) in [("Hello", "production"), ("Hullo", "staging")] {
            let draft = json!({"name": "team/greeting", "type": "text", "prompt": text, "reason": "to greet",
                               "labels": [label]});
            self.post("/v1/prompts", draft).await;
        }
        let start = json!({"policy": "greeting", "candidate": 2, "reason": "it greets better"});
        self.post("/v1/rollouts", start).await;
        for round in 0..60 {
            let line = |number: usize, version: u32, score: f64| {
                let wave = f64::from(u8::try_from(number % 7).unwrap()) / 100.0;
                json!({"policy": "greeting", "user": format!("secret-{round}-{number}"), "version": version,
                       "metrics": {"faithfulness": score + wave}})
            };
            let lines: Vec<Value> = (0..USERS)
                .flat_map(|number| [line(2 * number, 1, 0.85), line(2 * number + 1, 2, 0.3)])
                .collect();
            self.post("/v1/observations", Value::Array(lines)).await;
            if self.phase().await == "rolled_back" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        panic!("it is {}", self.phase().await);
    }
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_is_told_with_its_numbers_and_what_followed() {
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20deep");
    let world = World::start(&[headers, ("OTEL_SERVICE_NAME", "rollouts")]).await;
    world.roll_out_and_back().await;
    let receiver = world.receiver.clone();
    world.server.stop().await.unwrap();
    // Everything was sent before it had stopped.
    let spans = receiver.spans();
    let export = &receiver.exports()[0];
    assert_eq!(export.headers["content-type"], "application/x-protobuf");
    assert_eq!(export.headers["authorization"], "Bearer deep");
    let resource = export.request.resource_spans[0]
        .resource
        .clone()
        .unwrap()
        .attributes;
    assert_eq!(text(&resource, "service.name"), "rollouts");
    assert_eq!(text(&resource, "service.version"), env!("CARGO_PKG_VERSION"));

    check_request(named(&spans, "POST /v1/observations")[0]);
    check_rollback(&spans);
    for export in receiver.exports() {
        let body = String::from_utf8_lossy(&export.body).into_owned();
        assert!(!body.contains("secret-"), "no key of a user leaves the server");
    }
}

/// A request with the attributes of the semantic conventions.
fn check_request(observed: &Span) {
    assert_eq!(observed.kind, SpanKind::Server as i32);
    assert_eq!(text(&observed.attributes, "http.request.method"), "POST");
    assert_eq!(text(&observed.attributes, "http.route"), "/v1/observations");
    assert!((number(&observed.attributes, "http.response.status_code") - 200.0).abs() < 3.0);
    assert!(
        observed.end_time_unix_nano >= observed.start_time_unix_nano && observed.start_time_unix_nano > 0
    );
}

/// The rollback with its numbers, its label and its tick.
fn check_rollback(spans: &[Span]) {
    let moved = named(spans, "serin.transition");
    let back = moved
        .iter()
        .find(|span| text(&span.attributes, "serin.phase") == "rolling_back")
        .unwrap_or_else(|| panic!("no rollback in {moved:#?}"));
    assert_eq!(text(&back.attributes, "serin.cause"), "verdict");
    assert_eq!(text(&back.attributes, "serin.policy"), "greeting");
    assert_eq!(text(&back.attributes, "serin.rollout"), "r1");
    let of_metric = |span: &Span| {
        let mut events = span.events.iter();
        let found = events.find(|event| attribute(&event.attributes, "serin.metric").is_some());
        found.cloned().unwrap_or_else(|| panic!("no metric in {span:#?}"))
    };
    let verdict = of_metric(back);
    assert_eq!(verdict.name, "serin.verdict");
    let said = &verdict.attributes;
    assert_eq!(
        (text(said, "serin.metric"), text(said, "serin.verdict")),
        ("faithfulness", "fail")
    );
    assert!(
        number(said, "serin.log_e.worse") >= number(said, "serin.log_e.threshold"),
        "{said:#?}"
    );
    assert!(number(said, "serin.difference") < -0.4 && number(said, "serin.interval.upper") < -0.05);
    assert!((number(said, "serin.margin") - 0.05).abs() < 1e-9);
    let judged = named(spans, "serin.judge");
    let judged = judged.iter().map(|span| of_metric(span));
    assert!(
        judged
            .into_iter()
            .any(|event| number(&event.attributes, "serin.step") > 0.0),
        "a verdict has its step"
    );

    // The label went back below the decision, and everything below a tick.
    let tick = |id: &[u8]| {
        spans
            .iter()
            .any(|span| span.span_id == id && span.name == "serin.tick")
    };
    assert!(tick(&back.parent_span_id));
    let labels = named(spans, "serin.label_move");
    let parked = labels
        .iter()
        .find(|span| span.parent_span_id == back.span_id)
        .unwrap_or_else(|| panic!("no label below the rollback in {labels:#?}"));
    assert_eq!(parked.trace_id, back.trace_id);
    assert_eq!(text(&parked.attributes, "serin.label"), "canary");
    assert_eq!(text(&parked.attributes, "serin.outcome"), "confirmed");
    assert!((number(&parked.attributes, "serin.attempt") - 1.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_with_the_trace_of_whoever_asks() {
    let sampler = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ];
    let world = World::start(&sampler).await;
    assert_eq!(world.get_with("/v1/rollouts/r9?user=secret", SAMPLED).await, 400);
    assert_eq!(world.get_with("/no/such/secret", SAMPLED).await, 404);
    assert_eq!(world.get_with("/v1/status", UNSAMPLED).await, 200);
    assert_eq!(world.get_with("/v1/status", "00-zz-1-01").await, 200);
    // Spans that are sent to Serin are not told: its own might be among them.
    let sent = world
        .http
        .post(world.url("/v1/traces"))
        .header("traceparent", SAMPLED);
    let sent = sent
        .header("content-type", "application/x-protobuf")
        .body(Vec::new());
    assert_eq!(world.send(sent).await.0, 200);
    let receiver = world.receiver.clone();
    world.server.stop().await.unwrap();
    let mut names: Vec<String> = receiver.spans().into_iter().map(|span| span.name).collect();
    names.sort();
    assert_eq!(
        names,
        ["GET", "GET /v1/rollouts/{rollout}"],
        "nothing else was drawn"
    );
    for span in receiver.spans() {
        assert_eq!(span.trace_id, hex("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(span.parent_span_id, hex("b7ad6b7169203331"));
        assert_eq!(
            span.status.as_ref().map_or(0, |status| status.code),
            StatusCode::Unset as i32
        );
        assert!(!format!("{span:?}").contains("secret"), "{span:?}");
    }
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

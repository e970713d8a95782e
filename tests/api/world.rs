//! A whole server in one process: real store, real controller, a clock that is moved by hand.

use crate::contract::Contract;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use serin::api::access::{Access, AccessMode};
use serin::api::{App, Front, Parts, router};
use serin::clock::{Clock, ManualClock};
use serin::config::{AllowedOrigin, Limits};
use serin::controller::book::PolicyBook;
use serin::controller::{self, Controller};
use serin::ids::{Exposure, RegistryName};
use serin::registry::embedded::Embedded;
use serin::registry::langfuse::{Langfuse, Manner};
use serin::registry::{HookSecret, Registry};
use serin::sim::langfuse::Model;
use serin::store::Secret;
use serin::store::sqlite::SqliteStore;
use serin::telemetry::Telemetry;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

/// The policy that most tests are about.
pub(crate) const GREETING: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: greeting, owner: growth}
spec:
  prompt: team/greeting
  registry: embedded
  labels: {control: production, treatment: canary}
  assignment: {force: {treatment: [qa-7], control: [probe]}}
  steps:
    - {exposure: 50%, bake: 1h, samples: 5}
    - {exposure: 100%, bake: 1h}
  analysis: {every: 1s}
  metrics:
    - {name: faithfulness, kind: score, better: higher, margin: 0.05}
    - {name: errors, kind: rate, better: lower, margin: 1pp}
";

/// A second policy, which has no prompt yet.
pub(crate) const FAREWELL: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: farewell}
spec:
  prompt: farewell
  registry: embedded
  labels: {control: production, treatment: canary}
  steps: [{exposure: 100%, bake: 1h}]
  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]
";

/// A policy whose prompt is in the Langfuse `ours`.
pub(crate) const ORDER_STATUS: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: order-status}
spec:
  prompt: order-status
  registry: ours
  labels: {control: production, treatment: canary}
  assignment: {force: {treatment: [qa-7], control: [probe]}}
  steps: [{exposure: 50%, bake: 1h}, {exposure: 100%, bake: 1h}]
  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]
";

/// What webhooks of the registry are signed with.
pub(crate) const HOOK_SECRET: &str = "lf-whsec_of-the-tests";

/// What a world is made of, where it is not as usual.
pub(crate) struct Setting {
    pub(crate) mode: AccessMode,
    pub(crate) limits: Limits,
    pub(crate) policies: &'static [&'static str],
    pub(crate) allowed_origins: &'static [&'static str],
    /// The share of users who are in treatment of no policy, in parts per million.
    pub(crate) reserve_ppm: u32,
}

impl Default for Setting {
    fn default() -> Self {
        let limits = Limits {
            body_bytes_max: 64 * 1024,
            body_decompressed_bytes_max: 256 * 1024,
            ..Limits::default()
        };
        Self {
            mode: AccessMode::Loopback,
            limits,
            policies: &[GREETING, FAREWELL],
            allowed_origins: &[],
            reserve_ppm: 0,
        }
    }
}

/// A server, and the hands that drive it.
pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) front: Front,
    pub(crate) store: Arc<SqliteStore>,
    /// The registry `ours`, without prompts.
    pub(crate) model: Arc<Model>,
    pub(crate) ours: Arc<Langfuse>,
    clock: ManualClock,
    contract: Contract,
    running: Option<(oneshot::Sender<()>, JoinHandle<Controller>)>,
    /// Where the policies are; gone with the world.
    folder: TempDir,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body, which must have come with this status.
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// Any body, which must have come with this status.
    #[track_caller]
    pub(crate) fn ok_text(self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.text
    }

    /// The detail of the problem, which must have this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> String {
        let problem = self.json();
        assert_eq!(
            (self.status.as_u16(), &problem["code"]),
            (status, &json!(code)),
            "{}",
            self.text
        );
        problem["detail"].as_str().unwrap().to_owned()
    }
}

impl World {
    /// A server as usual.
    pub(crate) async fn new() -> Self {
        Self::with(Setting::default()).await
    }

    /// A server as usual, of these policies.
    pub(crate) async fn of(policies: &'static [&'static str]) -> Self {
        Self::with(Setting {
            policies,
            ..Setting::default()
        })
        .await
    }

    /// A server with [`ORDER_STATUS`], whose prompt has version 1 for users and version 2 for the
    /// treatment: the rollout r1 begins with the next ticks.
    pub(crate) async fn with_orders() -> Self {
        let world = Self::of(&[GREETING, ORDER_STATUS]).await;
        let model = &world.model;
        model.create("order-status", json!("It is {{status}}"));
        model.create("order-status", json!("Your order is {{status}}"));
        model.point("order-status", "production", Some(1));
        model.point("order-status", "canary", Some(2));
        world
    }

    /// A server in this setting.
    pub(crate) async fn with(setting: Setting) -> Self {
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let manual = ManualClock::starting_at(start);
        let clock = Clock::Manual(manual.clone());
        let store = Arc::new(SqliteStore::in_memory(clock.clone()).unwrap());
        let secret = Secret([7; 32]);
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let (handle, side) = controller::channel();
        let folder = TempDir::new().unwrap();
        for (number, text) in setting.policies.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{number}.yaml")), text).unwrap();
        }
        let embedded: Arc<dyn Registry> = Arc::new(Embedded::new(store.clone()));
        let model = Arc::new(Model::new(manual.clone()));
        let ours = Arc::new(Langfuse::new(model.clone(), Manner::default(), clock.clone()));
        let langfuses = BTreeMap::from([(RegistryName::new("ours").unwrap(), ours.clone())]);
        let registries = BTreeMap::from([
            (RegistryName::new("embedded").unwrap(), embedded),
            (
                RegistryName::new("ours").unwrap(),
                ours.clone() as Arc<dyn Registry>,
            ),
        ]);
        let controller = Controller::resume(controller::Parts {
            store: store.clone(),
            registries: registries.clone(),
            book: PolicyBook::of_folder(folder.path().to_owned()),
            clock: clock.clone(),
            secret: secret.clone(),
            telemetry: telemetry.clone(),
            side,
        })
        .await
        .unwrap()
        .with_reserve(Exposure::from_ppm(setting.reserve_ppm).unwrap(), "2026");
        let app = App::new(Parts {
            controller: handle,
            store: store.clone(),
            registries,
            clock,
            secret,
            access: Access::load(setting.mode, store.as_ref()).await.unwrap(),
            telemetry,
            limits: setting.limits,
            hooks: BTreeMap::from([(
                RegistryName::new("embedded").unwrap(),
                HookSecret::new(HOOK_SECRET.to_owned()),
            )]),
        });
        let origins = setting
            .allowed_origins
            .iter()
            .map(|origin| origin.parse::<AllowedOrigin>().unwrap());
        let app = app.with_allowed_origins(origins.collect());
        let app = Arc::new(app.with_langfuses(langfuses));
        let mut world = Self {
            model,
            ours,
            front: router(app.clone()),
            app,
            store,
            clock: manual,
            contract: Contract::new(),
            running: None,
            folder,
        };
        world.run(controller);
        world
    }

    fn run(&mut self, controller: Controller) {
        let (stop, stopped) = oneshot::channel();
        self.running = Some((stop, tokio::spawn(controller.run(stopped))));
    }

    /// Writes other texts of the policies, and lets the controller read them.
    pub(crate) async fn write_policies(&mut self, texts: &[&str]) {
        for (number, text) in texts.iter().enumerate() {
            std::fs::write(self.folder.path().join(format!("{number}.yaml")), text).unwrap();
        }
        let (stop, running) = self.running.take().unwrap();
        stop.send(()).unwrap();
        let mut controller = running.await.unwrap();
        self.clock.advance(SignedDuration::from_secs(5));
        controller.read_folder().await;
        controller.tick().await;
        self.run(controller);
    }

    /// Lets `seconds` pass, with a tick at the end of each.
    pub(crate) async fn tick(&mut self, seconds: i64) {
        let (stop, running) = self.running.take().unwrap();
        stop.send(()).unwrap();
        let mut controller = running.await.unwrap();
        for _ in 0..seconds {
            self.clock.advance(SignedDuration::from_secs(1));
            controller.tick().await;
        }
        self.run(controller);
    }

    /// Lets time pass without a tick.
    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// Stops the controller for good.
    pub(crate) async fn stop_controller(&mut self) {
        let (stop, running) = self.running.take().unwrap();
        stop.send(()).unwrap();
        drop(running.await.unwrap());
    }

    /// Sends a request past the check against the contract: its answer goes on without an end, or is
    /// described by others.
    pub(crate) async fn respond(&self, request: Request<Body>) -> Response<Body> {
        self.front.clone().oneshot(request).await.unwrap()
    }

    /// The same, read to its end.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.respond(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// Sends a request, and holds the answer against the contract.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.answer(request).await;
        self.contract.check(&method, &path, &answer);
        answer
    }

    /// Asks past the check against the contract.
    pub(crate) async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.answer(Self::request("GET", path, headers, "")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Request::delete(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::PUT, path, body).await
    }

    async fn send_json(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// Sends lines of observations.
    pub(crate) async fn observe(&self, lines: &str) -> Answer {
        let request = Request::post("/v1/observations").header("content-type", "application/x-ndjson");
        self.send(request.body(Body::from(lines.to_owned())).unwrap())
            .await
    }

    /// Makes versions 1 and 2 of the prompt of [`GREETING`], and lets users have version 1.
    pub(crate) async fn with_prompt(self) -> Self {
        for (text, label) in [
            ("Hello {{name}}", "production"),
            ("Good day {{name}}, {{wish}}", "staging"),
        ] {
            let body = json!({
                "name": "team/greeting", "type": "text", "prompt": text, "reason": "to greet",
                "labels": [label], "config": {"temperature": 0.2},
            });
            self.post("/v1/prompts", body).await.ok(201);
        }
        self
    }

    /// Starts a rollout of version 2, whose gates are open: half of the users are in treatment.
    pub(crate) async fn with_rollout(self) -> Self {
        let mut world = self.with_prompt().await;
        world.tick(1).await;
        let start = json!({"policy": "greeting", "candidate": 2, "reason": "it greets better"});
        world.post("/v1/rollouts", start).await.ok(201);
        world.tick(1).await;
        world
    }

    /// A user in this arm who is neither forced nor known.
    pub(crate) async fn user_in(&self, arm: &str) -> (String, Value) {
        for number in 0..200 {
            let user = format!("user-{number}");
            let assignment = self
                .get(&format!("/v1/assignments/greeting?user={user}"))
                .await
                .ok(200);
            if assignment["arm"] == arm {
                return (user, assignment);
            }
        }
        panic!("nobody is in {arm}");
    }

    /// A request with these headers.
    pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
        Self::request_bytes(method, path, headers, body.as_bytes().to_vec())
    }

    /// A request with these headers, and a body that may be anything.
    pub(crate) fn request_bytes(
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Request<Body> {
        let request = Request::builder().method(method).uri(path);
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::from(body)).unwrap()
    }

    /// A request with a token, and a JSON body unless it is null.
    pub(crate) fn authorized(method: &str, path: &str, token: &str, body: &Value) -> Request<Body> {
        let bearer = format!("Bearer {token}");
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        Self::request(method, path, &headers, &text)
    }

    /// How long to wait for something that must not happen.
    pub(crate) fn short() -> Duration {
        Duration::from_millis(20)
    }
}

//! A server with its console in one process, and a browser that keeps cookies and sends forms.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use serin::api::access::{Access, AccessMode, new_token};
use serin::api::{self, App, Front, Parts};
use serin::clock::{Clock, ManualClock};
use serin::config::Limits;
use serin::console::playground::Model;
use serin::console::{self, Console};
use serin::controller::book::PolicyBook;
use serin::controller::{self, Controller};
use serin::ids::RegistryName;
use serin::registry::Registry;
use serin::registry::embedded::Embedded;
use serin::store::sqlite::SqliteStore;
use serin::store::{Scope, Secret, Store as _, TokenRecord};
use serin::telemetry::Telemetry;
use std::collections::BTreeMap;
use std::sync::Arc;
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
  labels: {control: production, treatment: canary}
  steps:
    - {exposure: 50%, bake: 1h, samples: 5, approval: required}
    - {exposure: 100%, bake: 1h}
  analysis: {every: 1s}
  metrics:
    - {name: faithfulness, kind: score, better: higher, margin: 0.05}
    - {name: errors, kind: rate, better: lower, margin: 1pp}
";

/// Where a browser says that it is.
const HOST: &str = "127.0.0.1:8080";

pub(crate) struct World {
    pub(crate) front: Front,
    pub(crate) store: Arc<SqliteStore>,
    clock: ManualClock,
    running: Option<(oneshot::Sender<()>, JoinHandle<Controller>)>,
    _folder: TempDir,
}

impl World {
    /// An open server on this machine, with one policy.
    pub(crate) async fn new() -> Self {
        Self::with(&[GREETING], &[]).await
    }

    /// A server with these policies and tokens.
    pub(crate) async fn with(policies: &[&str], tokens: &[(&str, &str, Scope)]) -> Self {
        Self::build(policies, tokens, None).await
    }

    /// The same with a model that the playground may ask.
    pub(crate) async fn build(
        policies: &[&str],
        tokens: &[(&str, &str, Scope)],
        model: Option<Model>,
    ) -> Self {
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let manual = ManualClock::starting_at(start);
        let clock = Clock::Manual(manual.clone());
        let store = Arc::new(SqliteStore::in_memory(clock.clone()).unwrap());
        for (name, token, scope) in tokens {
            let record = TokenRecord {
                name: (*name).to_owned(),
                hash: sha(token),
                scopes: vec![*scope],
                created_at: start,
            };
            store.add_token(record).await.unwrap();
        }
        let secret = Secret([7; 32]);
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let (handle, side) = controller::channel();
        let folder = TempDir::new().unwrap();
        for (number, text) in policies.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{number}.yaml")), text).unwrap();
        }
        let embedded: Arc<dyn Registry> = Arc::new(Embedded::new(store.clone()));
        let registries = BTreeMap::from([(RegistryName::new("embedded").unwrap(), embedded)]);
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
        .unwrap();
        let app = Arc::new(App::new(Parts {
            controller: handle,
            store: store.clone(),
            registries,
            clock,
            secret: secret.clone(),
            access: Access::load(AccessMode::Loopback, store.as_ref()).await.unwrap(),
            telemetry,
            limits: Limits::default(),
            hooks: BTreeMap::new(),
        }));
        let pages = console::routes(Arc::new(Console::new(app.clone(), &secret).with_model(model)));
        let mut world = Self {
            front: api::wrap(api::routes(console::described()).merge(pages), app),
            store,
            clock: manual,
            running: None,
            _folder: folder,
        };
        world.run(controller);
        world.tick(1).await;
        world
    }

    fn run(&mut self, controller: Controller) {
        let (stop, stopped) = oneshot::channel();
        self.running = Some((stop, tokio::spawn(controller.run(stopped))));
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

    /// A browser that has been nowhere.
    pub(crate) fn browser(&self) -> Browser {
        Browser {
            front: self.front.clone(),
            cookie: None,
        }
    }

    /// What the API shows.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let request = Request::get(path).header("host", HOST);
        let answer = answer(&self.front, request.body(Body::empty()).unwrap()).await;
        serde_json::from_str(&answer.ok()).unwrap()
    }

    /// Asks the API for something.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.post_as("", path, body).await
    }

    /// The same with a token.
    pub(crate) async fn post_as(&self, token: &str, path: &str, body: Value) -> Value {
        let mut request = Request::post(path)
            .header("host", HOST)
            .header("content-type", "application/json");
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let answer = answer(&self.front, request).await;
        assert!(answer.status.is_success(), "{} {}", answer.status, answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    /// Makes versions 1 and 2 of the prompt of [`GREETING`], and starts a rollout of version 2.
    pub(crate) async fn with_rollout(self) -> Self {
        self.with_rollout_as("").await
    }

    /// The same with a token.
    pub(crate) async fn with_rollout_as(mut self, token: &str) -> Self {
        for (text, label) in [
            ("Hello {{name}}", "production"),
            ("Good day {{name}}, {{wish}}", "staging"),
        ] {
            let body = json!({
                "name": "team/greeting", "type": "text", "prompt": text, "reason": "to greet",
                "labels": [label], "config": {"temperature": 0.2},
            });
            self.post_as(token, "/v1/prompts", body).await;
        }
        self.tick(1).await;
        let start = json!({"policy": "greeting", "candidate": 2, "reason": "it greets better"});
        self.post_as(token, "/v1/rollouts", start).await;
        self.tick(1).await;
        self
    }

    /// Sends `count` observations of each arm in one tick; `bad` are those of treatment.
    pub(crate) async fn observe(&mut self, count: usize, bad: f64) {
        let line = |user: usize, version: u32, score: f64| {
            json!({"policy": "greeting", "user": format!("u{user}"), "version": version,
                   "metrics": {"faithfulness": score, "errors": 0}})
        };
        let lines: Vec<Value> = (0..count)
            .flat_map(|number| {
                let wave = f64::from(u8::try_from(number % 7).unwrap()) / 100.0;
                [
                    line(2 * number, 1, 0.85 + wave),
                    line(2 * number + 1, 2, bad + wave),
                ]
            })
            .collect();
        self.post("/v1/observations", Value::Array(lines)).await;
        self.tick(2).await;
    }
}

/// SHA-256 of a token, as the store keeps it.
fn sha(token: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(token.as_bytes()).into()
}

/// A token that nobody has yet.
pub(crate) fn token() -> String {
    new_token().unwrap().0
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.text
    }

    /// Where it leads.
    #[track_caller]
    pub(crate) fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.headers["location"].to_str().unwrap()
    }
}

async fn answer(front: &Front, request: Request<Body>) -> Answer {
    let response = front.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

/// Keeps cookies, and says where its requests come from.
pub(crate) struct Browser {
    front: Front,
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[("sec-fetch-site", "same-origin")], String::new())
            .await
    }

    /// Sends what a form of a page of this server would.
    pub(crate) async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{HOST}");
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("origin", origin.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send("POST", path, &headers, form(fields)).await
    }

    /// Opens a page and sends its form with these fields besides the hidden token.
    pub(crate) async fn fill(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(page).await.ok();
        let token = form_token(&page);
        let mut all = vec![("form_token", token.as_str())];
        all.extend(fields);
        self.submit(action, &all).await
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", HOST);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let answer = answer(&self.front, request.body(Body::from(body)).unwrap()).await;
        for set in answer.headers.get_all("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        answer
    }
}

/// The hidden token of a page's forms.
#[track_caller]
pub(crate) fn form_token(page: &str) -> String {
    let (_, rest) = page
        .split_once("name=\"form_token\" value=\"")
        .unwrap_or_else(|| panic!("no form in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// Fields as browsers send them.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect()
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

impl World {
    /// Revokes a token over the API, with another one.
    pub(crate) async fn revoke(&self, name: &str, with: &str) {
        let request = Request::delete(format!("/v1/tokens/{name}"))
            .header("host", HOST)
            .header("authorization", format!("Bearer {with}"));
        let answer = answer(&self.front, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    }
}

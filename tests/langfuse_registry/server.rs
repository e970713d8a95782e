//! The model behind HTTP: routes, keys, and how requests look on the wire.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method as HttpMethod, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use serin::clock::{Clock, ManualClock};
use serin::ids::{Actor, Generation, Justification, Label, PromptName, RolloutId, Version};
use serin::registry::langfuse::transport::{Http, Keys, Method, Request as Asked};
use serin::registry::langfuse::{Langfuse, Manner};
use serin::registry::{Freshness, LabelState, MoveOutcome, MoveReason, Registry, RegistryError};
use serin::rollout::{LabelMove, Parents};
use serin::sim::langfuse::{Model, Outcome};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// The name of the prompt: a folder, a space, a character that URLs give a meaning.
pub(crate) const NAME: &str = "support/order status?";
const PUBLIC: &str = "pk-lf-1234";
const SECRET: &str = "sk-lf-5678";
/// Long enough for an answer, short enough to wait for none.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: HttpMethod,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Clone)]
struct Front {
    model: Arc<Model>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A Langfuse at a free port, and Serin's registry that leads to it.
pub(crate) struct World {
    pub(crate) model: Arc<Model>,
    pub(crate) clock: ManualClock,
    pub(crate) registry: Langfuse,
    seen: Arc<Mutex<Vec<Seen>>>,
    base: String,
}

/// Three versions; `production` points at 1 and `canary` at 2.
pub(crate) async fn world() -> World {
    world_with(Manner::default()).await
}

pub(crate) async fn world_with(manner: Manner) -> World {
    let clock = ManualClock::starting_at("2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap());
    let model = Arc::new(Model::new(clock.clone()));
    for number in 1..=3 {
        model.create(NAME, json!(format!("text {number}")));
    }
    model.point(NAME, "production", Some(1));
    model.point(NAME, "canary", Some(2));
    let seen = Arc::<Mutex<Vec<Seen>>>::default();
    let front = Front {
        model: Arc::clone(&model),
        seen: Arc::clone(&seen),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(front);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let registry = registry(&base, &clock, SECRET, manner);
    World {
        model,
        clock,
        registry,
        seen,
        base,
    }
}

fn registry(base: &str, clock: &ManualClock, secret: &str, manner: Manner) -> Langfuse {
    let keys = Keys {
        public: PUBLIC.to_owned(),
        secret: secret.to_owned(),
    };
    let http = Http::new(base.parse().unwrap(), &keys, TIMEOUT).unwrap();
    Langfuse::new(Arc::new(http), manner, Clock::Manual(clock.clone()))
}

async fn answer(State(front): State<Front>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let seen = Seen {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    front.seen.lock().unwrap().push(seen.clone());
    let expected = format!("Basic {}", STANDARD.encode(format!("{PUBLIC}:{SECRET}")));
    if seen
        .headers
        .get(header::AUTHORIZATION)
        .is_none_or(|shown| *shown != *expected)
    {
        let body = json!({"message": "Invalid credentials. Confirm that you've configured the correct host.", "error": "UnauthorizedError"});
        return (StatusCode::UNAUTHORIZED, body.to_string()).into_response();
    }
    let Some(asked) = asked(&seen) else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    match front.model.arrive(&asked) {
        Outcome::Answered(reply) => {
            let mut response = Response::new(Body::from(reply.body));
            *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
            if let Some(seconds) = reply.retry_after {
                headers.insert(header::RETRY_AFTER, seconds.parse().unwrap());
            }
            response
        }
        Outcome::Silence => std::future::pending().await,
    }
}

/// The request as the model takes it; both spellings of a name with folders mean the same.
fn asked(seen: &Seen) -> Option<Asked> {
    let method = match seen.method.as_str() {
        "GET" => Method::Get,
        "PATCH" => Method::Patch,
        _ => return None,
    };
    let path = seen.uri.path().trim_start_matches('/');
    let mut parts: Vec<String> = path.split('/').map(decoded).collect();
    let name_ends = match method {
        Method::Get => parts.len(),
        Method::Patch => parts.len().checked_sub(2)?,
    };
    if name_ends > 5 {
        let name = parts.drain(4..name_ends).collect::<Vec<_>>().join("/");
        parts.insert(4, name);
    }
    let pairs = seen.uri.query().unwrap_or_default().split('&');
    let known = ["name", "label", "version", "resolve", "page", "limit"];
    let query = pairs.filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let key = known.into_iter().find(|known| *known == key)?;
        Some((key, decoded(&value.replace('+', " "))))
    });
    Some(Asked {
        method,
        path: parts,
        query: query.collect(),
        body: Some(seen.body.clone()).filter(|body| !body.is_null()),
    })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%').then(|| after.split_at_checked(2)).flatten();
        match escaped {
            Some((digits, after)) => {
                let digits = std::str::from_utf8(digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = after;
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn prompt() -> PromptName {
    PromptName::new(NAME).unwrap()
}

pub(crate) fn version(number: u32) -> Version {
    Version::new(number).unwrap()
}

pub(crate) fn label(name: &str) -> Label {
    Label::new(name).unwrap()
}

impl World {
    /// What came since this was last asked.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// A registry with another secret key.
    pub(crate) fn with_key(&self, secret: &str) -> Langfuse {
        registry(&self.base, &self.clock, secret, Manner::default())
    }

    pub(crate) async fn labels(
        &self,
        freshness: Freshness,
    ) -> Result<BTreeMap<Label, LabelState>, RegistryError> {
        let wanted = ["production", "canary"].map(label);
        self.registry.labels(&prompt(), &wanted, freshness).await
    }

    /// Moves a label as a rollout would.
    pub(crate) async fn move_label(
        &self,
        name: &str,
        from: Option<u32>,
        to: u32,
    ) -> Result<MoveOutcome, RegistryError> {
        let label_move = LabelMove {
            prompt: prompt(),
            label: label(name),
            from: from.map(version),
            to: version(to),
            rollout: RolloutId::new(17),
            generation: Generation::new(3),
            parents: Parents::default(),
        };
        let why = MoveReason {
            actor: Actor::serin(),
            reason: Justification::new("every guardrail passed").unwrap(),
        };
        self.registry.move_label(&label_move, &why).await
    }

    /// Where the label is in truth.
    pub(crate) fn at(&self, name: &str) -> Option<u32> {
        self.model.label(NAME, name)
    }
}

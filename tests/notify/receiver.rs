//! A receiver of webhooks in this process, which answers as it is told.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// How the next request is answered; when nothing is said, with 204.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// A status.
    Status(u16),
    /// A status with `Retry-After`.
    RetryAfter(u16, &'static str),
    /// A redirect back to the receiver.
    Redirect,
    /// No answer at all.
    Hang,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Arrived {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    arrived: Vec<Arrived>,
}

/// A receiver that listens until it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    work: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(Arc::clone(&script));
        let work = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            script,
            work,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub(crate) fn answer(&self, answers: &[Answer]) {
        self.script.lock().unwrap().answers.extend(answers);
    }

    /// What arrived since this was asked last.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        std::mem::take(&mut self.script.lock().unwrap().arrived)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn take(
    State(script): State<Arc<Mutex<Script>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = {
        let mut script = script.lock().unwrap();
        let path = uri.path().to_owned();
        script.arrived.push(Arrived { path, headers, body });
        script.answers.pop_front().unwrap_or(Answer::Status(204))
    };
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::RetryAfter(status, after) => (
            StatusCode::from_u16(status).unwrap(),
            [(header::RETRY_AFTER, after)],
        )
            .into_response(),
        Answer::Redirect => (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
        Answer::Hang => std::future::pending().await,
    }
}

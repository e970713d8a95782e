//! The CLI's side of the HTTP API.

use super::report::Hinted;
use crate::outbound::{self, BodyError, Place};
use anyhow::Context as _;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// Time to reach a server.
const CONNECT_SECONDS_MAX: u64 = 5;
/// Time for a server to answer in full.
const ANSWER_SECONDS_MAX: u64 = 30;
/// Time for a server that is followed to show that it is alive; it does every 15 s.
const SILENCE_SECONDS_MAX: u64 = 45;
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows that are asked for at once; a server gives no more.
const PAGE_ROWS_MAX: usize = 100;
/// Most of an answer that is repeated when it cannot be understood, in characters.
const ANSWER_SHOWN_CHARS_MAX: usize = 200;
/// Header with the name of whoever acts on a server that asks for no token.
const ACTOR_HEADER: HeaderName = HeaderName::from_static("x-serin-actor");

/// How to reach a server, and how to print what it says.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Connection {
    /// Address of the server
    #[arg(
        long,
        env = "SERIN_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        value_parser = server_url,
        help_heading = "Server"
    )]
    pub(crate) server: Url,
    /// Token to show to the server; none is needed for a server on this machine without tokens
    #[arg(
        long,
        env = "SERIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        help_heading = "Server"
    )]
    token: Option<String>,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

impl Connection {
    /// To a server, with the token to show to it.
    pub(crate) fn with(server: Url, token: Option<String>) -> Self {
        Self {
            server,
            token,
            json: false,
        }
    }

    /// To a server of this machine that asks for no token.
    pub(crate) fn to(server: Url) -> Self {
        Self::with(server, None)
    }
}

pub(crate) fn server_url(text: &str) -> Result<Url, String> {
    let mend = "write it like `http://127.0.0.1:8080`";
    let url = Url::parse(text).map_err(|error| format!("{error}; {mend}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("it must begin with `http://` or `https://`; {mend}"));
    }
    Ok(url)
}

/// Asks one server.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: Url,
}

/// A server's refusal: RFC 9457, with Serin's `code` and `errors`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProblemDetails {
    code: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    errors: Vec<LineError>,
}

/// What the server refuses, in its words.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Refused {
    /// What is wrong, as a stable word.
    code: Option<String>,
    message: String,
}

/// Whether a server refused what was asked of it with this code.
pub(crate) fn is_refused_as(error: &anyhow::Error, code: &str) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(|refused| refused.code.as_deref() == Some(code))
}

/// One of several things that are wrong.
#[derive(Debug, Deserialize)]
struct LineError {
    line: usize,
    detail: String,
}

impl Client {
    /// A client that acts in the name of `actor`, where the server does not know it from the token.
    pub(crate) fn new(connection: &Connection, actor: Option<&str>) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        if let Some(token) = connection.token.as_deref().filter(|token| !token.is_empty()) {
            let mut value = header_value(&format!("Bearer {token}"), "the token")?;
            value.set_sensitive(true);
            headers.insert(reqwest::header::AUTHORIZATION, value);
        }
        if let Some(actor) = actor.filter(|actor| !actor.is_empty()) {
            headers.insert(ACTOR_HEADER, header_value(actor, "the actor's name")?);
        }
        let http = Place::of(&connection.server)
            .client()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .timeout(Duration::from_secs(ANSWER_SECONDS_MAX))
            .build()
            .context("cannot set up the HTTP client")?;
        Ok(Self {
            http,
            server: connection.server.clone(),
        })
    }

    /// `GET` of the path with these segments, each of which may hold any character.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, query, None).await
    }

    /// `POST` of a JSON body.
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, &[], Some(body)).await
    }

    /// `PUT` of a JSON body.
    pub(crate) async fn put(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::PUT, path, &[], Some(body)).await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.ask(Method::DELETE, path, query, None).await
    }

    /// `GET` of a page for people.
    pub(crate) async fn page(&self, path: &[&str]) -> anyhow::Result<String> {
        let request = self.http.get(self.url(path)?);
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        let body = self.read(response).await?;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Follows `GET /v1/events`.
    pub(crate) async fn events(&self) -> anyhow::Result<Events<'_>> {
        // The answer goes on for as long as the server lives; its silence is bounded instead.
        let request = self.http.get(self.url(&["v1", "events"])?).timeout(Duration::MAX);
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if !status.is_success() {
            let body = self.read(response).await?;
            return Err(self.refused(status, &body));
        }
        Ok(Events {
            client: self,
            response,
            at_line_start: true,
        })
    }

    /// The first `most` items of a list that comes in pages: each has them under `items`, and under
    /// `next` what the parameter `cursor` takes for the next page.
    pub(crate) async fn pages(
        &self,
        path: &[&str],
        items: &str,
        cursor: &str,
        most: usize,
    ) -> anyhow::Result<Vec<Value>> {
        self.read_pages(path, &[], (items, cursor), most).await
    }

    /// All items of a list that comes in pages and is asked for with `query`.
    pub(crate) async fn pages_of(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        items: &str,
        cursor: &str,
    ) -> anyhow::Result<Vec<Value>> {
        self.read_pages(path, query, (items, cursor), usize::MAX).await
    }

    async fn read_pages(
        &self,
        path: &[&str],
        asked: &[(&str, &str)],
        (items, cursor): (&str, &str),
        most: usize,
    ) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        while found.len() < most {
            let rows = (most - found.len()).min(PAGE_ROWS_MAX).to_string();
            let mut query = asked.to_vec();
            query.push(("limit", rows.as_str()));
            query.extend(next.as_deref().map(|next| (cursor, next)));
            let mut page = self.get(path, &query).await?;
            let Value::Array(rows) = page[items].take() else {
                anyhow::bail!("the server's answer has no list `{items}`");
            };
            found.extend(rows);
            let cursor = page["next"].take();
            if cursor.is_null() {
                break;
            }
            next = Some(cursor.as_str().map_or_else(|| cursor.to_string(), str::to_owned));
        }
        Ok(found)
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut request = self.http.request(method, self.url(path)?).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        let body = self.read(response).await?;
        if status.is_success() {
            if body.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&body).map_err(|error| self.not_understood(status, &body, error));
        }
        Err(self.refused(status, &body))
    }

    fn url(&self, path: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.server.clone();
        // The server may live below a path of a gateway.
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => anyhow::bail!("`{}` has no path", self.shown()),
        };
        Ok(url)
    }

    async fn read(&self, response: Response) -> anyhow::Result<Bytes> {
        let body = outbound::body(response, ANSWER_BYTES_MAX).await;
        body.map_err(|error| match error {
            BodyError::Broken(error) => self.unreachable(error),
            BodyError::TooLong => anyhow::anyhow!(
                "the answer of {} is longer than {ANSWER_BYTES_MAX} bytes",
                self.shown()
            ),
        })
    }

    /// The server's address as people write it.
    fn shown(&self) -> &str {
        self.server.as_str().trim_end_matches('/')
    }

    fn unreachable(&self, error: reqwest::Error) -> anyhow::Error {
        let server = self.shown();
        let error = error.without_url();
        if error.is_connect() && error.is_timeout() {
            let message = format!("cannot reach {server} within {CONNECT_SECONDS_MAX} s");
            return Hinted::new(
                message,
                "check `--server` (or SERIN_SERVER) and the network in between",
            )
            .into();
        }
        if error.is_timeout() {
            let message = format!("{server} did not answer within {ANSWER_SECONDS_MAX} s");
            return Hinted::new(message, "ask again; a change may have been made all the same").into();
        }
        if error.is_connect() && is_refused(&error) {
            let message = format!("no server at {server}");
            return Hinted::new(
                message,
                "start one with `serin serve`, or name another with `--server`",
            )
            .into();
        }
        if error.is_connect() {
            let message = format!("cannot connect to {server}");
            let hint = match self.server.scheme() {
                "https" => "check `--server` (or SERIN_SERVER); SSL_CERT_FILE names an authority of your own",
                _ => "check `--server` (or SERIN_SERVER)",
            };
            return Hinted::new(message, hint).because(outbound::cause(error)).into();
        }
        anyhow::Error::new(error).context(format!("the conversation with {server} broke off"))
    }

    fn not_understood(&self, status: StatusCode, body: &[u8], error: serde_json::Error) -> anyhow::Error {
        let message = format!(
            "the answer of {} cannot be understood: {status}, {}",
            self.shown(),
            shown(body)
        );
        Hinted::new(
            message,
            "check that `--server` (or SERIN_SERVER) is the address of a Serin server",
        )
        .because(error)
        .into()
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> anyhow::Error {
        let Ok(problem) = serde_json::from_slice::<ProblemDetails>(body) else {
            let message = format!("{} answered {status}: {}", self.shown(), shown(body));
            let hint = "check that `--server` (or SERIN_SERVER) is the address of a Serin server";
            return Hinted::new(message, hint).into();
        };
        let told = problem
            .detail
            .or(problem.title)
            .unwrap_or_else(|| status.to_string());
        let code = problem.code;
        let mut message = match &code {
            Some(code) => format!("{told} [{code}]"),
            None => told,
        };
        for LineError { line, detail } in &problem.errors {
            message.push_str(&format!("\n  {line}: {detail}"));
        }
        if status == StatusCode::UNAUTHORIZED {
            return Hinted::new(message, "give a token with `--token` or SERIN_TOKEN").into();
        }
        Refused { code, message }.into()
    }
}

/// What a server tells while it is followed.
#[derive(Debug)]
pub(crate) struct Events<'c> {
    client: &'c Client,
    response: Response,
    at_line_start: bool,
}

impl Events<'_> {
    /// Waits until something is told; fails when the server ends, or shows no sign of life.
    ///
    /// It can be given up at any time, and asked again.
    pub(crate) async fn next(&mut self) -> anyhow::Result<()> {
        loop {
            let silence = Duration::from_secs(SILENCE_SECONDS_MAX);
            let chunk = tokio::time::timeout(silence, self.response.chunk()).await;
            let Ok(chunk) = chunk else {
                anyhow::bail!(
                    "{} has been silent for {SILENCE_SECONDS_MAX} s",
                    self.client.shown()
                );
            };
            let Some(chunk) = chunk.map_err(|error| self.client.unreachable(error))? else {
                anyhow::bail!("{} has ended", self.client.shown());
            };
            if tells(&chunk, &mut self.at_line_start) {
                return Ok(());
            }
        }
    }
}

/// Whether a part of a stream of server-sent events has more than comments, which keep it alive.
fn tells(chunk: &[u8], at_line_start: &mut bool) -> bool {
    let mut told = false;
    for byte in chunk {
        told |= *at_line_start && !matches!(byte, b':' | b'\n' | b'\r');
        *at_line_start = matches!(byte, b'\n' | b'\r');
    }
    told
}

/// Reads an answer as the type that a verb shows.
pub(crate) fn view<T: DeserializeOwned>(answer: &Value) -> anyhow::Result<T> {
    T::deserialize(answer).map_err(|error| {
        Hinted::new(
            "the server's answer has another form than this `serin` knows",
            "use the `serin` of the server's own version; `--json` shows the answer as it is",
        )
        .because(error)
        .into()
    })
}

fn header_value(text: &str, what: &str) -> anyhow::Result<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes())
        .with_context(|| format!("{what} holds characters that cannot be sent"))
}

fn is_refused(error: &reqwest::Error) -> bool {
    anyhow::Chain::new(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// The beginning of an answer, on one line.
fn shown(body: &[u8]) -> String {
    let text = super::screen::harmless(&String::from_utf8_lossy(body));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return "an empty body".to_owned();
    }
    let mut start: String = words.chars().take(ANSWER_SHOWN_CHARS_MAX).collect();
    if start.len() < words.len() {
        start.push('…');
    }
    format!("`{start}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_tell_nothing_wherever_the_stream_is_cut() {
        let parts = [&b":\n\n: al"[..], b"ive\n\nev", b"ent: rollout\n", b"\n"];
        let mut at_line_start = true;
        let told = parts.map(|part| tells(part, &mut at_line_start));
        assert_eq!(told, [false, true, false, false]);
    }
}

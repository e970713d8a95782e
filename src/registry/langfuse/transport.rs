//! How a request reaches Langfuse: HTTP in the server, a function call in the simulator.

use crate::outbound::{self, BodyError, Place};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Url, redirect};
use std::fmt;
use std::time::Duration;

/// Largest answer that is read; Langfuse itself takes prompts of about a megabyte.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Time to reach a server, in seconds.
const CONNECT_SECONDS_MAX: u64 = 3;
/// When a used-up limit begins anew.
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// The public key once more, as Langfuse's own SDKs send it.
const PUBLIC_KEY: HeaderName = HeaderName::from_static("x-langfuse-public-key");

/// Carries requests to one project of one Langfuse, and answers back.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request; it may be carried out although no answer comes.
    async fn send(&self, request: Request) -> Result<Reply, NoReply>;
}

/// A method that Serin uses; it never deletes anything in somebody else's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Adds labels to a version.
    Patch,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// The parts of the path after the base URL, not encoded; each may hold any character.
    pub path: Vec<String>,
    /// The query, not encoded.
    pub query: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: Option<serde_json::Value>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, where it is there and readable.
    pub retry_after: Option<String>,
    /// `X-RateLimit-Reset`, where it is there and readable.
    pub rate_limit_reset: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoReply(pub String);

/// The keys of a Langfuse project.
#[derive(Clone)]
pub struct Keys {
    /// `pk-lf-…`.
    pub public: String,
    /// `sk-lf-…`.
    pub secret: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// Why requests cannot be made at all.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A key that no header can carry.
    #[error("a key of a Langfuse project has a character that no HTTP header takes: copy it anew")]
    Key,
    /// The client itself.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// HTTP, with a project's keys (HTTP basic authentication, RFC 7617).
#[derive(Debug)]
pub struct Http {
    client: Client,
    base: Url,
    headers: HeaderMap,
    timeout: Duration,
}

impl Http {
    /// Requests to `base`, each of which must be answered in full within `timeout`.
    ///
    /// No redirect is followed: a label move that arrives as another method would do something else.
    pub fn new(base: Url, keys: &Keys, timeout: Duration) -> Result<Self, HttpError> {
        let pair = STANDARD.encode(format!("{}:{}", keys.public, keys.secret));
        let mut basic = HeaderValue::from_str(&format!("Basic {pair}")).map_err(|_| HttpError::Key)?;
        basic.set_sensitive(true);
        let mut public = HeaderValue::from_str(&keys.public).map_err(|_| HttpError::Key)?;
        public.set_sensitive(true);
        let client = Place::of(&base)
            .client()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .redirect(redirect::Policy::none())
            .build()
            .map_err(HttpError::Client)?;
        Ok(Self {
            client,
            base,
            headers: HeaderMap::from_iter([(AUTHORIZATION, basic), (PUBLIC_KEY, public)]),
            timeout,
        })
    }

    fn url(&self, request: &Request) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }

    async fn exchange(&self, request: Request) -> Result<Reply, NoReply> {
        let url = self.url(&request);
        let builder = match request.method {
            Method::Get => self.client.get(url),
            Method::Patch => self.client.patch(url),
        };
        let builder = match &request.body {
            Some(body) => builder.json(body),
            None => builder,
        };
        let response = builder
            .headers(self.headers.clone())
            .send()
            .await
            .map_err(no_reply)?;
        let told = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (retry_after, rate_limit_reset) = (told(RETRY_AFTER), told(RATE_LIMIT_RESET));
        Ok(Reply {
            status: response.status().as_u16(),
            retry_after,
            rate_limit_reset,
            body: outbound::body(response, ANSWER_BYTES_MAX).await.map_err(unread)?,
        })
    }
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: Request) -> Result<Reply, NoReply> {
        let seconds = self.timeout.as_secs_f64();
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(exchanged) => exchanged,
            Err(_) => Err(NoReply(format!("no answer within {seconds} s"))),
        }
    }
}

fn no_reply(error: reqwest::Error) -> NoReply {
    NoReply(outbound::cause(error))
}

fn unread(error: BodyError) -> NoReply {
    match error {
        BodyError::Broken(error) => no_reply(error),
        BodyError::TooLong => NoReply(format!("the answer has more than {ANSWER_BYTES_MAX} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(base: &str) -> Http {
        let keys = Keys {
            public: "pk-lf-1".to_owned(),
            secret: "sk-lf-2".to_owned(),
        };
        let base = Url::parse(base).unwrap();
        Http::new(base, &keys, Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn a_name_with_folders_is_one_part_of_the_path() {
        let request = Request {
            method: Method::Get,
            path: ["api", "folder/greet me?"].map(str::to_owned).to_vec(),
            query: vec![("label", "a&b".to_owned())],
            body: None,
        };
        for base in ["http://localhost:3000", "http://localhost:3000/"] {
            let url = http(base).url(&request);
            assert_eq!(
                url.as_str(),
                "http://localhost:3000/api/folder%2Fgreet%20me%3F?label=a%26b"
            );
        }
        let deeper = http("https://example.org/langfuse/").url(&request);
        assert_eq!(deeper.path(), "/langfuse/api/folder%2Fgreet%20me%3F");
    }

    #[test]
    fn keys_are_never_shown() {
        let shown = format!("{:?}", http("http://localhost:3000"));
        assert!(!shown.contains("lf-1") && !shown.contains("lf-2"), "{shown}");
        assert!(!shown.contains(&STANDARD.encode("pk-lf-1:sk-lf-2")), "{shown}");
        let keys = Keys {
            public: "pk\n".to_owned(),
            secret: String::new(),
        };
        assert_eq!(format!("{keys:?}"), "Keys(…)");
        let base = Url::parse("http://localhost").unwrap();
        let refused = Http::new(base, &keys, Duration::from_secs(1)).unwrap_err();
        assert!(matches!(refused, HttpError::Key));
    }
}

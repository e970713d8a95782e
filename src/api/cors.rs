//! Pages of other origins that may ask for assignments (WHATWG Fetch, section 3.2, "CORS protocol").
//!
//! A browser lets a page read an answer only if the answer names the page's origin. Off by default: the
//! settings list the origins. Only what assigns users can be allowed; nothing that changes something or
//! tells how a rollout stands. Credentials that a browser adds by itself, such as cookies, are never
//! asked for: tokens come in headers that the page sets.

use super::App;
use crate::config::AllowedOrigins;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};

/// What paths begin with that pages may ask for.
const PATHS: [&str; 4] = ["/v1/assignments", "/ofrep/", "/api/features/", "/sub/"];
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
/// What a page may send besides the headers that need no permission.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, if-none-match, last-event-id, x-api-key");
/// What a page may read besides the headers that need no permission.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "etag, retry-after, x-serin-policy, x-serin-arm, x-serin-label, x-serin-version, x-serin-exposure, \
     x-serin-reason, x-serin-rollout, x-serin-receipt, x-sse-support",
);
/// How long a browser may remember a preflight, in seconds.
const REMEMBERED_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// An origin that may read the answer.
pub(super) struct Reader(HeaderValue);

impl App {
    /// The origin that asks, where the settings let it read the answer.
    pub(super) fn reader<B>(&self, request: &Request<B>) -> Option<Reader> {
        if self.allowed_origins.is_empty() {
            return None;
        }
        let path = request.uri().path();
        let origin = request.headers().get(header::ORIGIN)?;
        let open = PATHS.iter().any(|beginning| path.starts_with(beginning));
        (open && allows(&self.allowed_origins, origin)).then(|| Reader(origin.clone()))
    }
}

fn allows(origins: &AllowedOrigins, origin: &HeaderValue) -> bool {
    origin.to_str().is_ok_and(|origin| origins.allow(origin))
}

/// Whether a browser asks if it may ask.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

impl Reader {
    /// The answer to a preflight, still to be signed.
    pub(super) fn preflight(&self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED_SECONDS);
        response
    }

    /// Lets the origin read an answer.
    pub(super) fn sign(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

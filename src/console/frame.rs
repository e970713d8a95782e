//! What every page has around its content, and how a refusal looks.

use super::Console;
use super::assets;
use super::session::COOKIE;
use super::visitor::{Seat, Visitor};
use super::words::Moment;
use crate::api::access::Needs;
use crate::api::problem::{Code, Problem};
use askama::Template;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;

/// What a browser may do with a page (Content Security Policy Level 3): nothing but what comes from here.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Headers of every page that does not say otherwise.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Adds the headers that an answer of the console does not have yet.
pub(super) async fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        // A report has a policy of its own, and files are kept.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The place in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Policies,
    Prompts,
    Elsewhere,
}

impl Section {
    /// The word in the templates.
    fn word(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Policies => "policies",
            Self::Prompts => "prompts",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// What is around the content.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) section: Section,
    /// Who looks; none while nobody has said.
    pub(super) actor: Option<String>,
    /// Whether there is a session to end.
    pub(super) signed_in: bool,
    /// Whether the server serves everybody.
    pub(super) open: bool,
    pub(super) form_token: String,
    /// Where changes of what the page shows are told.
    pub(super) live: Option<String>,
    pub(super) now: Moment,
    pub(super) css: &'static str,
    pub(super) script: &'static str,
    pub(super) version: &'static str,
}

impl Frame {
    /// Around a page that this visitor sees.
    pub(super) fn new<N: Needs>(
        console: &Console,
        visitor: &Visitor<N>,
        section: Section,
        title: impl Into<String>,
    ) -> Self {
        let Seat { session, actor, .. } = &visitor.seat;
        Self {
            section,
            actor: actor.as_ref().map(ToString::to_string),
            signed_in: actor.is_some() && visitor.seat.by_cookie,
            open: console.app.access().is_open(),
            form_token: console.sessions.form_token(session),
            ..Self::bare(title, console.now())
        }
    }

    /// Around a page that anybody sees.
    pub(super) fn bare(title: impl Into<String>, now: Timestamp) -> Self {
        Self {
            title: title.into(),
            section: Section::Elsewhere,
            actor: None,
            signed_in: false,
            open: false,
            form_token: String::new(),
            live: None,
            now: Moment::new(now),
            css: assets::css(),
            script: assets::script(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The same, on a page that changes with what `policy` (or any) does.
    pub(super) fn live(self, policy: Option<&str>) -> Self {
        let live = match policy {
            Some(policy) => format!("/events?policy={policy}"),
            None => "/events".to_owned(),
        };
        Self {
            live: Some(live),
            ..self
        }
    }

    /// Whether the page is in the section of this word.
    pub(super) fn is_in(&self, word: &str) -> bool {
        self.section.word() == word
    }
}

/// A page, with the visitor's session where it is new.
pub(super) fn page<N: Needs>(
    console: &Console,
    visitor: &Visitor<N>,
    template: &impl Template,
) -> Result<Response, PageError> {
    seated(console, &visitor.seat, StatusCode::OK, template)
}

/// A page with a status, for a seat.
pub(super) fn seated(
    console: &Console,
    seat: &Seat,
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, PageError> {
    let html = template
        .render()
        .map_err(|error| PageError(Problem::internal(&error)))?;
    let mut response = (status, Html(html)).into_response();
    if seat.is_new
        && let Ok(cookie) = HeaderValue::from_str(&seat.cookie(console))
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The header that keeps a session in the browser, or with an empty value ends it there.
pub(super) fn cookie(value: &str, secure: bool) -> String {
    let age = if value.is_empty() { "; Max-Age=0" } else { "" };
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{age}{secure}")
}

/// What stands against showing a page, shown as one.
#[derive(Debug)]
pub(super) struct PageError(Problem);

impl<E: Into<Problem>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

#[derive(Template)]
#[template(path = "error.html", config = "src/console/askama.toml")]
struct ErrorPage {
    frame: Frame,
    detail: String,
    is_ours: bool,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let status = problem.code().status();
        let page = ErrorPage {
            frame: Frame::bare(problem.code().title(), Timestamp::UNIX_EPOCH),
            detail: super::words::capital(problem.detail()),
            is_ours: status.is_server_error(),
        };
        match page.render() {
            Ok(html) => (status, Html(html)).into_response(),
            Err(_) => problem.into_response(),
        }
    }
}

/// There is no such page.
pub(super) fn not_found(what: &str) -> PageError {
    PageError(Problem::new(Code::UnknownRoute, format!("there is no {what}")))
}

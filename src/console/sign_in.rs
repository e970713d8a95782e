//! Signing in: with a token where the server has any, with a name where it serves everybody.

use super::Console;
use super::frame::{self, Frame, PageError, seated};
use super::session::Who;
use super::visitor::{Seat, own_form};
use crate::api::access::{local_actor, token_hash};
use askama::Template;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/console/askama.toml")]
struct SignInPage {
    frame: Frame,
    next: String,
    refused: Option<String>,
}

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Next {
    next: String,
}

/// A path of this server, and nothing that leads elsewhere.
fn own_path(next: &str) -> &str {
    let is_own = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(['\\', '\r', '\n', '\t'])
        && next.is_ascii();
    if is_own { next } else { "/" }
}

/// The form that asks who it is.
pub(super) async fn ask(
    State(console): State<Arc<Console>>,
    Query(next): Query<Next>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let seat = Seat::find(&console, &headers)?;
    form(&console, &seat, &next.next, None)
}

fn form(console: &Console, seat: &Seat, next: &str, refused: Option<String>) -> Result<Response, PageError> {
    let status = match refused {
        Some(_) => StatusCode::UNAUTHORIZED,
        None => StatusCode::OK,
    };
    let frame = Frame {
        open: console.app.access().is_open(),
        form_token: console.sessions.form_token(&seat.session),
        ..Frame::bare("Sign in", console.now())
    };
    let page = SignInPage {
        frame,
        next: own_path(next).to_owned(),
        refused,
    };
    seated(console, seat, status, &page)
}

/// Begins a session.
pub(super) async fn begin(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Response> {
    let seat = Seat::find(&console, &headers).map_err(PageError::into_response)?;
    let fields = own_form(&console, &seat, request).await?;
    let next = fields.get("next").unwrap_or("/");
    let access = console.app.access();
    let who = if access.is_open() {
        let name = fields.get("actor").unwrap_or_default().trim();
        local_actor(name)
            .map(|_| Who::Named(name.to_owned()))
            .ok_or("a name has 1 to 100 bytes, and no control characters")
    } else {
        let hash = token_hash(fields.get("token").unwrap_or_default().trim());
        access
            .holder(&hash, None)
            .map(|_| Who::Holder(hash))
            .map_err(|_| "the token is not known: it may have been revoked")
    };
    let answer = match who {
        Ok(who) => seat
            .taken_by(&console, who)
            .map(|seat| moved(next, &seat.cookie(&console))),
        Err(why) => form(&console, &seat, next, Some(super::words::capital(why))),
    };
    answer.map_err(PageError::into_response)
}

/// Ends a session in this browser.
pub(super) async fn end(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Response> {
    let seat = Seat::find(&console, &headers).map_err(PageError::into_response)?;
    own_form(&console, &seat, request).await?;
    Ok(moved("/", &frame::cookie("", false)))
}

/// On to a path of this server, with a new cookie.
fn moved(next: &str, cookie: &str) -> Response {
    let mut response = Redirect::to(own_path(next)).into_response();
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn nobody_is_led_elsewhere() {
        assert_eq!(own_path("/rollouts/r1?x=1"), "/rollouts/r1?x=1");
        for elsewhere in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/\nx",
            "x",
            "/é",
        ] {
            assert_eq!(own_path(elsewhere), "/", "{elsewhere:?}");
        }
    }
}

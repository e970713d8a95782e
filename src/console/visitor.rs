//! Who may see a page, and whose form it is.

use super::Console;
use super::form::Fields;
use super::frame::{self, PageError};
use super::session::{COOKIE, Session, Who};
use crate::api::access::{Needs, local_actor, token_hash};
use crate::api::problem::{Code, Problem};
use crate::ids::Actor;
use crate::store::Scope;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use std::marker::PhantomData;
use std::sync::Arc;

/// Where a visitor sits: their session, and who they are by it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) session: Session,
    /// Whether the browser does not have the session yet.
    pub(super) is_new: bool,
    /// Whether the browser's session says who it is.
    pub(super) by_cookie: bool,
    pub(super) actor: Option<Actor>,
    /// Whether the visitor may run rollouts.
    pub(super) may_operate: bool,
    /// Whether the visitor is an administrator.
    pub(super) is_admin: bool,
    /// Whether the browser says that it came by TLS.
    secure: bool,
}

impl Seat {
    /// The session as the header that keeps it in the browser.
    pub(super) fn cookie(&self, console: &Console) -> String {
        frame::cookie(&console.sessions.seal(&self.session), self.secure)
    }

    /// The seat of somebody else in the same browser, who is to be remembered.
    pub(super) fn taken_by(&self, console: &Console, who: Who) -> Result<Self, PageError> {
        let session = console.sessions.begin(who, console.now());
        let session = session.map_err(|error| Problem::internal(&error))?;
        let mut seat = Self::of(console, session);
        seat.is_new = true;
        seat.secure = self.secure;
        Ok(seat)
    }

    /// An answer that keeps the name that a form asked for, where nothing said before who it is.
    pub(super) fn remembered(
        &self,
        console: &Console,
        name: &str,
        mut response: Response,
    ) -> Result<Response, PageError> {
        if self.actor.is_none() {
            let seat = self.taken_by(console, Who::Named(name.to_owned()))?;
            if let Ok(cookie) = HeaderValue::from_str(&seat.cookie(console)) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        Ok(response)
    }

    fn of(console: &Console, session: Session) -> Self {
        let access = console.app.access();
        let (actor, may_operate) = match &session.who {
            Who::Nobody => (None, access.is_open()),
            Who::Named(name) if access.is_open() => (local_actor(name), true),
            Who::Named(_) => (None, false),
            Who::Holder(_) if access.is_open() => (None, true),
            Who::Holder(hash) => (
                access.holder(hash, None).ok().map(|caller| caller.actor),
                access.holder(hash, Some(Scope::Operate)).is_ok(),
            ),
        };
        let is_admin = match &session.who {
            Who::Nobody | Who::Named(_) => access.is_open(),
            Who::Holder(hash) => access.is_open() || access.holder(hash, Some(Scope::Admin)).is_ok(),
        };
        Self {
            by_cookie: actor.is_some(),
            session,
            is_new: false,
            actor,
            may_operate,
            is_admin,
            secure: false,
        }
    }

    /// The seat of whoever made this request.
    pub(super) fn find(console: &Console, headers: &HeaderMap) -> Result<Self, PageError> {
        let now = console.now();
        let known = cookie(headers).and_then(|value| console.sessions.open(value, now));
        let mut seat = match known {
            Some(session) => Self::of(console, session),
            None => {
                let session = console.sessions.begin(Who::Nobody, now);
                let session = session.map_err(|error| Problem::internal(&error))?;
                Self {
                    is_new: true,
                    ..Self::of(console, session)
                }
            }
        };
        seat.secure = text(headers, header::ORIGIN).is_some_and(|origin| origin.starts_with("https://"));
        Ok(seat)
    }
}

/// Somebody who may see pages that need `N`.
#[derive(Debug)]
pub(super) struct Visitor<N: Needs> {
    pub(super) seat: Seat,
    needs: PhantomData<N>,
}

impl<N: Needs> FromRequestParts<Arc<Console>> for Visitor<N> {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        let mut seat = Seat::find(console, &parts.headers).map_err(IntoResponse::into_response)?;
        let access = console.app.access();
        if !access.is_open() {
            let hash = match (&seat.session.who, bearer(&parts.headers)) {
                (Who::Holder(hash), _) if seat.actor.is_some() => *hash,
                (_, Some(token)) => token_hash(token),
                (_, None) => return Err(sign_in_first(&parts.headers, &parts.uri)),
            };
            let caller = access
                .holder(&hash, N::SCOPE)
                .map_err(|problem| PageError::from(problem).into_response())?;
            seat.actor = Some(caller.actor);
            seat.may_operate = access.holder(&hash, Some(Scope::Operate)).is_ok();
            seat.is_admin = access.holder(&hash, Some(Scope::Admin)).is_ok();
        }
        Ok(Self {
            seat,
            needs: PhantomData,
        })
    }
}

/// A form that one of our own pages has sent, and who sent it.
#[derive(Debug)]
pub(super) struct Posted<N: Needs> {
    pub(super) visitor: Visitor<N>,
    pub(super) fields: Fields,
}

impl<N: Needs> FromRequest<Arc<Console>> for Posted<N> {
    type Rejection = Response;
    async fn from_request(request: Request, console: &Arc<Console>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, console).await?;
        let fields = own_form(console, &visitor.seat, Request::from_parts(parts, body)).await?;
        Ok(Self { visitor, fields })
    }
}

/// The fields of a form, once it is proved to be of one of our own pages.
pub(super) async fn own_form(console: &Console, seat: &Seat, request: Request) -> Result<Fields, Response> {
    let foreign =
        |detail: &'static str| PageError::from(Problem::new(Code::BadHeader, detail)).into_response();
    if !is_same_origin(request.headers()) {
        return Err(foreign(
            "the form was not sent by a page of this server: open the page here and send it again",
        ));
    }
    let fields = Fields::read(request).await.map_err(IntoResponse::into_response)?;
    let token = fields.get("form_token").unwrap_or_default();
    if seat.is_new || !console.sessions.is_form_of(&seat.session, token) {
        return Err(foreign(
            "the form is too old, or cookies are off: open the page again and send it once more",
        ));
    }
    Ok(fields)
}

/// Whether a browser says that one of our own pages sent the request (Fetch Metadata; else RFC 6454).
fn is_same_origin(headers: &HeaderMap) -> bool {
    let site = text(headers, header::HeaderName::from_static("sec-fetch-site"));
    let host = text(headers, header::HOST);
    let origin = text(headers, header::ORIGIN);
    let origin_fits = origin
        .zip(host)
        .is_some_and(|(origin, host)| origin.split_once("://").is_some_and(|(_, name)| name == host));
    match (site, origin) {
        // A proxy may have put another name into `Host`, the browser knows better.
        (Some(site), _) => site == "same-origin",
        (None, Some(_)) => origin_fits,
        (None, None) => false,
    }
}

/// Asks for a token, and comes back afterwards.
fn sign_in_first(headers: &HeaderMap, uri: &Uri) -> Response {
    let next = uri.path_and_query().map_or("/", |path| path.as_str());
    let site = text(headers, header::HeaderName::from_static("sec-fetch-site"));
    if site == Some("cross-site") {
        // A strict cookie stays away when a link of another site is followed; it is there on the next try.
        return Html(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Serin</title>\
             <meta http-equiv=\"refresh\" content=\"0\"><p>One moment …</p></html>",
        )
        .into_response();
    }
    let query = encoded(next);
    Redirect::to(&format!("/sign-in?next={query}")).into_response()
}

/// A text as the value of a parameter.
pub(super) fn encoded(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            value.push(char::from(byte));
        } else {
            value.push_str(&format!("%{byte:02X}"));
        }
    }
    value
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &'static str)| (name.parse().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_our_own_pages_send_forms() {
        let same = |pairs| is_same_origin(&headers(pairs));
        assert!(same(&[("sec-fetch-site", "same-origin"), ("host", "a")]));
        assert!(same(&[("origin", "http://a:8080"), ("host", "a:8080")]));
        for foreign in [
            &[("host", "a")][..],
            &[("origin", "http://b"), ("host", "a")],
            &[("origin", "null"), ("host", "a")],
            &[
                ("origin", "http://a"),
                ("sec-fetch-site", "same-site"),
                ("host", "a"),
            ],
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://a"),
                ("host", "a"),
            ],
            &[("sec-fetch-site", "none"), ("host", "a")],
        ] {
            assert!(!same(foreign), "{foreign:?}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(
            cookie(&headers(&[("cookie", "a=b; serin_session=x; c=d")])),
            Some("x")
        );
        assert_eq!(cookie(&headers(&[("cookie", "xserin_session=y")])), None);
    }

    #[test]
    fn paths_become_values_of_parameters() {
        assert_eq!(encoded("/a?b=c d&é"), "%2Fa%3Fb%3Dc%20d%26%C3%A9");
    }
}

//! Assignments for gateways, which have the user in a header or a cookie and route by a header of the answer.
//!
//! A gateway says where the user is, once, in its configuration: `header:x-user-id`, `cookie:uid`, or
//! several, tried in this order, with `,` between them. The key is taken as it stands, without decoding.
//!
//! | gateway | asks |
//! |---|---|
//! | nginx (`auth_request`), HAProxy, Traefik | `GET /v1/assignments/{policy}?user-from=cookie:uid` |
//! | Envoy (`ext_authz`), which adds the client's path | any method, `/v1/assignments/{policy}/for/cookie:uid/…` |
//!
//! Where people sign in, a gateway says where their anonymous key is, too: `anonymous-from=cookie:visitor`, or
//! `…/for/cookie:uid;anonymous=cookie:visitor/…`. Whoever has both keeps the arm that they had by the anonymous
//! one, and whoever has that one alone is assigned by it.
//!
//! What a gateway knows of its users goes along as a value: nginx sends `attribute.region=$http_x_region`.
//! Envoy's address has no query, so that a policy with conditions on attributes has nobody there.
//!
//! A request in which no user is found is no fault of the gateway: the answer is 204 with the control arm in
//! its headers and the reason `no_user`, so that it can be routed, and nothing is counted. So is a key
//! that breaks the rule for users, because it is a stranger's. No address or log line has the user's key.

use super::App;
use super::access::MayAssign;
use super::assignments::{self, add_headers, shown};
use super::problem::{Code, Problem};
use super::views::assignment::AssignmentView;
use crate::assignment::{Route, Who};
use crate::ids::{Arm, PolicyName, UserKey, Version};
use crate::targeting::Attributes;
use axum::extract::{RawPathParams, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use std::borrow::Cow;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Most places that may be named.
const PLACES_MAX: usize = 4;
/// Longest name of a cookie, in bytes.
const COOKIE_BYTES_MAX: usize = 128;
/// Headers that hold more than one thing, or a secret; none of them is a user's key.
const NO_USER: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];
/// What stands before the places of the anonymous key.
const ANONYMOUS: &str = "anonymous=";
/// What the header `X-Serin-Reason` says where no user was found.
const REASON: &str = "no_user";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    // Gateways add whatever the client asked for, so these routes have every method and any rest.
    OpenApiRouter::new()
        .route("/v1/assignments/{policy}/for/{from}", any(assign))
        .route("/v1/assignments/{policy}/for/{from}/", any(assign))
        .route("/v1/assignments/{policy}/for/{from}/{*rest}", any(assign))
}

/// Where to look for a key.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Header(HeaderName),
    Cookie(String),
}

/// Where to look for a key, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places(Vec<Place>);

/// Where to look for the keys of a user.
#[derive(Debug)]
pub(super) struct KeyPlaces {
    /// Of the key of somebody who is known.
    pub(super) user: Places,
    /// Of the key that they had before.
    pub(super) anonymous: Option<Places>,
}

impl KeyPlaces {
    /// Reads `PLACES` or `PLACES;anonymous=PLACES`.
    fn parse(text: &str) -> Result<Self, String> {
        let (user, anonymous) = match text.split_once(';') {
            None => (text, None),
            Some((user, rest)) => {
                let places = rest.strip_prefix(ANONYMOUS);
                let refused =
                    || format!("may have `;{ANONYMOUS}PLACES` at its end, and nothing else after `;`");
                (user, Some(places.ok_or_else(refused)?))
            }
        };
        Ok(Self {
            user: Places::parse(user)?,
            anonymous: anonymous.map(Places::parse).transpose()?,
        })
    }

    /// Who is found; whoever has the anonymous key alone is that visitor.
    fn who<'h>(&self, headers: &'h HeaderMap, attributes: &'h Attributes<'h>) -> Option<Who<'h>> {
        let anonymous = self.anonymous.as_ref().and_then(|places| places.key(headers));
        let user = self.user.key(headers).or(anonymous)?;
        Some(Who {
            user,
            anonymous,
            attributes,
        })
    }
}

impl Places {
    /// Reads `header:NAME` and `cookie:NAME`, one to [`PLACES_MAX`] of them with `,` between.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let places: Vec<Place> = text.split(',').map(place).collect::<Result<_, _>>()?;
        if places.len() > PLACES_MAX {
            return Err(format!("must name at most {PLACES_MAX} places"));
        }
        Ok(Self(places))
    }

    /// The first key that is found.
    fn key<'h>(&self, headers: &'h HeaderMap) -> Option<UserKey<'h>> {
        let found = |place: &Place| match place {
            Place::Header(name) => headers.get(name).and_then(|value| utf8(value.as_bytes())),
            Place::Cookie(name) => cookie(headers, name),
        };
        let keys = self.0.iter().filter_map(found);
        keys.filter_map(|key| UserKey::new(key).ok()).next()
    }
}

fn place(text: &str) -> Result<Place, String> {
    let refused = || "must be `header:NAME` or `cookie:NAME`, or several with `,` between".to_owned();
    match text.split_once(':').ok_or_else(refused)? {
        ("header", name) => {
            let name: HeaderName = name.parse().map_err(|_| refused())?;
            if NO_USER.contains(&name) {
                return Err(format!("the header `{name}` is no user's key"));
            }
            Ok(Place::Header(name))
        }
        ("cookie", name) => {
            let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b';' | b',' | b'"');
            if !(1..=COOKIE_BYTES_MAX).contains(&name.len()) || !name.bytes().all(allowed) {
                return Err(refused());
            }
            Ok(Place::Cookie(name.to_owned()))
        }
        _ => Err(refused()),
    }
}

/// A header's value as text; gateways send bytes, and a user's key is UTF-8.
fn utf8(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

/// The value of a cookie (RFC 6265 section 4.2.1); the first one counts.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines
        .filter_map(|line| utf8(line.as_bytes()))
        .flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = values.find(|(known, _)| *known == name)?;
    Some(value.trim_matches('"'))
}

/// What the user gets whom the request carries.
pub(super) fn answer(
    app: &App,
    policy: &str,
    places: &KeyPlaces,
    headers: &HeaderMap,
    attributes: &Attributes<'_>,
) -> Result<Response, Problem> {
    let snapshot = app.controller.snapshot();
    match places.who(headers, attributes) {
        Some(who) => shown(&assignments::view(app, &snapshot, policy, who)?),
        None => {
            let view = nobody(assignments::route(&snapshot, policy)?);
            let mut response = StatusCode::NO_CONTENT.into_response();
            add_headers(response.headers_mut(), &view);
            Ok(response)
        }
    }
}

/// What is served where no user is found.
fn nobody(route: &Route) -> AssignmentView<'_> {
    let exposure = route
        .treatment
        .as_ref()
        .map(|treatment| treatment.exposure.ratio());
    AssignmentView {
        policy: Cow::Borrowed(route.policy.as_str()),
        arm: Arm::Control.as_str(),
        label: Cow::Borrowed(route.control.label.as_str()),
        version: route.control.version.map(Version::get),
        exposure: exposure.unwrap_or(0.0),
        reason: REASON,
        attribute: None,
        rollout: None,
        receipt: None,
    }
}

async fn assign(
    State(app): State<Arc<App>>,
    _: MayAssign,
    params: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let param = |name: &str| {
        params
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| text)
    };
    let policy: PolicyName = param("policy")
        .unwrap_or_default()
        .parse()
        .map_err(|refused| Problem::new(Code::BadPath, format!("`policy` in the path: {refused}")))?;
    let places = KeyPlaces::parse(param("from").unwrap_or_default())
        .map_err(|why| Problem::new(Code::BadPath, format!("what follows `for` in the path {why}")))?;
    answer(&app, policy.as_str(), &places, &headers, &Attributes::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &[u8])]) -> HeaderMap {
        let pair = |(name, value): &(&str, &[u8])| {
            let name: HeaderName = name.parse().unwrap();
            (name, axum::http::HeaderValue::from_bytes(value).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn user(places: &str, pairs: &[(&str, &[u8])]) -> Option<String> {
        let headers = headers(pairs);
        let user = Places::parse(places).unwrap().key(&headers)?;
        Some(user.as_str().to_owned())
    }

    #[test]
    fn the_anonymous_key_is_found_beside_the_user() {
        let found = |cookies: &str| {
            let headers = headers(&[("cookie", cookies.as_bytes())]);
            let places = KeyPlaces::parse("cookie:uid;anonymous=cookie:aid,cookie:old").unwrap();
            let nothing = Attributes::NONE;
            let who = places.who(&headers, &nothing)?;
            let key = |key: UserKey<'_>| key.as_str().to_owned();
            Some((key(who.user), who.anonymous.map(key), key(who.placed())))
        };
        let texts = |user: &str, anonymous: Option<&str>, placed: &str| {
            Some((
                user.to_owned(),
                anonymous.map(ToOwned::to_owned),
                placed.to_owned(),
            ))
        };
        assert_eq!(found("uid=u; aid=a"), texts("u", Some("a"), "a"));
        assert_eq!(found("uid=u; old=o"), texts("u", Some("o"), "o"));
        assert_eq!(found("aid=a"), texts("a", Some("a"), "a"));
        assert_eq!(found("uid=u"), texts("u", None, "u"));
        assert_eq!(found("theme=dark"), None);
        for bad in [
            "cookie:uid;",
            "cookie:uid;anonymous=",
            "cookie:uid;aid=cookie:a",
            ";anonymous=cookie:a",
        ] {
            assert!(KeyPlaces::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn users_are_found_where_the_gateway_says() {
        let request: &[(&str, &[u8])] = &[
            ("x-user-id", "né".as_bytes()),
            ("cookie", b"theme=dark; uid=u-7; uid=u-8"),
            ("cookie", b"session=\"s=1\""),
            ("x-empty", b""),
            ("x-broken", b"\xff"),
        ];
        for (places, found) in [
            ("header:X-User-Id", Some("né")),
            ("cookie:uid", Some("u-7")),
            ("cookie:session", Some("s=1")),
            ("cookie:none,header:x-user-id", Some("né")),
            ("header:x-empty,cookie:uid", Some("u-7")),
            ("header:x-broken,header:x-none,cookie:ui", None),
        ] {
            assert_eq!(user(places, request).as_deref(), found, "{places}");
        }
        let long = "x".repeat(257);
        assert_eq!(user("header:x-user-id", &[("x-user-id", long.as_bytes())]), None);
    }

    #[test]
    fn places_are_headers_and_cookies() {
        for bad in [
            "",
            "uid",
            "header:",
            "header:a b",
            "header:Authorization",
            "header:cookie",
            "cookie:",
            "cookie:a=b",
            "query:user",
            "cookie:a,,cookie:b",
            "cookie:a,cookie:b,cookie:c,cookie:d,cookie:e",
        ] {
            assert!(Places::parse(bad).is_err(), "{bad}");
        }
    }
}

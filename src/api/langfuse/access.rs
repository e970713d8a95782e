//! Langfuse's keys: `Authorization: Basic base64(PUBLIC:SECRET)` (RFC 7617).
//!
//! The secret key is a Serin token, and its scopes say what it may do; the public key may be anything.
//! A token as `Bearer` will do as well. An open server looks at neither.

use super::refusal::Refusal;
use crate::api::App;
use crate::api::access::{Caller, Needs};
use crate::api::problem::{Code, Problem};
use crate::ids::Actor;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

/// Proof that the caller's keys may do what the route does.
#[derive(Debug)]
pub(super) struct Keys<N: Needs> {
    /// Who it is.
    pub(super) actor: Actor,
    /// Whether they may do everything.
    pub(super) is_admin: bool,
    needs: PhantomData<N>,
}

impl<N: Needs> FromRequestParts<Arc<App>> for Keys<N> {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let Caller { actor, is_admin } = app.access.caller_by(&parts.headers, secret_key, N::SCOPE)?;
        Ok(Self {
            actor,
            is_admin,
            needs: PhantomData,
        })
    }
}

/// The token among the credentials of a request.
pub(in crate::api) fn secret_key(headers: &HeaderMap) -> Result<Cow<'_, str>, Problem> {
    let missing = || Problem::new(Code::Unauthenticated, "neither keys nor a token were sent");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, credentials) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Cow::Borrowed(credentials.trim()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(missing());
    }
    let pair = STANDARD.decode(credentials.trim()).map_err(|_| missing())?;
    let pair = String::from_utf8(pair).map_err(|_| missing())?;
    let (_, secret) = pair.split_once(':').ok_or_else(missing)?;
    Ok(Cow::Owned(secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(authorization: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())]);
        secret_key(&headers).ok().map(Cow::into_owned)
    }

    #[test]
    fn the_secret_key_is_the_token() {
        // `pk-lf-1:srn_a:b`: a colon belongs to the secret.
        assert_eq!(key("Basic cGstbGYtMTpzcm5fYTpi").as_deref(), Some("srn_a:b"));
        assert_eq!(key("basic cGstbGYtMTpzcm5fYTpi").as_deref(), Some("srn_a:b"));
        assert_eq!(key("Bearer srn_a").as_deref(), Some("srn_a"));
        for bad in ["Basic", "Basic %%%", "Basic cGstbGYtMQ==", "Digest x", ""] {
            assert_eq!(key(bad), None, "{bad}");
        }
    }
}

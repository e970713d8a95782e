//! Who asks, and for whom.

use super::context::ContextView;
use super::refusal::{ErrorCode, Refusal};
use super::views::RequestView;
use crate::api::App;
use crate::api::access::{Permit, bearer};
use crate::api::body::{self, Decoded};
use crate::api::extract::{MediaType, media_type};
use crate::api::strict::Strict;
use crate::assignment::Who;
use crate::ids::UserKey;
use crate::store::Scope;
use axum::extract::{FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::Deserialize as _;
use std::sync::Arc;

/// Proof of the scope `assign`, by `Authorization: Bearer` or `X-API-Key`.
#[derive(Debug)]
pub(super) struct MayEvaluate(pub(super) Permit);

impl FromRequestParts<Arc<App>> for MayEvaluate {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        Self::of(app, &parts.headers)
    }
}

impl MayEvaluate {
    /// The proof that these headers bring.
    pub(super) fn of(app: &App, headers: &HeaderMap) -> Result<Self, Refusal> {
        let key = headers.get("x-api-key").and_then(|key| key.to_str().ok());
        let token = key.or_else(|| bearer(headers).ok());
        Ok(Self(app.access.permit(token, Scope::Assign)?))
    }
}

/// Reads a JSON body as it came.
///
/// A page of another site cannot send that media type unasked, so that an open local server is safe
/// from it.
pub(super) async fn body(app: &App, request: Request) -> Result<Bytes, Refusal> {
    if media_type(request.headers()) != Some(MediaType::Json) {
        let details = "send the body as JSON, with the header `Content-Type: application/json`";
        return Err(Refusal::invalid(ErrorCode::Parse, details));
    }
    let Decoded { bytes } = body::read(request, &app.limits).await?;
    Ok(bytes)
}

/// The context that a body has.
pub(super) fn context(body: &[u8]) -> Result<ContextView<'_>, Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let request = RequestView::deserialize(Strict(&mut deserializer))
        .and_then(|request| deserializer.end().map(|()| request))
        .map_err(|error| {
            let code = if error.is_data() {
                ErrorCode::InvalidContext
            } else {
                ErrorCode::Parse
            };
            Refusal::invalid(code, format!("the body is not an evaluation request: {error}"))
        })?;
    Ok(request.context.unwrap_or_default())
}

impl ContextView<'_> {
    /// Whom to evaluate for.
    pub(super) fn who(&self) -> Result<Who<'_>, Refusal> {
        let key = self.targeting_key.as_deref().unwrap_or_default();
        if key.is_empty() {
            let details = "the context has no `targetingKey`: set it to the user's key";
            return Err(Refusal::invalid(ErrorCode::TargetingKeyMissing, details));
        }
        let user = UserKey::new(key).map_err(|refused| {
            let details = format!("`targetingKey` {}", refused.rule());
            Refusal::invalid(ErrorCode::InvalidContext, details)
        })?;
        let anonymous = self.anonymous_id.as_deref().filter(|key| !key.is_empty());
        let anonymous = anonymous.map(UserKey::new).transpose().map_err(|refused| {
            let details = format!("`anonymousId` {}", refused.rule());
            Refusal::invalid(ErrorCode::InvalidContext, details)
        })?;
        Ok(Who {
            user,
            anonymous,
            attributes: &self.attributes,
        })
    }
}

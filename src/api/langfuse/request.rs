//! Queries and bodies, read as Langfuse does: what it does not know, it overlooks.

use super::refusal::Refusal;
use crate::api::App;
use crate::api::body::{self, Decoded};
use crate::api::extract::{MediaType, media_type};
use crate::api::query::decode;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::sync::Arc;

/// Rows on a page, where the asker does not say.
const ROWS_DEFAULT: usize = 50;
/// Most rows on a page.
pub(super) const ROWS_MAX: usize = 100;

/// The parameters of a query; an empty one is as good as none.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts.uri.query().unwrap_or_default()))
    }
}

impl Params {
    fn of(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((decode(name)?.into_owned(), decode(value)?.into_owned()))
        });
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a parameter.
    pub(super) fn get<'p>(&'p self, name: &'p str) -> Option<&'p str> {
        self.all(name).next()
    }

    /// The values of a parameter that may be given more than once.
    pub(super) fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        let pairs = self.0.iter().filter(move |(known, _)| known == name);
        pairs.map(|(_, value)| value.as_str())
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Refusal> {
        let refused = || Refusal::data(name, "must be a number");
        let value = self.get(name).map(|text| text.parse().map_err(|_| refused()));
        let finite = value
            .transpose()?
            .map(|number: f64| number.is_finite().then_some(number));
        finite.map(|number| number.ok_or_else(refused)).transpose()
    }

    /// A whole number that is not negative.
    pub(super) fn whole(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let refused = || Refusal::data(name, "must be a whole number that is not negative");
        let value = self.get(name);
        value.map(|text| text.parse().map_err(|_| refused())).transpose()
    }

    /// A moment, as ISO 8601 writes it.
    pub(super) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let refused = || Refusal::data(name, "must be a time, such as `2026-11-21T12:00:00Z`");
        let value = self.get(name);
        value.map(|text| text.parse().map_err(|_| refused())).transpose()
    }

    /// Rows on a page.
    pub(super) fn limit(&self) -> Result<usize, Refusal> {
        let refused = || Refusal::data("limit", format!("must be from 1 to {ROWS_MAX}"));
        let Some(limit) = self.whole("limit")? else {
            return Ok(ROWS_DEFAULT);
        };
        let limit = usize::try_from(limit).map_err(|_| refused())?;
        (1..=ROWS_MAX)
            .contains(&limit)
            .then_some(limit)
            .ok_or_else(refused)
    }

    /// The number of a page, from 1.
    pub(super) fn page(&self) -> Result<usize, Refusal> {
        let refused = || Refusal::data("page", "must be a whole number from 1");
        let page = self.whole("page")?.unwrap_or(1);
        usize::try_from(page)
            .ok()
            .filter(|page| *page > 0)
            .ok_or_else(refused)
    }
}

/// A body that says it is JSON, as it came.
///
/// A page of another site cannot send that media type unasked, so that an open local server is safe
/// from it.
#[derive(Debug)]
pub(super) struct JsonText(pub(super) Bytes);

impl FromRequest<Arc<App>> for JsonText {
    type Rejection = Refusal;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        if media_type(request.headers()) != Some(MediaType::Json) {
            return Err(Refusal::invalid(
                "send the body as JSON, with the header `Content-Type: application/json`",
            ));
        }
        let Decoded { bytes } = body::read(request, &app.limits).await?;
        Ok(Self(bytes))
    }
}

/// A JSON body, read.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Refusal;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let JsonText(bytes) = JsonText::from_request(request, app).await?;
        read(&bytes).map(Self)
    }
}

/// Reads JSON; a refusal leads to what is wrong.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "" } else { &path };
        Refusal::data(path, error.inner().to_string())
    })?;
    deserializer
        .end()
        .map_err(|error| Refusal::data("", error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_strangers_overlooked() {
        let params = Params::of("label=prod%2Db&x=1&version=&limit=5&page=2");
        assert_eq!(params.get("label"), Some("prod-b"));
        assert_eq!(params.get("version"), None);
        assert_eq!((params.limit().unwrap(), params.page().unwrap()), (5, 2));
        for bad in ["limit=0", "limit=101", "limit=x", "page=0", "page=-1"] {
            let params = Params::of(bad);
            assert!(params.limit().is_err() || params.page().is_err(), "{bad}");
        }
    }
}

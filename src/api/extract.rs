//! Paths and bodies, read into what handlers need, with refusals that name what is wrong.

use super::App;
use super::body::{self, Decoded};
use super::problem::{Code, Problem};
use super::strict::Strict;
use crate::ids::{InvalidId, Label, PolicyName, PromptName, RegistryName, RolloutId, Version};
use crate::rollout::Verb;
use crate::spelling;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A part of a path as what it must be.
pub(crate) trait Segment: Sized {
    /// Reads the decoded part.
    fn parse(text: &str) -> Result<Self, String>;
}

macro_rules! named_segment {
    ($($name:ty),*) => {
        $(impl Segment for $name {
            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|refused: InvalidId| refused.to_string())
            }
        })*
    };
}

named_segment!(PolicyName, PromptName, RegistryName, Label, RolloutId);

impl Segment for Version {
    fn parse(text: &str) -> Result<Self, String> {
        version(text).ok_or_else(|| "must be a whole number from 1".to_owned())
    }
}

/// A version in a path or query.
pub(super) fn version(text: &str) -> Option<Version> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    Version::new(number).ok()
}

impl Segment for Verb {
    fn parse(text: &str) -> Result<Self, String> {
        let known = Verb::ALL.into_iter().find(|verb| verb.as_str() == text);
        known.ok_or_else(|| {
            let hint = spelling::hint(text, Verb::ALL.map(Verb::as_str));
            format!("must be `pause`, `resume`, `step`, `promote`, `rollback` or `approve`{hint}")
        })
    }
}

/// A name of a token.
#[derive(Debug, Clone)]
pub struct TokenName(pub String);

impl TokenName {
    /// Longest name, in bytes.
    pub(super) const BYTES_MAX: usize = 64;

    /// 1 to 64 letters, digits, `_`, `.` and `-`, with a letter or digit first.
    pub fn new(text: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let first = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        if first && text.len() <= Self::BYTES_MAX && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 64 letters, digits, `_`, `.` and `-`, with a letter or digit first".to_owned())
        }
    }
}

impl Segment for TokenName {
    fn parse(text: &str) -> Result<Self, String> {
        Self::new(text)
    }
}

/// The one parameter of a path.
#[derive(Debug)]
pub(crate) struct Path<A>(pub(crate) A);

/// Both parameters of a path.
#[derive(Debug)]
pub(super) struct Path2<A, B>(pub(super) A, pub(super) B);

impl<S: Send + Sync, A: Segment> FromRequestParts<S> for Path<A> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        Ok(Self(nth(&params, 0)?))
    }
}

impl<S: Send + Sync, A: Segment, B: Segment> FromRequestParts<S> for Path2<A, B> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        Ok(Self(nth(&params, 0)?, nth(&params, 1)?))
    }
}

async fn params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, Problem> {
    RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| not_utf8())
}

/// The problem of a path that cannot be read.
pub(super) fn not_utf8() -> Problem {
    Problem::new(Code::BadPath, "the path is not percent-encoded UTF-8")
}

fn nth<T: Segment>(params: &RawPathParams, index: usize) -> Result<T, Problem> {
    let (name, text) = params.iter().nth(index).unwrap_or_default();
    segment(name, text)
}

/// The part of a path that goes by `name`, as what it must be.
pub(super) fn segment<T: Segment>(name: &str, text: &str) -> Result<T, Problem> {
    T::parse(text).map_err(|why| Problem::new(Code::BadPath, format!("`{name}` in the path: {why}")))
}

/// A JSON body.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for JsonBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        if media_type(request.headers()) != Some(MediaType::Json) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send the body as JSON, with the header `Content-Type: application/json`",
            ));
        }
        let Decoded { bytes, .. } = body::read(request, &app.limits).await?;
        json(&bytes).map(Self)
    }
}

/// Reads JSON; refusals name the field.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Strict(&mut deserializer)).map_err(|error| {
        let path = error.path().to_string();
        refused(error.inner(), &path)
    })?;
    deserializer.end().map_err(|error| refused(&error, "."))?;
    Ok(value)
}

fn refused(error: &serde_json::Error, path: &str) -> Problem {
    if !error.is_data() {
        return Problem::new(Code::MalformedBody, format!("the body is not JSON: {error}"));
    }
    let message = error.to_string();
    let message = message
        .rfind(" at line ")
        .map_or(message.as_str(), |at| &message[..at]);
    let field = if path == "." {
        String::new()
    } else {
        format!("`{path}`: ")
    };
    Problem::new(Code::BadField, format!("{field}{message}{}", near_key(message)))
}

/// A hint where serde names an unknown key and those that it knows.
fn near_key(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(unknown)) => spelling::hint(unknown, quoted),
        _ => String::new(),
    }
}

/// A media type that Serin reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    Json,
    Ndjson,
}

/// The media type of the body, parameters aside; none when it is not one of Serin's.
pub(super) fn media_type(headers: &HeaderMap) -> Option<MediaType> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next()?.trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Some(MediaType::Json)
    } else if essence.eq_ignore_ascii_case("application/x-ndjson") {
        Some(MediaType::Ndjson)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        policy: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        version: u32,
    }

    #[test]
    fn refusals_name_the_field() {
        let refusal = |text: &str| json::<Body>(text.as_bytes()).unwrap_err();
        let detail = |text| refusal(text).detail().to_owned();
        assert_eq!(
            detail(r#"{"policy": 1}"#),
            "`policy`: invalid type: integer `1`, expected a string"
        );
        assert_eq!(
            detail(r#"{"policy": "a", "inner": {"version": -1}}"#),
            "`inner.version`: invalid value: integer `-1`, expected u32"
        );
        assert_eq!(
            detail(r#"{"polcy": "a"}"#),
            "`polcy`: unknown field `polcy`, expected `policy` or `inner`, did you mean `policy`?"
        );
        assert_eq!(detail("{}"), "missing field `policy`");
        assert_eq!(refusal("{").code(), Code::MalformedBody);
        assert_eq!(refusal(r#"{"policy": "a"} x"#).code(), Code::MalformedBody);
        let body = json::<Body>(br#"{"policy": "a", "inner": {"version": 2}}"#).unwrap();
        assert_eq!((body.policy.as_str(), body.inner.unwrap().version), ("a", 2));
    }

    #[test]
    fn versions_have_digits_only() {
        assert_eq!(version("12").map(Version::get), Some(12));
        for bad in ["", "0", "+1", "-1", "1.0", " 1", "99999999999"] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }
}

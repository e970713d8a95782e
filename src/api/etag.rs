//! Answers with an entity tag: RFC 9110, sections 8.8.3 and 13.1.2.

use super::problem::Problem;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// JSON, and the tag that follows from it.
#[derive(Debug, Clone)]
pub(super) struct TaggedJson {
    tag: HeaderValue,
    body: Bytes,
}

impl TaggedJson {
    /// # Errors
    ///
    /// When the view cannot be written as JSON.
    pub(super) fn new(view: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(view).map_err(|error| Problem::internal(&error))?;
        Ok(Self {
            tag: tag(&[&body])?,
            body: body.into(),
        })
    }

    pub(super) fn tag(&self) -> &HeaderValue {
        &self.tag
    }

    /// The JSON, or `304 Not Modified` for a client that has it.
    ///
    /// `cache_control` says how others may keep it; none leaves that to them.
    pub(super) fn answer(self, asked: &HeaderMap, cache_control: Option<&'static str>) -> Response {
        let mut response = if is_known(asked, &self.tag) {
            not_modified(&self.tag)
        } else {
            let json = HeaderValue::from_static("application/json");
            let described = [(header::ETAG, self.tag), (header::CONTENT_TYPE, json)];
            (described, self.body).into_response()
        };
        // Section 15.4.5: what tells others how to keep the answer belongs to both.
        if let Some(cache_control) = cache_control {
            let value = HeaderValue::from_static(cache_control);
            response.headers_mut().insert(header::CACHE_CONTROL, value);
        }
        response
    }
}

/// The tag that follows from these texts, and so stays the same over a restart.
pub(super) fn tag(texts: &[&[u8]]) -> Result<HeaderValue, Problem> {
    let hash = texts
        .iter()
        .fold(Sha256::new(), |hash, text| hash.chain_update(text));
    let digest: [u8; 32] = hash.finalize().into();
    let digits: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{digits}\"")).map_err(|error| Problem::internal(&error))
}

/// Whether `If-None-Match` has the tag, compared weakly.
pub(super) fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = asked
        .get_all(header::IF_NONE_MATCH)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    known
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/").as_bytes() == tag.as_bytes())
}

/// `304 Not Modified` with its tag.
pub(super) fn not_modified(tag: &HeaderValue) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag.clone())]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_body_is_not_sent_it_again() {
        let tagged = TaggedJson::new(&[1, 2]).unwrap();
        let tag = tagged.tag().to_str().unwrap().to_owned();
        assert_eq!(tagged.tag(), TaggedJson::new(&[1, 2]).unwrap().tag());
        assert_ne!(tagged.tag(), TaggedJson::new(&[1, 3]).unwrap().tag());
        let status = |asked: &str| {
            let asked =
                HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(asked).unwrap())]);
            let answer = tagged.clone().answer(&asked, Some("no-cache"));
            assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-cache");
            assert_eq!(answer.headers()[header::ETAG], tag.as_str());
            answer.status()
        };
        for known in [&tag, &format!("W/{tag}"), &format!("\"a\", {tag}"), "*"] {
            assert_eq!(status(known), StatusCode::NOT_MODIFIED, "{known}");
        }
        for unknown in ["\"a\"", "", tag.trim_matches('"')] {
            assert_eq!(status(unknown), StatusCode::OK, "{unknown}");
        }
    }
}

//! Refusals in OFREP's words: `{key, errorCode, errorDetails}`.

use super::views::FailureView;
use crate::api::problem::{Code, Problem, RETRY_AFTER_SECONDS};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::borrow::Cow;

/// What is wrong, in OpenFeature's words (specification, section 1.7, "error code").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCode {
    Parse,
    TargetingKeyMissing,
    InvalidContext,
    FlagNotFound,
    General,
}

impl ErrorCode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "PARSE_ERROR",
            Self::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            Self::InvalidContext => "INVALID_CONTEXT",
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::General => "GENERAL",
        }
    }
}

/// Why a request was not answered with what it asked for.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: ErrorCode,
    details: Cow<'static, str>,
    key: Option<String>,
}

impl Refusal {
    /// 400: the request cannot be understood.
    pub(super) fn invalid(code: ErrorCode, details: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            details: details.into(),
            key: None,
        }
    }

    /// Names the flag that was asked for.
    pub(super) fn of(self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (status, code) = match problem.code().status() {
            StatusCode::NOT_FOUND => (StatusCode::NOT_FOUND, ErrorCode::FlagNotFound),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => (status, ErrorCode::General),
            _ if problem.code() == Code::Overloaded => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::General),
            status if status.is_server_error() => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::General),
            _ => (StatusCode::BAD_REQUEST, ErrorCode::Parse),
        };
        Self {
            status,
            code,
            details: problem.detail().to_owned().into(),
            key: None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let view = FailureView {
            key: self.key,
            error_code: self.code.as_str(),
            error_details: self.details,
        };
        let mut response = (self.status, Json(view)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer realm=\"serin\"");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let soon = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            headers.insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

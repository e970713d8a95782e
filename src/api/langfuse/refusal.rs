//! Refusals in Langfuse's words: `{message, error}`.

use crate::api::problem::{Code, Problem, RETRY_AFTER_SECONDS};
use crate::prompt::PromptError;
use crate::store::StoreError;
use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::borrow::Cow;

/// Why a request was not answered with what it asked for.
#[derive(Debug)]
pub(in crate::api) struct Refusal {
    status: StatusCode,
    message: Cow<'static, str>,
    issues: Vec<Issue>,
}

/// Something that is wrong with a body or query.
#[derive(Debug, Serialize)]
pub(super) struct Issue {
    code: &'static str,
    path: Vec<String>,
    message: String,
}

#[derive(Debug, Serialize)]
struct RefusalView<'a> {
    message: &'a str,
    error: ErrorView<'a>,
}

/// The name of the error, or what is wrong with the data.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ErrorView<'a> {
    Name(&'static str),
    Issues(&'a [Issue]),
}

impl Refusal {
    /// 400: the request makes no sense.
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 in the form of Langfuse's schema checks; `path` leads to what is wrong.
    pub(super) fn data(path: &str, message: impl Into<String>) -> Self {
        let issue = Issue {
            code: "custom",
            path: path
                .split('.')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
            message: message.into(),
        };
        Self {
            issues: vec![issue],
            ..Self::new(StatusCode::BAD_REQUEST, "Invalid request data")
        }
    }

    /// 403: somebody else may do it.
    pub(super) fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404.
    pub(super) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            issues: Vec::new(),
        }
    }

    fn name(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "UnauthorizedError",
            StatusCode::FORBIDDEN => "ForbiddenError",
            StatusCode::NOT_FOUND => "LangfuseNotFoundError",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowedError",
            status if status.is_server_error() => "InternalServerError",
            _ => "InvalidRequestError",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = if self.issues.is_empty() {
            ErrorView::Name(self.name())
        } else {
            ErrorView::Issues(&self.issues)
        };
        let view = RefusalView {
            message: &self.message,
            error,
        };
        let mut response = (self.status, Json(view)).into_response();
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

impl From<Problem> for Refusal {
    /// What Serin says itself; what is neither about access nor Serin's own failure is 400, because
    /// SDKs send again what was refused with 408 or 409.
    fn from(problem: Problem) -> Self {
        let status = problem.code().status();
        let status = match status {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::PAYLOAD_TOO_LARGE => status,
            StatusCode::UNAUTHORIZED => {
                let message = "Invalid credentials. Confirm that you've configured the correct host.";
                return Self::new(status, message);
            }
            status if status.is_server_error() => status,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, problem.detail().to_owned())
    }
}

impl From<Refusal> for Problem {
    /// Why a prompt cannot be put together, in Serin's own words.
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.status {
            StatusCode::SERVICE_UNAVAILABLE => Code::Overloaded,
            status if status.is_server_error() => Code::Internal,
            _ => Code::InvalidPrompt,
        };
        Self::new(code, refusal.message)
    }
}

impl From<PromptError> for Refusal {
    fn from(error: PromptError) -> Self {
        Problem::from(error).into()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

/// Answers a route with another method; the router adds `Allow`.
pub(super) async fn no_method() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
}

/// Answers the parts of Langfuse that are not here.
pub(super) async fn no_route(request: Request) -> Refusal {
    let path: String = request.uri().path().chars().take(128).collect();
    Refusal::not_found(format!("Serin has no `{path}`"))
}

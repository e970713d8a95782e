//! Holds every refusal under `/api/public` against the form that Langfuse's SDKs read.

use crate::world::Answer;
use axum::http::Method;
use serde_json::Value;

/// The names of errors, by status.
const NAMES: [(u16, &str); 6] = [
    (400, "InvalidRequestError"),
    (401, "UnauthorizedError"),
    (403, "ForbiddenError"),
    (404, "LangfuseNotFoundError"),
    (405, "MethodNotAllowedError"),
    (503, "InternalServerError"),
];

pub(crate) struct Contract;

impl Contract {
    pub(crate) fn new() -> Self {
        Self
    }

    /// Fails when an SDK could not read the answer, or would send the request again.
    #[track_caller]
    pub(crate) fn check(&self, method: &Method, path: &str, answer: &Answer) {
        let status = answer.status.as_u16();
        if !path.starts_with("/api/public/") || status < 400 {
            return;
        }
        let refusal = answer.json();
        assert!(refusal["message"].is_string(), "{method} {path}: {}", answer.text);
        let name = NAMES.iter().find(|(known, _)| *known == status);
        let (_, name) = name.unwrap_or_else(|| panic!("{method} {path}: {status} {}", answer.text));
        match &refusal["error"] {
            Value::String(error) => assert_eq!(error, name, "{method} {path}"),
            Value::Array(issues) => {
                assert_eq!(refusal["message"], "Invalid request data", "{method} {path}");
                assert!(
                    issues
                        .iter()
                        .all(|issue| issue["message"].is_string() && issue["path"].is_array())
                );
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                panic!("{method} {path}: {}", answer.text)
            }
        }
    }
}

/// What the newest Python SDKs need in a prompt.
#[track_caller]
pub(crate) fn assert_prompt(prompt: &Value) {
    for field in ["name", "version", "type", "prompt", "config", "labels", "tags"] {
        assert!(!prompt[field].is_null(), "{field} is missing in {prompt}");
    }
}

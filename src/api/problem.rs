//! Every answer that is not what was asked for: problem+json (RFC 9457) with a stable code.

use super::schema::CodeText;
use crate::controller::CommandError;
use crate::prompt::PromptError;
use crate::registry::RegistryError;
use crate::rollout::Objection;
use crate::store::StoreError;
use crate::telemetry::log::chain;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::borrow::Cow;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use utoipa::ToSchema;

/// Media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";
/// What an overloaded server asks for, in seconds.
pub(super) const RETRY_AFTER_SECONDS: &str = "1";

/// Declares the codes: variant, status, word, title.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident $status:ident $word:literal $title:literal)*) => {
        /// What kind of problem it is; the words are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $code,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => $word,)* }
            }

            /// The status that it is answered with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status,)* }
            }

            /// What kind of problem it is, for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }
        }
    };
}

codes! {
    /// A part of the path breaks its rule.
    BadPath BAD_REQUEST "bad_path" "A part of the path is wrong"
    /// The query has an unknown, repeated or wrong parameter.
    BadQuery BAD_REQUEST "bad_query" "A query parameter is wrong"
    /// A header breaks its rule.
    BadHeader BAD_REQUEST "bad_header" "A header is wrong"
    /// The body is not what its media type or encoding says.
    MalformedBody BAD_REQUEST "malformed_body" "The body cannot be read"
    /// The body is JSON, and a field of it is wrong.
    BadField BAD_REQUEST "bad_field" "A field of the body is wrong"
    /// No token, or one that is not known.
    Unauthenticated UNAUTHORIZED "unauthenticated" "A token is needed"
    /// A webhook whose signature is missing, wrong or too old.
    SignatureRefused UNAUTHORIZED "signature_refused" "The signature is refused"
    /// The token has not the scope that is needed.
    ScopeMissing FORBIDDEN "scope_missing" "The token may not do this"
    /// An open server was asked under a name that is not its own.
    HostNotLocal FORBIDDEN "host_not_local" "The server answers local names only"
    /// Whoever asks may not approve the rollout.
    ApproverRefused FORBIDDEN "approver_refused" "Somebody else must approve"
    /// Others must approve before the rollout goes on.
    ApprovalsMissing FORBIDDEN "approvals_missing" "Others must approve first"
    /// The label is protected.
    LabelProtected FORBIDDEN "label_protected" "The label is protected"
    /// No such route.
    UnknownRoute NOT_FOUND "unknown_route" "There is no such route"
    /// No such policy.
    UnknownPolicy NOT_FOUND "unknown_policy" "There is no such policy"
    /// No such rollout.
    UnknownRollout NOT_FOUND "unknown_rollout" "There is no such rollout"
    /// No such prompt.
    UnknownPrompt NOT_FOUND "unknown_prompt" "There is no such prompt"
    /// No such version.
    UnknownVersion NOT_FOUND "unknown_version" "There is no such version"
    /// The label points nowhere.
    UnknownLabel NOT_FOUND "unknown_label" "There is no such label"
    /// No such token.
    UnknownToken NOT_FOUND "unknown_token" "There is no such token"
    /// No registry of that name takes webhooks.
    UnknownHook NOT_FOUND "unknown_hook" "No such registry takes webhooks"
    /// No registry of that name is in the settings.
    UnknownRegistry NOT_FOUND "unknown_registry" "There is no such registry"
    /// No policy steers the prompt.
    NoPolicyForPrompt NOT_FOUND "no_policy_for_prompt" "No policy steers this prompt"
    /// The route has other methods.
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed" "The route has other methods"
    /// The body did not arrive in time.
    BodyTimeout REQUEST_TIMEOUT "body_timeout" "The body took too long"
    /// The command makes no sense in the rollout's phase.
    CommandRefused CONFLICT "command_refused" "The command makes no sense now"
    /// The rollout cannot start.
    StartRefused CONFLICT "start_refused" "The rollout cannot start"
    /// Somebody else was faster.
    Conflict CONFLICT "conflict" "Somebody else was faster"
    /// The label is not where the asker expects it.
    LabelElsewhere CONFLICT "label_elsewhere" "The label points elsewhere"
    /// No policy is of the scheme that the protocol evaluates.
    SchemeElsewhere CONFLICT "scheme_elsewhere" "The policies have another hash scheme"
    /// The policies of this hash scheme leave users out by rules that this protocol cannot carry.
    NotPublished CONFLICT "not_published" "The policies cannot be published for SDKs that evaluate by themselves"
    /// More than one policy steers the prompt.
    SeveralPolicies CONFLICT "several_policies" "More than one policy steers this prompt"
    /// A token of that name exists.
    NameTaken CONFLICT "name_taken" "The name is taken"
    /// Without this token nobody could administer the server.
    LastAdmin CONFLICT "last_admin" "Nobody could administer the server"
    /// The body is too large, as it is sent or decompressed.
    BodyTooLarge PAYLOAD_TOO_LARGE "body_too_large" "The body is too large"
    /// The body has too many observations.
    TooManyObservations PAYLOAD_TOO_LARGE "too_many_observations" "The body has too many observations"
    /// The body has another media type.
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The media type is not supported"
    /// The body has another encoding.
    UnsupportedEncoding UNSUPPORTED_MEDIA_TYPE "unsupported_encoding" "The encoding is not supported"
    /// Every observation was refused.
    AllRefused UNPROCESSABLE_ENTITY "all_refused" "Every observation was refused"
    /// The idempotency key was used with another body.
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency_key_reused" "The idempotency key was used before"
    /// The prompt breaks a rule.
    InvalidPrompt UNPROCESSABLE_ENTITY "invalid_prompt" "The prompt breaks a rule"
    /// The label is computed.
    LabelReserved UNPROCESSABLE_ENTITY "label_reserved" "The label is computed"
    /// More than one version is asked for.
    UnclearVersion UNPROCESSABLE_ENTITY "unclear_version" "It is not clear which version is meant"
    /// The variables are not those of the prompt.
    VariablesMismatch UNPROCESSABLE_ENTITY "variables_mismatch" "The variables are not those of the prompt"
    /// Serin failed.
    Internal INTERNAL_SERVER_ERROR "internal" "Serin failed"
    /// Too much is going on.
    Overloaded SERVICE_UNAVAILABLE "overloaded" "The server is overloaded"
    /// The server is stopping.
    Stopping SERVICE_UNAVAILABLE "stopping" "The server is stopping"
    /// The answer took too long.
    TimedOut SERVICE_UNAVAILABLE "timed_out" "The answer took too long"
    /// The registry does not answer.
    RegistryUnavailable SERVICE_UNAVAILABLE "registry_unavailable" "The registry does not answer"
    /// The server is not ready yet.
    NotReady SERVICE_UNAVAILABLE "not_ready" "The server is not ready"
}

/// A line of a body that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineError {
    /// Position in the body, from 1: the line of NDJSON, or the element of an array.
    #[schema(minimum = 1)]
    pub line: usize,
    /// What is wrong, as a stable word.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// What is wrong with this line.
    pub detail: String,
}

/// Why a request was not answered with what it asked for.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<LineError>,
    scope: Option<&'static str>,
}

/// A problem (RFC 9457) with a stable `code`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView<'a> {
    /// Where the code is explained, relative to the server.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    kind: String,
    /// What kind of problem it is.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What kind of problem it is, as a stable word.
    #[schema(value_type = CodeText)]
    code: &'static str,
    /// What is wrong with this request, and the mend.
    detail: &'a str,
    /// The lines that were refused, where the body has lines.
    #[serde(skip_serializing_if = "<[LineError]>::is_empty")]
    #[schema(value_type = Option<Vec<LineError>>, nullable = false)]
    errors: &'a [LineError],
    /// The scope that is needed, where the token lacks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<&'static str>,
}

impl Problem {
    /// A problem of this kind; `detail` says what is wrong with this request, and the mend.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            scope: None,
        }
    }

    /// With the lines that were refused.
    #[must_use]
    pub fn with_errors(self, errors: Vec<LineError>) -> Self {
        Self { errors, ..self }
    }

    /// With the scope that is needed.
    #[must_use]
    pub fn with_scope(self, scope: &'static str) -> Self {
        Self {
            scope: Some(scope),
            ..self
        }
    }

    /// Serin's own failure: the whole chain goes to the log, the client gets a number to quote.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        let id = incident();
        tracing::error!(incident = %id, error = chain(error), "a request failed");
        Self::new(
            Code::Internal,
            format!("the server's log tells more under incident {id}"),
        )
    }

    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is wrong with this request.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// A number that is new for every failure of this process.
pub(super) fn incident() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!(
        "{:x}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let view = ProblemView {
            kind: format!("/docs#{}", self.code.as_str()),
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code.as_str(),
            detail: &self.detail,
            errors: &self.errors,
            scope: self.scope,
        };
        let body = serde_json::to_vec(&view).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"serin\""),
            );
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Stale { .. } => Self::new(Code::Conflict, error.to_string()),
            StoreError::AlreadyRunning { .. } => Self::new(Code::StartRefused, error.to_string()),
            StoreError::UnknownRollout(_) => Self::new(Code::UnknownRollout, error.to_string()),
            StoreError::NameTaken(_) => Self::new(Code::NameTaken, error.to_string()),
            StoreError::KeyReused => Self::new(Code::IdempotencyKeyReused, error.to_string()),
            StoreError::Overloaded => Self::new(Code::Overloaded, error.to_string()),
            StoreError::Closed => Self::new(Code::Stopping, error.to_string()),
            StoreError::Busy { .. }
            | StoreError::UnknownEffect(_)
            | StoreError::UnknownNotice(_)
            | StoreError::Failed(_)
            | StoreError::Corrupt { .. } => Self::internal(&error),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::UnknownPolicy(_) => Self::new(Code::UnknownPolicy, error.to_string()),
            CommandError::UnknownRollout(_) => Self::new(Code::UnknownRollout, error.to_string()),
            CommandError::Refused(refusal) => {
                let code = match refusal.objection {
                    Objection::Phase => Code::CommandRefused,
                    Objection::Approver => Code::ApproverRefused,
                    Objection::ApprovalsMissing => Code::ApprovalsMissing,
                };
                Self::new(code, refusal.to_string())
            }
            CommandError::StartRefused(why) => Self::new(Code::StartRefused, why),
            CommandError::Registry(error) => error.into(),
            CommandError::Store(error) => error.into(),
            CommandError::Overloaded => Self::new(Code::Overloaded, error.to_string()),
            CommandError::Stopped => Self::new(Code::Stopping, error.to_string()),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let code = match &error {
            RegistryError::NotFound(_) | RegistryError::Refused(_) => Code::StartRefused,
            RegistryError::Unavailable(_) => Code::RegistryUnavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PromptError> for Problem {
    fn from(error: PromptError) -> Self {
        let code = match &error {
            PromptError::UnknownPrompt(_) => Code::UnknownPrompt,
            PromptError::UnknownVersion { .. } => Code::UnknownVersion,
            PromptError::UnknownLabel { .. } => Code::UnknownLabel,
            PromptError::Protected { .. } => Code::LabelProtected,
            PromptError::LabelElsewhere { .. } => Code::LabelElsewhere,
            PromptError::Stale { .. } | PromptError::Overtaken { .. } => Code::Conflict,
            PromptError::ReservedLabel(_) => Code::LabelReserved,
            PromptError::InvalidDraft(_) | PromptError::Referred { .. } => Code::InvalidPrompt,
            PromptError::StoreAway(_) => Code::Overloaded,
            PromptError::Store(_) => return Self::internal(&error),
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_are_distinct_and_statuses_are_errors() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            let status = code.status();
            assert!(status.is_client_error() || status.is_server_error(), "{code:?}");
            assert!(!code.title().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn a_failure_is_told_by_number() {
        let inner = std::io::Error::other("the disk is gone");
        let error = StoreError::Failed(Box::new(inner));
        let problem = Problem::from(error);
        assert_eq!(problem.code(), Code::Internal);
        assert!(!problem.detail().contains("disk"), "{}", problem.detail());
    }
}

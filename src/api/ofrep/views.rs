//! OFREP's shapes.

use super::context::ContextView;
use crate::api::schema::{ArmText, AssignmentReasonText, RolloutIdText, VersionNumber};
use crate::api::views::assignment::AssignmentView;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Every reason that is given, of those that the specification knows.
const REASONS: [&str; 4] = ["STATIC", "TARGETING_MATCH", "SPLIT", "UNKNOWN"];

/// Whom to evaluate for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OfrepRequest)]
pub(super) struct RequestView<'a> {
    /// What is known about the user.
    #[serde(borrow, default)]
    #[schema(inline, required, nullable = false)]
    pub(super) context: Option<ContextView<'a>>,
}

/// What a user gets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OfrepEvaluation)]
pub(super) struct EvaluationView<'a> {
    /// The flag that was asked for.
    pub(super) key: Cow<'a, str>,
    /// The label, or the whole assignment.
    pub(super) value: ValueView<'a>,
    /// Why this value.
    #[schema(value_type = String, pattern = "^(STATIC|TARGETING_MATCH|SPLIT|UNKNOWN)$")]
    pub(super) reason: &'static str,
    /// The arm.
    #[schema(value_type = ArmText)]
    pub(super) variant: &'static str,
    /// The rest of the assignment.
    pub(super) metadata: MetadataView,
}

/// The label, or the whole assignment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = OfrepValue)]
pub(super) enum ValueView<'a> {
    /// The label to fetch the prompt by.
    Label(Cow<'a, str>),
    /// What `/v1/assignments` gives.
    Assignment(Box<AssignmentView<'a>>),
}

/// What is known besides the value; what is not known is left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OfrepMetadata)]
pub(super) struct MetadataView {
    /// The version behind the label.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<VersionNumber>, nullable = false)]
    version: Option<u32>,
    /// Share of users in treatment at this moment.
    #[schema(minimum = 0, maximum = 1)]
    exposure: f64,
    /// Why this arm, in Serin's words.
    #[serde(rename = "serinReason")]
    #[schema(value_type = AssignmentReasonText)]
    serin_reason: &'static str,
    /// The rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RolloutIdText>, nullable = false)]
    rollout: Option<String>,
    /// What to send along with observations of this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, nullable = false)]
    receipt: Option<String>,
}

impl<'a> EvaluationView<'a> {
    /// An assignment under the key that it was asked for by; `whole` gives it as an object.
    pub(super) fn new(key: Cow<'a, str>, assignment: AssignmentView<'a>, whole: bool) -> Self {
        let metadata = MetadataView {
            version: assignment.version,
            exposure: assignment.exposure,
            serin_reason: assignment.reason,
            rollout: assignment.rollout.map(|rollout| rollout.to_string()),
            receipt: assignment
                .receipt
                .as_ref()
                .map(|receipt| receipt.as_str().to_owned()),
        };
        Self {
            key,
            reason: reason(assignment.reason),
            variant: assignment.arm,
            metadata,
            value: if whole {
                ValueView::Assignment(Box::new(assignment))
            } else {
                ValueView::Label(assignment.label)
            },
        }
    }
}

/// OpenFeature's word (specification, section 1.7, "resolution reason") for one of Serin's.
fn reason(word: &str) -> &'static str {
    let [fixed, matched, split, unknown] = REASONS;
    match word {
        "split" | "holdback" | "outside_segment" | "other_in_group" | "reserved" => split,
        "forced" | "attribute_missing" | "not_targeted" => matched,
        "no_rollout" | "pending" | "rolled_back" | "promoted" => fixed,
        _ => unknown,
    }
}

/// Every policy for one user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OfrepEvaluations)]
pub(super) struct EvaluationsView {
    /// By name of policy.
    #[schema(value_type = Vec<EvaluationView>)]
    pub(super) flags: Box<serde_json::value::RawValue>,
    /// Where to hear of changes.
    pub(super) event_streams: [EventStreamView; 1],
}

/// Where to hear of changes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OfrepEventStream)]
pub(super) struct EventStreamView {
    /// Server-sent events.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub(super) kind: &'static str,
    /// On this server, under whatever address it was reached by.
    pub(super) endpoint: EndpointView,
    /// How long a page may be out of sight before it hangs up, in seconds.
    #[schema(minimum = 1)]
    pub(super) inactivity_delay_sec: u32,
}

/// The address without the origin.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OfrepEndpoint)]
pub(super) struct EndpointView {
    /// Path and query; the query lets its bearer listen, and nothing else, for an hour or two.
    #[schema(pattern = "^/")]
    pub(super) request_uri: String,
}

/// What a listener is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NoticeView {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) etag: String,
    /// Seconds since 1970.
    pub(super) last_modified: i64,
}

/// Why a request was not answered with what it asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OfrepFailure)]
pub(super) struct FailureView {
    /// The flag that was asked for, where it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) key: Option<String>,
    /// What is wrong, as a word of OpenFeature.
    #[schema(
        value_type = String,
        pattern = "^(PARSE_ERROR|TARGETING_KEY_MISSING|INVALID_CONTEXT|FLAG_NOT_FOUND|GENERAL)$"
    )]
    pub(super) error_code: &'static str,
    /// What is wrong with this request.
    #[schema(value_type = String)]
    pub(super) error_details: Cow<'static, str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::views::assignment::REASON_WORDS;

    #[test]
    fn every_reason_of_serin_has_a_word_of_openfeature() {
        for word in REASON_WORDS {
            assert_ne!(reason(word), "UNKNOWN", "{word}");
        }
    }
}

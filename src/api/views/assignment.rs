//! What a user gets.

use crate::api::schema::{
    ArmText, AssignmentReasonText, DnsLabel, LabelText, PromptNameText, RolloutIdText, VersionNumber,
};
use crate::assignment::receipt::ReceiptText;
use crate::assignment::{Assignment, Idle, Reason, Route, Served, Treatment};
use crate::ids::{Label, RolloutId, Version};
use crate::targeting::Attribute;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use utoipa::ToSchema;

/// Every word that [`reason_word`] gives.
pub const REASON_WORDS: [&str; 12] = [
    "split",
    "forced",
    "holdback",
    "attribute_missing",
    "not_targeted",
    "outside_segment",
    "other_in_group",
    "reserved",
    "no_rollout",
    "pending",
    "rolled_back",
    "promoted",
];

/// Why a user has their arm, as a word of [`REASON_WORDS`].
pub fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::Split => "split",
        Reason::Forced => "forced",
        Reason::Holdback => "holdback",
        Reason::AttributeMissing(_) => "attribute_missing",
        Reason::NotTargeted(_) => "not_targeted",
        Reason::OutsideSegment => "outside_segment",
        Reason::OtherInGroup => "other_in_group",
        Reason::Reserved => "reserved",
        Reason::Idle(Idle::NoRollout) => "no_rollout",
        Reason::Idle(Idle::Pending) => "pending",
        Reason::Idle(Idle::RolledBack) => "rolled_back",
        Reason::Idle(Idle::Promoted) => "promoted",
    }
}

/// What a user gets.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Assignment)]
pub struct AssignmentView<'a> {
    /// The policy.
    #[schema(value_type = DnsLabel)]
    pub policy: Cow<'a, str>,
    /// The user's group.
    #[schema(value_type = ArmText)]
    pub arm: &'static str,
    /// The label to fetch the prompt by.
    #[schema(value_type = LabelText)]
    pub label: Cow<'a, str>,
    /// The version behind the label; null while the registry has not told.
    #[schema(value_type = Option<VersionNumber>)]
    pub version: Option<u32>,
    /// Share of users in treatment at this moment.
    #[schema(minimum = 0, maximum = 1)]
    pub exposure: f64,
    /// Why this arm.
    #[schema(value_type = AssignmentReasonText)]
    pub reason: &'static str,
    /// The attribute that keeps the user out, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 64, nullable = false)]
    pub attribute: Option<Cow<'a, str>>,
    /// The rollout; null while none exposes a candidate.
    #[serde(serialize_with = "text")]
    #[schema(value_type = Option<RolloutIdText>)]
    pub rollout: Option<RolloutId>,
    /// What to send along with observations of this user; null where they would not count.
    #[serde(serialize_with = "text")]
    #[schema(value_type = Option<String>, max_length = 64)]
    pub receipt: Option<ReceiptText>,
}

/// Writes a value as its text, without an allocation.
fn text<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

impl<'a> AssignmentView<'a> {
    /// Shows `assignment` with its receipt.
    pub fn new(assignment: &Assignment<'a>, receipt: Option<ReceiptText>) -> Self {
        Self {
            policy: Cow::Borrowed(assignment.policy.as_str()),
            arm: assignment.arm.as_str(),
            label: Cow::Borrowed(assignment.served.label.as_str()),
            version: assignment.served.version.map(Version::get),
            exposure: assignment.exposure.ratio(),
            reason: reason_word(assignment.reason),
            attribute: assignment.attribute.map(|name| Cow::Borrowed(name.as_str())),
            rollout: assignment.rollout.map(|(rollout, _)| rollout),
            receipt,
        }
    }

    /// The same without a snapshot to borrow from.
    pub fn into_owned(self) -> AssignmentView<'static> {
        AssignmentView {
            policy: Cow::Owned(self.policy.into_owned()),
            label: Cow::Owned(self.label.into_owned()),
            attribute: self.attribute.map(|name| Cow::Owned(name.into_owned())),
            ..self
        }
    }
}

/// Many assignments at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignmentsRequest {
    /// Who, under which policy; answered in this order.
    #[schema(max_items = 1000)]
    pub requests: Vec<AssignmentRequest>,
}

/// Who, under which policy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignmentRequest {
    /// The policy.
    pub policy: String,
    /// The user: 1 to 256 bytes of UTF-8.
    pub user: String,
    /// The key that the user had before they signed in, 1 to 256 bytes of UTF-8: they keep the arm that they had
    /// by it.
    pub anonymous: Option<String>,
    /// What is known about the user, for policies with targeting; at most 64.
    #[serde(default)]
    pub attributes: BTreeMap<String, AttributeBody>,
}

/// What an attribute is.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Attribute)]
pub enum AttributeBody {
    /// A truth value.
    Truth(bool),
    /// A number.
    Number(f64),
    /// A text of at most 256 bytes.
    Text(String),
}

impl AttributeBody {
    /// The attribute.
    pub fn attribute(&self) -> Attribute<'_> {
        match self {
            Self::Truth(truth) => Attribute::Truth(*truth),
            Self::Number(number) => Attribute::Number(*number),
            Self::Text(text) => Attribute::Text(Cow::Borrowed(text)),
        }
    }
}

/// An assignment, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AssignmentOutcome)]
pub enum AssignmentOutcomeView<'a> {
    /// What the user gets.
    Assigned {
        /// What the user gets.
        assignment: AssignmentView<'a>,
    },
    /// Why there is no assignment.
    Refused {
        /// Why there is no assignment.
        problem: ItemProblem,
    },
}

/// Why one item of a request was not answered with what it asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemProblem {
    /// What is wrong, as a stable word.
    #[schema(value_type = crate::api::schema::CodeText)]
    pub code: &'static str,
    /// What is wrong with this item.
    pub detail: String,
}

/// Answers in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AssignmentOutcomes)]
pub struct AssignmentOutcomesView<'a> {
    /// One for each request.
    pub assignments: Vec<AssignmentOutcomeView<'a>>,
}

/// Every route at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct SnapshotView {
    /// Grows with each change while the server runs.
    pub number: u64,
    /// By name of policy.
    pub routes: Vec<RouteView>,
}

/// How one policy's users are served.
#[derive(Debug, Serialize, ToSchema)]
pub struct RouteView {
    /// The policy.
    #[schema(value_type = DnsLabel)]
    pub policy: String,
    /// The prompt that the labels belong to.
    #[schema(value_type = PromptNameText)]
    pub prompt: String,
    /// What the control arm is served.
    pub control: ServedView,
    /// What the treatment arm is served; null while no candidate is exposed.
    pub treatment: Option<TreatmentView>,
}

/// A label and the version behind it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServedView {
    /// The label.
    #[schema(value_type = LabelText)]
    pub label: String,
    /// The version; null while the registry has not told.
    #[schema(value_type = Option<VersionNumber>)]
    pub version: Option<u32>,
}

/// The candidate's side of a route.
#[derive(Debug, Serialize, ToSchema)]
pub struct TreatmentView {
    /// What the arm is served.
    #[serde(flatten)]
    pub served: ServedView,
    /// Share of users in treatment.
    #[schema(minimum = 0, maximum = 1)]
    pub exposure: f64,
    /// Share that never enters treatment.
    #[schema(minimum = 0, maximum = 1)]
    pub holdback: f64,
    /// The rollout.
    #[schema(value_type = RolloutIdText)]
    pub rollout: String,
    /// Its generation.
    pub generation: u64,
}

impl From<&Served> for ServedView {
    fn from(served: &Served) -> Self {
        let label: &Label = &served.label;
        Self {
            label: label.to_string(),
            version: served.version.map(Version::get),
        }
    }
}

impl From<&Treatment> for TreatmentView {
    fn from(treatment: &Treatment) -> Self {
        Self {
            served: (&treatment.served).into(),
            exposure: treatment.exposure.ratio(),
            holdback: treatment.holdback.ratio(),
            rollout: treatment.rollout.to_string(),
            generation: treatment.generation.get(),
        }
    }
}

impl From<&Route> for RouteView {
    fn from(route: &Route) -> Self {
        Self {
            policy: route.policy.to_string(),
            prompt: route.prompt.to_string(),
            control: (&route.control).into(),
            treatment: route.treatment.as_ref().map(Into::into),
        }
    }
}

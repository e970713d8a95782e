//! What is asked of prompts of the embedded registry.

use super::Whole;
use super::assignment::AttributeBody;
use super::prompt::{ChatItemView, KindView, MessageView, PlaceholderView, TemplateView};
use crate::api::schema::{
    AttributeValues, DatasetText, DnsLabel, LabelText, PromptNameText, ReasonText, Scores,
    SemanticVersionText, UserKeyText, VersionNumber, VersionOrNone,
};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use utoipa::ToSchema;

/// An item of a chat as it is sent; exactly one of its two forms is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChatItemFields {
    role: Option<String>,
    content: Option<String>,
    placeholder: Option<String>,
}

impl<'de> Deserialize<'de> for ChatItemView {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match ChatItemFields::deserialize(deserializer)? {
            ChatItemFields {
                role: Some(role),
                content: Some(content),
                placeholder: None,
            } => Ok(Self::Message(MessageView { role, content })),
            ChatItemFields {
                role: None,
                content: None,
                placeholder: Some(placeholder),
            } => Ok(Self::Placeholder(PlaceholderView { placeholder })),
            ChatItemFields { .. } => Err(D::Error::custom(
                "an item has either `role` and `content`, or `placeholder`",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for TemplateView {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TemplateVisitor)
    }
}

struct TemplateVisitor;

impl<'de> Visitor<'de> for TemplateVisitor {
    type Value = TemplateView;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of items")
    }

    fn visit_str<E>(self, text: &str) -> Result<TemplateView, E> {
        Ok(TemplateView::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TemplateView, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(TemplateView::Chat(items))
    }
}

/// The next version of a prompt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewVersionBody {
    /// The prompt; made with its first version.
    #[schema(value_type = PromptNameText)]
    pub name: String,
    /// `text` or `chat`: the kind of the prompt's first version.
    #[serde(rename = "type")]
    pub kind: KindView,
    /// A text for `text`, items for `chat`.
    pub prompt: TemplateView,
    /// Model, temperature, response format, tools.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>)]
    pub config: Map<String, Value>,
    /// `MAJOR.MINOR.PATCH`.
    #[schema(value_type = Option<SemanticVersionText>)]
    pub semantic_version: Option<String>,
    /// Why it is made.
    #[schema(value_type = ReasonText)]
    pub reason: String,
    /// The team that answers for the prompt.
    #[schema(min_length = 1, max_length = 128)]
    pub owner: Option<String>,
    /// Free words to search by.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub tags: BTreeSet<String>,
    /// Labels that are to point at it.
    #[serde(default)]
    #[schema(value_type = Vec<LabelText>, max_items = 20)]
    pub labels: BTreeSet<String>,
}

/// Where a label is to point.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelBody {
    /// The version.
    #[schema(value_type = VersionNumber)]
    pub version: Whole,
    /// Why.
    #[schema(value_type = ReasonText)]
    pub reason: String,
    /// Where it must point now; 0 when there must be no such label.
    #[schema(value_type = Option<VersionOrNone>)]
    pub expect: Option<Whole>,
}

/// Whether a label is protected.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProtectionBody {
    /// Whether only Serin and administrators move it.
    pub protected: bool,
}

/// Scores of a version on a dataset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationBody {
    /// The dataset.
    #[schema(value_type = DatasetText)]
    pub dataset: String,
    /// By metric.
    #[schema(value_type = Scores)]
    pub scores: BTreeMap<String, f64>,
}

/// Which version to compile, and with what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompileBody {
    /// The label that points at it; `production` when neither label, version nor user is given.
    #[schema(value_type = Option<LabelText>)]
    pub label: Option<String>,
    /// Its number.
    #[schema(value_type = Option<VersionNumber>)]
    pub version: Option<Whole>,
    /// The user whose assigned version it is.
    #[schema(value_type = Option<UserKeyText>)]
    pub user: Option<String>,
    /// The key that the user had before they signed in, by which they keep the arm that they had.
    #[schema(value_type = Option<UserKeyText>)]
    pub anonymous: Option<String>,
    /// The policy that assigns; needed where several steer the prompt.
    #[schema(value_type = Option<DnsLabel>)]
    pub policy: Option<String>,
    /// What is known about that user, for policies with targeting; at most 64.
    #[serde(default)]
    #[schema(value_type = AttributeValues)]
    pub attributes: BTreeMap<String, AttributeBody>,
    /// Where the prompt is; with a user that of the policy, else Serin's own.
    #[schema(value_type = Option<DnsLabel>)]
    pub registry: Option<String>,
    /// Strings, numbers, true or false, by variable.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>)]
    pub variables: Map<String, Value>,
    /// Lists of messages, by placeholder.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>)]
    pub placeholders: Map<String, Value>,
}

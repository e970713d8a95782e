//! A prompt whose variables are filled in.

use super::prompt::ReadingView;
use crate::api::schema::{PromptNameText, VersionNumber};
use crate::prompt::template::{Compiled, CompiledMessage};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A prompt with its variables filled in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompiledPrompt)]
pub struct CompiledView {
    /// The prompt.
    #[schema(value_type = PromptNameText)]
    pub name: String,
    /// The version that was compiled.
    #[schema(value_type = VersionNumber)]
    pub version: u32,
    /// A text, or messages; messages given for placeholders stand as they came.
    pub prompt: CompiledTemplate,
    /// Model, temperature, response format, tools.
    #[schema(value_type = BTreeMap<String, Value>)]
    pub config: Map<String, Value>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "the schema is that of the reading itself")]
    pub reading: ReadingView,
    /// The assignment, where a user was given.
    pub assignment: Option<super::assignment::AssignmentView<'static>>,
    /// What to set on the span of the model call.
    #[serde(rename = "spanAttributes")]
    pub span_attributes: super::span::SpanAttributesView,
}

/// A compiled text, or compiled messages.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum CompiledTemplate {
    /// A text.
    Text(String),
    /// Messages.
    #[schema(value_type = Vec<BTreeMap<String, Value>>)]
    Chat(Vec<Map<String, Value>>),
}

impl From<Compiled> for CompiledTemplate {
    fn from(compiled: Compiled) -> Self {
        match compiled {
            Compiled::Text(text) => Self::Text(text),
            Compiled::Chat(messages) => Self::Chat(messages.into_iter().map(message).collect()),
        }
    }
}

fn message(message: CompiledMessage) -> Map<String, Value> {
    match message {
        CompiledMessage::Own { role, content } => [("role", role.to_string()), ("content", content)]
            .into_iter()
            .map(|(key, text)| (key.to_owned(), text.into()))
            .collect(),
        CompiledMessage::Given(message) => message,
    }
}

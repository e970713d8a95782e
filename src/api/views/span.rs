//! What a span says of the prompt behind a model call.

use crate::ids::{Label, PromptName, Version};
use serde::Serialize;
use utoipa::ToSchema;

/// Attributes to set on the span of the model call, by name, so that whoever reads the trace can tell which
/// version and which label it was.
///
/// The names beginning with `langfuse.` are those by which Langfuse links a generation to a prompt: the
/// version is an integer there. Those beginning with `gen_ai.` are OpenTelemetry's semantic conventions for
/// generative AI, in which a version is a string.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpanAttributes)]
pub struct SpanAttributesView {
    /// The prompt.
    #[serde(rename = "langfuse.observation.prompt.name")]
    langfuse_name: String,
    /// Its version.
    #[serde(rename = "langfuse.observation.prompt.version")]
    langfuse_version: u32,
    /// The label that it was fetched by; absent where it was fetched by its version.
    #[serde(
        rename = "langfuse.observation.metadata.prompt_label",
        skip_serializing_if = "Option::is_none"
    )]
    langfuse_label: Option<String>,
    /// The prompt.
    #[serde(rename = "gen_ai.prompt.name")]
    gen_ai_name: String,
    /// Its version.
    #[serde(rename = "gen_ai.prompt.version")]
    gen_ai_version: String,
}

impl SpanAttributesView {
    /// Those of a version, and of the label that it was fetched by.
    pub fn new(prompt: &PromptName, version: Version, label: Option<&Label>) -> Self {
        Self {
            langfuse_name: prompt.to_string(),
            langfuse_version: version.get(),
            langfuse_label: label.map(ToString::to_string),
            gen_ai_name: prompt.to_string(),
            gen_ai_version: version.to_string(),
        }
    }
}

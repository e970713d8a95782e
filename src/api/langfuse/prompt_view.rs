//! A version of a prompt, and lists of prompts, as Langfuse shows them.

use super::PROJECT;
use super::composition::GraphView;
use super::prompt_body::NO_MESSAGE;
use crate::ids::{PromptName, Version};
use crate::prompt::labels::LATEST;
use crate::prompt::{ChatItem, PromptSummary, PromptVersion, Template};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One version of a prompt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptView {
    id: String,
    created_at: String,
    updated_at: String,
    project_id: &'static str,
    created_by: String,
    name: String,
    version: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    prompt: TemplateView,
    config: Map<String, Value>,
    labels: Vec<String>,
    tags: Vec<String>,
    commit_message: Option<String>,
    is_active: bool,
    resolution_graph: Option<GraphView>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum TemplateView {
    Text(String),
    Chat(Vec<ItemView>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ItemView {
    ChatMessage { role: String, content: String },
    Placeholder { name: String },
}

impl PromptView {
    /// `version` with another template where it was composed, and the tags of the whole prompt.
    pub(super) fn new(
        version: PromptVersion,
        summary: &PromptSummary,
        tags: BTreeSet<Arc<str>>,
        composed: Option<(Template, GraphView)>,
    ) -> Self {
        let (template, resolution_graph) = match composed {
            Some((template, graph)) => (template, Some(graph)),
            None => (version.draft.template, None),
        };
        let labels = labels(summary, version.version);
        let created_at = version.created_at.to_string();
        let message = version.draft.reason.as_str();
        Self {
            id: id(&version.prompt, version.version),
            updated_at: created_at.clone(),
            created_at,
            project_id: PROJECT,
            created_by: version.author.to_string(),
            name: version.prompt.to_string(),
            version: version.version.get(),
            kind: template.kind().as_str(),
            prompt: template.into(),
            config: version.draft.config,
            is_active: labels.iter().any(|label| label == super::prompts::LABEL_DEFAULT),
            labels,
            tags: texts(&tags),
            commit_message: (message != NO_MESSAGE).then(|| message.to_owned()),
            resolution_graph,
        }
    }
}

impl From<Template> for TemplateView {
    fn from(template: Template) -> Self {
        match template {
            Template::Text(text) => Self::Text(text.to_string()),
            Template::Chat(items) => Self::Chat(
                items
                    .into_iter()
                    .map(|item| match item {
                        ChatItem::Message { role, content } => ItemView::ChatMessage {
                            role: role.to_string(),
                            content: content.to_string(),
                        },
                        ChatItem::Placeholder { name } => ItemView::Placeholder {
                            name: name.to_string(),
                        },
                    })
                    .collect(),
            ),
        }
    }
}

/// Tags as texts.
pub(super) fn texts(tags: &BTreeSet<Arc<str>>) -> Vec<String> {
    tags.iter().map(ToString::to_string).collect()
}

/// The labels that point at a version, the computed one last.
pub(super) fn labels(summary: &PromptSummary, version: Version) -> Vec<String> {
    let set = summary.labels.iter().filter(|(_, at)| **at == version);
    let computed = (summary.newest == version).then(|| LATEST.to_owned());
    set.map(|(label, _)| label.to_string()).chain(computed).collect()
}

/// A name for a version that no other version has: the first 128 bits of SHA-256, as Langfuse's own
/// look like.
pub(super) fn id(prompt: &PromptName, version: Version) -> String {
    let digest = Sha256::digest(format!("{prompt}|{version}"));
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One prompt in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaView {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) versions: Vec<u32>,
    pub(super) labels: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) last_updated_at: String,
    pub(super) last_config: Map<String, Value>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct PageView<T> {
    data: Vec<T>,
    meta: PlaceView,
    /// The same as `meta`, for older SDKs.
    pagination: PlaceView,
}

/// Where a page stands.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceView {
    page: usize,
    limit: usize,
    total_items: usize,
    total_pages: usize,
}

impl<T> PageView<T> {
    /// The page `page` of `total_items` in pages of `limit`.
    pub(super) fn new(data: Vec<T>, page: usize, limit: usize, total_items: usize) -> Self {
        let place = PlaceView {
            page,
            limit,
            total_items,
            total_pages: total_items.div_ceil(limit),
        };
        Self {
            data,
            meta: place,
            pagination: place,
        }
    }
}

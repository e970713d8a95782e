//! A version as an application keeps it: what Langfuse's API shows of it.

use crate::ids::Label;
use crate::prompt::composition::references;
use crate::prompt::{ChatItem, PromptVersion, Template};
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
struct PromptValue<'v> {
    name: &'v str,
    version: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    prompt: TemplateValue<'v>,
    config: &'v Map<String, Value>,
    labels: [&'v str; 1],
    tags: Vec<&'v str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TemplateValue<'v> {
    Text(&'v str),
    Chat(Vec<ItemValue<'v>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ItemValue<'v> {
    ChatMessage { role: &'v str, content: &'v str },
    Placeholder { name: &'v str },
}

/// The version as JSON; none where the text refers to other prompts, which the API would fill in.
pub(super) fn of(version: &PromptVersion, label: &Label) -> Option<String> {
    let draft = &version.draft;
    if !references(&draft.template).is_empty() {
        return None;
    }
    let prompt = match &draft.template {
        Template::Text(text) => TemplateValue::Text(text),
        Template::Chat(items) => TemplateValue::Chat(items.iter().map(item).collect()),
    };
    let value = PromptValue {
        name: version.prompt.as_str(),
        version: version.version.get(),
        kind: draft.template.kind().as_str(),
        prompt,
        config: &draft.config,
        labels: [label.as_str()],
        tags: draft.tags.iter().map(AsRef::as_ref).collect(),
    };
    serde_json::to_string(&value).ok()
}

fn item(item: &ChatItem) -> ItemValue<'_> {
    match item {
        ChatItem::Message { role, content } => ItemValue::ChatMessage { role, content },
        ChatItem::Placeholder { name } => ItemValue::Placeholder { name },
    }
}

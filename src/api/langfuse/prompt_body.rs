//! The body of a new version, and what becomes of it.

use super::refusal::Refusal;
use crate::ids::{Justification, Label, PromptName};
use crate::prompt::labels::LATEST;
use crate::prompt::{ChatItem, Draft, Template};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The reason of a version that came without a commit message; it is shown as none.
pub(super) const NO_MESSAGE: &str = "made through Langfuse's API, without a commit message";
/// Most labels in one request.
const LABELS_MAX: usize = 20;
/// Names that are pages in Langfuse.
const NAMES_RESERVED: [&str; 3] = ["new", "metrics", "prompt-detail"];

/// The body of `POST /api/public/v2/prompts`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateBody {
    name: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    prompt: PromptBody,
    config: Option<Value>,
    labels: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    commit_message: Option<String>,
    /// Of SDKs that knew one label only.
    is_active: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a text or a list of messages")]
enum PromptBody {
    Text(String),
    Chat(Vec<ItemBody>),
}

/// An item of a chat: a message or a placeholder.
#[derive(Debug, Deserialize)]
struct ItemBody {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    role: Option<String>,
    content: Option<String>,
    name: Option<String>,
}

/// A new version as Serin understands it.
#[derive(Debug)]
pub(super) struct NewVersion {
    /// The prompt.
    pub(super) prompt: PromptName,
    /// What it says; its tags are those of the prompt before where `keeps_tags`.
    pub(super) draft: Draft,
    /// The labels that it is to have, `latest` aside.
    pub(super) labels: BTreeSet<Label>,
    /// Whether the body names no tags.
    pub(super) keeps_tags: bool,
}

impl CreateBody {
    /// Checks everything that can be told without the store.
    pub(super) fn checked(self) -> Result<NewVersion, Refusal> {
        let prompt = name(&self.name)?;
        let template = template(self.kind.as_deref(), self.prompt)?;
        let is_active = self.is_active.unwrap_or_default();
        let active = is_active.then(|| super::prompts::LABEL_DEFAULT.to_owned());
        let labels = self.labels.unwrap_or_default().into_iter().chain(active);
        let labels = labels_of("labels", labels.filter(|label| label != LATEST))?;
        let keeps_tags = self.tags.is_none();
        let draft = Draft {
            template,
            semantic_version: None,
            reason: reason(self.commit_message.as_deref())?,
            config: config(self.config)?,
            owner: None,
            tags: self.tags.unwrap_or_default().into_iter().map(Arc::from).collect(),
        };
        Ok(NewVersion {
            prompt,
            draft,
            labels,
            keeps_tags,
        })
    }
}

fn name(text: &str) -> Result<PromptName, Refusal> {
    let has_html = text.find('<').is_some_and(|at| text[at..].contains('>'));
    if has_html || NAMES_RESERVED.contains(&text) {
        return Err(Refusal::data(
            "name",
            format!("`{text}` cannot be a prompt's name"),
        ));
    }
    PromptName::new(text).map_err(|refused| Refusal::data("name", refused.to_string()))
}

/// Labels, each once; all must be labels, and few enough.
pub(super) fn labels_of(
    path: &str,
    labels: impl Iterator<Item = String>,
) -> Result<BTreeSet<Label>, Refusal> {
    let label = |text: String| Label::new(&text).map_err(|refused| Refusal::data(path, refused.to_string()));
    let labels = labels.map(label).collect::<Result<BTreeSet<_>, _>>()?;
    if labels.len() > LABELS_MAX {
        return Err(Refusal::data(
            path,
            format!("at most {LABELS_MAX} labels are taken"),
        ));
    }
    Ok(labels)
}

fn template(kind: Option<&str>, prompt: PromptBody) -> Result<Template, Refusal> {
    match (kind.unwrap_or("text"), prompt) {
        ("text", PromptBody::Text(text)) => Ok(Template::Text(text.into())),
        ("chat", PromptBody::Chat(items)) => {
            let items = items.into_iter().enumerate();
            Ok(Template::Chat(
                items
                    .map(|(at, item)| chat_item(at, item))
                    .collect::<Result<_, _>>()?,
            ))
        }
        ("text", PromptBody::Chat(_)) => Err(Refusal::data("prompt", "of type `text`: must be a string")),
        ("chat", PromptBody::Text(_)) => Err(Refusal::data("prompt", "of type `chat`: must be a list")),
        _ => Err(Refusal::data("type", "must be `text` or `chat`")),
    }
}

fn chat_item(at: usize, item: ItemBody) -> Result<ChatItem, Refusal> {
    let refused = |what: &str| Err(Refusal::data(&format!("prompt.{at}"), what));
    if item.kind.as_deref() == Some("placeholder") {
        return match item.name {
            Some(name) => Ok(ChatItem::Placeholder { name: name.into() }),
            None => refused("a placeholder must have a `name`"),
        };
    }
    match (item.role, item.content) {
        (Some(role), Some(content)) => Ok(ChatItem::Message {
            role: role.into(),
            content: content.into(),
        }),
        (None, _) | (_, None) => refused("must have `role` and `content`, both strings"),
    }
}

fn config(config: Option<Value>) -> Result<Map<String, Value>, Refusal> {
    match config {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(config)) => Ok(config),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(Refusal::data("config", "must be an object"))
        }
    }
}

fn reason(message: Option<&str>) -> Result<Justification, Refusal> {
    let message = message.map(|message| message.replace("\r\n", "\n"));
    let message = message.filter(|message| !message.trim().is_empty());
    Justification::new(message.as_deref().unwrap_or(NO_MESSAGE))
        .map_err(|refused| Refusal::data("commitMessage", refused.rule()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(body: Value) -> Result<NewVersion, String> {
        let body: CreateBody = serde_json::from_value(body).map_err(|error| error.to_string())?;
        body.checked().map_err(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn the_least_body_is_a_text_without_anything() {
        let new = checked(json!({"name": "greet", "prompt": "Hi"})).unwrap();
        assert_eq!(new.draft.template, Template::Text("Hi".into()));
        assert_eq!(new.draft.reason.as_str(), NO_MESSAGE);
        assert!(new.keeps_tags && new.labels.is_empty());
    }

    #[test]
    fn old_and_computed_labels_are_understood() {
        let body =
            json!({"name": "a", "prompt": "b", "isActive": true, "labels": ["latest", "x"], "tags": []});
        let new = checked(body).unwrap();
        let labels: Vec<_> = new.labels.iter().map(Label::as_str).collect();
        assert_eq!(labels, ["production", "x"]);
        assert!(!new.keeps_tags);
    }

    #[test]
    fn what_makes_no_prompt_is_refused_by_its_place() {
        for (field, value, expected) in [
            ("name", json!("a|b"), "prompt name"),
            ("name", json!("<b>x</b>"), "cannot be a prompt's name"),
            ("name", json!("new"), "cannot be a prompt's name"),
            ("type", json!("image"), "must be `text` or `chat`"),
            (
                "prompt",
                json!([{"role": "user", "content": "x"}]),
                "must be a string",
            ),
            ("config", json!([1]), "must be an object"),
            ("labels", json!(["Prod"]), "label"),
            ("commitMessage", json!("x".repeat(501)), "500"),
        ] {
            let mut body = json!({"name": "a", "prompt": "b"});
            body[field] = value;
            let refused = checked(body).unwrap_err();
            assert!(refused.contains(expected), "{field}: {refused}");
        }
        for item in [
            json!({"type": "placeholder"}),
            json!({"role": "user"}),
            json!({"content": "x"}),
        ] {
            let refused = checked(json!({"name": "a", "type": "chat", "prompt": [item]})).unwrap_err();
            assert!(refused.contains("must have"), "{refused}");
        }
    }
}

//! What Langfuse sends, and how it reads as Serin's own.

use crate::ids::{Actor, Justification, PromptName, Version};
use crate::prompt::composition::{Reference, references};
use crate::prompt::{ChatItem, Draft, PromptVersion, Template};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Shown as the author of a version that does not say whose it is.
const AUTHOR_UNKNOWN: &str = "langfuse";
/// What Langfuse says of a version that was written with an API key.
const AUTHOR_KEY: &str = "API";
/// Shown as the reason of a version without a commit message.
const REASON_UNKNOWN: &str = "no commit message";
/// Where a `config` goes that is no object.
const CONFIG_KEY: &str = "config";

/// Whether an author is somebody whom Langfuse knows.
pub(super) fn is_person(author: &Actor) -> bool {
    ![AUTHOR_UNKNOWN, AUTHOR_KEY].contains(&author.as_str())
}

/// A version of a prompt; what Serin does not need may be absent.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) version: u32,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    pub(super) prompt: Value,
    #[serde(default)]
    config: Value,
    pub(super) labels: Vec<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    created_by: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    commit_message: Option<String>,
}

/// A page of the list of prompts.
#[derive(Debug, Deserialize)]
pub(super) struct List {
    pub(super) data: Vec<Listed>,
    #[serde(default)]
    pub(super) meta: ListMeta,
}

/// What a page says of the whole list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListMeta {
    pub(super) total_pages: Option<u32>,
}

/// A prompt as the list shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    pub(super) name: String,
    /// Those of all versions: who holds which is not told.
    #[serde(default)]
    pub(super) labels: Vec<String>,
    #[serde(default)]
    pub(super) last_updated_at: Option<String>,
}

/// A refusal. Its `error` is a word, or the list of what the schema check found; a rate limit has
/// `details` instead.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(default)]
    pub(super) error: Value,
    #[serde(default)]
    pub(super) details: Value,
}

/// What a rate limit says of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RateLimit {
    pub(super) retry_after_seconds: Option<f64>,
    pub(super) reset_at: Option<String>,
}

impl Row {
    /// The number of the version; none of its own is 0.
    pub(super) fn number(&self) -> Result<Version, String> {
        Version::new(self.version).map_err(|_| format!("prompt `{}` has a version 0 there", self.name))
    }

    /// The prompts that the text takes in, or what cannot be understood of it.
    pub(super) fn references(&self) -> Result<BTreeSet<Reference>, String> {
        let template = template(self.kind.as_deref(), self.prompt.clone());
        let template =
            template.map_err(|why| format!("version {} of prompt `{}` {why}", self.version, self.name))?;
        Ok(references(&template))
    }

    /// The row as Serin's own, or what cannot be understood of it.
    pub(super) fn into_version(self, prompt: &PromptName) -> Result<PromptVersion, String> {
        let version = self.number()?;
        let config = match self.config {
            Value::Object(config) => config,
            Value::Null => Map::new(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Map::from_iter([(CONFIG_KEY.to_owned(), other)])
            }
        };
        let message = self.commit_message.filter(|message| !message.trim().is_empty());
        let created_at = self.created_at.and_then(|at| at.parse().ok());
        let author = self.created_by.and_then(|by| Actor::new(&by).ok());
        Ok(PromptVersion {
            prompt: prompt.clone(),
            version,
            created_at: created_at.unwrap_or(Timestamp::UNIX_EPOCH),
            author: match author {
                Some(author) => author,
                None => Actor::new(AUTHOR_UNKNOWN).map_err(|refused| refused.to_string())?,
            },
            draft: Draft {
                template: template(self.kind.as_deref(), self.prompt)
                    .map_err(|why| format!("version {version} of prompt `{prompt}` {why}"))?,
                semantic_version: None,
                reason: Justification::of_serin(message.as_deref().unwrap_or(REASON_UNKNOWN)),
                config,
                owner: None,
                tags: self
                    .tags
                    .unwrap_or_default()
                    .into_iter()
                    .map(Into::into)
                    .collect(),
            },
            evaluations: Vec::new(),
        })
    }
}

fn template(kind: Option<&str>, prompt: Value) -> Result<Template, String> {
    match (kind, prompt) {
        (None | Some("text"), Value::String(text)) => Ok(Template::Text(text.into())),
        (None | Some("chat"), Value::Array(items)) => {
            let items = items.into_iter().enumerate();
            let read = items.map(|(index, item)| {
                chat_item(item).ok_or_else(|| {
                    format!(
                        "has an item {} that is neither message nor placeholder",
                        index + 1
                    )
                })
            });
            read.collect::<Result<_, _>>().map(Template::Chat)
        }
        (Some(kind), _) => Err(format!("says that it is `{kind}`, and is not")),
        (None, _) => Err("is neither text nor chat".to_owned()),
    }
}

#[derive(Deserialize)]
struct ItemWire {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    role: Option<String>,
    content: Option<String>,
    name: Option<String>,
}

fn chat_item(item: Value) -> Option<ChatItem> {
    let item: ItemWire = serde_json::from_value(item).ok()?;
    match item {
        ItemWire {
            kind: Some(kind),
            name: Some(name),
            ..
        } if kind == "placeholder" => Some(ChatItem::Placeholder { name: name.into() }),
        ItemWire {
            role: Some(role),
            content: Some(content),
            ..
        } => Some(ChatItem::Message {
            role: role.into(),
            content: content.into(),
        }),
        ItemWire { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(row: Value) -> Result<PromptVersion, String> {
        let row: Row = serde_json::from_value(row).map_err(|error| error.to_string())?;
        row.into_version(&PromptName::new("greeting").unwrap())
    }

    #[test]
    fn a_whole_row_is_read_and_what_is_new_in_it_is_passed_over() {
        let version = read(json!({
            "id": "x", "createdAt": "2026-03-02T09:00:00.000Z", "updatedAt": "2026-03-02T09:00:00.000Z",
            "projectId": "p", "createdBy": "API", "name": "greeting", "version": 3, "type": "chat",
            "prompt": [
                {"role": "system", "content": "S", "type": "chatmessage"},
                {"role": "user", "content": "U"},
                {"type": "placeholder", "name": "history"},
            ],
            "config": {"model": "m"}, "labels": ["production", "latest"], "tags": ["b", "a"],
            "commitMessage": "shorter", "isActive": true, "resolutionGraph": null, "new": 1,
        }))
        .unwrap();
        assert_eq!(version.version.get(), 3);
        assert_eq!(version.created_at.to_string(), "2026-03-02T09:00:00Z");
        assert_eq!(version.author.as_str(), "API");
        assert_eq!(version.draft.reason.as_str(), "shorter");
        assert_eq!(version.draft.config["model"], "m");
        assert_eq!(version.draft.tags.len(), 2);
        let Template::Chat(items) = version.draft.template else {
            panic!("it is chat");
        };
        assert_eq!(items.len(), 3);
        assert_eq!(
            items[2],
            ChatItem::Placeholder {
                name: "history".into()
            }
        );
    }

    #[test]
    fn what_may_be_absent_may_be_absent() {
        let row = json!({"name": "greeting", "version": 1, "prompt": "Hi", "labels": [], "config": [1], "tags": null});
        let version = read(row).unwrap();
        assert_eq!(version.draft.template, Template::Text("Hi".into()));
        assert_eq!(version.draft.reason.as_str(), REASON_UNKNOWN);
        assert_eq!(version.draft.config[CONFIG_KEY], json!([1]));
        assert_eq!(version.author.as_str(), AUTHOR_UNKNOWN);
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        let row = |kind, prompt, version| json!({"name": "greeting", "version": version, "type": kind, "prompt": prompt, "labels": []});
        let refused = |row| read(row).unwrap_err();
        assert_eq!(
            refused(row("text", json!([]), 1)),
            "version 1 of prompt `greeting` says that it is `text`, and is not"
        );
        assert_eq!(
            refused(row("chat", json!([{"role": "user"}]), 1)),
            "version 1 of prompt `greeting` has an item 1 that is neither message nor placeholder"
        );
        assert_eq!(
            refused(row("text", json!("Hi"), 0)),
            "prompt `greeting` has a version 0 there"
        );
    }
}

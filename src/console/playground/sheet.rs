//! What stands in the playground's form: a text that may become a version, and what fills it.

use crate::console::form::{Fields, one_line};
use crate::ids::{Justification, Version};
use crate::prompt::draft::{CHAT_ITEMS_MAX, InvalidSemanticVersion};
use crate::prompt::template::{Compiled, CompiledMessage, Contract, compile, contract};
use crate::prompt::{ChatItem, Draft, PromptVersion, Template, TemplateKind};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The messages that a placeholder has until somebody gives others.
const NO_MESSAGES: &str = "[]";

/// One item of a chat, or the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// The one text of a prompt of that kind.
    Text(String),
    /// A message; without content it is left out.
    Message { role: String, content: String },
    /// A place for messages.
    Placeholder(String),
}

/// The form.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    /// The version that it began with.
    pub(super) base: Version,
    pub(super) items: Vec<Item>,
    /// Values of variables by name.
    pub(super) values: BTreeMap<String, String>,
    /// Messages of placeholders by name, as JSON.
    pub(super) fillings: BTreeMap<String, String>,
    /// A JSON object.
    pub(super) config: String,
    pub(super) semantic: String,
    pub(super) reason: String,
    pub(super) name: String,
}

impl Sheet {
    /// A version, with nothing filled in.
    pub(super) fn of_version(version: &PromptVersion) -> Self {
        let draft = &version.draft;
        let items = match &draft.template {
            Template::Text(text) => vec![Item::Text(text.to_string())],
            Template::Chat(items) => items.iter().map(Item::from).collect(),
        };
        let config = if draft.config.is_empty() {
            String::new()
        } else {
            format!("{:#}", Value::Object(draft.config.clone()))
        };
        Self {
            base: version.version,
            items,
            values: BTreeMap::new(),
            fillings: BTreeMap::new(),
            config,
            semantic: String::new(),
            reason: String::new(),
            name: String::new(),
        }
    }

    /// What a form says that began with `base`, a version of this kind.
    pub(super) fn of_fields(base: Version, kind: TemplateKind, fields: &Fields) -> Self {
        let text = |name: &str| lines(fields.get(name).unwrap_or_default());
        let items = match kind {
            TemplateKind::Text => vec![Item::Text(text("text"))],
            TemplateKind::Chat => (0..=CHAT_ITEMS_MAX).map_while(|at| item(fields, at)).collect(),
        };
        let named = |prefix: &str| {
            let pairs = fields.starting_with(prefix);
            pairs
                .map(|(name, value)| (name.to_owned(), lines(value)))
                .collect()
        };
        Self {
            base,
            items,
            values: named("var."),
            fillings: named("fill."),
            config: text("config"),
            semantic: text("semantic").trim().to_owned(),
            reason: one_line(fields.get("reason").unwrap_or_default()),
            name: text("actor").trim().to_owned(),
        }
    }

    /// The text as a template.
    pub(super) fn template(&self) -> Template {
        if let [Item::Text(text)] = self.items.as_slice() {
            return Template::Text(text.as_str().into());
        }
        let items = self.items.iter().filter_map(|item| match item {
            Item::Text(_) => None,
            Item::Message { content, .. } if content.is_empty() => None,
            Item::Message { role, content } => Some(ChatItem::Message {
                role: role.as_str().into(),
                content: content.as_str().into(),
            }),
            Item::Placeholder(name) => Some(ChatItem::Placeholder {
                name: name.as_str().into(),
            }),
        });
        Template::Chat(items.collect())
    }

    /// What the text asks for.
    pub(super) fn contract(&self) -> Contract {
        contract(&self.template())
    }

    /// The model's parameters, or what is wrong with them.
    pub(super) fn parameters(&self) -> Result<Map<String, Value>, String> {
        if self.config.trim().is_empty() {
            return Ok(Map::new());
        }
        serde_json::from_str(&self.config).map_err(|error| format!("`config` must be a JSON object: {error}"))
    }

    /// The text filled in, or everything that is missing.
    pub(super) fn compiled(&self) -> Result<Compiled, String> {
        let template = self.template();
        let contract = contract(&template);
        // What was asked for by an earlier text is not held against this one.
        let variables = self
            .values
            .iter()
            .filter(|(name, _)| contract.variables.contains(name.as_str()));
        let variables = variables.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        let mut placeholders = Map::new();
        for name in &contract.placeholders {
            let text = self.fillings.get(&**name).map_or(NO_MESSAGES, String::as_str);
            let messages = serde_json::from_str(text)
                .map_err(|error| format!("the messages of placeholder `{name}` are no JSON: {error}"))?;
            placeholders.insert(name.to_string(), messages);
        }
        compile(&template, &variables.collect(), &placeholders).map_err(|error| error.to_string())
    }

    /// What would be saved: the text and the parameters, with the owner and the tags of `base`.
    pub(super) fn draft(&self, base: &Draft) -> Result<Draft, String> {
        let semantic_version = if self.semantic.is_empty() {
            None
        } else {
            let parsed = self.semantic.parse();
            Some(parsed.map_err(|error: InvalidSemanticVersion| error.to_string())?)
        };
        let reason = Justification::new(&self.reason);
        Ok(Draft {
            template: self.template(),
            semantic_version,
            reason: reason.map_err(|refused| format!("the reason {}", refused.rule()))?,
            config: self.parameters()?,
            owner: base.owner.clone(),
            tags: base.tags.clone(),
        })
    }
}

impl From<&ChatItem> for Item {
    fn from(item: &ChatItem) -> Self {
        match item {
            ChatItem::Message { role, content } => Self::Message {
                role: role.to_string(),
                content: content.to_string(),
            },
            ChatItem::Placeholder { name } => Self::Placeholder(name.to_string()),
        }
    }
}

fn item(fields: &Fields, at: usize) -> Option<Item> {
    if let Some(name) = fields.get(&format!("item.{at}.placeholder")) {
        return Some(Item::Placeholder(name.to_owned()));
    }
    let content = fields.get(&format!("item.{at}.content"))?;
    let role = fields.get(&format!("item.{at}.role")).unwrap_or_default();
    Some(Item::Message {
        role: role.trim().to_owned(),
        content: lines(content),
    })
}

/// A text with the line breaks that it was written with: browsers send each as two characters.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// What a placeholder's field has at first.
pub(super) fn no_messages() -> String {
    NO_MESSAGES.to_owned()
}

/// Compiled messages as a model takes them; a text is what a user says.
pub(super) fn messages(compiled: Compiled) -> Vec<Value> {
    match compiled {
        Compiled::Text(text) => vec![json!({"role": "user", "content": text})],
        Compiled::Chat(messages) => messages
            .into_iter()
            .map(|message| match message {
                CompiledMessage::Own { role, content } => json!({"role": &*role, "content": content}),
                CompiledMessage::Given(fields) => Value::Object(fields),
            })
            .collect(),
    }
}

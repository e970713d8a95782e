//! What a draft must be like before any store takes it as a version.

use super::template::{self, VARIABLES_MAX};
use super::{ChatItem, Draft, PromptError, SemanticVersion, Template, TemplateKind};
use crate::ids::PromptName;
use std::fmt;
use std::str::FromStr;

/// Longest template, in bytes of UTF-8; for chat the sum over contents, roles and placeholders.
pub const TEMPLATE_BYTES_MAX: usize = 1 << 20;
/// Most items of a chat template.
pub const CHAT_ITEMS_MAX: usize = 500;
/// Longest role of a message, in characters.
pub const ROLE_CHARS_MAX: usize = 64;
/// Largest `config`, in bytes of compact JSON.
pub const CONFIG_BYTES_MAX: usize = 1 << 18;
/// Longest name of an owner, in characters.
pub const OWNER_CHARS_MAX: usize = 128;
/// Most tags of a version.
pub const TAGS_MAX: usize = 50;
/// Longest tag, in characters.
pub const TAG_CHARS_MAX: usize = 64;

/// A draft that breaks rules: all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDraft {
    /// At least one.
    pub problems: Vec<DraftProblem>,
}

impl fmt::Display for InvalidDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidDraft {}

impl From<InvalidDraft> for PromptError {
    fn from(invalid: InvalidDraft) -> Self {
        Self::InvalidDraft(invalid.to_string())
    }
}

/// A rule that a draft breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftProblem {
    /// A text template says nothing.
    #[error("the text is empty")]
    EmptyText,
    /// A chat template has no message.
    #[error("the chat has no message: give at least one `{{role, content}}`")]
    NoMessage,
    /// [`CHAT_ITEMS_MAX`].
    #[error("the chat has {0} items: at most {CHAT_ITEMS_MAX} are taken")]
    TooManyItems(usize),
    /// [`TEMPLATE_BYTES_MAX`].
    #[error("the template has {0} bytes: at most {TEMPLATE_BYTES_MAX} are taken")]
    TemplateTooLong(usize),
    /// U+0000 in the template, which databases do not store.
    #[error("the template contains the character U+0000: remove it")]
    ContainsNul,
    /// [`VARIABLES_MAX`].
    #[error("the template has {0} variables: at most {VARIABLES_MAX} are taken")]
    TooManyVariables(usize),
    /// A role is empty, too long, or has control characters.
    #[error("the role of item {0} must be 1 to {ROLE_CHARS_MAX} characters without control characters")]
    InvalidRole(
        /// Position in the chat, from 1.
        usize,
    ),
    /// A placeholder is not named like a variable.
    #[error("the placeholder of item {0} must be named with letters, digits, `_`, `-` and `.`")]
    InvalidPlaceholder(
        /// Position in the chat, from 1.
        usize,
    ),
    /// [`CONFIG_BYTES_MAX`].
    #[error("`config` has {0} bytes as JSON: at most {CONFIG_BYTES_MAX} are taken")]
    ConfigTooLong(usize),
    /// The owner is empty, too long, or has control characters.
    #[error("`owner` must be 1 to {OWNER_CHARS_MAX} characters without control characters")]
    InvalidOwner,
    /// [`TAGS_MAX`].
    #[error("there are {0} tags: at most {TAGS_MAX} are taken")]
    TooManyTags(usize),
    /// A tag is empty, too long, or has control characters.
    #[error("a tag must be 1 to {TAG_CHARS_MAX} characters without control characters")]
    InvalidTag,
}

/// Checks everything about a draft that can be told without its prompt.
pub fn check(draft: &Draft) -> Result<(), InvalidDraft> {
    let mut problems = Vec::new();
    check_template(&draft.template, &mut problems);
    // A map of JSON values can always be written.
    let config_bytes = serde_json::to_vec(&draft.config).map_or(usize::MAX, |json| json.len());
    if config_bytes > CONFIG_BYTES_MAX {
        problems.push(DraftProblem::ConfigTooLong(config_bytes));
    }
    if let Some(owner) = &draft.owner
        && !is_short_line(owner, OWNER_CHARS_MAX)
    {
        problems.push(DraftProblem::InvalidOwner);
    }
    if draft.tags.len() > TAGS_MAX {
        problems.push(DraftProblem::TooManyTags(draft.tags.len()));
    }
    if !draft.tags.iter().all(|tag| is_short_line(tag, TAG_CHARS_MAX)) {
        problems.push(DraftProblem::InvalidTag);
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(InvalidDraft { problems })
    }
}

/// Checks that a prompt keeps the kind of its first version.
pub fn check_kind(prompt: &PromptName, first: TemplateKind, draft: &Draft) -> Result<(), PromptError> {
    let kind = draft.template.kind();
    if kind == first {
        return Ok(());
    }
    Err(PromptError::InvalidDraft(format!(
        "prompt `{prompt}` is of type `{}`, and the draft of type `{}`: give it another name",
        first.as_str(),
        kind.as_str(),
    )))
}

fn check_template(template: &Template, problems: &mut Vec<DraftProblem>) {
    match template {
        Template::Text(text) => {
            if text.trim().is_empty() {
                problems.push(DraftProblem::EmptyText);
            }
        }
        Template::Chat(items) => check_chat(items, problems),
    }
    let parts = || template.strings().into_iter();
    let bytes = template_bytes(template);
    if bytes > TEMPLATE_BYTES_MAX {
        problems.push(DraftProblem::TemplateTooLong(bytes));
        // What follows would read all of it.
        return;
    }
    if parts().any(|part| part.contains('\0')) {
        problems.push(DraftProblem::ContainsNul);
    }
    let variables = template::contract(template).variables.len();
    if variables > VARIABLES_MAX {
        problems.push(DraftProblem::TooManyVariables(variables));
    }
}

/// How long a template is: the sum over contents, roles and placeholders, in bytes.
pub fn template_bytes(template: &Template) -> usize {
    template.strings().into_iter().map(str::len).sum()
}

fn check_chat(items: &[ChatItem], problems: &mut Vec<DraftProblem>) {
    if items.len() > CHAT_ITEMS_MAX {
        problems.push(DraftProblem::TooManyItems(items.len()));
        return;
    }
    if !items.iter().any(|item| matches!(item, ChatItem::Message { .. })) {
        problems.push(DraftProblem::NoMessage);
    }
    for (position, item) in (1..).zip(items) {
        match item {
            ChatItem::Message { role, .. } => {
                if !is_short_line(role, ROLE_CHARS_MAX) {
                    problems.push(DraftProblem::InvalidRole(position));
                }
            }
            ChatItem::Placeholder { name } => {
                if !template::is_variable_name(name) {
                    problems.push(DraftProblem::InvalidPlaceholder(position));
                }
            }
        }
    }
}

fn is_short_line(text: &str, chars_max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}

impl Template {
    /// Which kind it is.
    pub fn kind(&self) -> TemplateKind {
        match self {
            Self::Text(_) => TemplateKind::Text,
            Self::Chat(_) => TemplateKind::Chat,
        }
    }

    /// Everything in it that somebody wrote: the text, or contents, roles and names of placeholders.
    fn strings(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::Chat(items) => items
                .iter()
                .flat_map(|item| match item {
                    ChatItem::Message { role, content } => vec![&**role, &**content],
                    ChatItem::Placeholder { name } => vec![&**name],
                })
                .collect(),
        }
    }
}

impl TemplateKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Chat => "chat",
        }
    }
}

/// A text that is no semantic version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{shown}` is not a semantic version: must be MAJOR.MINOR.PATCH, three numbers without leading zeros, such as `1.4.0`"
)]
pub struct InvalidSemanticVersion {
    /// Its beginning.
    shown: String,
}

/// Longest part of a refused semantic version that the error repeats, in characters.
const REFUSED_VERSION_SHOWN_CHARS_MAX: usize = 32;

impl FromStr for SemanticVersion {
    type Err = InvalidSemanticVersion;

    fn from_str(text: &str) -> Result<Self, InvalidSemanticVersion> {
        let mut numbers = text.split('.').map(parse_number);
        match std::array::from_fn(|_| numbers.next().flatten()) {
            [Some(major), Some(minor), Some(patch)] if numbers.next().is_none() => {
                Ok(Self { major, minor, patch })
            }
            _ => Err(InvalidSemanticVersion {
                shown: text.chars().take(REFUSED_VERSION_SHOWN_CHARS_MAX).collect(),
            }),
        }
    }
}

/// A number as semver.org 2.0.0 item 2 writes it.
fn parse_number(digits: &str) -> Option<u32> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let has_leading_zero = digits.len() > 1 && digits.starts_with('0');
    (is_plain && !has_leading_zero).then(|| digits.parse().ok())?
}

impl fmt::Display for SemanticVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

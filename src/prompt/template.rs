//! `{{variables}}` in templates: which there are, and what they are replaced by.
//!
//! A tag begins with `{{` and ends with the next `}}`, as Langfuse's SDKs read it; spaces inside are
//! ignored. A name is letters, digits, `_`, `-` and `.`, and begins with none of the latter two; a
//! name with a point is one name, not a path. A tag with anything else in it (JSON, mustache's `#`
//! sections, a third brace) stays as it is, and is listed as unclear, because SDKs differ in what
//! they make of it.
//!
//! The variables are a contract: a missing one is an error, and so is one that the template does not
//! have. Values are put in as they are and never read for tags again, so that what a user says
//! cannot reach for another variable.

use super::{ChatItem, Template};
use crate::spelling;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Longest name of a variable or placeholder, in characters.
pub const VARIABLE_NAME_CHARS_MAX: usize = 64;
/// Most variables of one template.
pub const VARIABLES_MAX: usize = 256;
/// Longest compiled text, in bytes of UTF-8; for chat the sum over the template's own messages.
pub const COMPILED_BYTES_MAX: usize = 4 << 20;
/// Mismatches that an error spells out; further ones are counted.
const MISMATCHES_SHOWN_MAX: usize = 20;

/// What a template asks of the application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contract {
    /// Names of variables.
    pub variables: BTreeSet<Arc<str>>,
    /// Names of placeholders, each to be filled with messages; empty for text.
    pub placeholders: BTreeSet<Arc<str>>,
    /// Tags that are no variables and stay as they are, braces included.
    pub unclear: BTreeSet<Arc<str>>,
}

/// The contract of a template.
pub fn contract(template: &Template) -> Contract {
    let mut contract = Contract::default();
    match template {
        Template::Text(text) => contract.read(text),
        Template::Chat(items) => {
            for item in items {
                match item {
                    ChatItem::Message { content, .. } => contract.read(content),
                    ChatItem::Placeholder { name } => {
                        contract.placeholders.insert(Arc::clone(name));
                    }
                }
            }
        }
    }
    contract
}

impl Contract {
    fn read(&mut self, text: &str) {
        for piece in pieces(text) {
            match piece {
                Piece::Literal(_) => {}
                Piece::Variable { name, tag: _ } => insert(&mut self.variables, name),
                Piece::Unclear(tag) => insert(&mut self.unclear, tag),
            }
        }
    }
}

fn insert(set: &mut BTreeSet<Arc<str>>, text: &str) {
    if !set.contains(text) {
        set.insert(text.into());
    }
}

/// Whether `name` can be the name of a variable or placeholder.
pub fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphanumeric() || first == '_')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && name.chars().count() <= VARIABLE_NAME_CHARS_MAX
}

/// Part of a text, in order; together they are the whole text.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    /// No tag.
    Literal(&'t str),
    /// The name inside a tag, and the tag.
    Variable { name: &'t str, tag: &'t str },
    /// A tag that is no variable, braces included.
    Unclear(&'t str),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, length) = first_piece(rest);
        rest = &rest[length..];
        Some(piece)
    })
}

/// The first piece of a text that is not empty, and its length in bytes.
fn first_piece(text: &str) -> (Piece<'_>, usize) {
    let Some(start) = text.find("{{") else {
        return (Piece::Literal(text), text.len());
    };
    if start > 0 {
        return (Piece::Literal(&text[..start]), start);
    }
    let Some(end) = text.find("}}") else {
        return (Piece::Literal(text), text.len());
    };
    let name = text[2..end].trim();
    let tag = &text[..end + 2];
    let piece = if is_variable_name(name) {
        Piece::Variable { name, tag }
    } else {
        Piece::Unclear(tag)
    };
    (piece, tag.len())
}

/// A template with its variables and placeholders filled in.
#[derive(Debug, Clone, PartialEq)]
pub enum Compiled {
    /// From [`Template::Text`].
    Text(String),
    /// From [`Template::Chat`].
    Chat(Vec<CompiledMessage>),
}

/// A message of a compiled chat.
#[derive(Debug, Clone, PartialEq)]
pub enum CompiledMessage {
    /// One of the template's own, filled in.
    Own {
        /// `system`, `user`, `assistant`, …
        role: Arc<str>,
        /// Without variables.
        content: String,
    },
    /// One that the application gave for a placeholder, as it came, with tool calls and all.
    Given(Map<String, Value>),
}

/// Why a template was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// What was given is not what the template asks for; all that is wrong, at least one.
    #[error("{}", Listed(.0))]
    Mismatch(Vec<Mismatch>),
    /// [`COMPILED_BYTES_MAX`].
    #[error("the compiled prompt is longer than {COMPILED_BYTES_MAX} bytes: give shorter values")]
    TooLong,
}

/// A difference between what a template asks for and what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The template has this variable, and no value was given.
    #[error("variable `{0}` is missing")]
    MissingVariable(String),
    /// A value was given, and the template has no such variable.
    #[error("variable `{name}` is not in the template{}", hint(near.as_deref()))]
    UnknownVariable {
        /// Its name.
        name: String,
        /// A variable that was probably meant.
        near: Option<String>,
    },
    /// A value that has no one way to be written.
    #[error("variable `{name}` is {found}: give a string, a number, `true` or `false`")]
    UnfitVariable {
        /// Its name.
        name: String,
        /// What it is, with its article.
        found: &'static str,
    },
    /// The template has this placeholder, and no messages were given.
    #[error("placeholder `{0}` is missing: give its messages, or an empty list")]
    MissingPlaceholder(String),
    /// Messages were given, and the template has no such placeholder.
    #[error("placeholder `{name}` is not in the template{}", hint(near.as_deref()))]
    UnknownPlaceholder {
        /// Its name.
        name: String,
        /// A placeholder that was probably meant.
        near: Option<String>,
    },
    /// A placeholder's value is no list of messages.
    #[error("placeholder `{0}` must be a list of messages, each an object with a text `role`")]
    UnfitPlaceholder(String),
}

fn hint(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

struct Listed<'m>(&'m [Mismatch]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mismatch) in self.0.iter().take(MISMATCHES_SHOWN_MAX).enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            mismatch.fmt(f)?;
        }
        match self.0.len().saturating_sub(MISMATCHES_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Fills a template in: `variables` with strings, numbers (as JSON writes them), `true` or `false`;
/// `placeholders` with lists of messages, which may be empty.
pub fn compile(
    template: &Template,
    variables: &Map<String, Value>,
    placeholders: &Map<String, Value>,
) -> Result<Compiled, CompileError> {
    let contract = contract(template);
    let mut mismatches = variable_mismatches(&contract.variables, variables);
    mismatches.extend(placeholder_mismatches(&contract.placeholders, placeholders));
    if !mismatches.is_empty() {
        return Err(CompileError::Mismatch(mismatches));
    }
    let mut filler = Filler {
        variables,
        bytes_left: COMPILED_BYTES_MAX,
    };
    match template {
        Template::Text(text) => filler.fill(text).map(Compiled::Text),
        Template::Chat(items) => {
            let mut messages = Vec::new();
            for item in items {
                match item {
                    ChatItem::Message { role, content } => messages.push(CompiledMessage::Own {
                        role: Arc::clone(role),
                        content: filler.fill(content)?,
                    }),
                    ChatItem::Placeholder { name } => {
                        let given = placeholders.get(&**name).and_then(given_messages);
                        messages.extend(given.into_iter().flatten().cloned().map(CompiledMessage::Given));
                    }
                }
            }
            Ok(Compiled::Chat(messages))
        }
    }
}

fn variable_mismatches(wanted: &BTreeSet<Arc<str>>, given: &Map<String, Value>) -> Vec<Mismatch> {
    let missing = missing(wanted, given).map(Mismatch::MissingVariable);
    let unknown = unknown(wanted, given).map(|(name, near)| Mismatch::UnknownVariable { name, near });
    let unfit = given
        .iter()
        .filter(|(name, _)| wanted.contains(name.as_str()))
        .filter_map(|(name, value)| {
            let found = why_unfit(value)?;
            Some(Mismatch::UnfitVariable {
                name: name.clone(),
                found,
            })
        });
    missing.chain(unknown).chain(unfit).collect()
}

fn placeholder_mismatches(wanted: &BTreeSet<Arc<str>>, given: &Map<String, Value>) -> Vec<Mismatch> {
    let missing = missing(wanted, given).map(Mismatch::MissingPlaceholder);
    let unknown = unknown(wanted, given).map(|(name, near)| Mismatch::UnknownPlaceholder { name, near });
    let unfit = given
        .iter()
        .filter(|(name, value)| wanted.contains(name.as_str()) && given_messages(value).is_none())
        .map(|(name, _)| Mismatch::UnfitPlaceholder(name.clone()));
    missing.chain(unknown).chain(unfit).collect()
}

fn missing(wanted: &BTreeSet<Arc<str>>, given: &Map<String, Value>) -> impl Iterator<Item = String> {
    wanted
        .iter()
        .filter(|name| !given.contains_key(&***name))
        .map(|name| name.to_string())
}

/// The given names that nobody wants, each with the wanted one that it is nearest to.
fn unknown(
    wanted: &BTreeSet<Arc<str>>,
    given: &Map<String, Value>,
) -> impl Iterator<Item = (String, Option<String>)> {
    given
        .keys()
        .filter(|name| !wanted.contains(name.as_str()))
        .enumerate()
        .map(|(at, name)| {
            // Looking for the nearest name costs their product, so only those that are shown get it.
            let is_shown = at < MISMATCHES_SHOWN_MAX;
            let near = is_shown
                .then(|| spelling::nearest(name, wanted.iter().take(VARIABLES_MAX).map(|wanted| &**wanted)));
            (name.clone(), near.flatten().map(str::to_owned))
        })
}

/// What a value is, where it has no one way to be written in a text.
fn why_unfit(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => None,
        Value::Null => Some("null"),
        Value::Array(_) => Some("a list"),
        Value::Object(_) => Some("an object"),
    }
}

/// The messages that fill a placeholder; none when the value is no list of messages.
fn given_messages(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    value
        .as_array()?
        .iter()
        .map(|message| {
            message
                .as_object()
                .filter(|fields| fields.get("role").is_some_and(Value::is_string))
        })
        .collect()
}

/// Puts values in the place of variables, up to a bound.
struct Filler<'v> {
    variables: &'v Map<String, Value>,
    bytes_left: usize,
}

impl Filler<'_> {
    fn fill(&mut self, text: &str) -> Result<String, CompileError> {
        let mut filled = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Literal(text) | Piece::Unclear(text) => self.push(&mut filled, text)?,
                Piece::Variable { name, tag } => match self.variables.get(name) {
                    Some(Value::String(text)) => self.push(&mut filled, text)?,
                    Some(value) => self.push(&mut filled, &value.to_string())?,
                    None => self.push(&mut filled, tag)?,
                },
            }
        }
        Ok(filled)
    }

    fn push(&mut self, filled: &mut String, text: &str) -> Result<(), CompileError> {
        self.bytes_left = self
            .bytes_left
            .checked_sub(text.len())
            .ok_or(CompileError::TooLong)?;
        filled.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_pieces_are_the_whole_text(text in "([{} a.]|\\{\\{|\\}\\}|é){0,30}") {
            let whole: String = pieces(&text)
                .map(|piece| match piece {
                    Piece::Literal(text) | Piece::Unclear(text) => text,
                    Piece::Variable { name: _, tag } => tag,
                })
                .collect();
            prop_assert_eq!(whole, text);
        }
    }

    #[test]
    fn a_tag_ends_at_the_first_closing_braces() {
        let found: Vec<Piece<'_>> = pieces("{{{a}}} {{ b }}{{c d}}}}{{").collect();
        let expected = [
            Piece::Unclear("{{{a}}"),
            Piece::Literal("} "),
            Piece::Variable {
                name: "b",
                tag: "{{ b }}",
            },
            Piece::Unclear("{{c d}}"),
            Piece::Literal("}}"),
            Piece::Literal("{{"),
        ];
        assert_eq!(found, expected);
    }
}

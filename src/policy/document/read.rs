//! From nodes to values: every problem is noted, and reading goes on.
//!
//! A [`Section`] asks for its keys one by one; what it does not ask for is unknown. The JSON Schema
//! and this reader are two views of the same structs, and a test holds their keys together.

use super::super::code::Code;
use super::super::problem::{Problems, Span};
use super::node::{Entry, Node, NodeValue};
use super::suggest;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> Located<T> {
    /// `value` at the same place.
    pub(crate) fn at<U>(&self, value: U) -> Located<U> {
        Located {
            value,
            span: self.span,
        }
    }
}

/// What a key says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Given<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// The value cannot be used, or is missing where it must not; that has been reported.
    Broken,
    /// The value.
    Is(Located<T>),
}

impl<T> Given<T> {
    /// The value with its place, where there is one that can be used.
    pub(crate) fn located(&self) -> Option<&Located<T>> {
        match self {
            Self::Is(located) => Some(located),
            Self::Absent | Self::Broken => None,
        }
    }

    /// The value, where there is one that can be used.
    pub(crate) fn value(&self) -> Option<&T> {
        self.located().map(|located| &located.value)
    }

    /// The value; `absent` without the key, and nothing where the value is broken.
    pub(crate) fn value_or<'a>(&'a self, absent: &'a T) -> Option<&'a T> {
        match self {
            Self::Absent => Some(absent),
            Self::Broken => None,
            Self::Is(located) => Some(&located.value),
        }
    }

    /// Whether the key is there at all.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// What `convert` makes of the value, `default` without the key, and nothing of a broken value.
    pub(crate) fn resolve<U>(&self, default: U, convert: impl FnOnce(&Located<T>) -> Option<U>) -> Option<U> {
        match self {
            Self::Absent => Some(default),
            Self::Broken => None,
            Self::Is(located) => convert(located),
        }
    }
}

/// Something that a key can hold.
pub(crate) trait Value: Sized {
    /// Reads it, or notes why not; `what` names it in messages.
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self>;

    /// Its part of the JSON Schema.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

impl<T: Value> JsonSchema for Given<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Given".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Value> Given<T> {
    /// Reads what is written in `node`.
    pub(crate) fn read(node: &Node, what: &str, problems: &mut Problems) -> Self {
        match T::read(node, what, problems) {
            Some(value) => Self::Is(Located {
                value,
                span: node.span,
            }),
            None => Self::Broken,
        }
    }
}

/// A mapping with known keys.
pub(crate) trait Section: Sized {
    /// Where it is in the file, as people write it: `spec.steps[]`.
    const PATH: &'static str;

    /// Asks for every key.
    fn read(fields: &mut Fields<'_, '_>) -> Self;
}

/// A key that a section asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
}

/// The keys that `S` asks for.
pub(crate) fn keys<S: Section>() -> Vec<Key> {
    let mut ignored = Problems::of("");
    let mut fields = Fields {
        entries: &[],
        mistyped: &[],
        span: Span::default(),
        what: "",
        asked: Vec::new(),
        problems: &mut ignored,
    };
    S::read(&mut fields);
    fields.asked
}

/// Reads a section; nothing, and a problem, where the node is not a mapping.
pub(crate) fn section<S: Section>(node: &Node, what: &str, problems: &mut Problems) -> Option<S> {
    let NodeValue::Mapping(entries) = &node.value else {
        wrong_type(node, what, "a mapping of keys", problems);
        return None;
    };
    let mistyped = report_unknown::<S>(entries, problems);
    let mut fields = Fields {
        entries,
        mistyped: &mistyped,
        span: node.span,
        what,
        asked: Vec::new(),
        problems,
    };
    Some(S::read(&mut fields))
}

/// The entries of one mapping, as its section asks for them.
pub(crate) struct Fields<'n, 'p> {
    entries: &'n [Entry],
    /// Keys that are there under a name that is not known.
    mistyped: &'n [&'static str],
    span: Span,
    what: &'n str,
    asked: Vec<Key>,
    problems: &'p mut Problems,
}

impl Fields<'_, '_> {
    /// The place of the mapping.
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T: Value>(&mut self, name: &'static str) -> Given<T> {
        let given = self.ask(name, true);
        if given.is_absent() {
            self.problems.add(
                Code::MissingKey,
                self.span,
                format!("{} lacks `{name}`", self.what),
            );
            return Given::Broken;
        }
        given
    }

    /// The value of a key that may be left out.
    pub(crate) fn optional<T: Value>(&mut self, name: &'static str) -> Given<T> {
        self.ask(name, false)
    }

    fn ask<T: Value>(&mut self, name: &'static str, required: bool) -> Given<T> {
        self.asked.push(Key { name, required });
        match self.entries.iter().find(|entry| entry.key == name) {
            Some(entry) => Given::read(&entry.node, &format!("`{name}`"), self.problems),
            // A mistyped key is one problem, which has been noted, and not two.
            None if self.mistyped.contains(&name) => Given::Broken,
            None => Given::Absent,
        }
    }
}

/// Notes the keys that `S` does not know, and tells which of its keys are there in disguise.
fn report_unknown<S: Section>(entries: &[Entry], problems: &mut Problems) -> Vec<&'static str> {
    let names: Vec<&'static str> = keys::<S>().iter().map(|key| key.name).collect();
    let mut free = names.clone();
    free.retain(|name| entries.iter().all(|entry| entry.key != *name));
    let mut mistyped = Vec::new();
    for entry in entries {
        if names.contains(&entry.key.as_str()) {
            continue;
        }
        if entry.key == "<<" && matches!(entry.node.value, NodeValue::Broken) {
            // The alias has been noted, and may stand for any key.
            mistyped.extend(&free);
            continue;
        }
        let place = match S::PATH {
            "" => "at the top of the file".to_owned(),
            path => format!("in `{path}`"),
        };
        let meant = suggest::nearest(&entry.key, &free);
        mistyped.extend(meant);
        let help = meant
            .map(|name| format!("did you mean `{name}`?"))
            .or_else(|| suggest::home_of(&entry.key, S::PATH))
            .unwrap_or_else(|| format!("the keys are {}", suggest::listed(&names)));
        problems.add_with_help(
            Code::UnknownKey,
            entry.span,
            format!("unknown key `{}` {place}", suggest::cut(&entry.key)),
            help,
        );
    }
    mistyped
}

/// Notes that `node` is not `wanted`; says nothing about what has been reported.
pub(crate) fn wrong_type(node: &Node, what: &str, wanted: &str, problems: &mut Problems) {
    let found = match &node.value {
        NodeValue::Broken => return,
        NodeValue::Null => {
            problems.add(
                Code::WrongType,
                node.span,
                format!("{what} has no value: it must be {wanted}"),
            );
            return;
        }
        NodeValue::Bool(value) => format!("`{value}`"),
        NodeValue::Number(number) => format!("the number `{}`", suggest::cut(number)),
        NodeValue::Text(text) => format!("the text `{}`", suggest::cut(text)),
        NodeValue::List(_) => "a list".to_owned(),
        NodeValue::Mapping(_) => "a mapping".to_owned(),
    };
    problems.add(
        Code::WrongType,
        node.span,
        format!("{what} must be {wanted}, not {found}"),
    );
}

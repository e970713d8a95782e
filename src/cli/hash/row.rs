//! One row of `serin hash --scheme …`: its fields, and what is wrong with them.

use crate::spelling;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Longest part of a refused value that is repeated, in characters.
const SHOWN_CHARS_MAX: usize = 48;

/// What is wrong with a row, with the field's name in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct RowError(String);

impl RowError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// `value` is not one of `known`.
    pub(super) fn unknown<'w>(
        field: &str,
        value: &str,
        known: impl IntoIterator<Item = &'w str> + Clone,
    ) -> Self {
        let hint = spelling::hint(value, known.clone());
        let words: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
        let shown = shown(value);
        Self(format!(
            "`{field}` is `{shown}`{hint}; it must be one of {}",
            words.join(", ")
        ))
    }
}

fn shown(value: &str) -> String {
    let printable = value.chars().filter(|c| !c.is_control());
    printable.take(SHOWN_CHARS_MAX).collect()
}

/// The fields of a row, unread.
#[derive(Debug)]
pub(super) struct Row(pub(super) Map<String, Value>);

impl Row {
    /// The row on `line`; whatever is no JSON object is none.
    pub(super) fn parse(line: &str) -> Result<Self, RowError> {
        match serde_json::from_str(line) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(RowError::new("the line is not a JSON object")),
            Err(error) => Err(RowError(format!("the line is not JSON: {error}"))),
        }
    }

    pub(super) fn field(&self, name: &str) -> Result<&Value, RowError> {
        self.0
            .get(name)
            .ok_or_else(|| RowError(format!("`{name}` is missing")))
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, RowError> {
        must(name, self.field(name)?.as_str(), "a string")
    }

    pub(super) fn number(&self, name: &str) -> Result<f64, RowError> {
        must(name, self.field(name)?.as_f64(), "a number")
    }

    /// A whole number from 0 to 2³² − 1.
    pub(super) fn count(&self, name: &str) -> Result<u32, RowError> {
        let number = self.field(name)?.as_u64().and_then(|n| u32::try_from(n).ok());
        must(name, number, "a whole number from 0 to 4294967295")
    }

    pub(super) fn list(&self, name: &str) -> Result<&[Value], RowError> {
        let list = self.field(name)?.as_array();
        must(name, list.map(Vec::as_slice), "a list")
    }

    /// Two numbers, from and to.
    pub(super) fn range(&self, name: &str) -> Result<[f64; 2], RowError> {
        let ends = match self.list(name)? {
            [from, to] => from.as_f64().zip(to.as_f64()),
            _ => None,
        };
        must(name, ends, "two numbers").map(|(from, to)| [from, to])
    }

    /// A list of pairs of a name and a whole number.
    pub(super) fn weighted(&self, name: &str) -> Result<Vec<(&Value, i64)>, RowError> {
        let pairs = self
            .list(name)?
            .iter()
            .map(|item| match item.as_array()?.as_slice() {
                [what, weight] => Some((what, weight.as_i64()?)),
                _ => None,
            });
        let rule = "a list of pairs, each a name and a whole number";
        must(name, pairs.collect(), rule)
    }

    /// Whoever is hashed: a string or a whole number; empty for `null`, as SDKs take an attribute that a
    /// user does not have.
    pub(super) fn user(&self, name: &str) -> Result<Cow<'_, str>, RowError> {
        let user = match self.field(name)? {
            Value::String(text) => Some(Cow::Borrowed(text.as_str())),
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                Some(Cow::Owned(number.to_string()))
            }
            Value::Null => Some(Cow::Borrowed("")),
            Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        must(name, user, "a string, a whole number or null")
    }
}

fn must<T>(name: &str, value: Option<T>, rule: &str) -> Result<T, RowError> {
    value.ok_or_else(|| RowError(format!("`{name}` must be {rule}")))
}

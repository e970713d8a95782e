//! What keys can hold, other than sections and words: text, numbers, quantities, lists, free keys.

use super::super::code::Code;
use super::super::problem::{Problems, Span};
use super::super::quantity::{
    self, DURATION_PATTERN, PERCENTAGE_PATTERN, Percentage, PercentageFault, QUANTITY_PATTERN, Quantity,
};
use super::node::{Node, NodeValue};
use super::read::{Given, Located, Value, wrong_type};
use super::suggest::cut;
use crate::ids::UserKey;
use jiff::SignedDuration;
use schemars::{Schema, SchemaGenerator, json_schema};

impl Value for String {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            NodeValue::Text(text) => Some(text.clone()),
            NodeValue::Number(raw) => {
                wants_quotes(node.span, what, raw, problems);
                None
            }
            NodeValue::Bool(value) => {
                wants_quotes(node.span, what, &value.to_string(), problems);
                None
            }
            NodeValue::Null | NodeValue::List(_) | NodeValue::Mapping(_) | NodeValue::Broken => {
                wrong_type(node, what, "text", problems);
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

fn wants_quotes(span: Span, what: &str, raw: &str, problems: &mut Problems) {
    let raw = cut(raw);
    problems.add_with_help(
        Code::WrongType,
        span,
        format!("{what} must be text, and `{raw}` without quotes is not"),
        format!("write `\"{raw}\"`"),
    );
}

/// The key of a user whose arm is fixed; messages do not repeat it, because they are logged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ForcedUser(pub(crate) String);

impl Value for ForcedUser {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            NodeValue::Text(text) => return Some(Self(text.clone())),
            NodeValue::Broken => {}
            NodeValue::Number(_) | NodeValue::Bool(_) => problems.add_with_help(
                Code::WrongType,
                node.span,
                format!("{what} must be text, and without quotes it is not"),
                "put the user key into quotes",
            ),
            NodeValue::Null | NodeValue::List(_) | NodeValue::Mapping(_) => {
                wrong_type(node, what, "text", problems);
            }
        }
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": UserKey::BYTES_MAX })
    }
}

impl Value for f64 {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            NodeValue::Number(raw) => decimal(raw, node.span, what, problems),
            NodeValue::Text(text) if text.parse::<Self>().is_ok() => {
                problems.add_with_help(
                    Code::WrongType,
                    node.span,
                    format!("{what} must be a number, and `\"{}\"` is text", cut(text)),
                    "remove the quotes",
                );
                None
            }
            NodeValue::Text(_)
            | NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::List(_)
            | NodeValue::Mapping(_)
            | NodeValue::Broken => {
                wrong_type(node, what, "a number", problems);
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }
}

/// Reads `raw` as a finite decimal number.
fn decimal(raw: &str, span: Span, what: &str, problems: &mut Problems) -> Option<f64> {
    let number = raw.parse::<f64>().ok().filter(|number| number.is_finite());
    if number.is_none() {
        problems.add(
            Code::NotANumber,
            span,
            format!(
                "{what} must be a finite number in decimal notation, not `{}`",
                cut(raw)
            ),
        );
    }
    number
}

impl Value for bool {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        if let NodeValue::Bool(value) = &node.value {
            return Some(*value);
        }
        wrong_type(node, what, "`true` or `false`", problems);
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

impl Value for u64 {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        let NodeValue::Number(raw) = &node.value else {
            wrong_type(node, what, "a whole number", problems);
            return None;
        };
        let number = raw.parse().ok().filter(|_| !raw.starts_with('+'));
        if number.is_none() {
            problems.add(
                Code::NotANumber,
                node.span,
                format!("{what} must be a whole number from 0, not `{}`", cut(raw)),
            );
        }
        number
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0 })
    }
}

impl Value for Percentage {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            NodeValue::Text(text) => match quantity::percentage(text) {
                Ok(percentage) => Some(percentage),
                Err(fault) => {
                    report_percentage(fault, text, node.span, what, problems);
                    None
                }
            },
            NodeValue::Number(raw) => {
                report_percentage(PercentageFault::Grammar, raw, node.span, what, problems);
                None
            }
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::List(_)
            | NodeValue::Mapping(_)
            | NodeValue::Broken => {
                wrong_type(node, what, "a percentage such as `5%`", problems);
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PERCENTAGE_PATTERN, "examples": ["5%", "0.25%"] })
    }
}

fn report_percentage(fault: PercentageFault, text: &str, span: Span, what: &str, problems: &mut Problems) {
    match fault {
        PercentageFault::Grammar => {
            let message = format!("{what} must be a percentage such as `5%`, not `{}`", cut(text));
            match percentage_meant(text) {
                Some(meant) => {
                    problems.add_with_help(
                        Code::NotAPercentage,
                        span,
                        message,
                        format!("did you mean `{meant}`?"),
                    );
                }
                None => problems.add(Code::NotAPercentage, span, message),
            }
        }
        PercentageFault::TooFine => problems.add_with_help(
            Code::PercentageTooFine,
            span,
            format!(
                "{what} is `{}`, which is finer than one part per million",
                cut(text)
            ),
            "use at most four decimal places",
        ),
    }
}

/// The percentage that somebody meant who wrote `5`, `0.05` or `5 %`.
fn percentage_meant(text: &str) -> Option<String> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let number = compact.trim_end_matches(['%', 'p', 'c', 't']);
    let candidate = match number.parse::<f64>() {
        Ok(ratio) if ratio > 0.0 && ratio < 1.0 && number == compact => {
            format!("{}%", quantity::show_hundredths(ratio))
        }
        Ok(_) | Err(_) => format!("{number}%"),
    };
    quantity::percentage(&candidate).is_ok().then_some(candidate)
}

impl Value for SignedDuration {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        let text = match &node.value {
            NodeValue::Text(text) | NodeValue::Number(text) => text,
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::List(_)
            | NodeValue::Mapping(_)
            | NodeValue::Broken => {
                wrong_type(node, what, "a duration such as `30m`", problems);
                return None;
            }
        };
        match quantity::duration(text) {
            Some(duration) if !text.contains("ms") => Some(duration),
            Some(_) => {
                problems.add_with_help(
                    Code::NotADuration,
                    node.span,
                    format!("{what} is `{}`, which is not in whole seconds", cut(text)),
                    "the units are `s`, `m`, `h` and `d`",
                );
                None
            }
            None => {
                problems.add_with_help(
                    Code::NotADuration,
                    node.span,
                    format!("{what} must be a duration such as `30m`, not `{}`", cut(text)),
                    duration_help(text),
                );
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": DURATION_PATTERN, "examples": ["90s", "1h30m", "7d"] })
    }
}

/// What somebody meant who wrote `10`, `30 min` or `PT30M`.
fn duration_help(text: &str) -> String {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let number = cut(text);
        return format!("give it a unit: `{number}s`, `{number}m` or `{number}h`");
    }
    match text.parse::<SignedDuration>() {
        Ok(meant) if meant.subsec_nanos() == 0 && !meant.is_negative() => {
            format!("did you mean `{}`?", quantity::show_duration(meant))
        }
        Ok(_) | Err(_) => "whole numbers with `d`, `h`, `m` and `s`, the largest unit first".to_owned(),
    }
}

impl Value for Quantity {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            NodeValue::Number(raw) => decimal(raw, node.span, what, problems).map(Self::Bare),
            NodeValue::Text(text) => {
                let quantity = quantity::quantity(text);
                if quantity.is_none() {
                    problems.add_with_help(
                        Code::NotANumber,
                        node.span,
                        format!("{what} must be a number or carry a unit, not `{}`", cut(text)),
                        "such as `0.02`, `10%`, `0.5pp` or `3s`",
                    );
                }
                quantity
            }
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::List(_)
            | NodeValue::Mapping(_)
            | NodeValue::Broken => {
                wrong_type(node, what, "a number, or one with a unit", problems);
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "number" },
                { "type": "string", "minLength": 2, "pattern": QUANTITY_PATTERN },
            ]
        })
    }
}

/// A list of `MIN` to `MAX` items; broken ones keep their position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Items<T, const MIN: usize, const MAX: usize>(Vec<Given<T>>);

impl<T, const MIN: usize, const MAX: usize> Items<T, MIN, MAX> {
    /// The items that can be used, with their positions from 1.
    pub(crate) fn usable(&self) -> impl Iterator<Item = (usize, &Located<T>)> {
        let numbered = self.0.iter().enumerate();
        numbered.filter_map(|(index, item)| item.located().map(|item| (index + 1, item)))
    }

    /// How many items there are, broken ones included.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The last item, if it can be used.
    pub(crate) fn last(&self) -> Option<&Located<T>> {
        self.0.last().and_then(Given::located)
    }

    /// What `convert` makes of all items; nothing if one is broken or cannot be converted.
    ///
    /// Every item is converted all the same, so that the problems of all are noted.
    pub(crate) fn convert<U>(
        &self,
        mut convert: impl FnMut(usize, &Located<T>) -> Option<U>,
    ) -> Option<Vec<U>> {
        let converted: Vec<Option<U>> = self
            .usable()
            .map(|(number, item)| convert(number, item))
            .collect();
        if converted.len() < self.0.len() {
            return None;
        }
        converted.into_iter().collect()
    }
}

impl<T: Value, const MIN: usize, const MAX: usize> Value for Items<T, MIN, MAX> {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        let NodeValue::List(items) = &node.value else {
            wrong_type(node, what, "a list", problems);
            return None;
        };
        if !(MIN..=MAX).contains(&items.len()) {
            let wanted = match (MIN, MAX) {
                (0, max) => format!("at most {max}"),
                (min, max) if min == max => format!("{min}"),
                (min, max) => format!("{min} to {max}"),
            };
            problems.add(
                Code::ListLength,
                node.span,
                format!("{what} has {} items, and must have {wanted}", items.len()),
            );
            return None;
        }
        let read = items
            .iter()
            .enumerate()
            .map(|(index, item)| Given::read(item, &format!("item {} of {what}", index + 1), problems));
        Some(Self(read.collect()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let items = T::schema(generator);
        json_schema!({ "type": "array", "items": items, "minItems": MIN, "maxItems": MAX })
    }
}

/// One to `MAX` values under keys that people choose.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named<T, const MAX: usize>(pub(crate) Vec<(Located<String>, Given<T>)>);

impl<T: Value, const MAX: usize> Value for Named<T, MAX> {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        let NodeValue::Mapping(entries) = &node.value else {
            wrong_type(node, what, "a mapping of names to values", problems);
            return None;
        };
        if !(1..=MAX).contains(&entries.len()) {
            problems.add(
                Code::ListLength,
                node.span,
                format!("{what} has {} entries, and must have 1 to {MAX}", entries.len()),
            );
            return None;
        }
        let read = entries.iter().map(|entry| {
            let name = Located {
                value: entry.key.clone(),
                span: entry.span,
            };
            let value = Given::read(&entry.node, &format!("`{}`", cut(&entry.key)), problems);
            (name, value)
        });
        Some(Self(read.collect()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let values = T::schema(generator);
        json_schema!({
            "type": "object",
            "additionalProperties": values,
            "minProperties": 1,
            "maxProperties": MAX,
        })
    }
}

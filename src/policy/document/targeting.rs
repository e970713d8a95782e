//! `spec.assignment.targeting`: whom a rollout is for.

use super::node::{Node, NodeValue};
use super::read::{Given, Value, wrong_type};
use super::value::Items;
use crate::policy::code::Code;
use crate::policy::problem::{Problems, Span};
use crate::policy::quantity::Percentage;
use crate::targeting::{Number, VALUE_BYTES_MAX};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Most conditions of a policy.
pub const CONDITIONS_MAX: usize = 16;

/// Most values that an attribute is looked for among.
pub(crate) const CONDITION_VALUES_MAX: usize = 200;

/// What must hold of a user: an attribute with one of `in`, `notIn`, `number` and `version`; or a `share`.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Targeting", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TargetingDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// The attribute, as services send it with the user; a user without it does not enter.
    #[schemars(default, extend("maxLength" = 64, "pattern" = "^[A-Za-z_][A-Za-z0-9_.-]*$"))]
    pub(crate) attribute: Given<String>,
    /// It is one of these, which are all text, all numbers, or all `true` and `false`.
    #[schemars(default, rename = "in")]
    pub(crate) one_of: Given<Items<Scalar, 0, CONDITION_VALUES_MAX>>,
    /// It is of their type, and none of these.
    #[schemars(default, rename = "notIn")]
    pub(crate) none_of: Given<Items<Scalar, 0, CONDITION_VALUES_MAX>>,
    /// It is a number for which every comparison holds, such as `">=18 <65"`.
    #[schemars(default)]
    pub(crate) number: Given<String>,
    /// It is a semantic version for which every comparison holds, such as `">=2.4.0 <3.0.0"`.
    #[schemars(default)]
    pub(crate) version: Given<String>,
    /// Share of users among whom the rollout is, drawn apart from their arms: above 0%.
    #[schemars(default)]
    pub(crate) share: Given<Percentage>,
    /// What draws the share: policies with the same salt have the same users; by default the policy's name.
    #[schemars(default, extend("maxLength" = 128))]
    pub(crate) salt: Given<String>,
}

/// A value that an attribute may have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Number(Number),
    Truth(bool),
}

impl Scalar {
    /// Its type, for a sentence.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Truth(_) => "`true` or `false`",
        }
    }
}

impl Value for Scalar {
    fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            NodeValue::Text(text) => Some(Self::Text(text.clone())),
            NodeValue::Bool(truth) => Some(Self::Truth(*truth)),
            NodeValue::Number(raw) => {
                let number = Number::parse(raw);
                if number.is_none() {
                    problems.add_with_help(
                        Code::NotANumber,
                        node.span,
                        format!("{what} must be a finite number in decimal notation"),
                        "put it into quotes where it is meant as text",
                    );
                }
                number.map(Self::Number)
            }
            NodeValue::Null | NodeValue::List(_) | NodeValue::Mapping(_) | NodeValue::Broken => {
                wrong_type(node, what, "text, a number, `true` or `false`", problems);
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "maxLength": VALUE_BYTES_MAX },
                { "type": "number" },
                { "type": "boolean" },
            ]
        })
    }
}

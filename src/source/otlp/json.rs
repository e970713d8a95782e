//! OTLP in JSON: keys in lower camel case, ids in hexadecimal, 64-bit numbers as text or numbers, `null`
//! as good as absent, unknown keys passed over (OTLP 1.9, "JSON Protobuf Encoding").

use super::wire::{self, AttributeValue, Resource, Span, ValueList};
use super::{Export, Unreadable};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt::Display;
use std::str::FromStr;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request<'b> {
    #[serde(borrow, deserialize_with = "or_default")]
    resource_spans: Vec<ResourceSpans<'b>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceSpans<'b> {
    #[serde(deserialize_with = "or_default")]
    resource: Resource,
    #[serde(borrow, deserialize_with = "or_default")]
    scope_spans: Vec<ScopeSpans<'b>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ScopeSpans<'b> {
    #[serde(borrow, deserialize_with = "or_default")]
    spans: Vec<&'b RawValue>,
}

/// A value of any kind, as JSON tells them apart: by the key.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AnyValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    #[serde(deserialize_with = "some_number")]
    int_value: Option<i64>,
    #[serde(deserialize_with = "some_number")]
    double_value: Option<f64>,
    array_value: Option<ValueList>,
}

impl From<AnyValue> for wire::AnyValue {
    fn from(value: AnyValue) -> Self {
        let AnyValue {
            string_value,
            bool_value,
            int_value,
            double_value,
            array_value,
        } = value;
        let value = string_value
            .map(AttributeValue::Text)
            .or(bool_value.map(AttributeValue::Truth))
            .or(int_value.map(AttributeValue::Whole))
            .or(double_value.map(AttributeValue::Number))
            .or(array_value.map(AttributeValue::List));
        Self { value }
    }
}

/// Reads a request.
pub(super) fn read(body: &[u8], export: &mut Export) -> Result<(), Unreadable> {
    let request: Request<'_> = serde_json::from_slice(body)?;
    for of_resource in request.resource_spans {
        for span in of_resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let environment = of_resource.resource.environment();
            export.add(environment, || serde_json::from_str::<Span>(span.get()).ok());
        }
    }
    Ok(())
}

/// A value, or `null` for what is absent.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An id in hexadecimal, of any length.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let digits: String = or_default(deserializer)?;
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some((nibble(*high)? << 4) | nibble(*low)?),
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or_else(|| D::Error::custom("an id must be in hexadecimal digits"))
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16)?.try_into().ok()
}

/// A whole number that is not negative, as a number or as text.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    some_number(deserializer).map(Option::unwrap_or_default)
}

/// A number, or a text that is one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number<T> {
    Number(T),
    Text(String),
}

fn some_number<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + FromStr<Err: Display>,
{
    match Option::<Number<T>>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Number::Number(number)) => Ok(Some(number)),
        Some(Number::Text(text)) => text.parse().map(Some).map_err(D::Error::custom),
    }
}

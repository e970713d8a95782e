//! The messages of OTLP, as far as they say something of prompts; other fields are passed over.
//!
//! Numbers are those of `opentelemetry/proto/trace/v1/trace.proto` and `common/v1/common.proto`. The same
//! types are read from JSON, by the rules in `json.rs`.

use super::{Export, json};
use prost::Message;
use prost::bytes::Bytes;
use serde::Deserialize;

/// The code of a status that is an error.
const STATUS_ERROR: i32 = 2;
/// Attributes of a resource that name the environment.
const ENVIRONMENTS: [&str; 3] = [
    "langfuse.environment",
    "deployment.environment.name",
    "deployment.environment",
];

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

/// What makes spans.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::or_default")]
    attributes: Vec<KeyValue>,
}

impl Resource {
    /// The environment that it names.
    pub(super) fn environment(&self) -> Option<&str> {
        self.attributes.first_of(&ENVIRONMENTS)?.text()
    }
}

/// Spans are messages; as bytes they have the same form, and can be read one by one.
#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    spans: Vec<Bytes>,
}

/// One operation of an application.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Span {
    /// The request that it is a part of: 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(deserialize_with = "json::id")]
    pub trace_id: Vec<u8>,
    /// Its own id: 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(deserialize_with = "json::id")]
    pub span_id: Vec<u8>,
    /// The span that it is a part of; empty for the first one of a trace.
    #[prost(bytes = "vec", tag = "4")]
    #[serde(deserialize_with = "json::id")]
    pub parent_span_id: Vec<u8>,
    /// When it began, in nanoseconds since the Unix epoch.
    #[prost(fixed64, tag = "7")]
    #[serde(deserialize_with = "json::whole")]
    pub start_time_unix_nano: u64,
    /// When it ended, likewise.
    #[prost(fixed64, tag = "8")]
    #[serde(deserialize_with = "json::whole")]
    pub end_time_unix_nano: u64,
    /// What it says of itself.
    #[prost(message, repeated, tag = "9")]
    #[serde(deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// What happened meanwhile.
    #[prost(message, repeated, tag = "11")]
    #[serde(deserialize_with = "json::or_default")]
    pub events: Vec<Event>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

impl Span {
    /// Whether it ended in an error.
    pub fn has_failed(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.code == STATUS_ERROR)
    }
}

/// Something that happened during a span.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct Event {
    /// What.
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "json::or_default")]
    pub name: String,
    /// What it says.
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Status {
    #[prost(int32, tag = "3")]
    #[serde(deserialize_with = "json::or_default")]
    code: i32,
}

/// An attribute.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "json::or_default")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

/// A value of any kind; maps and bytes say nothing here.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(from = "json::AnyValue")]
pub(super) struct AnyValue {
    #[prost(oneof = "AttributeValue", tags = "1, 2, 3, 4, 5")]
    pub(super) value: Option<AttributeValue>,
}

/// The value of an attribute.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum AttributeValue {
    /// Text.
    #[prost(string, tag = "1")]
    Text(String),
    /// Yes or no.
    #[prost(bool, tag = "2")]
    Truth(bool),
    /// A whole number.
    #[prost(int64, tag = "3")]
    Whole(i64),
    /// A number.
    #[prost(double, tag = "4")]
    Number(f64),
    /// Several values.
    #[prost(message, tag = "5")]
    List(ValueList),
}

/// Several values.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct ValueList {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::or_default")]
    values: Vec<AnyValue>,
}

impl AttributeValue {
    /// The text, where it is one and not empty.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
            Self::Truth(_) | Self::Whole(_) | Self::Number(_) | Self::List(_) => None,
        }
    }

    /// The number, where it is one or a text that is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "observations are 64-bit floats")]
            Self::Whole(whole) => Some(*whole as f64),
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Truth(_) | Self::List(_) => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    /// The texts in it, where it is a list, or its text.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::List(list) => {
                let values = list.values.iter().filter_map(|value| value.value.as_ref());
                values.filter_map(Self::text).collect()
            }
            Self::Text(_) | Self::Truth(_) | Self::Whole(_) | Self::Number(_) => {
                self.text().into_iter().collect()
            }
        }
    }
}

/// Attributes, to be asked by key.
pub trait Attributes {
    /// The value of the first of these keys that is there.
    fn first_of(&self, keys: &[&str]) -> Option<&AttributeValue>;
}

impl Attributes for [KeyValue] {
    fn first_of(&self, keys: &[&str]) -> Option<&AttributeValue> {
        keys.iter().find_map(|key| {
            let attribute = self.iter().find(|attribute| attribute.key == *key)?;
            attribute.value.as_ref()?.value.as_ref()
        })
    }
}

/// Reads a request.
pub(super) fn read(body: &[u8], export: &mut Export) -> Result<(), prost::DecodeError> {
    let request = Request::decode(Bytes::copy_from_slice(body))?;
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.unwrap_or_default();
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            export.add(resource.environment(), || Span::decode(span).ok());
        }
    }
    Ok(())
}

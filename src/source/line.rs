//! One observation as it is written: a JSON object, read without copying what need not be copied.
//!
//! Every value is read as whatever it is and judged afterwards, so that a wrong type in one field is
//! refused by that field's name.

use super::refusal::{Refusal, RefusalCode};
use crate::spelling;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// Most metrics that one observation may have.
pub const METRICS_PER_OBSERVATION_MAX: usize = 64;
/// Longest part of a sender's text that a refusal repeats, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// The keys of an observation.
pub(super) const KEYS: [&str; 9] = [
    "policy",
    "user",
    "anonymous",
    "receipt",
    "metrics",
    "id",
    "version",
    "label",
    "arm",
];

/// One observation; text is borrowed unless it has escapes.
#[derive(Debug, Default)]
pub(super) struct Line<'t> {
    pub(super) policy: Option<Value<'t>>,
    pub(super) user: Option<Value<'t>>,
    pub(super) anonymous: Option<Value<'t>>,
    pub(super) receipt: Option<Value<'t>>,
    pub(super) id: Option<Value<'t>>,
    pub(super) version: Option<Value<'t>>,
    pub(super) label: Option<Value<'t>>,
    pub(super) arm: Option<Value<'t>>,
    /// When it was, of a line that was recorded.
    time: Option<Value<'t>>,
    /// Whether it was recorded: then it has a time.
    recorded: bool,
    /// Names and values as they come; cleared and filled again for each line.
    pub(super) metrics: Vec<(Cow<'t, str>, Value<'t>)>,
    has_metrics: bool,
    metrics_are_too_many: bool,
    /// The first mistake that does not keep the rest from being read.
    mistake: Option<Refusal>,
}

/// A JSON value, as far as an observation can use it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'t> {
    Text(Cow<'t, str>),
    Whole(u64),
    Number(f64),
    Truth(bool),
    Null,
    List,
    Object,
}

impl Value<'_> {
    /// The type, for a sentence.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Whole(_) | Self::Number(_) => "a number",
            Self::Truth(_) => "true or false",
            Self::Null => "null",
            Self::List => "an array",
            Self::Object => "an object",
        }
    }
}

impl<'t> Line<'t> {
    /// A line that was recorded, with a `time`.
    pub(super) fn recorded() -> Self {
        Self {
            recorded: true,
            ..Self::default()
        }
    }

    /// Reads `text` into this line, whose room for metrics is used again.
    pub(super) fn read(&mut self, text: &'t str) -> Result<(), Refusal> {
        let mut metrics = std::mem::take(&mut self.metrics);
        metrics.clear();
        *self = Self {
            metrics,
            recorded: self.recorded,
            ..Self::default()
        };
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Refusal::new(RefusalCode::Malformed, "not a JSON object"));
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Reader(self)
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end())
            .map_err(|error| malformed(&error))?;
        if let Some(mistake) = self.mistake.take() {
            return Err(mistake);
        }
        if self.metrics_are_too_many {
            let detail = format!("`metrics` has more than {METRICS_PER_OBSERVATION_MAX} entries: split them");
            return Err(Refusal::new(RefusalCode::TooManyMetrics, detail));
        }
        if self.metrics.is_empty() {
            let detail = if self.has_metrics {
                "`metrics` is empty"
            } else {
                "`metrics` is missing: send `{\"metrics\": {\"name\": 0.9}}`"
            };
            return Err(Refusal::new(RefusalCode::NoMetrics, detail));
        }
        Ok(())
    }

    /// Leaves out a version beside an arm, other than that of a fallback, unless `versions` are known, and
    /// the receipt, unless `receipts` can be verified.
    pub(super) fn keep(&mut self, versions: bool, receipts: bool) {
        let is_version = matches!(self.version, Some(Value::Whole(1..)));
        let is_told = |value: &Option<Value<'_>>| !matches!(value, None | Some(Value::Null));
        if !versions && is_version && (is_told(&self.arm) || is_told(&self.label)) {
            self.version = None;
        }
        if !receipts {
            self.receipt = None;
        }
    }

    fn blame(&mut self, code: RefusalCode, detail: impl FnOnce() -> String) {
        if self.mistake.is_none() {
            self.mistake = Some(Refusal::new(code, detail()));
        }
    }

    fn field(&mut self, key: &str) -> Option<&mut Option<Value<'t>>> {
        Some(match key {
            "policy" => &mut self.policy,
            "user" => &mut self.user,
            "anonymous" => &mut self.anonymous,
            "receipt" => &mut self.receipt,
            "id" => &mut self.id,
            "version" => &mut self.version,
            "label" => &mut self.label,
            "arm" => &mut self.arm,
            "time" if self.recorded => &mut self.time,
            _ => return None,
        })
    }
}

/// What the parser says, without its line number, which is always 1.
fn malformed(error: &serde_json::Error) -> Refusal {
    let message = error.to_string();
    let message = message
        .rfind(" at line ")
        .map_or(message.as_str(), |at| &message[..at]);
    if message == "number out of range" {
        let detail = format!(
            "the number at column {} is beyond what a 64-bit float holds",
            error.column()
        );
        return Refusal::new(RefusalCode::OutOfRange, detail);
    }
    if error.is_data() {
        return Refusal::new(RefusalCode::BadField, message);
    }
    let detail = format!("not JSON at column {}: {message}", error.column());
    Refusal::new(RefusalCode::Malformed, detail)
}

/// A sender's text as a refusal repeats it: short, on one line.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Reads the object into the line.
struct Reader<'l, 't>(&'l mut Line<'t>);

impl<'t> DeserializeSeed<'t> for Reader<'_, 't> {
    type Value = ();
    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Reader<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `policy`, `user` or `receipt`, and `metrics`")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        let line = self.0;
        while let Some(Text(key)) = map.next_key()? {
            if key == "metrics" {
                if std::mem::replace(&mut line.has_metrics, true) {
                    line.blame(RefusalCode::DuplicateKey, || "`metrics` stands twice".to_owned());
                }
                map.next_value_seed(MetricsReader(line))?;
                continue;
            }
            let Some(field) = line.field(&key) else {
                map.next_value::<IgnoredAny>()?;
                line.blame(RefusalCode::UnknownKey, || {
                    format!("there is no key `{}`{}", shown(&key), spelling::hint(&key, KEYS))
                });
                continue;
            };
            let is_new = field.is_none();
            *field = Some(map.next_value()?);
            if !is_new {
                line.blame(RefusalCode::DuplicateKey, || format!("`{key}` stands twice"));
            }
        }
        Ok(())
    }
}

/// Reads the object of metrics into the line.
struct MetricsReader<'l, 't>(&'l mut Line<'t>);

impl<'t> DeserializeSeed<'t> for MetricsReader<'_, 't> {
    type Value = ();
    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for MetricsReader<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`metrics` to be an object of names and numbers")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        let line = self.0;
        while let Some(Text(name)) = map.next_key()? {
            let value: Value<'t> = map.next_value()?;
            if line.metrics.len() == METRICS_PER_OBSERVATION_MAX {
                line.metrics_are_too_many = true;
            } else if line.metrics.iter().any(|(known, _)| *known == name) {
                line.blame(RefusalCode::DuplicateKey, || {
                    format!("metric `{}` stands twice", shown(&name))
                });
            } else {
                line.metrics.push((name, value));
            }
        }
        Ok(())
    }
}

/// A key; borrowed unless it has escapes.
struct Text<'t>(Cow<'t, str>);

impl<'t> Deserialize<'t> for Text<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(AnyValue)? {
            Value::Text(text) => Ok(Self(text)),
            other @ (Value::Whole(_)
            | Value::Number(_)
            | Value::Truth(_)
            | Value::Null
            | Value::List
            | Value::Object) => Err(D::Error::custom(format_args!("{} is no key", other.kind()))),
        }
    }
}

impl<'t> Deserialize<'t> for Value<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'t> Visitor<'t> for AnyValue {
    type Value = Value<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<Value<'t>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'t>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'t>, E> {
        Ok(Value::Whole(number))
    }

    #[expect(clippy::cast_precision_loss, reason = "observations are 64-bit floats")]
    fn visit_i64<E>(self, number: i64) -> Result<Value<'t>, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'t>, E> {
        Ok(Value::Number(number))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value<'t>, E> {
        Ok(Value::Truth(truth))
    }

    fn visit_unit<E>(self) -> Result<Value<'t>, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut seq: A) -> Result<Value<'t>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::List)
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Value<'t>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object)
    }
}

//! What a client says of its user: the key, and attributes for policies with targeting.

use crate::api::schema::UserKeyText;
use crate::targeting::{Attribute, Attributes};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use utoipa::ToSchema;

/// What is known about the user; its other properties are attributes, for policies with targeting.
#[derive(Debug, Default, ToSchema)]
#[schema(as = OfrepContext, rename_all = "camelCase")]
pub(super) struct ContextView<'a> {
    /// The user.
    #[schema(value_type = UserKeyText, required)]
    pub(super) targeting_key: Option<Cow<'a, str>>,
    /// The key that the user had before they signed in, if not empty: they keep the arm that they had by it.
    #[schema(value_type = Option<String>, max_length = 256)]
    pub(super) anonymous_id: Option<Cow<'a, str>>,
    /// Whether `evaluate/flags` gives every assignment as an object too, under `{policy}.assignment`.
    #[schema(value_type = Option<bool>)]
    pub(super) serin_assignments: Option<bool>,
    /// The texts, numbers and truth values among the other properties, as far as attributes can be such.
    #[schema(ignore)]
    pub(super) attributes: Attributes<'a>,
}

/// A text that is borrowed unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for ContextView<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ContextVisitor)
    }
}

struct ContextVisitor;

impl<'de> Visitor<'de> for ContextVisitor {
    type Value = ContextView<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a context")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut context = ContextView::default();
        let mut keys = 0_u8;
        while let Some(Text(name)) = map.next_key()? {
            match name.as_ref() {
                "targetingKey" if keys > 0 => return Err(A::Error::duplicate_field("targetingKey")),
                "targetingKey" => {
                    keys += 1;
                    context.targeting_key = map.next_value::<Option<Text<'de>>>()?.map(|Text(text)| text);
                }
                "anonymousId" => {
                    context.anonymous_id = map.next_value::<Option<Text<'de>>>()?.map(|Text(text)| text);
                }
                "serinAssignments" => context.serin_assignments = map.next_value()?,
                _ => {
                    if let Some(attribute) = map.next_value_seed(AttributeVisitor)? {
                        // A context holds whatever the application has; what is no attribute is not looked at.
                        context.attributes.add(name, attribute).ok();
                    }
                }
            }
        }
        Ok(context)
    }
}

/// Reads any value; none where it cannot be an attribute.
struct AttributeVisitor;

impl<'de> DeserializeSeed<'de> for AttributeVisitor {
    type Value = Option<Attribute<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AttributeVisitor {
    type Value = Option<Attribute<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Some(Attribute::Truth(truth)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Attribute::Number(number)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of JSON are 64-bit floats here"
    )]
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Attribute::Number(number as f64)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of JSON are 64-bit floats here"
    )]
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Attribute::Number(number as f64)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Attribute::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Attribute::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

//! What a service says of a user.

use super::Number;
use std::borrow::Cow;
use std::fmt;

/// Most attributes of one user that are looked at.
pub const ATTRIBUTES_MAX: usize = 64;

/// Longest text of an attribute, in bytes of UTF-8.
pub const VALUE_BYTES_MAX: usize = 256;

/// The name of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(Box<str>);

impl AttributeName {
    /// Longest name, in bytes.
    pub const BYTES_MAX: usize = 64;
    /// What a name must be.
    pub const RULE: &'static str =
        "must be 1 to 64 letters, digits, `_`, `.` and `-`, with a letter or `_` first";

    /// Refuses what breaks [`Self::RULE`].
    pub fn new(text: &str) -> Option<Self> {
        Self::is_valid(text).then(|| Self(text.into()))
    }

    fn is_valid(text: &str) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        text.len() <= Self::BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && text.bytes().all(allowed)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an attribute is.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// A truth value.
    Truth(bool),
    /// Something that came without a type, as in a query: what the condition takes it for.
    Raw(Cow<'a, str>),
}

impl Attribute<'_> {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Raw(text) => Some(text),
            Self::Number(_) | Self::Truth(_) => None,
        }
    }

    pub(super) fn number(&self) -> Option<Number> {
        match self {
            Self::Number(number) => Number::new(*number),
            Self::Raw(text) => Number::parse(text),
            Self::Text(_) | Self::Truth(_) => None,
        }
    }

    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Truth(truth) => Some(*truth),
            Self::Raw(text) => match text.as_ref() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            Self::Text(_) | Self::Number(_) => None,
        }
    }
}

/// Why an attribute was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeRefused {
    /// Its name breaks the rule.
    #[error("the name of an attribute {}", AttributeName::RULE)]
    Name,
    /// Its text is too long.
    #[error("the attribute `{0}` must have at most {VALUE_BYTES_MAX} bytes")]
    Long(String),
    /// It is there twice.
    #[error("the attribute `{0}` is given twice")]
    Twice(String),
    /// There are too many.
    #[error("a user has at most {ATTRIBUTES_MAX} attributes")]
    TooMany,
}

/// What a service says of one user; each attribute at most once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes<'a>(Vec<(Cow<'a, str>, Attribute<'a>)>);

impl<'a> Attributes<'a> {
    /// Nothing is said.
    pub const NONE: Attributes<'static> = Attributes(Vec::new());

    /// Adds one.
    ///
    /// # Errors
    ///
    /// When its name or text breaks the rules, when it is there already, or when there are too many.
    pub fn add(&mut self, name: Cow<'a, str>, attribute: Attribute<'a>) -> Result<(), AttributeRefused> {
        if !AttributeName::is_valid(&name) {
            return Err(AttributeRefused::Name);
        }
        if attribute.text().is_some_and(|text| text.len() > VALUE_BYTES_MAX) {
            return Err(AttributeRefused::Long(name.into_owned()));
        }
        if self.get(&name).is_some() {
            return Err(AttributeRefused::Twice(name.into_owned()));
        }
        if self.0.len() == ATTRIBUTES_MAX {
            return Err(AttributeRefused::TooMany);
        }
        self.0.push((name, attribute));
        Ok(())
    }

    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&Attribute<'a>> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, attribute)| attribute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_bounded_and_stand_once() {
        let mut attributes = Attributes::default();
        let mut add = |name: &str, value: &str| {
            attributes.add(
                Cow::Owned(name.to_owned()),
                Attribute::Raw(Cow::Owned(value.to_owned())),
            )
        };
        assert_eq!(add("region", "eu"), Ok(()));
        assert_eq!(
            add("region", "us"),
            Err(AttributeRefused::Twice("region".to_owned()))
        );
        for name in ["", "1st", "a b", "é", &"x".repeat(65)] {
            assert_eq!(add(name, "x"), Err(AttributeRefused::Name), "{name}");
        }
        assert_eq!(
            add("long", &"x".repeat(257)),
            Err(AttributeRefused::Long("long".to_owned()))
        );
        for number in 1..ATTRIBUTES_MAX {
            assert_eq!(add(&format!("a{number}"), "x"), Ok(()));
        }
        assert_eq!(add("last", "x"), Err(AttributeRefused::TooMany));
        assert_eq!(attributes.get("region"), Some(&Attribute::Raw("eu".into())));
        assert_eq!(attributes.get("last"), None);
    }
}

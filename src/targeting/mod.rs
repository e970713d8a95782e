//! Whom a rollout is for: conditions on what a service knows about its users.
//!
//! A service sends attributes with the user (`region`, `plan`, `appVersion`); a policy's targeting names
//! conditions, and only users who meet all of them enter the rollout. An attribute that is missing, or of
//! another type than its condition tests, meets none, so that nobody enters by an omission.
//!
//! This room knows neither policies nor routes: a policy holds conditions, and a route tests them.

mod attributes;
mod comparison;
mod version;

pub use attributes::{
    ATTRIBUTES_MAX, Attribute, AttributeName, AttributeRefused, Attributes, VALUE_BYTES_MAX,
};
pub use comparison::{COMPARISONS_MAX, Comparison, Operator};
pub use version::SemanticVersion;

use std::collections::BTreeSet;
use std::sync::Arc;

/// A finite number; `-0` is `0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(f64);

impl Number {
    /// Refuses infinities and NaN.
    pub fn new(value: f64) -> Option<Self> {
        // Adding zero turns the negative zero into the positive one.
        value.is_finite().then_some(Self(value + 0.0))
    }

    /// The number that `text` is, in the notation of JSON (RFC 8259 section 6).
    pub fn parse(text: &str) -> Option<Self> {
        let decimal = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let begins = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        (begins && text.bytes().all(decimal))
            .then(|| text.parse().ok().and_then(Self::new))
            .flatten()
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Number {}

impl Ord for Number {
    /// Without NaN and the negative zero, this is the order of numbers.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What an attribute must be, for a user to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which attribute.
    pub attribute: AttributeName,
    /// What it must be.
    pub test: Test,
}

/// What an attribute must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// One of these.
    OneOf(Values),
    /// Of their type, and none of these.
    NoneOf(Values),
    /// A number for which every comparison holds.
    Number(Vec<Comparison<Number>>),
    /// A semantic version for which every comparison holds.
    Version(Vec<Comparison<SemanticVersion>>),
}

/// Values of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Texts, compared byte for byte.
    Texts(BTreeSet<Arc<str>>),
    /// Numbers.
    Numbers(BTreeSet<Number>),
    /// Truth values.
    Truths(BTreeSet<bool>),
}

/// Why an attribute does not meet its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// Nobody said what it is.
    Missing,
    /// It is something else.
    Differs,
}

impl Condition {
    /// Whether somebody with these attributes meets it.
    pub fn admits(&self, attributes: &Attributes<'_>) -> Result<(), Mismatch> {
        let attribute = attributes.get(self.attribute.as_str()).ok_or(Mismatch::Missing)?;
        if self.test.admits(attribute) {
            Ok(())
        } else {
            Err(Mismatch::Differs)
        }
    }
}

impl Test {
    fn admits(&self, attribute: &Attribute<'_>) -> bool {
        match self {
            Self::OneOf(values) => values.contain(attribute) == Some(true),
            Self::NoneOf(values) => values.contain(attribute) == Some(false),
            Self::Number(comparisons) => attribute
                .number()
                .is_some_and(|number| comparisons.iter().all(|comparison| comparison.holds(&number))),
            Self::Version(comparisons) => attribute
                .text()
                .and_then(SemanticVersion::parse)
                .is_some_and(|version| comparisons.iter().all(|comparison| comparison.holds(&version))),
        }
    }

    /// Whether no attribute can pass it.
    pub fn is_contradiction(&self) -> bool {
        match self {
            Self::OneOf(values) => values.is_empty(),
            Self::NoneOf(Values::Truths(truths)) => truths.len() == 2,
            Self::NoneOf(Values::Texts(_) | Values::Numbers(_)) => false,
            Self::Number(comparisons) => comparison::contradict(comparisons),
            Self::Version(comparisons) => comparison::contradict(comparisons),
        }
    }
}

impl Values {
    /// Whether it is one of these; none where it is of another type.
    fn contain(&self, attribute: &Attribute<'_>) -> Option<bool> {
        match self {
            Self::Texts(texts) => attribute.text().map(|text| texts.contains(text)),
            Self::Numbers(numbers) => attribute.number().map(|number| numbers.contains(&number)),
            Self::Truths(truths) => attribute.truth().map(|truth| truths.contains(&truth)),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Texts(texts) => texts.is_empty(),
            Self::Numbers(numbers) => numbers.is_empty(),
            Self::Truths(truths) => truths.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(test: &Test, attribute: Attribute<'static>) -> bool {
        test.admits(&attribute)
    }

    fn versions(text: &str) -> Test {
        Test::Version(Comparison::parse_all(text, SemanticVersion::parse).unwrap())
    }

    fn numbers(text: &str) -> Test {
        Test::Number(Comparison::parse_all(text, Number::parse).unwrap())
    }

    #[test]
    fn values_are_compared_within_their_type() {
        let five = Values::Numbers([Number::new(5.0).unwrap()].into());
        let one_of = Test::OneOf(five.clone());
        assert!(admits(&one_of, Attribute::Number(5.0)));
        assert!(admits(&one_of, Attribute::Raw("5.0".into())));
        assert!(!admits(&one_of, Attribute::Text("5".into())));
        let none_of = Test::NoneOf(five);
        assert!(admits(&none_of, Attribute::Number(6.0)));
        for other in [
            Attribute::Text("6".into()),
            Attribute::Truth(true),
            Attribute::Raw("six".into()),
        ] {
            assert!(!admits(&none_of, other.clone()), "{other:?}");
        }
        let beta = Test::OneOf(Values::Truths([true].into()));
        assert!(admits(&beta, Attribute::Truth(true)) && admits(&beta, Attribute::Raw("true".into())));
        assert!(!admits(&beta, Attribute::Raw("True".into())) && !admits(&beta, Attribute::Truth(false)));
    }

    #[test]
    fn versions_and_numbers_are_compared_by_their_own_order() {
        let test = versions(">=2.4.0 <3.0.0");
        for (version, inside) in [
            ("2.4.0", true),
            ("2.10.0", true),
            ("2.4.0-rc.1", false),
            ("3.0.0-rc.1", true),
            ("2.4", false),
        ] {
            assert_eq!(
                admits(&test, Attribute::Text(version.into())),
                inside,
                "{version}"
            );
        }
        let test = numbers(">=18 <65");
        for (number, inside) in [
            ("18", true),
            ("64.9", true),
            ("65", false),
            ("1e1", false),
            ("", false),
        ] {
            assert_eq!(admits(&test, Attribute::Raw(number.into())), inside, "{number}");
        }
    }

    #[test]
    fn contradictions_are_found() {
        for nothing in [">2 <2", ">=2 <2", ">3 <=2", "=1 =2", "=1 !=1", ">=2 <=2 !=2"] {
            assert!(numbers(nothing).is_contradiction(), "{nothing}");
        }
        for something in [">=2 <=2", ">1 <2", "=1 !=2", "!=1"] {
            assert!(!numbers(something).is_contradiction(), "{something}");
        }
        assert!(versions(">=2.0.0 <2.0.0-rc.1").is_contradiction());
        assert!(!versions(">=2.0.0-rc.1 <2.0.0").is_contradiction());
        assert!(Test::OneOf(Values::Texts(BTreeSet::new())).is_contradiction());
        assert!(Test::NoneOf(Values::Truths([true, false].into())).is_contradiction());
        assert!(!Test::NoneOf(Values::Truths([true].into())).is_contradiction());
    }
}

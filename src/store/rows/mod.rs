//! What every store keeps as JSON: wire types of the store's own, converted by hand to and from the
//! core's.
//!
//! Nothing here knows SQL. A field that is added must have a default, because rows written before it
//! are read for as long as the data live.

use super::StoreError;
use crate::ids::Version;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::Display;
use std::str::FromStr;

pub(super) mod assessment;
pub(super) mod event;
pub(super) mod fallback;
pub(super) mod label_move;
pub(super) mod notice;
pub(super) mod phase;
pub(super) mod point;
pub(super) mod prompt;

#[cfg(test)]
mod tests;

/// Writes a row's JSON part.
pub(super) fn encode<W: Serialize>(wire: &W) -> Result<String, StoreError> {
    serde_json::to_string(wire).map_err(|error| StoreError::Failed(Box::new(error)))
}

/// Reads a row's JSON part; `what` names it, with its article, in [`StoreError::Corrupt`].
pub(super) fn decode<W: DeserializeOwned>(what: &'static str, text: &str) -> Result<W, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(what, error))
}

/// The error of a stored value that breaks a rule.
pub(super) fn corrupt(what: &'static str, why: impl Display) -> StoreError {
    StoreError::Corrupt {
        what,
        why: why.to_string(),
    }
}

/// Reads a name, a time, or another value that is stored as its text.
pub(super) fn parse<T>(what: &'static str, text: &str) -> Result<T, StoreError>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|error| corrupt(what, error))
}

/// Databases count in signed 64 bits.
pub(super) fn integer(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|error| StoreError::Failed(Box::new(error)))
}

/// Reads a number that is never negative.
pub(super) fn natural(what: &'static str, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| corrupt(what, format_args!("`{number}` is negative")))
}

/// Reads a version number.
pub(super) fn version(number: i64) -> Result<Version, StoreError> {
    u32::try_from(number)
        .map_err(|_| corrupt("a version number", format_args!("`{number}` is out of range")))
        .and_then(|number| Version::new(number).map_err(|error| corrupt("a version number", error)))
}

/// A value that is written as its text: names, identifiers, times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A version number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) Version);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0.get())
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        Version::new(number).map(Self).map_err(D::Error::custom)
    }
}

/// A floating-point number that is read back bit for bit, infinities included.
///
/// JSON has no infinities, and the logarithm of an e-value of zero is one: those are written as text.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Exact(pub(super) f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0)
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Text(Text<f64>),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Number(number) | Either::Text(Text(number)) => Self(number),
        })
    }
}

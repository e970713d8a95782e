//! What the API shows: wire types of its own, made from domain values by hand.

pub mod admission;
pub mod assignment;
pub mod audit;
pub mod cause;
pub mod compiled;
pub mod evidence;
pub mod observation;
pub mod parents;
pub mod policy;
pub mod prompt;
pub mod prompt_body;
pub mod prompt_diff;
pub mod rollout;
pub mod route_table;
pub mod server;
pub mod span;
pub mod stay;

use crate::ids::Version;
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A moment as it is shown (RFC 3339, UTC).
pub(super) fn moment(at: Timestamp) -> String {
    at.to_string()
}

/// A version as it is shown.
pub(super) fn number(version: Option<Version>) -> Option<u32> {
    version.map(Version::get)
}

/// A number as JSON can hold it: infinities and NaN become null.
pub(super) fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

/// A whole number as JSON may write it: `2` and `2.0` are the same (RFC 8259 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole(pub u32);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is whole and in range"
            )]
            return Ok(Self(number as u32));
        }
        Err(D::Error::custom(format_args!(
            "`{number}` must be a whole number up to {}",
            u32::MAX
        )))
    }
}

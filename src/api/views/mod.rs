//! What the API shows: wire types of its own, made from domain values by hand.

pub mod assignment;
pub mod audit;
pub mod cause;
pub mod evidence;
pub mod observation;
pub mod policy;
pub mod prompt;
pub mod prompt_body;
pub mod rollout;
pub mod server;

use crate::ids::Version;
use jiff::Timestamp;

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

//! What must be known of a recorded line before its turn comes: when it was, and whether it says what was
//! served.

use super::{Fault, FaultCode};
use jiff::{SignedDuration, Timestamp};
use serde::de::{IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// Numbers from here on are milliseconds of the Unix epoch, below it seconds: as seconds this is the year
/// 5138, as milliseconds the year 1973.
const MILLISECONDS_FROM: f64 = 1e11;

/// The head of a recorded line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// When it was.
    pub(super) at: Timestamp,
    /// Whether it has a receipt.
    pub(super) receipt: bool,
    /// Whether it has a version.
    pub(super) version: bool,
    /// Whether it has an arm or a label.
    pub(super) arm: bool,
}

#[derive(Deserialize)]
struct Fields {
    time: Option<Time>,
    receipt: Option<IgnoredAny>,
    version: Option<IgnoredAny>,
    label: Option<IgnoredAny>,
    arm: Option<IgnoredAny>,
}

impl Head {
    /// Reads it from the line's text.
    pub(super) fn read(text: &str) -> Result<Self, Fault> {
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Fault::new(FaultCode::Malformed, "not a JSON object"));
        }
        let fields: Fields = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        let Some(Time(at)) = fields.time else {
            let detail = "`time` is missing: send when it was, as `{\"time\": \"2026-11-21T14:02:10Z\"}`";
            return Err(Fault::new(FaultCode::BadTime, detail));
        };
        Ok(Self {
            at,
            receipt: fields.receipt.is_some(),
            version: fields.version.is_some(),
            arm: fields.arm.is_some() || fields.label.is_some(),
        })
    }

    /// Whether it says nothing of what was served.
    pub(super) fn is_of_user_alone(self) -> bool {
        !(self.receipt || self.version || self.arm)
    }
}

/// What the parser says, without its line number, which is always 1.
fn malformed(error: &serde_json::Error) -> Fault {
    let message = error.to_string();
    let message = message
        .rfind(" at line ")
        .map_or(message.as_str(), |at| &message[..at]);
    let code = if message.starts_with("`time`") {
        FaultCode::BadTime
    } else {
        FaultCode::Malformed
    };
    let place = if error.is_data() {
        String::new()
    } else {
        format!("not JSON at column {}: ", error.column())
    };
    Fault::new(code, format!("{place}{message}"))
}

/// When a line was: RFC 3339, or a number since the Unix epoch.
struct Time(Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`time` to be a moment (RFC 3339) or a number of seconds since 1970")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
        text.parse().map(Time).map_err(|_| {
            E::custom(
                "`time` must be a moment with its offset (RFC 3339), such as 2026-11-21T14:02:10Z, or a number \
                 of seconds since 1970",
            )
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds and milliseconds of our time are exact"
    )]
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Time, E> {
        self.visit_f64(number as f64)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds and milliseconds of our time are exact"
    )]
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Time, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Time, E> {
        let seconds = if number.abs() < MILLISECONDS_FROM {
            number
        } else {
            number / 1e3
        };
        SignedDuration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|since| Timestamp::from_duration(since).ok())
            .map(Time)
            .ok_or_else(|| E::custom("`time` is beyond the year 9999"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Result<String, String> {
        let head = Head::read(&format!(
            r#"{{"time": {time}, "user": "anna", "metrics": {{"a": 1}}}}"#
        ));
        head.map(|head| head.at.to_string()).map_err(|fault| fault.detail)
    }

    #[test]
    fn times_are_moments_or_numbers() {
        for (time, moment) in [
            (r#""2026-11-21T14:02:10.5Z""#, "2026-11-21T14:02:10.5Z"),
            (r#""2026-11-21T15:02:10+01:00""#, "2026-11-21T14:02:10Z"),
            ("1795269730", "2026-11-21T14:02:10Z"),
            ("1795269730.25", "2026-11-21T14:02:10.25Z"),
            ("1795269730250", "2026-11-21T14:02:10.25Z"),
            ("-1", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(at(time).as_deref(), Ok(moment), "{time}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_mend() {
        for (time, detail) in [
            ("\"soon\"", "`time` must be a moment with its offset (RFC 3339)"),
            (
                "\"2026-11-21T14:02:10\"",
                "`time` must be a moment with its offset (RFC 3339)",
            ),
            ("null", "`time` is missing: send when it was"),
            ("1e300", "`time` is beyond the year 9999"),
            ("[]", "invalid type: sequence, expected `time` to be a moment"),
        ] {
            let told = at(time).unwrap_err();
            assert!(told.starts_with(detail), "{told}");
        }
        let cut = Head::read(r#"{"time": 1"#).unwrap_err();
        assert_eq!(cut.code, FaultCode::Malformed);
        assert_eq!(cut.detail, "not JSON at column 10: EOF while parsing an object");
        assert_eq!(Head::read("[1]").unwrap_err().detail, "not a JSON object");
    }

    #[test]
    fn what_was_served_is_found() {
        let found = |fields: &str| {
            let head = Head::read(&format!(r#"{{"time": 1, {fields}}}"#)).unwrap();
            (head.receipt, head.version, head.arm)
        };
        assert_eq!(found(r#""user": "anna""#), (false, false, false));
        assert_eq!(found(r#""arm": null, "version": null"#), (false, false, false));
        assert_eq!(found(r#""version": 3"#), (false, true, false));
        assert_eq!(found(r#""label": "canary""#), (false, false, true));
        assert_eq!(found(r#""arm": "control", "receipt": "x""#), (true, false, true));
    }
}

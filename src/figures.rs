//! Numbers and moments as people read them.

use crate::policy::quantity::show_duration;
use jiff::{SignedDuration, Timestamp};

/// Shown where there is no value.
pub(crate) const NOTHING: &str = "–";

/// From this exponent of ten on numbers are written with one.
const EXPONENT_MAX: i32 = 6;
/// Below this exponent of ten numbers are written with one.
const EXPONENT_MIN: i32 = -4;

/// `value` with this many significant digits.
pub(crate) fn significant(value: f64, digits: u8) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let places = usize::from(digits.saturating_sub(1));
    // Rounding may carry into a new digit, so the exponent is that of the rounded number.
    let scientific = format!("{value:.places$e}");
    let exponent = scientific
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse::<i32>().ok())
        .unwrap_or(0);
    if !(EXPONENT_MIN..EXPONENT_MAX).contains(&exponent) {
        return scientific;
    }
    let decimals = usize::try_from(i32::from(digits) - 1 - exponent).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// [`significant`] without zeros at the end of its decimals, for numbers that people chose.
pub(crate) fn shortest(value: f64, digits: u8) -> String {
    let shown = significant(value, digits);
    if shown.contains('.') && !shown.contains('e') {
        shown.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        shown
    }
}

/// [`significant`] with its sign, zero alone without one.
pub(crate) fn signed(value: f64, digits: u8) -> String {
    let shown = significant(value, digits);
    if value > 0.0 { format!("+{shown}") } else { shown }
}

/// `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A share as a percentage of at most four decimals: `5%`, `0.25%`.
pub(crate) fn percentage(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A time in hours as `90s` would be written: `1m30s`, in whole seconds below an hour, minutes below a day,
/// else hours.
pub(crate) fn hours(hours: f64) -> String {
    let seconds = hours * 3_600.0;
    let grain: f64 = if hours < 1.0 {
        1.0
    } else if hours < 24.0 {
        60.0
    } else {
        3_600.0
    };
    let rounded = (seconds / grain).round() * grain;
    SignedDuration::try_from_secs_f64(rounded).map_or_else(|_| NOTHING.to_owned(), show_duration)
}

/// A moment of the wire to the second; a text that is none stays as it is.
pub(crate) fn moment(text: &str) -> String {
    text.parse::<Timestamp>().map_or_else(
        |_| text.to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// How long before `now` a moment of the wire was.
pub(crate) fn age(text: &str, now: Timestamp) -> Option<SignedDuration> {
    text.parse::<Timestamp>().ok().map(|at| now.duration_since(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_matter_are_shown() {
        let cases = [
            (0.0, "0.00"),
            (0.8123, "0.812"),
            (0.9996, "1.00"),
            (-0.0031, "-0.00310"),
            (12_345.6, "12346"),
            (1_234_567.0, "1.23e6"),
            (0.000_001_234, "1.23e-6"),
            (f64::INFINITY, "–"),
        ];
        for (value, shown) in cases {
            assert_eq!(significant(value, 3), shown);
        }
        assert_eq!(
            [0.05, 0.012_345_6, 10.0, 1e9].map(|value| shortest(value, 4)),
            ["0.05", "0.01235", "10", "1.000e9"]
        );
        assert_eq!(signed(0.5, 2), "+0.50");
        assert_eq!(signed(-0.5, 2), "-0.50");
        assert_eq!(signed(0.0, 2), "0.0");
    }

    #[test]
    fn counts_and_shares_are_readable() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0.0, 0.05, 0.0025, 1.0, 0.333_333].map(percentage),
            ["0%", "5%", "0.25%", "100%", "33.3333%"]
        );
    }

    #[test]
    fn times_are_as_fine_as_they_are_short() {
        assert_eq!(
            [0.0, 0.001, 0.026, 0.5001, 1.5, 23.999, 75.4, 8_766.0].map(hours),
            ["0s", "4s", "1m34s", "30m", "1h30m", "1d", "3d3h", "365d6h"]
        );
        assert_eq!(hours(f64::INFINITY), NOTHING);
    }

    #[test]
    fn moments_are_shown_to_the_second() {
        assert_eq!(moment("2026-11-21T14:02:10.123456Z"), "2026-11-21 14:02:10 UTC");
        assert_eq!(moment("soon"), "soon");
        let now = "2026-11-21T14:02:10Z".parse().unwrap();
        assert_eq!(
            age("2026-11-21T14:01:10Z", now),
            Some(SignedDuration::from_secs(60))
        );
    }
}

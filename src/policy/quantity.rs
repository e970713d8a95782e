//! Numbers with units, as policies write them: `5%`, `0.5pp`, `1h30m`.
//!
//! Each grammar is given as a regular expression, which the JSON Schema shows to editors, and as a
//! parser; a test holds both together.

use jiff::SignedDuration;

/// Grammar of a percentage.
pub const PERCENTAGE_PATTERN: &str = r"^[0-9]{1,3}(\.[0-9]{1,4}0*)?%$";

/// Grammar of a duration in whole seconds.
pub const DURATION_PATTERN: &str = r"^([0-9]{1,9}d([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?|[0-9]{1,9}h([0-9]{1,9}m)?([0-9]{1,9}s)?|[0-9]{1,9}m([0-9]{1,9}s)?|[0-9]{1,9}s)$";

/// Grammar of a number that carries a unit: per cent, percentage points, or time.
pub const QUANTITY_PATTERN: &str = r"^(-?[0-9]{1,9}(\.[0-9]{1,18})?(%|pp)|([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?)$";

/// Most digits before the decimal point, and of each number in a duration.
const WHOLE_DIGITS_MAX: usize = 9;

/// Most decimal places of a quantity.
const FRACTION_DIGITS_MAX: usize = 18;

/// Decimal places of a percentage that is a whole number of parts per million.
const PERCENTAGE_PLACES_MAX: usize = 4;

/// A share that is a whole number of parts per million; it may be above 100%.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u32);

impl Percentage {
    /// Parts per million, 0 to 9,999,999.
    pub fn ppm(self) -> u32 {
        self.0
    }
}

/// Why a text is not a [`Percentage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PercentageFault {
    /// It does not match the grammar.
    Grammar,
    /// It has more than four decimal places.
    TooFine,
}

/// Reads a percentage exactly, without a float in between.
pub fn percentage(text: &str) -> Result<Percentage, PercentageFault> {
    let number = text.strip_suffix('%').ok_or(PercentageFault::Grammar)?;
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if is_digits(fraction) => (whole, fraction.trim_end_matches('0')),
        Some(_) => return Err(PercentageFault::Grammar),
        None => (number, ""),
    };
    if !is_digits(whole) || whole.len() > 3 {
        return Err(PercentageFault::Grammar);
    }
    if fraction.len() > PERCENTAGE_PLACES_MAX {
        return Err(PercentageFault::TooFine);
    }
    let ppm = format!("{whole}{fraction:0<PERCENTAGE_PLACES_MAX$}").parse();
    ppm.map(Percentage).map_err(|_| PercentageFault::Grammar)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Reads a duration: whole numbers with `d`, `h`, `m`, `s` and `ms`, each once, the largest first.
pub fn duration(text: &str) -> Option<SignedDuration> {
    const UNITS: &[(&str, i64)] = &[
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_milliseconds: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        if number.is_empty() || number.len() > WHOLE_DIGITS_MAX {
            return None;
        }
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        let (_, milliseconds) = units.find(|(name, _)| *name == unit)?;
        let part = number.parse::<i64>().ok()?.checked_mul(*milliseconds)?;
        total_milliseconds = total_milliseconds.checked_add(part)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| SignedDuration::from_millis(total_milliseconds))
}

/// Writes a duration of whole seconds as policies do: `1d12h`, `90s` as `1m30s`, nothing as `0s`.
pub fn show_duration(duration: SignedDuration) -> String {
    let mut rest = duration.as_secs().unsigned_abs();
    let mut shown = String::new();
    for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        let (count, left) = (rest / seconds, rest % seconds);
        if count > 0 || (unit == "s" && shown.is_empty()) {
            shown.push_str(&format!("{count}{unit}"));
        }
        rest = left;
    }
    shown
}

/// A number, and the unit that it was written with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// No unit; finite.
    Bare(f64),
    /// Per cent, as a ratio: `10%` is 0.1.
    Percent(f64),
    /// Percentage points, as a ratio: `0.5pp` is 0.005.
    Points(f64),
    /// Time.
    Time(SignedDuration),
}

/// Reads a number that carries a unit.
pub fn quantity(text: &str) -> Option<Quantity> {
    if let Some(number) = text.strip_suffix('%') {
        return hundredth(number).map(Quantity::Percent);
    }
    if let Some(number) = text.strip_suffix("pp") {
        return hundredth(number).map(Quantity::Points);
    }
    duration(text).map(Quantity::Time)
}

/// A hundredth of a plain decimal number, rounded once.
fn hundredth(number: &str) -> Option<f64> {
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let bounded = |digits: &str, max: usize| is_digits(digits) && digits.len() <= max;
    let sound = bounded(whole, WHOLE_DIGITS_MAX)
        && fraction.is_none_or(|digits| bounded(digits, FRACTION_DIGITS_MAX));
    if !sound {
        return None;
    }
    format!("{number}e-2").parse().ok()
}

/// Writes a ratio as a number of hundredths without noise: 0.005 as `0.5`.
pub fn show_hundredths(ratio: f64) -> String {
    let rounded = format!("{:.6}", ratio * 100.0);
    rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Exposure;
    use proptest::prelude::*;

    #[test]
    fn percentages_are_exact() {
        let ppm = |text| percentage(text).map(Percentage::ppm);
        assert_eq!(ppm("5%"), Ok(50_000));
        assert_eq!(ppm("0.0001%"), Ok(1));
        assert_eq!(ppm("0.29%"), Ok(2_900));
        assert_eq!(ppm("100.00000000%"), Ok(1_000_000));
        assert_eq!(ppm("999.9999%"), Ok(9_999_999));
        assert_eq!(ppm("0.00001%"), Err(PercentageFault::TooFine));
        for bad in [
            "", "%", "5", "5 %", ".5%", "5.%", "-5%", "+5%", "1e1%", "1000%", "5%%", "٥%",
        ] {
            assert_eq!(ppm(bad), Err(PercentageFault::Grammar), "{bad}");
        }
    }

    #[test]
    fn durations_have_units_in_order() {
        let seconds = |text| duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("1h30m"), Some(5_400));
        assert_eq!(seconds("7d"), Some(604_800));
        assert_eq!(seconds("0s"), Some(0));
        assert_eq!(duration("1s500ms"), Some(SignedDuration::from_millis(1_500)));
        for bad in [
            "",
            "0",
            "10",
            "30m1h",
            "1h1h",
            "1.5h",
            "30 m",
            "1w",
            "-1s",
            "s",
            "1234567890s",
            "1mins",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn quantities_are_rounded_once() {
        assert_eq!(quantity("0.5pp"), Some(Quantity::Points(0.005)));
        assert_eq!(quantity("10%"), Some(Quantity::Percent(0.1)));
        assert_eq!(quantity("-7%"), Some(Quantity::Percent(-0.07)));
        assert_eq!(
            quantity("800ms"),
            Some(Quantity::Time(SignedDuration::from_millis(800)))
        );
        assert_eq!(quantity("0.02"), None);
        assert_eq!(quantity("1e3%"), None);
        assert_eq!(show_hundredths(0.005), "0.5");
        assert_eq!(show_hundredths(0.29), "29");
    }

    fn matches(pattern: &str, text: &str) -> bool {
        let schema = serde_json::json!({ "pattern": pattern });
        jsonschema::is_valid(&schema, &serde_json::Value::from(text))
    }

    proptest! {
        #[test]
        fn percentages_round_trip(ppm in 0..=1_000_000_u32) {
            let shown = Exposure::from_ppm(ppm).unwrap().to_string();
            prop_assert_eq!(percentage(&shown).map(Percentage::ppm), Ok(ppm));
        }

        #[test]
        fn durations_round_trip(seconds in 0..100_000_000_i64) {
            let given = SignedDuration::from_secs(seconds);
            prop_assert_eq!(duration(&show_duration(given)), Some(given));
        }

        #[test]
        fn the_pattern_of_percentages_is_their_grammar(text in "[0-9]{0,4}(\\.[0-9]{0,6})?%?|.{0,6}") {
            prop_assert_eq!(percentage(&text).is_ok(), matches(PERCENTAGE_PATTERN, &text), "{}", text);
        }

        #[test]
        fn the_pattern_of_durations_is_their_grammar(text in "([0-9]{1,10}(d|h|m|s|ms)){0,4}|.{0,6}") {
            let whole = duration(&text).is_some_and(|d| d.subsec_nanos() == 0 && !text.contains("ms"));
            prop_assert_eq!(whole, matches(DURATION_PATTERN, &text), "{}", text);
        }

        #[test]
        fn the_pattern_of_quantities_is_their_grammar(
            text in "-?[0-9]{1,10}(\\.[0-9]{0,19})?(%|pp)?|([0-9]{1,3}(d|h|m|s|ms)){1,3}|.{1,6}"
        ) {
            prop_assert_eq!(quantity(&text).is_some(), matches(QUANTITY_PATTERN, &text), "{}", text);
        }
    }
}

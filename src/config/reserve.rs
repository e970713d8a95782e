//! `reserve` in the settings file: users who are in treatment of no policy.

use crate::ids::{Exposure, Salt};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Parts per million of one per cent.
const PPM_PER_PERCENT: u32 = 10_000;
/// Most decimal places of a percentage.
const DECIMALS_MAX: usize = 4;

/// Users who are in treatment of no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveSettings {
    /// How many of them: above nobody and below everybody.
    pub share: Exposure,
    /// What draws them; another salt draws others.
    pub salt: Salt,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    share: String,
    salt: String,
}

impl<'de> Deserialize<'de> for ReserveSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { share, salt } = Wire::deserialize(deserializer)?;
        let share = percentage(&share)
            .filter(|share| (Exposure::LEAST..Exposure::EVERYBODY).contains(share))
            .ok_or_else(|| {
                D::Error::custom("`share` must be a percentage above 0% and below 100%, such as `2%`")
            })?;
        let salt = Salt::new(&salt).map_err(|_| D::Error::custom(format!("`salt` {}", Salt::RULE)))?;
        Ok(Self { share, salt })
    }
}

/// Reads `2%` or `0.25%`.
pub(super) fn percentage(text: &str) -> Option<Exposure> {
    let number = text.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS_MAX {
        return None;
    }
    let decimals: u32 = format!("{decimals:0<DECIMALS_MAX$}").parse().ok()?;
    let whole: u32 = whole.parse().ok()?;
    let ppm = whole.checked_mul(PPM_PER_PERCENT)?.checked_add(decimals)?;
    Exposure::from_ppm(ppm).ok()
}

#[cfg(test)]
mod tests {
    use super::percentage;
    use crate::ids::Exposure;

    #[test]
    fn shares_are_percentages_of_whole_parts_per_million() {
        let ppm = |text| percentage(text).map(Exposure::ppm);
        assert_eq!(ppm("2%"), Some(20_000));
        assert_eq!(ppm("0.25%"), Some(2_500));
        assert_eq!(ppm("0.0001%"), Some(1));
        assert_eq!(ppm("100%"), Some(1_000_000));
        for bad in [
            "2",
            "%",
            ".5%",
            "5.%",
            "0.00001%",
            "-2%",
            "2 %",
            "101%",
            "99999999999%",
        ] {
            assert_eq!(percentage(bad), None, "{bad}");
        }
    }
}

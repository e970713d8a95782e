//! The hash schemes, by name.

use super::{Exposure, InvalidId};
use std::fmt;
use std::str::FromStr;

/// A way to place users on the hash line; `assignment` has one file for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Keyed SipHash-2-4, Serin's own.
    Serin,
    /// GrowthBook's `hashVersion: 1`.
    GrowthBookV1,
    /// GrowthBook's `hashVersion: 2`.
    GrowthBookV2,
    /// Variants of an Unleash strategy.
    Unleash,
    /// LaunchDarkly's percentage rollouts and experiments.
    LaunchDarkly,
    /// `fractional` of flagd, second generation.
    FlagdV2,
    /// `fractional` of flagd, third generation.
    FlagdV3,
    /// Shards of Eppo.
    Eppo,
    /// Traffic allocation of Optimizely.
    Optimizely,
    /// Pass percentage of Statsig.
    Statsig,
}

impl Scheme {
    /// Every scheme, Serin's own first.
    pub const ALL: [Self; 10] = [
        Self::Serin,
        Self::GrowthBookV1,
        Self::GrowthBookV2,
        Self::Unleash,
        Self::LaunchDarkly,
        Self::FlagdV2,
        Self::FlagdV3,
        Self::Eppo,
        Self::Optimizely,
        Self::Statsig,
    ];

    /// The name in policies and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serin => "serin",
            Self::GrowthBookV1 => "growthbook-v1",
            Self::GrowthBookV2 => "growthbook-v2",
            Self::Unleash => "unleash",
            Self::LaunchDarkly => "launchdarkly",
            Self::FlagdV2 => "flagd-v2",
            Self::FlagdV3 => "flagd-v3",
            Self::Eppo => "eppo",
            Self::Optimizely => "optimizely",
            Self::Statsig => "statsig",
        }
    }

    /// Into how many equal cells the scheme cuts the hash line; a share is a whole number of them.
    ///
    /// Serin's own line has 2⁶⁴, and flagd's weights any number up to 2³¹ − 1: a million is enough for
    /// both, because exposures are in parts per million. The others' numbers are fixed by their
    /// protocols.
    pub const fn cells(self) -> u32 {
        match self {
            Self::Serin | Self::FlagdV2 | Self::FlagdV3 => 1_000_000,
            Self::LaunchDarkly => 100_000,
            Self::GrowthBookV2 | Self::Eppo | Self::Optimizely | Self::Statsig => 10_000,
            Self::GrowthBookV1 | Self::Unleash => 1_000,
        }
    }

    /// How many cells `share` takes: the least number that is not less than the share.
    ///
    /// Statsig multiplies a percentage in floating point by 100, and 1.1 times 100 is a little more than
    /// 110: its SDKs then let the 111th cell pass, too, and so does this.
    pub fn cells_of(self, share: Exposure) -> u32 {
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is from 0 to 10,000"
            )]
            Self::Statsig => (f64::from(share.ppm()) / 10_000.0 * 100.0).ceil() as u32,
            Self::Serin
            | Self::GrowthBookV1
            | Self::GrowthBookV2
            | Self::Unleash
            | Self::LaunchDarkly
            | Self::FlagdV2
            | Self::FlagdV3
            | Self::Eppo
            | Self::Optimizely => share.ppm().div_ceil(self.cell_ppm()),
        }
    }

    const fn cell_ppm(self) -> u32 {
        Exposure::EVERYBODY.ppm() / self.cells()
    }

    /// The share that users get where a policy says `share`: a whole number of cells.
    ///
    /// Rounded up, so that a share above 0% is never nobody, and a larger one never less.
    #[must_use]
    pub fn resolve(self, share: Exposure) -> Exposure {
        Exposure(self.cells_of(share) * self.cell_ppm())
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = InvalidId;

    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let found = Self::ALL.into_iter().find(|scheme| scheme.as_str() == value);
        found.ok_or_else(|| {
            let rule = "must be `serin`, `growthbook-v1`, `growthbook-v2`, `unleash`, `launchdarkly`, \
                        `flagd-v2`, `flagd-v3`, `eppo`, `optimizely` or `statsig`";
            InvalidId::new("hash scheme", value, rule)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.as_str().parse(), Ok(scheme));
        }
        let refused = "growthbook".parse::<Scheme>().unwrap_err();
        for scheme in Scheme::ALL {
            assert!(refused.rule().contains(&format!("`{scheme}`")), "{scheme}");
        }
    }

    #[test]
    fn shares_are_rounded_up_to_whole_cells() {
        let resolved = |scheme: Scheme, ppm| scheme.resolve(Exposure(ppm)).ppm();
        for scheme in Scheme::ALL {
            assert_eq!(1_000_000 % scheme.cells(), 0, "{scheme}");
            assert_eq!(resolved(scheme, 0), 0);
            assert_eq!(resolved(scheme, 1_000_000), 1_000_000);
            assert_eq!(resolved(scheme, 1), 1_000_000 / scheme.cells());
            assert_eq!(resolved(scheme, 50_000), 50_000);
        }
        assert_eq!(resolved(Scheme::Unleash, 12_345), 13_000);
        assert_eq!(resolved(Scheme::GrowthBookV2, 12_345), 12_400);
        assert_eq!(resolved(Scheme::LaunchDarkly, 12_345), 12_350);
        assert_eq!(resolved(Scheme::FlagdV3, 12_345), 12_345);
        assert_eq!(resolved(Scheme::Statsig, 11_000), 11_100);
    }
}

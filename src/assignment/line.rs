//! Where users of a rollout lie on its hash line, by the scheme of its policy.
//!
//! Every scheme but Serin's own cuts the line into equal cells, hashes a text in the open, and takes
//! users in from the lowest cell on. The text is made of the user key and one other text, the salt:
//!
//! | scheme | what is hashed | the salt is | cells |
//! |---|---|---|---|
//! | `serin` | the user, under a secret key | what the key is derived from | 2⁶⁴ |
//! | `growthbook-v1` | user, salt | the rule's `seed`, by default the feature's or experiment's key | 1,000 |
//! | `growthbook-v2` | salt, user | likewise | 10,000 |
//! | `unleash` | `{salt}:{user}` | the strategy's `groupId`, by default the flag's name | 1,000 |
//! | `launchdarkly` | `{salt}.{user}` | `{flag key}.{salt}`, or the rollout's `seed` | 100,000 |
//! | `flagd-v2` | `{salt}{user}` | the flag's key, or the text before the user | any |
//! | `flagd-v3` | CBOR of `{salt}{user}`, or of `[salt, user]` | likewise; see below | any |
//! | `eppo` | `{salt}-{user}` | the salt of the split's shards | 10,000 |
//! | `optimizely` | `{user}{salt}` | the experiment's id | 10,000 |
//! | `statsig` | `{salt}.{user}` | `{gate salt}.{rule salt}` | 10,000 |
//!
//! A policy that declares no salt has `{policy}/{candidate}`, so that each candidate draws other users.
//! With `flagd-v3`, a declared salt that is the policy's own name stands for a rule that names no value:
//! flagd then hashes the pair of the flag's key, which is the policy's name, and the user. Any other one
//! stands before the user in one text, as `{"cat": […]}` puts it.
//!
//! Without a secret, whoever knows the salt can pick a user key into treatment. That is the price of
//! sharing buckets with another system; `serin` does not pay it.

use super::bucket::{Bucket, Purpose, SECRET_BYTES, SplitKey, SplitSalt};
use super::growthbook::HashVersion;
use super::{eppo, flagd, launchdarkly, optimizely, statsig, unleash};
use crate::ids::{PolicyName, Scheme, UserKey};
use std::sync::Arc;

/// The hash line of one rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Keyed.
    Serin(SplitKey),
    /// With its seed.
    GrowthBook(HashVersion, Arc<str>),
    /// With its group.
    Unleash(Arc<str>),
    /// With what stands before the user.
    LaunchDarkly(Arc<str>),
    /// With what stands before the user.
    FlagdV2(Arc<str>),
    /// With what is hashed besides the user.
    FlagdV3(flagd::Message),
    /// With its salt.
    Eppo(Arc<str>),
    /// With its parent.
    Optimizely(Arc<str>),
    /// With what stands before the user.
    Statsig(Arc<str>),
}

impl Line {
    /// The line of `scheme` for a rollout of `policy` with `salt`, on a server with this secret.
    pub fn new(
        scheme: Scheme,
        policy: &PolicyName,
        salt: &SplitSalt<'_>,
        secret: &[u8; SECRET_BYTES],
    ) -> Self {
        Self::open(scheme, Some(policy), salt)
            .unwrap_or_else(|| Self::Serin(SplitKey::derive(secret, Purpose::Split, salt)))
    }

    /// The line of `scheme` for whoever has no secret; none for Serin's own. Without a policy, a salt of
    /// `flagd-v3` always stands before the user.
    pub fn open(scheme: Scheme, policy: Option<&PolicyName>, salt: &SplitSalt<'_>) -> Option<Self> {
        let text: Arc<str> = match salt {
            SplitSalt::Declared(salt) => salt.as_str().into(),
            SplitSalt::Candidate { policy, candidate } => format!("{policy}/{candidate}").into(),
        };
        Some(match scheme {
            Scheme::Serin => return None,
            Scheme::GrowthBookV1 => Self::GrowthBook(HashVersion::V1, text),
            Scheme::GrowthBookV2 => Self::GrowthBook(HashVersion::V2, text),
            Scheme::Unleash => Self::Unleash(text),
            Scheme::LaunchDarkly => Self::LaunchDarkly(text),
            Scheme::FlagdV2 => Self::FlagdV2(text),
            Scheme::FlagdV3 if policy.is_some_and(|policy| *policy.as_str() == *text) => {
                Self::FlagdV3(flagd::Message::Pair(text))
            }
            Scheme::FlagdV3 => Self::FlagdV3(flagd::Message::Text(text)),
            Scheme::Eppo => Self::Eppo(text),
            Scheme::Optimizely => Self::Optimizely(text),
            Scheme::Statsig => Self::Statsig(text),
        })
    }

    /// Where `user` lies.
    #[inline]
    pub fn bucket(&self, user: UserKey<'_>) -> Bucket {
        match self {
            Self::Serin(key) => key.bucket(user),
            Self::GrowthBook(version, seed) => version.bucket(seed, user.as_str()),
            Self::Unleash(group) => unleash::bucket(group, user.as_str()),
            Self::LaunchDarkly(prefix) => launchdarkly::bucket(prefix, user.as_str()),
            Self::FlagdV2(prefix) => flagd::bucket_v2(prefix, user.as_str()),
            Self::FlagdV3(message) => message.bucket(user.as_str()),
            Self::Eppo(salt) => eppo::bucket(salt, user.as_str()),
            Self::Optimizely(parent) => optimizely::bucket(parent, user.as_str()),
            Self::Statsig(prefix) => statsig::bucket(prefix, user.as_str()),
        }
    }

    /// Its scheme.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Serin(_) => Scheme::Serin,
            Self::GrowthBook(HashVersion::V1, _) => Scheme::GrowthBookV1,
            Self::GrowthBook(HashVersion::V2, _) => Scheme::GrowthBookV2,
            Self::Unleash(_) => Scheme::Unleash,
            Self::LaunchDarkly(_) => Scheme::LaunchDarkly,
            Self::FlagdV2(_) => Scheme::FlagdV2,
            Self::FlagdV3(_) => Scheme::FlagdV3,
            Self::Eppo(_) => Scheme::Eppo,
            Self::Optimizely(_) => Scheme::Optimizely,
            Self::Statsig(_) => Scheme::Statsig,
        }
    }

    /// The key of Serin's own scheme; the others have a salt in the open.
    pub fn split_key(&self) -> Option<SplitKey> {
        match self {
            Self::Serin(key) => Some(*key),
            Self::GrowthBook(..)
            | Self::Unleash(_)
            | Self::LaunchDarkly(_)
            | Self::FlagdV2(_)
            | Self::FlagdV3(_)
            | Self::Eppo(_)
            | Self::Optimizely(_)
            | Self::Statsig(_) => None,
        }
    }

    /// The salt in the open, for protocols that publish it; Serin's own scheme has none.
    pub fn open_salt(&self) -> Option<&str> {
        match self {
            Self::Serin(_) => None,
            Self::GrowthBook(_, salt)
            | Self::Unleash(salt)
            | Self::LaunchDarkly(salt)
            | Self::FlagdV2(salt)
            | Self::Eppo(salt)
            | Self::Optimizely(salt)
            | Self::Statsig(salt) => Some(salt),
            Self::FlagdV3(message) => Some(message.prefix()),
        }
    }
}

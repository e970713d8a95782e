//! The names and numbers that everything else is made of: newtypes with checked constructors.
//!
//! A value of one of these types is valid by construction. None of them is `Serialize`: each
//! boundary (policy file, store, HTTP) has wire types of its own and converts by hand.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

mod scheme;
mod tick;

pub use scheme::Scheme;
pub use tick::Tick;

/// A value that a checked constructor refused: what it was to be, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a {what}: {rule}")]
pub struct InvalidId {
    what: &'static str,
    value: String,
    rule: &'static str,
}

/// Longest part of a refused value that an [`InvalidId`] repeats, in characters.
const REFUSED_VALUE_SHOWN_CHARS_MAX: usize = 64;

impl InvalidId {
    fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        let value = value.chars().take(REFUSED_VALUE_SHOWN_CHARS_MAX).collect();
        Self { what, value, rule }
    }

    /// The rule that the value breaks, as a sentence part ("must be …").
    pub fn rule(&self) -> &'static str {
        self.rule
    }
}

/// Declares a name: a cheaply cloned immutable string that satisfies a rule.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The rule that every value satisfies.
            pub const RULE: &'static str = $rule;

            /// Checks `value` against [`Self::RULE`].
            pub fn new(value: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(value) {
                    Ok(Self(value.into()))
                } else {
                    Err(InvalidId::new($what, value, $rule))
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Equality, order and hash are those of the text, so that maps are searched by `&str`.
        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

name!(
    /// Name of a policy: a DNS label (RFC 1123 section 2.1), because it stands in URLs and telemetry.
    PolicyName, "policy name",
    "must be 1 to 63 of `a`-`z`, `0`-`9` and `-`, with a letter or digit at both ends",
    |v| is_dns_label(v)
);
name!(
    /// Name of a group of policies, of which a user is in treatment of one at most.
    GroupName, "group name",
    "must be 1 to 63 of `a`-`z`, `0`-`9` and `-`, with a letter or digit at both ends",
    |v| is_dns_label(v)
);
name!(
    /// Name of a registry in the server's settings; `embedded` is Serin's own.
    RegistryName, "registry name",
    "must be 1 to 63 of `a`-`z`, `0`-`9` and `-`, with a letter or digit at both ends",
    |v| is_dns_label(v)
);
mod cache;

pub use cache::{CacheName, KeyPattern};

name!(
    /// Name of a secret in the server's settings, by which policies ask for it.
    SecretName, "name of a secret",
    "must be 1 to 63 of `a`-`z`, `0`-`9` and `-`, with a letter or digit at both ends",
    |v| is_dns_label(v)
);
name!(
    /// Name of a prompt; `/` makes folders, as in Langfuse.
    PromptName, "prompt name",
    "must be 1 to 255 characters without `|`, control characters or spaces at the ends",
    |v| (1..=255).contains(&v.chars().count())
        && v.trim() == v
        && !v.chars().any(|c| c == '|' || c.is_control())
);
name!(
    /// Movable name that clients fetch a prompt by.
    Label, "label",
    "must be 1 to 36 of `a`-`z`, `0`-`9`, `_`, `-` and `.`",
    |v| (1..=36).contains(&v.len())
        && v.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'))
);
name!(
    /// Name of a metric, as policies declare and observations send it.
    MetricName, "metric name",
    "must be 1 to 64 of letters, digits, `_`, `-` and `.`, with a letter or digit first",
    |v| (1..=64).contains(&v.len())
        && v.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && v.as_bytes()[0].is_ascii_alphanumeric()
);
name!(
    /// Text that seeds a hash, so that two rollouts draw independent users.
    Salt, "salt", "must be 1 to 128 bytes of UTF-8 without control characters",
    |v| (1..=128).contains(&v.len()) && !v.chars().any(char::is_control)
);
name!(
    /// Who did something: a token's name, `serin` itself, or `local:NAME` on an open loopback server.
    Actor, "actor", "must be 1 to 128 characters without control characters",
    |v| (1..=128).contains(&v.chars().count()) && !v.chars().any(char::is_control)
);
name!(
    /// Why somebody did something, in their words.
    Justification, "reason", "must be 1 to 500 characters without control characters other than line breaks",
    |v| (1..=Justification::CHARS_MAX).contains(&v.chars().count())
        && !v.trim().is_empty()
        && !v.chars().any(|c| c.is_control() && c != '\n' && c != '\t')
);

fn is_dns_label(value: &str) -> bool {
    let bytes = value.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}

impl RegistryName {
    /// The name of Serin's own registry.
    pub const EMBEDDED: &'static str = "embedded";

    /// The name of Serin's own registry.
    pub fn embedded() -> Self {
        Self(Self::EMBEDDED.into())
    }
}

impl Justification {
    /// Most characters of a reason.
    pub const CHARS_MAX: usize = 500;

    /// A sentence of Serin's own, cut to what a reason may hold.
    pub fn of_serin(sentence: &str) -> Self {
        let clean = sentence.chars().filter(|c| !c.is_control());
        Self(clean.take(Self::CHARS_MAX).collect::<String>().into())
    }
}

impl Actor {
    /// Serin itself.
    pub fn serin() -> Self {
        Self("serin".into())
    }
}

/// Whoever is hashed: any stable pseudonymous key. Borrowed, because it is hashed and dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserKey<'a>(&'a str);

impl<'a> UserKey<'a> {
    /// Longest key, in bytes of UTF-8.
    pub const BYTES_MAX: usize = 256;

    /// Refuses an empty key and one of more than [`Self::BYTES_MAX`] bytes.
    pub fn new(value: &'a str) -> Result<Self, InvalidId> {
        if (1..=Self::BYTES_MAX).contains(&value.len()) {
            Ok(Self(value))
        } else {
            // The value itself is not repeated: user keys are never logged.
            Err(InvalidId::new("user key", "…", "must be 1 to 256 bytes of UTF-8"))
        }
    }

    /// The key's bytes, for a hash.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for UserKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey(…)")
    }
}

/// One immutable text of a prompt, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Version(u32);

impl Version {
    /// The first version of every prompt.
    pub const FIRST: Self = Self(1);

    /// Refuses 0, which SDKs use for "a fallback, not from the registry".
    pub fn new(value: u32) -> Result<Self, InvalidId> {
        if value == 0 {
            return Err(InvalidId::new("version", "0", "must be a whole number from 1"));
        }
        Ok(Self(value))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Share of users in treatment, in parts per million.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Exposure(u32);

impl Exposure {
    /// Nobody.
    pub const NOBODY: Self = Self(0);
    /// The least share above nobody: one part per million.
    pub const LEAST: Self = Self(1);
    /// Everybody.
    pub const EVERYBODY: Self = Self(1_000_000);

    /// Refuses more than a million parts.
    pub fn from_ppm(ppm: u32) -> Result<Self, InvalidId> {
        if ppm > Self::EVERYBODY.0 {
            return Err(InvalidId::new(
                "exposure",
                &ppm.to_string(),
                "must be 0 to 1,000,000 parts per million",
            ));
        }
        Ok(Self(ppm))
    }

    /// Parts per million, 0 to 1,000,000.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// The share as a ratio from 0 to 1, for display and telemetry only.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// What is left to the others.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(Self::EVERYBODY.0 - self.0)
    }
}

impl fmt::Display for Exposure {
    /// A percentage without trailing zeros: `5%`, `0.25%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            write!(f, "{whole}%")
        } else {
            let digits = format!("{rest:04}");
            write!(f, "{whole}.{}%", digits.trim_end_matches('0'))
        }
    }
}

/// One run of a policy; written `r17`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RolloutId(u64);

impl RolloutId {
    /// Wraps the store's number, which counts from 1.
    pub fn new(value: u64) -> Self {
        Self(value)
    }

    /// The store's number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl FromStr for RolloutId {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        value
            .strip_prefix('r')
            .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|number| (1..=i64::MAX as u64).contains(number))
            .map(Self)
            .ok_or_else(|| InvalidId::new("rollout", value, "must be `r` and a number, such as `r17`"))
    }
}

/// Fence of a rollout: grows by one with each transition, and travels with every effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Generation(u64);

impl Generation {
    /// Before the first transition.
    pub const ZERO: Self = Self(0);

    /// Wraps a stored number.
    pub fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The generation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Fingerprint of a policy file: SHA-256 of its text, of which 16 hexadecimal digits are shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision([u8; 32]);

impl Revision {
    /// The fingerprint of `text`.
    pub fn of(text: &str) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(text.as_bytes()).into())
    }

    /// All 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Revision {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({self})")
    }
}

/// The bucket of users that the cluster-robust variance sums over; 0 to 127.
///
/// It is drawn with a key of its own, independent of the arm's bucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cluster(u8);

impl Cluster {
    /// How many clusters users are spread over (STATISTICS: G = 128).
    pub const COUNT: usize = 128;

    /// Takes the seven highest bits of a hash.
    pub fn from_hash(hash: u64) -> Self {
        Self((hash >> 57) as u8)
    }

    /// Refuses numbers from 128.
    pub fn new(value: u8) -> Option<Self> {
        (usize::from(value) < Self::COUNT).then_some(Self(value))
    }

    /// The number, below [`Self::COUNT`].
    pub fn get(self) -> u8 {
        self.0
    }
}

/// A user's keyed hash in one rollout: it tells users apart, and nobody comes back from it to the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserHash(pub u64);

/// Group of users.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Arm {
    /// Gets the stable version.
    Control,
    /// Gets the candidate version.
    Treatment,
}

impl Arm {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Treatment => "treatment",
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Arm {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        match value {
            "control" => Ok(Self::Control),
            "treatment" => Ok(Self::Treatment),
            _ => Err(InvalidId::new("arm", value, "must be `control` or `treatment`")),
        }
    }
}

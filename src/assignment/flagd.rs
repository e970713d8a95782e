//! The schemes `flagd-v2` and `flagd-v3`: the second and third generation of flagd's `fractional`.
//!
//! Source: flagd's "Fractional operation" and its decision records "High-precision fractional bucketing"
//! and "Fractional bucketing over CBOR" (Apache-2.0), and `fractional.feature` of its test bed. In short:
//!
//! 1. The sum `W` of the weights is at most 2³¹ − 1; negative weights count as 0. A sum of 0 has no
//!    variant, and neither has an empty or missing key: the flag's default is served.
//! 2. `bucket = murmur3_x86_32(message, 0) · W / 2³²`, rounded down; the first variant whose cumulative
//!    weight is above it is chosen.
//! 3. The message of v2 is the UTF-8 of `{flag key}{targeting key}`, or of the text that the rule names.
//! 4. That of v3 is CBOR (RFC 8949, core deterministic encoding) of the array `[flag key, targeting
//!    key]`, or of the value that the rule names.
//!
//! The generations live side by side, so one flag puts its users into different buckets in different
//! languages: flagd-core 4.0.1 for JavaScript and the Go mirror 0.16.1 are v2, flagd-core 2.0.0 for Python
//! and the evaluation engine 0.1.0 for Rust v3. The one for JavaScript also differs beyond ASCII, where it
//! hashes no UTF-8. The first generation, with floating-point percentages, is not offered.

use super::bucket::Bucket;
use super::murmur3::Murmur3;
use crate::ids::Scheme;
use std::sync::Arc;

/// Largest sum of weights.
pub const WEIGHT_SUM_MAX: i64 = i32::MAX as i64;

/// What is hashed of a user in the third generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The array of a flag's key and the user: a rule that names no value of its own.
    Pair(Arc<str>),
    /// One text, this prefix with the user behind it: `{"cat": [prefix, {"var": "targetingKey"}]}`.
    Text(Arc<str>),
}

impl Message {
    /// The hash of the message for `user`.
    pub fn hash(&self, user: &str) -> u32 {
        match self {
            Self::Pair(flag) => hash_of_pair(flag, user),
            Self::Text(prefix) => {
                let head = Head::new(Major::Text, prefix.len() + user.len());
                Murmur3::new(0)
                    .with(head.bytes())
                    .with(prefix.as_bytes())
                    .with(user.as_bytes())
                    .finish()
            }
        }
    }

    /// What stands before the user.
    pub fn prefix(&self) -> &Arc<str> {
        match self {
            Self::Pair(prefix) | Self::Text(prefix) => prefix,
        }
    }

    /// Where `user` lies on Serin's line.
    pub(super) fn bucket(&self, user: &str) -> Bucket {
        bucket_of(self.hash(user))
    }
}

/// The hash of v2: the UTF-8 of `prefix` and `user`, one behind the other.
pub fn hash_of_text(prefix: &str, user: &str) -> u32 {
    Murmur3::new(0)
        .with(prefix.as_bytes())
        .with(user.as_bytes())
        .finish()
}

/// The hash of v3: CBOR of `[flag, user]`.
pub fn hash_of_pair(flag: &str, user: &str) -> u32 {
    let [flag_head, user_head] = [flag, user].map(|text| Head::new(Major::Text, text.len()));
    Murmur3::new(0)
        .with(Head::new(Major::Array, 2).bytes())
        .with(flag_head.bytes())
        .with(flag.as_bytes())
        .with(user_head.bytes())
        .with(user.as_bytes())
        .finish()
}

/// The index of the variant for `hash`; none where the weights are of no use.
pub fn variant(hash: u32, weights: &[i64]) -> Option<usize> {
    let total: i64 = weights
        .iter()
        .try_fold(0_i64, |sum, &weight| sum.checked_add(weight.max(0)))?;
    if !(1..=WEIGHT_SUM_MAX).contains(&total) {
        return None;
    }
    // Below 2³² · 2³¹, which 64 bits with a sign hold.
    let bucket = (i64::from(hash) * total) >> u32::BITS;
    let mut end = 0;
    weights.iter().position(|&weight| {
        end += weight.max(0);
        bucket < end
    })
}

/// Where a user lies on Serin's line by v2.
pub(super) fn bucket_v2(prefix: &str, user: &str) -> Bucket {
    bucket_of(hash_of_text(prefix, user))
}

/// The comparison of step 2 does not depend on `W`, so that the whole hash is the bucket's upper half.
fn bucket_of(hash: u32) -> Bucket {
    const CELLS: u64 = Scheme::FlagdV2.cells() as u64;
    let cell = ((u64::from(hash) * CELLS) >> u32::BITS) as u32;
    Bucket::of_cell(cell, Scheme::FlagdV2.cells())
}

/// The kinds of CBOR items that are needed (RFC 8949, section 3.1).
#[derive(Debug, Clone, Copy)]
enum Major {
    Text = 3,
    Array = 4,
}

/// The head of a CBOR item in its shortest form (RFC 8949, section 4.2.1).
struct Head {
    bytes: [u8; 9],
    length: usize,
}

impl Head {
    fn new(major: Major, count: usize) -> Self {
        let count = count as u64;
        let size: u8 = match count {
            0..24 => 0,
            24..0x100 => 1,
            0x100..0x1_0000 => 2,
            0x1_0000..0x1_0000_0000 => 4,
            0x1_0000_0000.. => 8,
        };
        let additional = match size {
            0 => count.to_be_bytes()[7],
            1 => 24,
            2 => 25,
            4 => 26,
            _ => 27,
        };
        let mut bytes = [0; 9];
        bytes[0] = (major as u8) << 5 | additional;
        let length = usize::from(size);
        bytes[1..=length].copy_from_slice(&count.to_be_bytes()[8 - length..]);
        Self {
            bytes,
            length: 1 + length,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_those_of_the_appendix() {
        // RFC 8949, appendix A, and its neighbours at the edges of the sizes.
        for (major, count, expected) in [
            (Major::Text, 0, &[0x60][..]),
            (Major::Text, 4, &[0x64]),
            (Major::Text, 23, &[0x77]),
            (Major::Text, 24, &[0x78, 24]),
            (Major::Text, 255, &[0x78, 0xff]),
            (Major::Text, 256, &[0x79, 1, 0]),
            (Major::Text, 65_535, &[0x79, 0xff, 0xff]),
            (Major::Text, 65_536, &[0x7a, 0, 1, 0, 0]),
            (Major::Text, 1 << 32, &[0x7b, 0, 0, 0, 1, 0, 0, 0, 0]),
            (Major::Array, 2, &[0x82]),
        ] {
            assert_eq!(Head::new(major, count).bytes(), expected, "{major:?} of {count}");
        }
    }

    #[test]
    fn weights_of_no_use_have_no_variant() {
        assert_eq!(variant(7, &[]), None);
        assert_eq!(variant(7, &[0, 0]), None);
        assert_eq!(variant(7, &[WEIGHT_SUM_MAX, 1]), None);
        assert_eq!(variant(7, &[i64::MAX, i64::MAX]), None);
        assert_eq!(variant(u32::MAX, &[-5, WEIGHT_SUM_MAX]), Some(1));
    }
}

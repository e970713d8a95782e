//! Where a user lies on the hash line: the scheme `serin`, version 1.
//!
//! This is the specification; any language can implement it, and `tests/conformance/assignment`
//! has vectors (`serin.json`) and a second implementation (`generate.py`).
//!
//! 1. **Salt.** A list of byte strings. By default two: the policy's name, and the candidate version
//!    in decimal ASCII without sign or leading zeros. A salt that the policy declares replaces that
//!    pair by one: its UTF-8.
//! 2. **Key.** `message = part(purpose) ‖ part(salt₁) ‖ …`, where `part(s)` is the length of `s` in
//!    bytes as 64-bit little-endian integer, followed by `s`. The purpose is the ASCII text
//!    `serin/v1/split` for the arm, `serin/v1/cluster` for the cluster, and `serin/v1/segment` for the
//!    share of users that a rollout is for, whose salt is the one that the policy declares for it, else
//!    the policy's name; likewise `serin/v1/group`, whose salt is the group's name, and
//!    `serin/v1/reserve`, whose salt is in the server's settings. The key is the first 16
//!    bytes of HMAC-SHA-256(secret, message), secret being the server's 32 bytes.
//! 3. **Bucket.** `SipHash-2-4(key, user)`, where `user` is the key's UTF-8 as it came: no case
//!    folding, no Unicode normalisation, no trimming. The output is read as 64-bit integer.
//! 4. **Threshold.** `threshold(x) = ⌊x · 2⁶⁴ / 10⁶⌋` for a share of `x` parts per million, in integers
//!    of at least 84 bits. 0 is nobody, 1,000,000 is everybody.
//! 5. **Arm.** Treatment iff `bucket < threshold(min(exposure, 10⁶ − holdback))`. Users with
//!    `bucket ≥ threshold(10⁶ − holdback)` are the holdback.
//! 6. **Cluster.** The seven highest bits of SipHash-2-4 under the cluster's key. All 64 bits tell users
//!    apart where each is to count once.
//!
//! One threshold, so treatment only grows while exposure grows. The length prefixes keep different
//! lists apart; the purposes make split, cluster and receipt independent of each other. Without the
//! secret, nobody can pick a user key into treatment.

use super::siphash::siphash_2_4;
use crate::ids::{Cluster, Exposure, PolicyName, Salt, UserHash, UserKey, Version};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Bytes of the server's secret, from which every key is derived.
pub const SECRET_BYTES: usize = 32;

/// Block size of SHA-256, to which HMAC pads its key (RFC 2104 section 2), in bytes.
const HMAC_BLOCK_BYTES: usize = 64;

/// What a key is for; keys of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Places users on the hash line.
    Split,
    /// Spreads users over clusters.
    Cluster,
    /// Draws the users of a segment.
    Segment,
    /// Shares the users of a group out among its policies.
    Group,
    /// Draws the users who are never in treatment of any policy.
    Reserve,
    /// Signs receipts.
    Receipt,
}

impl Purpose {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Split => b"serin/v1/split",
            Self::Cluster => b"serin/v1/cluster",
            Self::Segment => b"serin/v1/segment",
            Self::Group => b"serin/v1/group",
            Self::Reserve => b"serin/v1/reserve",
            Self::Receipt => b"serin/v1/receipt",
        }
    }
}

/// What makes two rollouts draw independent users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitSalt<'a> {
    /// The default: a retry of the same candidate keeps its users, the next one draws others.
    Candidate {
        /// The policy.
        policy: &'a PolicyName,
        /// The version on trial.
        candidate: Version,
    },
    /// Declared by the policy: every candidate gets the same users first.
    Declared(&'a Salt),
}

impl<'a> SplitSalt<'a> {
    /// The declared salt where there is one, else the policy's name and the candidate version.
    pub fn of(declared: Option<&'a Salt>, policy: &'a PolicyName, candidate: Version) -> Self {
        declared.map_or(Self::Candidate { policy, candidate }, Self::Declared)
    }
}

/// A 128-bit SipHash key, derived from the server's secret and a salt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SplitKey([u64; 2]);

impl std::fmt::Debug for SplitKey {
    /// Keys are secret: with one, a user could pick a key into treatment.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SplitKey(…)")
    }
}

impl SplitKey {
    /// Bytes of a key.
    pub const BYTES: usize = 16;

    /// The key for `purpose` under `salt` (step 2).
    pub fn derive(secret: &[u8; SECRET_BYTES], purpose: Purpose, salt: &SplitSalt<'_>) -> Self {
        Self(match salt {
            SplitSalt::Candidate { policy, candidate } => {
                let version = candidate.to_string();
                derive_key(secret, purpose, &[policy.as_str().as_bytes(), version.as_bytes()])
            }
            SplitSalt::Declared(salt) => derive_key(secret, purpose, &[salt.as_str().as_bytes()]),
        })
    }

    /// The key as the 16 bytes that step 2 makes; for route tables alone.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let [low, high] = self.0.map(u64::to_le_bytes);
        std::array::from_fn(|at| if at < 8 { low[at] } else { high[at - 8] })
    }

    /// The key that was given out as these bytes.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        Self(std::array::from_fn(|at| u64::from_le_bytes(words[at])))
    }

    /// The key for `purpose` under a salt that is no rollout's.
    pub fn of_text(secret: &[u8; SECRET_BYTES], purpose: Purpose, salt: &str) -> Self {
        Self(derive_key(secret, purpose, &[salt.as_bytes()]))
    }

    /// Where `user` lies on the hash line (step 3).
    #[inline]
    pub fn bucket(&self, user: UserKey<'_>) -> Bucket {
        Bucket(siphash_2_4(self.0, user.as_str().as_bytes()))
    }

    /// What tells `user` apart from others in the sample ratio; for keys of [`Purpose::Cluster`].
    #[inline]
    pub fn user_hash(&self, user: UserKey<'_>) -> UserHash {
        UserHash(siphash_2_4(self.0, user.as_str().as_bytes()))
    }

    /// The cluster that `user` falls into (step 6); for keys of [`Purpose::Cluster`].
    #[inline]
    pub fn cluster(&self, user: UserKey<'_>) -> Cluster {
        Cluster::from_hash(self.user_hash(user).0)
    }
}

/// HMAC-SHA-256 of the length-prefixed parts, cut to 128 bits (step 2).
pub(super) fn derive_key(secret: &[u8; SECRET_BYTES], purpose: Purpose, salt: &[&[u8]]) -> [u64; 2] {
    // A key shorter than a block is padded with zeros; doing it here leaves nothing that can fail.
    let mut block = [0; HMAC_BLOCK_BYTES];
    block[..SECRET_BYTES].copy_from_slice(secret);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in std::iter::once(purpose.as_bytes()).chain(salt.iter().copied()) {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let [k0, k1, ..] = words(&digest);
    [k0, k1]
}

fn words(digest: &[u8; 32]) -> [u64; 4] {
    let (words, _) = digest.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(words[at]))
}

/// Position of a user on the hash line, 0 to 2⁶⁴ − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u64);

impl Bucket {
    /// Wraps a hash.
    pub fn new(hash: u64) -> Self {
        Self(hash)
    }

    /// The first position of the cell `index`, where the line is cut into `cells` equal ones, from 0.
    ///
    /// It is below every share of more than `index` cells and no other, so that a scheme that counts
    /// cells shares the comparison with the one that does not. The cell after the last one is below
    /// [`Exposure::EVERYBODY`] alone.
    pub fn of_cell(index: u32, cells: u32) -> Self {
        let position = (u128::from(index) << u64::BITS).div_ceil(u128::from(cells.max(1)));
        Self(u64::try_from(position).unwrap_or(u64::MAX))
    }

    /// The position.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Whether it lies below `threshold(share)`.
    ///
    /// For integers `b < ⌊x⌋` is `b + 1 ≤ x`, so one multiplication does without the division.
    #[inline]
    pub fn is_below(self, share: Exposure) -> bool {
        let scaled = (u128::from(self.0) + 1) * u128::from(Exposure::EVERYBODY.ppm());
        scaled <= u128::from(share.ppm()) << u64::BITS
    }
}

/// The least bucket outside of `share`: `⌊share · 2⁶⁴⌋` (step 4), from 0 to 2⁶⁴.
pub fn threshold(share: Exposure) -> u128 {
    (u128::from(share.ppm()) << u64::BITS) / u128::from(Exposure::EVERYBODY.ppm())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(ppm: u32) -> Exposure {
        Exposure::from_ppm(ppm).unwrap()
    }

    #[test]
    fn nobody_is_below_nothing_and_everybody_below_everything() {
        for bucket in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(!Bucket::new(bucket).is_below(Exposure::NOBODY));
            assert!(Bucket::new(bucket).is_below(Exposure::EVERYBODY));
        }
        assert_eq!(threshold(Exposure::EVERYBODY), 1 << 64);
    }

    proptest! {
        #[test]
        fn the_division_and_the_multiplication_agree(ppm in 0u32..=1_000_000, bucket: u64, step in 0u64..3) {
            let threshold = threshold(share(ppm));
            let at_the_edge = u64::try_from(threshold).unwrap_or(u64::MAX).saturating_sub(1).saturating_add(step);
            for bucket in [bucket, at_the_edge] {
                prop_assert_eq!(Bucket::new(bucket).is_below(share(ppm)), u128::from(bucket) < threshold);
            }
        }
    }

    #[test]
    fn a_cell_is_below_every_share_of_more_cells_and_no_other() {
        for cells in [1_000, 10_000, 100_000, 1_000_000] {
            let ppm = 1_000_000 / cells;
            for index in (0..cells).step_by(97).chain([cells - 1]) {
                let bucket = Bucket::of_cell(index, cells);
                assert!(!bucket.is_below(share(index * ppm)), "{index} of {cells}");
                assert!(bucket.is_below(share((index + 1) * ppm)), "{index} of {cells}");
            }
            let beyond = Bucket::of_cell(cells, cells);
            assert!(beyond.is_below(Exposure::EVERYBODY) && !beyond.is_below(share(999_999)));
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let policy = PolicyName::new("p").unwrap();
        let salt = SplitSalt::of(None, &policy, Version::FIRST);
        let key = SplitKey::derive(&[7; 32], Purpose::Split, &salt);
        assert_eq!(format!("{key:?}"), "SplitKey(…)");
    }

    #[test]
    fn a_key_that_is_given_out_is_the_first_half_of_the_digest() {
        let policy = PolicyName::new("p").unwrap();
        let salt = SplitSalt::of(None, &policy, Version::FIRST);
        let key = SplitKey::derive(&[7; 32], Purpose::Split, &salt);
        assert_eq!(SplitKey::from_bytes(key.to_bytes()), key);
        let bytes: [u8; SplitKey::BYTES] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(
            SplitKey::from_bytes(bytes).0,
            [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]
        );
    }

    #[test]
    fn length_prefixes_keep_lists_apart() {
        let secret = [1; 32];
        let keys = [
            derive_key(&secret, Purpose::Split, &[b"ab", b"c"]),
            derive_key(&secret, Purpose::Split, &[b"a", b"bc"]),
            derive_key(&secret, Purpose::Split, &[b"abc"]),
            derive_key(&secret, Purpose::Split, &[b"abc", b""]),
            derive_key(&secret, Purpose::Cluster, &[b"abc"]),
            derive_key(&[2; 32], Purpose::Split, &[b"abc"]),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "key {at} is not new");
        }
    }
}

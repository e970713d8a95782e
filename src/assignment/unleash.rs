//! The scheme `unleash`: variants of an Unleash strategy.
//!
//! Source: the Unleash documentation ("Stickiness", "Strategy variants") and client specification 6.1.0
//! (Apache-2.0). In short:
//!
//! 1. `normalised(group, user, modulus, seed) = murmur3_x86_32(utf8("{group}:{user}"), seed) mod modulus + 1`.
//! 2. A gradual rollout has the modulus 100 and the seed 0; it is on iff `rollout > 0` and `normalised ≤
//!    rollout`, a whole percentage. An empty sticky value is off.
//! 3. Variants have the total weight as modulus and the seed 86028157; the first one whose cumulative
//!    weight is at least `normalised` is chosen.
//!
//! A policy is published as a strategy with `rollout: 100` and two variants whose weights sum up to 1000,
//! so its users are those of step 3, in steps of 0.1%: whole percentages would be too coarse.
//!
//! The Node SDK (6.12.1) hashes UTF-16 code units cut to bytes where others hash UTF-8, so that it places
//! almost every user key with a character beyond ASCII elsewhere.

use super::bucket::Bucket;
use super::murmur3::Murmur3;
use crate::ids::Scheme;

/// The seed of a gradual rollout.
const ROLLOUT_SEED: u32 = 0;
/// The seed of variants.
const VARIANT_SEED: u32 = 86_028_157;
/// The modulus of a gradual rollout.
const ROLLOUT_MODULUS: u32 = 100;

fn hash(group: &str, user: &str, seed: u32) -> u32 {
    Murmur3::new(seed)
        .with(group.as_bytes())
        .with(b":")
        .with(user.as_bytes())
        .finish()
}

/// Which percentage of a gradual rollout turns it on for `user`: 1 to 100.
pub fn percentage(group: &str, user: &str) -> u32 {
    hash(group, user, ROLLOUT_SEED) % ROLLOUT_MODULUS + 1
}

/// Whether a gradual rollout at `rollout` percent is on for `user`; for an empty one it never is.
pub fn is_on(group: &str, user: &str, rollout: u32) -> bool {
    !user.is_empty() && rollout > 0 && percentage(group, user) <= rollout
}

/// The index of the variant that `user` gets; none where all weights are 0, or without a user.
pub fn variant(group: &str, user: &str, weights: &[u32]) -> Option<usize> {
    let total = weights.iter().map(|&weight| u64::from(weight)).sum::<u64>();
    if user.is_empty() || total == 0 {
        return None;
    }
    let target = u64::from(hash(group, user, VARIANT_SEED)) % total + 1;
    let mut cumulative = 0;
    weights.iter().position(|&weight| {
        cumulative += u64::from(weight);
        cumulative >= target
    })
}

/// Where `user` lies on Serin's line.
pub(super) fn bucket(group: &str, user: &str) -> Bucket {
    const CELLS: u32 = Scheme::Unleash.cells();
    Bucket::of_cell(hash(group, user, VARIANT_SEED) % CELLS, CELLS)
}

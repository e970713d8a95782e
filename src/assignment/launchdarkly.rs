//! The scheme `launchdarkly`: LaunchDarkly's percentage rollouts and experiments.
//!
//! Source: LaunchDarkly's documentation ("Percentage rollouts"), and the consistency tests of its SDKs
//! (Apache-2.0). In short:
//!
//! 1. The first 15 hexadecimal digits of SHA-1 of `{flag key}.{salt}.{user}`, or of `{seed}.{user}` where
//!    the rollout has a seed, in UTF-8, are a number `h` of 60 bits.
//! 2. `bucket = h / (2⁶⁰ − 1)` in 64-bit floating point.
//! 3. The first variation with `bucket < Σ weight / 100000` is chosen, and the last one past the end.
//! 4. A user that is no string and no whole number has the bucket 0.
//!
//! The Rust and Go SDKs compute step 2 with 32 bits, so that they differ from the others within about
//! 10⁻⁷ of an edge; the JavaScript SDKs take a seed of 0 for none.
//!
//! For a policy, what stands before `.{user}` is its salt: `{flag key}.{salt}`, or the seed.

use super::bucket::Bucket;
use crate::ids::Scheme;
use sha1::{Digest as _, Sha1};

/// Hundredths of a thousandth: the unit of weights.
const WEIGHT_UNIT: f64 = 100_000.0;
/// The largest number of 60 bits.
const SCALE: u64 = 0x0fff_ffff_ffff_ffff;

/// `h` of step 1, with `prefix` before `.{user}`.
fn hash(prefix: &str, user: &str) -> u64 {
    let mut digest = Sha1::new();
    digest.update(prefix.as_bytes());
    digest.update(b".");
    digest.update(user.as_bytes());
    let digest: [u8; 20] = digest.finalize().into();
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = digest;
    u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]) >> 4
}

/// Where `user` lies, from 0 to 1, with `prefix` before `.{user}` in what is hashed.
#[expect(clippy::cast_precision_loss, reason = "the SDKs round to 53 bits, too")]
pub fn place(prefix: &str, user: &str) -> f64 {
    hash(prefix, user) as f64 / SCALE as f64
}

/// The same in 32-bit floating point, as the Rust and Go SDKs compute it.
#[expect(clippy::cast_precision_loss, reason = "those SDKs round to 24 bits, too")]
pub fn place_f32(prefix: &str, user: &str) -> f32 {
    hash(prefix, user) as f32 / SCALE as f32
}

/// The index of the variation at `place`, by weights in hundredths of a thousandth; none without any.
pub fn variation(place: f64, weights: &[f64]) -> Option<usize> {
    let mut sum = 0.0;
    let found = weights.iter().position(|weight| {
        sum += weight / WEIGHT_UNIT;
        place < sum
    });
    found.or_else(|| weights.len().checked_sub(1))
}

/// Where `user` lies on Serin's line: in the cell whose upper edge is the first weight that takes them in.
pub(super) fn bucket(prefix: &str, user: &str) -> Bucket {
    const CELLS: u32 = Scheme::LaunchDarkly.cells();
    let place = place(prefix, user);
    // Multiplying rounds, and the comparison of step 3 divides: the neighbours decide who is right.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to 100,000"
    )]
    let near = (place * WEIGHT_UNIT) as u32;
    let is_within = |weight: u32| place < f64::from(weight) / WEIGHT_UNIT;
    let cell = if is_within(near) {
        near - 1
    } else if is_within(near + 1) {
        near
    } else {
        near + 1
    };
    Bucket::of_cell(cell, CELLS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_consistency_tests() {
        // `test_bucket_user_by_key` of rust-server-sdk-evaluation and its siblings.
        for (prefix, user, expected) in [
            ("hashKey.saltyA", "userKeyA", 0.421_575_87),
            ("hashKey.saltyA", "userKeyB", 0.670_848_5),
            ("hashKey.saltyA", "userKeyC", 0.103_431_06),
            ("61", "userKeyA", 0.098_012_07),
            ("61", "userKeyB", 0.144_837_77),
            ("61", "userKeyC", 0.924_264_09),
        ] {
            let found = place(prefix, user);
            assert!((found - expected).abs() < 1e-7, "{prefix}.{user}: {found}");
            assert!((f64::from(place_f32(prefix, user)) - expected).abs() < 1e-7);
        }
    }

    #[test]
    fn a_policy_takes_in_whom_the_weights_take_in() {
        for number in 0..2_000 {
            let user = format!("user-{number}");
            let place = place("flag.salt", &user);
            for weight in (1..=100_000_u32).step_by(999).chain([100_000]) {
                let canary = f64::from(weight);
                let chosen = variation(place, &[canary, WEIGHT_UNIT - canary]);
                let share = crate::ids::Exposure::from_ppm(weight * 10).unwrap();
                let taken = bucket("flag.salt", &user).is_below(share);
                assert_eq!(taken, chosen == Some(0), "{user} at {weight}");
            }
        }
    }

    #[test]
    fn the_last_variation_is_chosen_past_the_end() {
        assert_eq!(variation(0.9, &[1.0, 1.0]), Some(1));
        assert_eq!(variation(0.9, &[]), None);
    }
}

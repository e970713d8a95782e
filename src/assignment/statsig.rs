//! The scheme `statsig`: the pass percentage of Statsig's gates.
//!
//! Source: `evaluate_pass_percentage` of Statsig's server SDKs (ISC): the first eight bytes of SHA-256 of
//! `{gate salt}.{rule salt}.{user}`, in UTF-8, are an unsigned number, most significant byte first; the
//! rule passes iff its remainder by 10,000 is below `percentage · 100`. 0 and 100 pass nobody and
//! everybody. A rule without a salt has its id in that place.
//!
//! For a policy, what stands before `.{user}` is its salt: `{gate salt}.{rule salt}`.

use super::bucket::Bucket;
use crate::ids::Scheme;
use sha2::{Digest as _, Sha256};

/// Hundredths of a percent: where `user` lies, from 0 to 9,999, with `prefix` before `.{user}`.
pub fn place(prefix: &str, user: &str) -> u32 {
    const CELLS: u64 = Scheme::Statsig.cells() as u64;
    let mut digest = Sha256::new();
    digest.update(prefix.as_bytes());
    digest.update(b".");
    digest.update(user.as_bytes());
    let digest: [u8; 32] = digest.finalize().into();
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = digest;
    let hash = u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    (hash % CELLS) as u32
}

/// Whether a rule with `percentage` passes the user at `place`.
pub fn passes(place: u32, percentage: f64) -> bool {
    f64::from(place) < percentage * 100.0
}

/// Where `user` lies on Serin's line.
pub(super) fn bucket(prefix: &str, user: &str) -> Bucket {
    Bucket::of_cell(place(prefix, user), Scheme::Statsig.cells())
}

//! The scheme `optimizely`: the traffic allocation of Optimizely Feature Experimentation.
//!
//! Source: Optimizely's documentation ("How bucketing works") and its SDKs' unit tests (Apache-2.0):
//! `murmur3_x86_32(utf8("{user}{parent}"), 1) · 10000 / 2³²`, rounded down, is the user's bucket; the
//! first range whose `endOfRange` is above it is chosen. The parent is the id of the experiment, or of the
//! group that it is in.

use super::bucket::Bucket;
use super::murmur3::Murmur3;
use crate::ids::Scheme;

const SEED: u32 = 1;

/// The bucket of `user` under `parent`: 0 to 9,999.
pub fn place(parent: &str, user: &str) -> u32 {
    const CELLS: u64 = Scheme::Optimizely.cells() as u64;
    let hash = Murmur3::new(SEED)
        .with(user.as_bytes())
        .with(parent.as_bytes())
        .finish();
    ((u64::from(hash) * CELLS) >> u32::BITS) as u32
}

/// Where `user` lies on Serin's line.
pub(super) fn bucket(parent: &str, user: &str) -> Bucket {
    Bucket::of_cell(place(parent, user), Scheme::Optimizely.cells())
}

//! The scheme `eppo`: the shards of Eppo's flag configuration.
//!
//! Source: Eppo's documentation ("Deterministic hashing") and its shared SDK test data (MIT): the first
//! four bytes of MD5 of `{salt}-{user}`, in UTF-8, are an unsigned number, most significant byte first; its
//! remainder by the total number of shards, 10,000 as a rule, is the user's shard. A range holds the shards
//! `start ≤ shard < end`.

use super::bucket::Bucket;
use crate::ids::Scheme;
use md5::{Digest as _, Md5};

/// The shard of `user` out of `total`; none of none.
pub fn shard(salt: &str, user: &str, total: u32) -> Option<u32> {
    hash(salt, user).checked_rem(total)
}

fn hash(salt: &str, user: &str) -> u32 {
    let mut digest = Md5::new();
    digest.update(salt.as_bytes());
    digest.update(b"-");
    digest.update(user.as_bytes());
    let digest: [u8; 16] = digest.finalize().into();
    let [b0, b1, b2, b3, ..] = digest;
    u32::from_be_bytes([b0, b1, b2, b3])
}

/// Where `user` lies on Serin's line.
pub(super) fn bucket(salt: &str, user: &str) -> Bucket {
    const CELLS: u32 = Scheme::Eppo.cells();
    Bucket::of_cell(hash(salt, user) % CELLS, CELLS)
}

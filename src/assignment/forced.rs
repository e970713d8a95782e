//! Users with a fixed arm, for whoever assigns without reading their keys.
//!
//! A route table names them by digest: the first 16 bytes of
//! `SHA-256(part("serin/v1/forced") ‖ part(rollout) ‖ part(user))`, where `part` is that of
//! [`bucket`](super::bucket), step 2, and the rollout is written as `r17`. A digest can be tried with a
//! guessed key, as `GET /v1/assignments` can; it cannot be read.

use crate::ids::RolloutId;
use sha2::{Digest as _, Sha256};

/// Bytes of a digest; two of a thousand users fall together once in 2¹⁰⁸ tables.
pub const DIGEST_BYTES: usize = 16;

const PURPOSE: &[u8] = b"serin/v1/forced";

/// What stands for `user` in the tables of this rollout.
pub fn digest(rollout: RolloutId, user: &str) -> [u8; DIGEST_BYTES] {
    let mut hash = Sha256::new();
    for part in [PURPOSE, rollout.to_string().as_bytes(), user.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|at| digest[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollouts_and_users_have_digests_of_their_own() {
        let digests = [(1, "qa-7"), (1, "qa-8"), (11, "qa-7"), (1, "1qa-7")]
            .map(|(rollout, user)| digest(RolloutId::new(rollout), user));
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest), "digest {at} is not new");
        }
    }

    /// Made with Python's hashlib and struct.
    #[test]
    fn the_digest_is_as_described() {
        let hex: String = digest(RolloutId::new(1), "qa-7")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "99d599d46b7a58cd65141e62b7d45699");
    }
}

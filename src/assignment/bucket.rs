//! Where a user lies on the hash line.

/// A 128-bit SipHash key, derived from the server's secret and a salt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SplitKey(pub(crate) [u64; 2]);

impl std::fmt::Debug for SplitKey {
    /// Keys are secret: with one, a user could pick a key into treatment.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SplitKey(…)")
    }
}

//! What was seen before, as far as memory goes.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Users who are told apart, those with something left out counted for themselves: 75 MB of them, and half
/// as much again while their table grows. Whoever comes new after so many does not count for the sample
/// ratio.
pub const USERS_MAX: usize = (1 << 23) / 8 * 7;

/// Ids that are remembered at least; with those before them, 75 MB. A repeat from further back counts again.
pub const IDS_REMEMBERED: usize = (1 << 22) / 8 * 7;

/// Hashes are spread evenly already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type Hashes = HashSet<u64, BuildHasherDefault<AsItIs>>;

/// What came of looking at a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// For the first time.
    New,
    /// Not for the first time.
    Known,
    /// For the first time perhaps: there is no room to remember more.
    Crowded,
}

/// Users who were seen.
#[derive(Debug, Default)]
pub(super) struct Users(Hashes);

impl Users {
    /// Notes a user by hash.
    pub(super) fn meet(&mut self, user: u64) -> Met {
        self.meet_below(user, USERS_MAX)
    }

    fn meet_below(&mut self, user: u64, max: usize) -> Met {
        if self.0.len() < max {
            return if self.0.insert(user) { Met::New } else { Met::Known };
        }
        if self.0.contains(&user) {
            Met::Known
        } else {
            Met::Crowded
        }
    }
}

/// Ids that were seen a while ago at most: the newer half, and the one before.
#[derive(Debug, Default)]
pub(super) struct Ids {
    newer: Hashes,
    older: Hashes,
}

impl Ids {
    /// Notes an id by hash; false when it is remembered.
    pub(super) fn note(&mut self, id: u64) -> bool {
        self.note_below(id, IDS_REMEMBERED)
    }

    fn note_below(&mut self, id: u64, max: usize) -> bool {
        if self.older.contains(&id) || !self.newer.insert(id) {
            return false;
        }
        if self.newer.len() >= max {
            self.older = std::mem::take(&mut self.newer);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_counts_once_and_not_without_room() {
        let mut users = Users::default();
        assert_eq!(
            [1, 2, 1].map(|user| users.meet_below(user, 2)),
            [Met::New, Met::New, Met::Known]
        );
        assert_eq!(
            [3, 2].map(|user| users.meet_below(user, 2)),
            [Met::Crowded, Met::Known]
        );
    }

    #[test]
    fn an_id_is_remembered_for_a_while() {
        let mut ids = Ids::default();
        let noted = [1, 2, 1, 3, 2, 4, 5, 1].map(|id| ids.note_below(id, 2));
        // After 3 and 4, the pair of 1 and 2 is forgotten.
        assert_eq!(noted, [true, true, false, true, false, true, true, true]);
    }
}

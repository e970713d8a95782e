//! A set that may err on one side: it never denies what it holds.

/// A Bloom filter whose bits for one id lie in one cache line (Putze, Sanders and Singler, "Cache-,
/// hash- and space-efficient Bloom filters", 2007, section 3).
///
/// Ids are hashes already, so their own bits choose the positions.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    blocks: Vec<[u64; WORDS]>,
}

/// 64-bit words of a block: one cache line.
const WORDS: usize = 8;

/// Bits set for one id; with some 16 bits of room per id, one in 500 is then mistaken.
const BITS_PER_ID: u32 = 6;

impl Filter {
    /// An empty filter of that size, in bytes; at least one block.
    pub(super) fn with_bytes(bytes: usize) -> Self {
        let blocks = (bytes / size_of::<[u64; WORDS]>()).max(1);
        Self {
            blocks: vec![[0; WORDS]; blocks],
        }
    }

    /// Adds an id.
    pub(super) fn add(&mut self, id: u128) {
        let block = self.block_of(id);
        if let Some(block) = self.blocks.get_mut(block) {
            for (word, bit) in positions(id) {
                block[word] |= bit;
            }
        }
    }

    /// False only for an id that was never added.
    pub(super) fn may_hold(&self, id: u128) -> bool {
        let block = self.blocks.get(self.block_of(id));
        block.is_some_and(|block| positions(id).all(|(word, bit)| block[word] & bit != 0))
    }

    /// Spreads the id's upper half evenly over the blocks.
    fn block_of(&self, id: u128) -> usize {
        let scaled = (id >> 64) * self.blocks.len() as u128;
        usize::try_from(scaled >> 64).unwrap_or(usize::MAX)
    }
}

/// Where an id's bits are in its block, from nine bits of its lower half each.
fn positions(id: u128) -> impl Iterator<Item = (usize, u64)> {
    (0..BITS_PER_ID).map(move |nth| {
        let nine = (id >> (9 * nth)) & 0x1ff;
        let word = usize::try_from(nine >> 6).unwrap_or_default();
        (word, 1 << (nine & 0x3f))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    fn id(number: u64) -> u128 {
        let hash = Sha256::digest(number.to_be_bytes());
        u128::from_be_bytes(*hash.first_chunk().unwrap())
    }

    proptest! {
        #[test]
        fn what_was_added_is_held(ids in prop::collection::vec(any::<u128>(), 0..200), bytes in 0..5_000_usize) {
            let mut filter = Filter::with_bytes(bytes);
            ids.iter().for_each(|id| filter.add(*id));
            prop_assert!(ids.iter().all(|id| filter.may_hold(*id)));
        }
    }

    #[test]
    fn few_others_are_mistaken_for_it() {
        let mut filter = Filter::with_bytes(2 * 10_000);
        assert!((0..10_000).all(|number| !filter.may_hold(id(number))));
        (0..10_000).for_each(|number| filter.add(id(number)));
        let mistaken = (10_000..110_000)
            .filter(|number| filter.may_hold(id(*number)))
            .count();
        assert!((50..500).contains(&mistaken), "{mistaken} of 100,000");
    }
}

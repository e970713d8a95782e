//! MurmurHash3_x86_32, a public-domain hash by Austin Appleby (SMHasher, `MurmurHash3.cpp`).
//!
//! Unleash, flagd and Optimizely hash with it. It is fed piece by piece, so that no text has to be put
//! together first.

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// A hash that is being computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Murmur3 {
    state: u32,
    /// Bytes that do not fill a word yet, the first one lowest.
    tail: u32,
    length: usize,
}

impl Murmur3 {
    /// Begins with `seed`.
    pub(super) fn new(seed: u32) -> Self {
        Self {
            state: seed,
            tail: 0,
            length: 0,
        }
    }

    /// Adds `bytes` to the message.
    #[must_use]
    pub(super) fn with(mut self, bytes: &[u8]) -> Self {
        let missing = (4 - self.length % 4) % 4;
        let (first, rest) = bytes.split_at(missing.min(bytes.len()));
        self.push_all(first);
        let (words, last) = rest.as_chunks::<4>();
        for word in words {
            self.absorb(u32::from_le_bytes(*word));
        }
        self.length += 4 * words.len();
        self.push_all(last);
        self
    }

    fn push_all(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.tail |= u32::from(byte) << (8 * (self.length % 4));
            self.length += 1;
            if self.length.is_multiple_of(4) {
                let word = std::mem::take(&mut self.tail);
                self.absorb(word);
            }
        }
    }

    fn absorb(&mut self, word: u32) {
        self.state = (self.state ^ mixed(word))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }

    /// The hash of everything that was added.
    pub(super) fn finish(self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the specification counts the length modulo 2³²"
        )]
        let length = self.length as u32;
        // What is left over mixes like a word of its own; without any, it adds nothing.
        let mut hash = self.state ^ mixed(self.tail) ^ length;
        hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
        hash ^ hash >> 16
    }
}

fn mixed(word: u32) -> u32 {
    word.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gives_the_values_that_its_other_implementations_publish() {
        // From the tests of flagd and of the Unleash client specification, and the usual empty ones.
        for (text, seed, hash) in [
            ("", 0, 0),
            ("", 1, 0x514e_28b7),
            ("", u32::MAX, 0x81f1_6f39),
            ("test", 0, 0xba6b_d213),
            ("test", 0x9747_b28c, 0x704b_81dc),
            ("Hello, world!", 0x9747_b28c, 0x2488_4cba),
            (
                "The quick brown fox jumps over the lazy dog",
                0x9747_b28c,
                0x2fa8_26cd,
            ),
        ] {
            assert_eq!(Murmur3::new(seed).with(text.as_bytes()).finish(), hash, "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_hash_like_the_whole(bytes: Vec<u8>, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut hash = Murmur3::new(7);
            let mut from = 0;
            for to in cuts.into_iter().chain([bytes.len()]) {
                hash = hash.with(&bytes[from..to]);
                from = to;
            }
            prop_assert_eq!(hash.finish(), Murmur3::new(7).with(&bytes).finish());
        }
    }
}

//! SipHash-2-4 with a 64-bit output: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast
//! short-input PRF", INDOCRYPT 2012, section 2.
//!
//! Written out here because the buckets of every user depend on it: no dependency may change them.

/// The four words of state (section 2.1).
struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    /// Initialisation (section 2.2, step 1); the constants spell "somepseudorandomlygeneratedbytes".
    fn new([k0, k1]: [u64; 2]) -> Self {
        Self {
            v0: k0 ^ 0x736f_6d65_7073_6575,
            v1: k1 ^ 0x646f_7261_6e64_6f6d,
            v2: k0 ^ 0x6c79_6765_6e65_7261,
            v3: k1 ^ 0x7465_6462_7974_6573,
        }
    }

    /// `SipRound` (figure 2.1).
    #[inline]
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }

    /// Compression of one word, c = 2 rounds (section 2.2, step 2).
    #[inline]
    fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.round();
        self.v0 ^= word;
    }

    /// Finalisation, d = 4 rounds (section 2.2, step 3).
    #[inline]
    fn finish(mut self) -> u64 {
        self.v2 ^= 0xff;
        for _ in 0..4 {
            self.round();
        }
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }
}

/// The hash of `message` under `key`, the two halves of a 128-bit key as little-endian words.
#[inline]
pub fn siphash_2_4(key: [u64; 2], message: &[u8]) -> u64 {
    let mut state = State::new(key);
    let (words, rest) = message.as_chunks::<8>();
    for word in words {
        state.absorb(u64::from_le_bytes(*word));
    }
    // The last word: what is left over, and the message's length modulo 256 in the highest byte.
    state.absorb(last_word(rest) | (message.len() as u64) << 56);
    state.finish()
}

/// Up to seven bytes as a little-endian number.
///
/// Overlapping reads, because copying so few bytes costs more than half of the whole hash.
#[inline]
pub(super) fn last_word(bytes: &[u8]) -> u64 {
    if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let shift = 8 * (bytes.len() - 4);
        return u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << shift;
    }
    let mut word = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        word |= u64::from(byte) << (8 * at);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

    #[test]
    fn gives_the_value_of_the_paper() {
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(
            siphash_2_4(KEY, &message),
            0xa129_ca61_49be_45e5,
            "appendix A, last line"
        );
    }

    #[test]
    fn gives_the_64_vectors_of_the_reference_implementation() {
        let vectors: Vec<String> = serde_json::from_str(include_str!(
            "../../tests/conformance/assignment/siphash-2-4.json"
        ))
        .unwrap();
        assert_eq!(vectors.len(), 64);
        for (length, vector) in vectors.iter().enumerate() {
            let message: Vec<u8> = (0u8..).take(length).collect();
            let bytes = siphash_2_4(KEY, &message).to_le_bytes();
            let found: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(&found, vector, "message of {length} bytes");
        }
    }
}

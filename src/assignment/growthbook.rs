//! The schemes `growthbook-v1` and `growthbook-v2`: GrowthBook's `hashVersion` 1 and 2.
//!
//! Source: "Build your own SDK", sections *Hashing*, *Bucketing* and *Namespaces*, and `cases.json` of
//! specification 0.12 (GrowthBook documentation; MIT). In short:
//!
//! 1. FNV-1a of 32 bits (RFC 9923) over **UTF-16 code units**, as JavaScript sees a string: each unit of
//!    16 bits is one step. For ASCII that is the FNV-1a of the bytes.
//! 2. Version 1: `fnv(user ‖ seed) mod 1000 / 1000`. Version 2: `fnv(decimal(fnv(seed ‖ user))) mod
//!    10000 / 10000`.
//! 3. A user is in the range `[from, to)` iff `from ≤ n < to`. Experiments cut the line into ranges by
//!    weight, each shortened by the coverage ([`ranges`]).
//! 4. A namespace `(name, from, to)` uses version 1 with the seed `"__" ‖ name`.
//!
//! The seed comes last in version 1, and FNV-1a mixes its last characters little: two seeds that differ
//! in their ends alone draw halves that are correlated (phi −0.06 for `a` and `b`). Version 2 does not.
//!
//! Official SDKs disagree about `coverage` of a simple rollout: JavaScript 1.8.0 takes `n ≤ coverage` in,
//! Python 4.0.0 and Rust 0.4.0 `n < coverage` ([`Edge`]). They agree about ranges, so ranges are what to
//! publish.

use super::bucket::Bucket;
use crate::ids::Scheme;

const OFFSET: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;

/// `hashVersion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashVersion {
    /// Thousandths; the seed last.
    V1,
    /// Ten-thousandths; the seed first.
    V2,
}

impl HashVersion {
    fn cells(self) -> u32 {
        match self {
            Self::V1 => Scheme::GrowthBookV1.cells(),
            Self::V2 => Scheme::GrowthBookV2.cells(),
        }
    }

    /// Which of the cells `user` falls into.
    fn cell(self, seed: &str, user: &str) -> u32 {
        let hash = match self {
            Self::V1 => fnv(fnv(OFFSET, user), seed),
            Self::V2 => fnv_of_decimal(fnv(fnv(OFFSET, seed), user)),
        };
        hash % self.cells()
    }

    /// Where `user` lies on the line from 0 to 1; what the SDKs call the hash.
    pub fn place(self, seed: &str, user: &str) -> f64 {
        f64::from(self.cell(seed, user)) / f64::from(self.cells())
    }

    /// Where `user` lies on Serin's line.
    pub(super) fn bucket(self, seed: &str, user: &str) -> Bucket {
        Bucket::of_cell(self.cell(seed, user), self.cells())
    }
}

/// FNV-1a over the UTF-16 code units of `text`, going on from `hash`.
fn fnv(hash: u32, text: &str) -> u32 {
    text.encode_utf16()
        .fold(hash, |hash, unit| (hash ^ u32::from(unit)).wrapping_mul(PRIME))
}

/// FNV-1a of the decimal digits of `number`, without putting them together.
fn fnv_of_decimal(number: u32) -> u32 {
    let mut divisor = 1;
    while number / divisor >= 10 {
        divisor *= 10;
    }
    let mut hash = OFFSET;
    while divisor > 0 {
        let digit = u32::from(b'0') + number / divisor % 10;
        hash = (hash ^ digit).wrapping_mul(PRIME);
        divisor /= 10;
    }
    hash
}

/// Which users `coverage` takes in at exactly its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// `n ≤ coverage`: JavaScript 1.8.0.
    Inside,
    /// `n < coverage`: Python 4.0.0 and Rust 0.4.0.
    Outside,
}

/// Whether a rollout with `coverage` takes in the user at `place`; a coverage of 0 is nobody.
pub fn is_covered(place: f64, coverage: f64, edge: Edge) -> bool {
    match edge {
        Edge::Inside => coverage > 0.0 && place <= coverage,
        Edge::Outside => place < coverage,
    }
}

/// Whether `place` is in the half-open range `from ≤ place < to`.
pub fn is_in_range(place: f64, [from, to]: [f64; 2]) -> bool {
    place >= from && place < to
}

/// How far the sum of weights may be from 1.
const WEIGHT_SUM_TOLERANCE: f64 = 0.01;

/// The ranges of `count` variations: cumulative weights, each range shortened to `coverage` of itself.
///
/// Without weights, with another number of them than of variations, and where their sum is not within
/// 0.99 and 1.01, all weigh the same. The coverage is clamped to 0 to 1.
pub fn ranges(count: usize, coverage: f64, weights: Option<&[f64]>) -> Vec<[f64; 2]> {
    let coverage = coverage.clamp(0.0, 1.0);
    let sound = weights.filter(|weights| {
        let sum: f64 = weights.iter().sum();
        weights.len() == count && (1.0 - WEIGHT_SUM_TOLERANCE..=1.0 + WEIGHT_SUM_TOLERANCE).contains(&sum)
    });
    #[expect(clippy::cast_precision_loss, reason = "variations are few")]
    let weights = sound.map_or_else(|| vec![1.0 / count as f64; count], <[f64]>::to_vec);
    let mut from = 0.0;
    weights
        .into_iter()
        .map(|weight| {
            let range = [from, from + coverage * weight];
            from += weight;
            range
        })
        .collect()
}

/// The index of the first range that holds `place`.
pub fn choose(place: f64, ranges: &[[f64; 2]]) -> Option<usize> {
    ranges.iter().position(|&range| is_in_range(place, range))
}

/// Where `user` lies in the namespace `name`.
pub fn place_in_namespace(name: &str, user: &str) -> f64 {
    HashVersion::V1.place(&format!("__{name}"), user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv_gives_the_published_values_and_counts_utf_16() {
        assert_eq!(fnv(OFFSET, ""), 0x811c_9dc5);
        assert_eq!(fnv(OFFSET, "a"), 0xe40c_292c);
        assert_eq!(fnv(OFFSET, "foobar"), 0xbf9c_f968);
        // Two units, the surrogates D83D and DE00, and not four bytes or one code point.
        let by_hand = [0xd83d_u32, 0xde00]
            .into_iter()
            .fold(OFFSET, |hash, unit| (hash ^ unit).wrapping_mul(PRIME));
        assert_eq!(fnv(OFFSET, "😀"), by_hand);
    }

    #[test]
    fn decimals_hash_like_their_text() {
        for number in [0, 7, 9, 10, 99, 100, 4_294_967_295, 1_000_000_000, 1_020_304] {
            assert_eq!(
                fnv_of_decimal(number),
                fnv(OFFSET, &number.to_string()),
                "{number}"
            );
        }
    }

    #[test]
    fn a_coverage_of_nothing_is_nobody_at_either_edge() {
        for edge in [Edge::Inside, Edge::Outside] {
            assert!(!is_covered(0.0, 0.0, edge));
            assert!(is_covered(0.0, 0.001, edge));
        }
    }
}

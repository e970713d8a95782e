//! Bytes for the store: tallies of one tick, and the primitives that checkpoints are made of.
//!
//! A pair of tallies is written as
//!
//! ```text
//! format            1 byte   1
//! control           arm
//! treatment         arm
//!
//! arm               count    varint, 0 ends the arm
//!                   sum, sum of squares          8 bytes each
//!                   touched clusters             varint
//!                   per cluster, numbers rising: number 1 byte, count varint, sum 8 bytes
//! ```
//!
//! A varint is unsigned LEB128 (DWARF 5, section 7.6) without needless bytes, so that equal tallies
//! have equal bytes; an `f64` is its IEEE 754 bits, least byte first, so that nothing is rounded.

use super::{ArmTallies, ClusterTally, Tally};
use crate::ids::Cluster;
use std::collections::BTreeMap;

/// Format of encoded [`ArmTallies`] that this build writes and reads.
pub const TALLIES_FORMAT: u8 = 1;

/// Why bytes cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("the bytes end within {0}")]
    Truncated(&'static str),
    /// The bytes go on where they should end.
    #[error("{0} bytes are left over")]
    LeftOver(usize),
    /// Another build wrote them.
    #[error("format {found} is not known; this build reads format {known}")]
    Format {
        /// The format that the bytes name.
        found: u8,
        /// The one that this build knows.
        known: u8,
    },
    /// A value breaks a rule that every written value holds.
    #[error("{0}")]
    Malformed(&'static str),
    /// The bytes changed after they were written.
    #[error("the checksum does not match the bytes")]
    Checksum,
    /// They were written for other metrics.
    #[error("the bytes are of a rollout with other metrics than the policy's")]
    OtherMetrics,
}

impl ArmTallies {
    /// Writes both arms in the layout of [this module](self).
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.byte(TALLIES_FORMAT);
        write_tally(&mut writer, &self.control);
        write_tally(&mut writer, &self.treatment);
        writer.finish()
    }

    /// Reads what [`encode`](Self::encode) wrote, bit for bit.
    ///
    /// # Errors
    ///
    /// Any [`CodecError`]; bytes that no tally encodes to are refused, never repaired.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        reader.format(TALLIES_FORMAT)?;
        let control = read_tally(&mut reader)?;
        let treatment = read_tally(&mut reader)?;
        reader.end()?;
        Ok(Self { control, treatment })
    }
}

fn write_tally(writer: &mut Writer, tally: &Tally) {
    writer.varint(tally.count);
    if tally.is_empty() {
        return;
    }
    writer.float(tally.sum);
    writer.float(tally.sum_of_squares);
    // There are at most `Cluster::COUNT` entries, so the length always fits.
    writer.varint(tally.clusters.len() as u64);
    for (cluster, part) in &tally.clusters {
        writer.byte(cluster.get());
        writer.varint(part.count);
        writer.float(part.sum);
    }
}

fn read_tally(reader: &mut Reader<'_>) -> Result<Tally, CodecError> {
    let count = reader.varint("a tally's count")?;
    if count == 0 {
        return Ok(Tally::default());
    }
    let sum = reader.finite("a tally's sum")?;
    let sum_of_squares = reader.finite("a tally's sum of squares")?;
    let touched = reader.varint("a tally's number of clusters")?;
    let mut clusters = BTreeMap::new();
    for _ in 0..touched {
        let number = reader.byte("a cluster's number")?;
        let cluster = Cluster::new(number).ok_or(CodecError::Malformed("a cluster's number is above 127"))?;
        // Rising numbers also bound the loop: a hostile length runs into this or into the end.
        if clusters
            .last_key_value()
            .is_some_and(|(&last, _)| last >= cluster)
        {
            return Err(CodecError::Malformed("the clusters of a tally are not in order"));
        }
        let part = ClusterTally {
            count: reader.varint("a cluster's count")?,
            sum: reader.finite("a cluster's sum")?,
        };
        if part.count == 0 {
            return Err(CodecError::Malformed("a cluster of a tally is empty"));
        }
        clusters.insert(cluster, part);
    }
    let counted = clusters
        .values()
        .fold(0_u64, |sum, part| sum.saturating_add(part.count));
    if counted != count {
        return Err(CodecError::Malformed(
            "the clusters of a tally do not add up to its count",
        ));
    }
    Ok(Tally {
        count,
        sum,
        sum_of_squares,
        clusters,
    })
}

/// Appends values to bytes.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(low_seven_bits(value) | 0x80);
            value >>= 7;
        }
        self.0.push(low_seven_bits(value));
    }

    pub(super) fn float(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

fn low_seven_bits(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

/// Takes values from bytes; every read names what it was after.
#[derive(Debug)]
pub(super) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, CodecError> {
        let (&first, rest) = self.0.split_first().ok_or(CodecError::Truncated(what))?;
        self.0 = rest;
        Ok(first)
    }

    pub(super) fn format(&mut self, known: u8) -> Result<(), CodecError> {
        let found = self.byte("the format")?;
        if found == known {
            Ok(())
        } else {
            Err(CodecError::Format { found, known })
        }
    }

    pub(super) fn varint(&mut self, what: &'static str) -> Result<u64, CodecError> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for the highest bit alone.
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let needless = byte == 0 && shift > 0;
                return if needless {
                    Err(CodecError::Malformed("a number has needless bytes"))
                } else {
                    Ok(value)
                };
            }
        }
        Err(CodecError::Malformed("a number does not fit in 64 bits"))
    }

    /// Any float, NaN and infinities included.
    pub(super) fn float(&mut self, what: &'static str) -> Result<f64, CodecError> {
        Ok(f64::from_le_bytes(self.chunk(what)?))
    }

    pub(super) fn finite(&mut self, what: &'static str) -> Result<f64, CodecError> {
        let value = self.float(what)?;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(CodecError::Malformed("a sum is not a finite number"))
        }
    }

    pub(super) fn integer(&mut self, what: &'static str) -> Result<i64, CodecError> {
        Ok(i64::from_le_bytes(self.chunk(what)?))
    }

    fn chunk<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CodecError> {
        let (chunk, rest) = self.0.split_first_chunk().ok_or(CodecError::Truncated(what))?;
        self.0 = rest;
        Ok(*chunk)
    }

    pub(super) fn end(self) -> Result<(), CodecError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(CodecError::LeftOver(self.0.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Arm;
    use proptest::prelude::*;

    fn arms() -> impl Strategy<Value = ArmTallies> {
        let observation = (prop::bool::ANY, 0..128u8, -1e6..1e6);
        prop::collection::vec(observation, 0..200).prop_map(|all| {
            let mut arms = ArmTallies::default();
            for (treated, cluster, value) in all {
                let arm = if treated { Arm::Treatment } else { Arm::Control };
                arms.add(arm, Cluster::new(cluster).unwrap(), value);
            }
            arms
        })
    }

    proptest! {
        #[test]
        fn tallies_come_back_bit_for_bit(arms in arms()) {
            let bytes = arms.encode();
            let back = ArmTallies::decode(&bytes).unwrap();
            prop_assert_eq!(&back, &arms);
            prop_assert_eq!(back.encode(), bytes);
        }

        #[test]
        fn cut_or_lengthened_bytes_are_refused(arms in arms(), cut in any::<prop::sample::Index>()) {
            let mut bytes = arms.encode();
            prop_assert!(ArmTallies::decode(&bytes[..cut.index(bytes.len())]).is_err());
            bytes.push(0);
            prop_assert_eq!(ArmTallies::decode(&bytes), Err(CodecError::LeftOver(1)));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(arms) = ArmTallies::decode(&bytes) {
                prop_assert_eq!(arms.encode(), bytes);
            }
        }

        #[test]
        fn every_number_has_one_form(value in any::<u64>()) {
            let mut writer = Writer::default();
            writer.varint(value);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint("it"), Ok(value));
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn the_layout_is_what_the_module_says() {
        let mut arms = ArmTallies::default();
        arms.add(Arm::Treatment, Cluster::new(5).unwrap(), 1.0);
        let one = 1.0_f64.to_le_bytes();
        let expected = [&[1, 0, 1][..], &one, &one, &[1, 5, 1], &one].concat();
        assert_eq!(arms.encode(), expected);
    }

    #[test]
    fn bytes_that_no_tally_encodes_to_are_refused() {
        let one = 1.0_f64.to_le_bytes();
        let arm = |clusters: &[u8]| [&[1, 0, 2][..], &one, &one, clusters].concat();
        let refused = |bytes: Vec<u8>| ArmTallies::decode(&bytes).unwrap_err().to_string();
        let pair = |first: u8, second: u8| [&[2, first, 1][..], &one, &[second, 1], &one].concat();

        assert!(ArmTallies::decode(&arm(&pair(4, 5))).is_ok());
        assert_eq!(
            refused(vec![2, 0, 0]),
            "format 2 is not known; this build reads format 1"
        );
        assert_eq!(
            refused(arm(&pair(4, 4))),
            "the clusters of a tally are not in order"
        );
        assert_eq!(refused(arm(&pair(4, 128))), "a cluster's number is above 127");
        let empty = [&[2, 4, 0][..], &one, &[5, 2], &one].concat();
        assert_eq!(refused(arm(&empty)), "a cluster of a tally is empty");
        assert_eq!(
            refused(arm(&[0])),
            "the clusters of a tally do not add up to its count"
        );
        assert_eq!(refused(vec![1, 0x80, 0x00, 0]), "a number has needless bytes");
        assert_eq!(
            refused([&[1][..], &[0xff; 10]].concat()),
            "a number does not fit in 64 bits"
        );
        assert_eq!(
            refused([&[1, 1][..], &f64::NAN.to_le_bytes()].concat()),
            "a sum is not a finite number"
        );
    }
}

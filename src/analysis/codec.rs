//! Bytes for the store: tallies of one tick, and the primitives that checkpoints are made of.
//!
//! A pair of tallies is written as
//!
//! ```text
//! format            1 byte   1, or 2 where something was clipped or put into bins
//! control           arm
//! treatment         arm
//!
//! arm               count    varint, 0 ends the arm
//!                   sum, sum of squares          8 bytes each
//!                   clipped                      varint, in format 2
//!                   touched clusters             varint
//!                   per cluster, numbers rising: number 1 byte, count varint, sum 8 bytes,
//!                                                bins, in format 2
//!
//! bins              how many varint, 0 where none are kept
//!                   per bin, rising: number (2 bytes for the first one, varint distance to the one
//!                   before for the others), count varint
//! ```
//!
//! A varint is unsigned LEB128 (DWARF 5, section 7.6) without needless bytes, so that equal tallies
//! have equal bytes; an `f64` is its IEEE 754 bits, least byte first, so that nothing is rounded.

use super::bins::LogBin;
use super::{ArmTallies, ClusterTally, Tally};
use crate::ids::Cluster;
use std::collections::BTreeMap;

/// Format of encoded [`ArmTallies`] that hold counts and sums alone.
pub const TALLIES_FORMAT: u8 = 1;

/// Format of encoded [`ArmTallies`] of which something was clipped or put into bins.
pub const BINNED_TALLIES_FORMAT: u8 = 2;

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
    #[error("format {found} is not known; this build reads formats up to {known}")]
    Format {
        /// The format that the bytes name.
        found: u8,
        /// The newest one that this build knows.
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
        writer.arms(self);
        writer.finish()
    }

    /// Reads what [`encode`](Self::encode) wrote, bit for bit.
    ///
    /// # Errors
    ///
    /// Any [`CodecError`]; bytes that no tally encodes to are refused, never repaired.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let arms = reader.arms()?;
        reader.end()?;
        Ok(arms)
    }

    /// The format that these tallies are written in.
    fn format(&self) -> u8 {
        let plain = |tally: &Tally| tally.clipped == 0 && tally.bins.is_empty();
        if plain(&self.control) && plain(&self.treatment) {
            TALLIES_FORMAT
        } else {
            BINNED_TALLIES_FORMAT
        }
    }
}

fn write_tally(writer: &mut Writer, tally: &Tally, format: u8) {
    writer.varint(tally.count);
    if tally.is_empty() {
        return;
    }
    writer.float(tally.sum);
    writer.float(tally.sum_of_squares);
    if format == BINNED_TALLIES_FORMAT {
        writer.varint(tally.clipped);
    }
    // There are at most `Cluster::COUNT` entries, so the length always fits.
    writer.varint(tally.clusters.len() as u64);
    for (&cluster, part) in &tally.clusters {
        writer.byte(cluster.get());
        writer.varint(part.count);
        writer.float(part.sum);
        if format == BINNED_TALLIES_FORMAT {
            let bins = tally.bins_of(cluster);
            writer.varint(bins.clone().count() as u64);
            writer.bins(bins);
        }
    }
}

fn read_tally(reader: &mut Reader<'_>, format: u8) -> Result<Tally, CodecError> {
    let count = reader.varint("a tally's count")?;
    if count == 0 {
        return Ok(Tally::default());
    }
    let mut tally = Tally {
        count,
        sum: reader.finite("a tally's sum")?,
        sum_of_squares: reader.finite("a tally's sum of squares")?,
        ..Tally::default()
    };
    if format == BINNED_TALLIES_FORMAT {
        tally.clipped = reader.varint("a tally's clipped values")?;
        if tally.clipped > count {
            return Err(CodecError::Malformed(
                "a tally has more clipped values than values",
            ));
        }
    }
    for _ in 0..reader.varint("a tally's number of clusters")? {
        read_cluster(reader, format, &mut tally)?;
    }
    let parts = tally.clusters.values();
    if parts.fold(0_u64, |sum, part| sum.saturating_add(part.count)) != count {
        return Err(CodecError::Malformed(
            "the clusters of a tally do not add up to its count",
        ));
    }
    Ok(tally)
}

fn read_cluster(reader: &mut Reader<'_>, format: u8, tally: &mut Tally) -> Result<(), CodecError> {
    let number = reader.byte("a cluster's number")?;
    let cluster = Cluster::new(number).ok_or(CodecError::Malformed("a cluster's number is above 127"))?;
    // Rising numbers also bound the loop: a hostile length runs into this or into the end.
    let last = tally.clusters.last_key_value();
    if last.is_some_and(|(&last, _)| last >= cluster) {
        return Err(CodecError::Malformed("the clusters of a tally are not in order"));
    }
    let part = ClusterTally {
        count: reader.varint("a cluster's count")?,
        sum: reader.finite("a cluster's sum")?,
    };
    if part.count == 0 {
        return Err(CodecError::Malformed("a cluster of a tally is empty"));
    }
    tally.clusters.insert(cluster, part);
    if format == BINNED_TALLIES_FORMAT {
        let how_many = reader.varint("a cluster's number of bins")?;
        let bins = reader.bins(how_many)?;
        let counted = bins.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        if !bins.is_empty() && counted != part.count {
            return Err(CodecError::Malformed(
                "the bins of a cluster do not add up to its count",
            ));
        }
        let of_cluster = bins.into_iter().map(|(bin, count)| ((cluster, bin), count));
        tally.bins.extend(of_cluster);
    }
    Ok(())
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

    /// Both arms, in the layout of [this module](self).
    pub(super) fn arms(&mut self, arms: &ArmTallies) {
        let format = arms.format();
        self.byte(format);
        write_tally(self, &arms.control, format);
        write_tally(self, &arms.treatment, format);
    }

    /// Bins, rising, with their counts; how many there are is for the caller to write.
    pub(super) fn bins(&mut self, bins: impl Iterator<Item = (LogBin, u64)>) {
        let mut last: Option<LogBin> = None;
        for (bin, count) in bins {
            match last {
                None => self.0.extend_from_slice(&bin.number().to_le_bytes()),
                Some(last) => self.varint(u64::from(bin.distance_from(last).unsigned_abs())),
            }
            self.varint(count);
            last = Some(bin);
        }
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

    /// The format, which must be one from `oldest` to `known`.
    pub(super) fn format(&mut self, oldest: u8, known: u8) -> Result<u8, CodecError> {
        let found = self.byte("the format")?;
        if (oldest..=known).contains(&found) {
            Ok(found)
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

    /// What [`Writer::arms`] wrote.
    pub(super) fn arms(&mut self) -> Result<ArmTallies, CodecError> {
        let format = self.format(TALLIES_FORMAT, BINNED_TALLIES_FORMAT)?;
        let arms = ArmTallies {
            control: read_tally(self, format)?,
            treatment: read_tally(self, format)?,
        };
        if arms.format() == format {
            Ok(arms)
        } else {
            Err(CodecError::Malformed("tallies without bins are in format 2"))
        }
    }

    /// What [`Writer::bins`] wrote.
    pub(super) fn bins(&mut self, how_many: u64) -> Result<BTreeMap<LogBin, u64>, CodecError> {
        let mut bins = BTreeMap::new();
        let mut number = 0_i16;
        for index in 0..how_many {
            if index == 0 {
                number = i16::from_le_bytes(self.chunk("a bin's number")?);
            } else {
                let distance = self.varint("a bin's distance")?;
                let distance = i16::try_from(distance).ok().filter(|distance| *distance > 0);
                let next = distance.and_then(|distance| number.checked_add(distance));
                number = next.ok_or(CodecError::Malformed("the bins are not in order"))?;
            }
            let bin = LogBin::new(number).ok_or(CodecError::Malformed("there is no bin of that number"))?;
            let count = self.varint("a bin's count")?;
            if count == 0 {
                return Err(CodecError::Malformed("a bin is empty"));
            }
            bins.insert(bin, count);
        }
        Ok(bins)
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
    use crate::analysis::Observation;
    use crate::ids::Arm;
    use proptest::prelude::*;

    fn arms() -> impl Strategy<Value = ArmTallies> {
        let observations = prop::collection::vec((prop::bool::ANY, 0..128u8, -1e6..1e6), 0..200);
        (prop::bool::ANY, observations).prop_map(|(binned, all)| {
            let mut arms = ArmTallies::default();
            for (treated, cluster, value) in all {
                let arm = if treated { Arm::Treatment } else { Arm::Control };
                let observation = Observation {
                    value,
                    bin: binned.then(|| LogBin::of(value)),
                    clipped: binned && value > 9e5,
                };
                arms.add(arm, Cluster::new(cluster).unwrap(), observation);
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

        let mut arms = ArmTallies::default();
        for value in [1.02, 1.0, 1.05, 1.05] {
            let bin = Some(LogBin::of(value));
            let clipped = value > 1.03;
            let value = 1.0;
            let observation = Observation { value, bin, clipped };
            arms.control.add(Cluster::new(5).unwrap(), observation);
        }
        let four = 4.0_f64.to_le_bytes();
        let bins = [3, 0, 0, 1, 1, 1, 2, 2];
        let expected = [&[2, 4][..], &four, &four, &[2, 1, 5, 4], &four, &bins, &[0]].concat();
        assert_eq!(arms.encode(), expected);
    }

    #[test]
    fn bins_that_no_tally_encodes_to_are_refused() {
        let one = 1.0_f64.to_le_bytes();
        let two = |rest: &[u8]| [&[2, 0, 2][..], &one, &one, rest].concat();
        let cluster = |bins: &[u8]| two(&[&[0, 1, 5, 2][..], &one, bins].concat());
        let refused = |bytes: Vec<u8>| ArmTallies::decode(&bytes).unwrap_err().to_string();

        assert!(ArmTallies::decode(&cluster(&[2, 7, 0, 1, 3, 1])).is_ok());
        assert_eq!(refused(cluster(&[0])), "tallies without bins are in format 2");
        assert_eq!(refused(vec![2, 0, 0]), "tallies without bins are in format 2");
        assert_eq!(refused(cluster(&[2, 7, 0, 1, 0, 1])), "the bins are not in order");
        let far = [2, 7, 0, 1, 0x80, 0x80, 2, 1];
        assert_eq!(refused(cluster(&far)), "the bins are not in order");
        assert_eq!(
            refused(cluster(&[1, 0xff, 0x7f, 2])),
            "there is no bin of that number"
        );
        assert_eq!(refused(cluster(&[1, 7, 0, 0])), "a bin is empty");
        assert_eq!(
            refused(cluster(&[1, 7, 0, 1])),
            "the bins of a cluster do not add up to its count"
        );
        assert_eq!(
            refused(two(&[3, 1, 5, 2])),
            "a tally has more clipped values than values"
        );
    }

    #[test]
    fn bytes_that_no_tally_encodes_to_are_refused() {
        let one = 1.0_f64.to_le_bytes();
        let arm = |clusters: &[u8]| [&[1, 0, 2][..], &one, &one, clusters].concat();
        let refused = |bytes: Vec<u8>| ArmTallies::decode(&bytes).unwrap_err().to_string();
        let pair = |first: u8, second: u8| [&[2, first, 1][..], &one, &[second, 1], &one].concat();

        assert!(ArmTallies::decode(&arm(&pair(4, 5))).is_ok());
        assert_eq!(
            refused(vec![3, 0, 0]),
            "format 3 is not known; this build reads formats up to 2"
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

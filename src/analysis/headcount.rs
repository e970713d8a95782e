//! Users and lines of one tick, beside the values: whether they came as planned, and what was left out.

use super::codec::{CodecError, Reader, Writer};
use crate::ids::{Arm, Exposure};
use std::collections::BTreeMap;

/// Format of encoded [`Headcount`]s that this build writes and reads.
pub const HEADCOUNT_FORMAT: u8 = 1;

/// A number for each arm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerArm {
    /// Of the stable version.
    pub control: u64,
    /// Of the candidate.
    pub treatment: u64,
}

impl PerArm {
    /// Counts one more; counts stop at [`u64::MAX`] instead of wrapping.
    pub fn add(&mut self, arm: Arm) {
        let count = match arm {
            Arm::Control => &mut self.control,
            Arm::Treatment => &mut self.treatment,
        };
        *count = count.saturating_add(1);
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: Self) {
        self.control = self.control.saturating_add(other.control);
        self.treatment = self.treatment.saturating_add(other.treatment);
    }

    /// Both arms together.
    pub fn total(self) -> u64 {
        self.control.saturating_add(self.treatment)
    }
}

/// Users by the share of them that was planned for treatment when they were first seen.
pub type ByShare = BTreeMap<Exposure, PerArm>;

/// Users and lines of one rollout in one tick; additive, as tallies are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headcount {
    /// Users who were observed for the first time.
    pub users: ByShare,
    /// Users of whom an observation was left out for the first time.
    pub excluded: ByShare,
    /// Observations that were left out because the application had served a fallback of its own.
    pub fallback: PerArm,
    /// Observations that were left out because a value was out of range.
    pub out_of_range: PerArm,
}

impl Headcount {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another one has counted; commutative and associative.
    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in [
            (&mut self.users, &other.users),
            (&mut self.excluded, &other.excluded),
        ] {
            for (&share, &counts) in others {
                mine.entry(share).or_default().merge(counts);
            }
        }
        self.fallback.merge(other.fallback);
        self.out_of_range.merge(other.out_of_range);
    }

    /// Writes it: the format, users and excluded users, each as their number of shares and, rising, the
    /// share in parts per million and both counts; then the counts of lines. All numbers are varints of
    /// [`codec`](super::codec), control first.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.byte(HEADCOUNT_FORMAT);
        for by_share in [&self.users, &self.excluded] {
            writer.by_share(by_share);
        }
        for counts in [self.fallback, self.out_of_range] {
            writer.per_arm(counts);
        }
        writer.finish()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// Any [`CodecError`]; bytes that no headcount encodes to are refused, never repaired.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        reader.format(HEADCOUNT_FORMAT, HEADCOUNT_FORMAT)?;
        let headcount = Self {
            users: reader.by_share()?,
            excluded: reader.by_share()?,
            fallback: reader.per_arm()?,
            out_of_range: reader.per_arm()?,
        };
        reader.end()?;
        Ok(headcount)
    }
}

impl Writer {
    pub(super) fn per_arm(&mut self, counts: PerArm) {
        self.varint(counts.control);
        self.varint(counts.treatment);
    }

    pub(super) fn by_share(&mut self, by_share: &ByShare) {
        self.varint(by_share.len() as u64);
        for (share, &counts) in by_share {
            self.varint(u64::from(share.ppm()));
            self.per_arm(counts);
        }
    }
}

impl Reader<'_> {
    pub(super) fn per_arm(&mut self) -> Result<PerArm, CodecError> {
        Ok(PerArm {
            control: self.varint("a count of control")?,
            treatment: self.varint("a count of treatment")?,
        })
    }

    pub(super) fn by_share(&mut self) -> Result<ByShare, CodecError> {
        let mut by_share = ByShare::new();
        for _ in 0..self.varint("the number of shares")? {
            let ppm = u32::try_from(self.varint("a share")?).ok();
            let share = ppm.and_then(|ppm| Exposure::from_ppm(ppm).ok());
            let share = share.ok_or(CodecError::Malformed("a share is above 1,000,000"))?;
            // Rising shares also bound the loop: a hostile number runs into this or into the end.
            if by_share.last_key_value().is_some_and(|(&last, _)| last >= share) {
                return Err(CodecError::Malformed("the shares are not in order"));
            }
            let counts = self.per_arm()?;
            if counts.total() == 0 {
                return Err(CodecError::Malformed("nobody is counted at a share"));
            }
            by_share.insert(share, counts);
        }
        Ok(by_share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn per_arm() -> impl Strategy<Value = PerArm> {
        (any::<u32>(), any::<u32>()).prop_map(|(control, treatment)| PerArm {
            control: u64::from(control) + 1,
            treatment: u64::from(treatment),
        })
    }

    fn by_share() -> impl Strategy<Value = ByShare> {
        let share = (0..=1_000_000_u32).prop_map(|ppm| Exposure::from_ppm(ppm).unwrap());
        prop::collection::btree_map(share, per_arm(), 0..4)
    }

    fn headcount() -> impl Strategy<Value = Headcount> {
        (by_share(), by_share(), per_arm(), per_arm()).prop_map(
            |(users, excluded, fallback, out_of_range)| Headcount {
                users,
                excluded,
                fallback,
                out_of_range,
            },
        )
    }

    proptest! {
        #[test]
        fn headcounts_come_back(headcount in headcount()) {
            prop_assert_eq!(Headcount::decode(&headcount.encode()), Ok(headcount));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
            if let Ok(headcount) = Headcount::decode(&bytes) {
                prop_assert_eq!(headcount.encode(), bytes);
            }
        }

        #[test]
        fn cut_or_lengthened_bytes_are_refused(headcount in headcount(), cut in any::<prop::sample::Index>()) {
            let mut bytes = headcount.encode();
            prop_assert!(Headcount::decode(&bytes[..cut.index(bytes.len())]).is_err());
            bytes.push(0);
            prop_assert_eq!(Headcount::decode(&bytes), Err(CodecError::LeftOver(1)));
        }

        #[test]
        fn any_order_merges_to_the_same(a in headcount(), b in headcount(), c in headcount()) {
            let merged = |parts: [&Headcount; 3]| {
                let mut whole = Headcount::default();
                parts.into_iter().for_each(|part| whole.merge(part));
                whole
            };
            let whole = merged([&a, &b, &c]);
            prop_assert_eq!(&merged([&c, &a, &b]), &whole);
            let mut pair = b.clone();
            pair.merge(&c);
            let mut other = a.clone();
            other.merge(&pair);
            prop_assert_eq!(other, whole);
        }
    }

    #[test]
    fn bytes_that_no_headcount_encodes_to_are_refused() {
        let refused = |bytes: &[u8]| Headcount::decode(bytes).unwrap_err().to_string();
        assert_eq!(refused(&[1, 2, 5, 1, 0, 5, 1, 0]), "the shares are not in order");
        assert_eq!(refused(&[1, 1, 5, 0, 0]), "nobody is counted at a share");
        assert_eq!(
            refused(&[1, 1, 0xc1, 0x84, 0x3d, 1, 0]),
            "a share is above 1,000,000"
        );
        assert_eq!(
            refused(&[2]),
            "format 2 is not known; this build reads formats up to 1"
        );
        assert!(Headcount::default().is_empty());
    }
}

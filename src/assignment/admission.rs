//! Who may enter a rollout at all.
//!
//! Whoever may not enter is served the control arm and not counted: they are no part of what is
//! compared. Nothing here depends on the exposure, so that raising it takes treatment from nobody.
//!
//! | who is outside | told from | drawn by |
//! |---|---|---|
//! | the server's reserve, in treatment of no policy | the key | the salt in the settings |
//! | users of the other policies of the group | the key | the group's name |
//! | users outside of the segment | the key | the salt of the segment |
//! | users who do not meet a condition | their attributes | |
//!
//! Each is drawn under a purpose of its own, so that none tells of another or of the arm.

use super::bucket::{Bucket, Purpose, SECRET_BYTES, SplitKey};
use super::{Reason, Who};
use crate::ids::{Exposure, GroupName};
use crate::targeting::{AttributeName, Condition, Mismatch};
use std::sync::Arc;

/// Who may enter a rollout.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admission {
    /// What must hold of a user's attributes: every one of these.
    pub conditions: Arc<[Condition]>,
    /// The share of users among whom the rollout is; everybody where there is none.
    pub segment: Option<Segment>,
    /// The policy's part of its group.
    pub group: Option<GroupPart>,
    /// The server's reserve.
    pub reserve: Option<Segment>,
}

/// A share of users, drawn apart from their arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// How many of them.
    pub share: Exposure,
    /// Draws them.
    pub key: SplitKey,
}

/// The part of a group's hash line that belongs to one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupPart {
    /// The group.
    pub name: GroupName,
    /// Places users on the group's line.
    pub key: SplitKey,
    /// The part.
    pub range: Range,
    /// What rollouts that began earlier, under an older text of their policies, still have of it.
    pub taken: Vec<Range>,
}

/// A part of a hash line: from one share up to another, without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub from: Exposure,
    /// Where it ends.
    pub to: Exposure,
}

impl Range {
    fn contains(self, bucket: Bucket) -> bool {
        !bucket.is_below(self.from) && bucket.is_below(self.to)
    }

    /// Whether some user lies in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.from.max(other.from) < self.to.min(other.to)
    }
}

impl Segment {
    /// The server's reserve: a share drawn by a salt from its settings.
    pub fn reserve(share: Exposure, salt: &str, secret: &[u8; SECRET_BYTES]) -> Self {
        Self {
            share,
            key: SplitKey::of_text(secret, Purpose::Reserve, salt),
        }
    }

    fn contains(&self, who: Who<'_>) -> bool {
        self.key.bucket(who.placed()).is_below(self.share)
    }
}

impl GroupPart {
    fn contains(&self, who: Who<'_>) -> bool {
        let bucket = self.key.bucket(who.placed());
        self.range.contains(bucket) && !self.taken.iter().any(|range| range.contains(bucket))
    }
}

impl Admission {
    /// Whether somebody may not enter.
    pub fn is_restricted(&self) -> bool {
        !self.conditions.is_empty()
            || self.segment.is_some()
            || self.group.is_some()
            || self.reserve.is_some()
    }

    /// The attribute that a reason is about.
    pub fn attribute(&self, reason: Reason) -> Option<&AttributeName> {
        match reason {
            Reason::AttributeMissing(at) | Reason::NotTargeted(at) => {
                let condition = self.conditions.get(usize::from(at));
                condition.map(|condition| &condition.attribute)
            }
            Reason::Split
            | Reason::Forced
            | Reason::Holdback
            | Reason::OutsideSegment
            | Reason::OtherInGroup
            | Reason::Reserved
            | Reason::Idle(_) => None,
        }
    }

    /// Why `who` does not enter; none for whoever does.
    ///
    /// What follows from the key alone comes first, so that it is told of users whose attributes nobody
    /// knows, too.
    pub fn refusal(&self, who: Who<'_>) -> Option<Reason> {
        if self.reserve.as_ref().is_some_and(|reserve| reserve.contains(who)) {
            return Some(Reason::Reserved);
        }
        if self.group.as_ref().is_some_and(|part| !part.contains(who)) {
            return Some(Reason::OtherInGroup);
        }
        if self
            .segment
            .as_ref()
            .is_some_and(|segment| !segment.contains(who))
        {
            return Some(Reason::OutsideSegment);
        }
        let mut conditions = self.conditions.iter().zip(0_u8..);
        conditions.find_map(|(condition, at)| match condition.admits(who.attributes) {
            Ok(()) => None,
            Err(Mismatch::Missing) => Some(Reason::AttributeMissing(at)),
            Err(Mismatch::Differs) => Some(Reason::NotTargeted(at)),
        })
    }
}

//! Who may enter a rollout at all.
//!
//! Whoever may not enter is served the control arm and not counted: they are no part of what is
//! compared. Nothing here depends on the exposure, so that raising it takes treatment from nobody.

use super::bucket::SplitKey;
use super::{Reason, Who};
use crate::ids::Exposure;
use crate::targeting::{AttributeName, Condition, Mismatch};
use std::sync::Arc;

/// Who may enter a rollout.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admission {
    /// What must hold of a user's attributes: every one of these.
    pub conditions: Arc<[Condition]>,
    /// The share of users among whom the rollout is; everybody where there is none.
    pub segment: Option<Segment>,
}

/// A share of users, drawn apart from their arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// How many of them.
    pub share: Exposure,
    /// Draws them; a key of [`Purpose::Segment`](super::bucket::Purpose::Segment).
    pub key: SplitKey,
}

impl Admission {
    /// Whether somebody may not enter.
    pub fn is_restricted(&self) -> bool {
        !self.conditions.is_empty() || self.segment.is_some()
    }

    /// The attribute that a reason is about.
    pub fn attribute(&self, reason: Reason) -> Option<&AttributeName> {
        match reason {
            Reason::AttributeMissing(at) | Reason::NotTargeted(at) => {
                let condition = self.conditions.get(usize::from(at));
                condition.map(|condition| &condition.attribute)
            }
            Reason::Split | Reason::Forced | Reason::Holdback | Reason::OutsideSegment | Reason::Idle(_) => {
                None
            }
        }
    }

    /// Why `who` does not enter; none for whoever does.
    ///
    /// What follows from the key alone comes first, so that it is told of users whose attributes nobody
    /// knows, too.
    pub fn refusal(&self, who: Who<'_>) -> Option<Reason> {
        let outside = |segment: &Segment| !segment.key.bucket(who.user).is_below(segment.share);
        if self.segment.as_ref().is_some_and(outside) {
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

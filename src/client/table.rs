//! The route table as a client holds it.

use super::AssignError;
use crate::assignment::assign::assign;
use crate::assignment::forced::{DIGEST_BYTES, digest};
use crate::assignment::{Assignment, Reason, Route, Treatment};
use crate::ids::{Arm, UserKey};
use std::collections::{HashMap, HashSet};

/// Every policy at one moment; never changed.
#[derive(Debug, Default)]
pub struct Table {
    entries: HashMap<String, Result<Entry, String>>,
}

/// One policy.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) route: Route,
    pub(super) forced: Forced,
}

/// Users with a fixed arm, by digest.
#[derive(Debug, Default)]
pub(super) struct Forced {
    pub(super) treatment: HashSet<[u8; DIGEST_BYTES]>,
    pub(super) control: HashSet<[u8; DIGEST_BYTES]>,
}

impl Table {
    pub(super) fn add(&mut self, entry: Entry) {
        self.entries.insert(entry.route.policy.to_string(), Ok(entry));
    }

    pub(super) fn add_unread(&mut self, policy: String, why: String) {
        self.entries.insert(policy, Err(why));
    }

    /// How many policies it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no policy at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What `user` gets under `policy`.
    ///
    /// # Errors
    ///
    /// It has no such policy, or cannot read it, or the user key is not 1 to 256 bytes long.
    pub fn assign(&self, policy: &str, user: &str) -> Result<Assignment<'_>, AssignError> {
        let user = UserKey::new(user).map_err(|refused| AssignError::BadUser { rule: refused.rule() })?;
        let entry = self
            .entries
            .get(policy)
            .ok_or_else(|| AssignError::UnknownPolicy {
                policy: policy.to_owned(),
            })?;
        let entry = entry.as_ref().map_err(|why| AssignError::Unread {
            policy: policy.to_owned(),
            why: why.clone(),
        })?;
        Ok(entry.assign(user))
    }
}

impl Entry {
    fn assign(&self, user: UserKey<'_>) -> Assignment<'_> {
        let forced = self.route.treatment.as_ref().and_then(|treatment| {
            let arm = self.forced.arm(treatment, user)?;
            Some((treatment, arm))
        });
        let assignment = assign(&self.route, user);
        match forced {
            None => assignment,
            Some((treatment, arm)) => Assignment {
                arm,
                served: match arm {
                    Arm::Control => &self.route.control,
                    Arm::Treatment => &treatment.served,
                },
                reason: Reason::Forced,
                ..assignment
            },
        }
    }
}

impl Forced {
    fn arm(&self, treatment: &Treatment, user: UserKey<'_>) -> Option<Arm> {
        if self.treatment.is_empty() && self.control.is_empty() {
            return None;
        }
        let digest = digest(treatment.rollout, user.as_str());
        if self.treatment.contains(&digest) {
            Some(Arm::Treatment)
        } else {
            self.control.contains(&digest).then_some(Arm::Control)
        }
    }
}

//! The route table as a client holds it.

use super::wire::{self, FORMAT};
use super::{AssignError, User};
use crate::assignment::assign::assign;
use crate::assignment::forced::{DIGEST_BYTES, digest};
use crate::assignment::{Assignment, Reason, Route, Treatment, Who};
use crate::ids::Arm;
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

/// Why a text is no route table of this version.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Not what this version reads.
    #[error(
        "the table has format `{0}`, and this version reads `{FORMAT}`: use a client of the server's version"
    )]
    OtherFormat(String),
    /// Not JSON, or not of its form.
    #[error("the table cannot be understood: {0}")]
    NotUnderstood(serde_json::Error),
}

impl Table {
    /// Reads what `GET /v1/route-table` answers, for whoever brings it by ways of their own.
    ///
    /// # Errors
    ///
    /// It is no table, or has another format. A route that cannot be read is one that cannot be assigned by.
    pub fn parse(text: &[u8]) -> Result<Self, TableError> {
        wire::table(text)
    }

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
    /// It has no such policy, or cannot read it, or a key of the user is not 1 to 256 bytes long.
    pub fn assign<'a>(&self, policy: &str, user: impl Into<User<'a>>) -> Result<Assignment<'_>, AssignError> {
        let who = user.into().who()?;
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
        Ok(entry.assign(who))
    }
}

impl Entry {
    fn assign(&self, who: Who<'_>) -> Assignment<'_> {
        let forced = self.route.treatment.as_ref().and_then(|treatment| {
            let arm = self.forced.arm(treatment, who)?;
            Some((treatment, arm))
        });
        let assignment = assign(&self.route, who);
        match forced {
            None => assignment,
            Some((treatment, arm)) => Assignment {
                arm,
                served: match arm {
                    Arm::Control => &self.route.control,
                    Arm::Treatment => &treatment.served,
                },
                reason: Reason::Forced,
                attribute: None,
                ..assignment
            },
        }
    }
}

impl Forced {
    fn arm(&self, treatment: &Treatment, who: Who<'_>) -> Option<Arm> {
        if self.treatment.is_empty() && self.control.is_empty() {
            return None;
        }
        let digests = || who.keys().map(|key| digest(treatment.rollout, key));
        if digests().any(|digest| self.treatment.contains(&digest)) {
            Some(Arm::Treatment)
        } else {
            let kept = digests().any(|digest| self.control.contains(&digest));
            kept.then_some(Arm::Control)
        }
    }
}

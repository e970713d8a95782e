//! Who gets what: a pure function from a [`Snapshot`](snapshot::Snapshot) and a user to an
//! [`Assignment`].
//!
//! This room knows routes, not policies. A [`Route`] is what `rollout::route` distils from a policy
//! and the state of its rollout; everything that assigning needs is in it, so that answering takes
//! a lookup, a hash and a comparison.

use crate::ids::{Arm, Exposure, Generation, Label, PolicyName, PromptName, RolloutId, Version};
use crate::targeting::AttributeName;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How one policy's users are served at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The policy.
    pub policy: PolicyName,
    /// The prompt that the labels belong to.
    pub prompt: PromptName,
    /// What the control arm is served.
    pub control: Served,
    /// What the treatment arm is served; none while no rollout exposes a candidate.
    pub treatment: Option<Treatment>,
    /// Why nobody is in treatment, when nobody is.
    pub idle: Idle,
}

/// A label, and the version that Serin knows it to point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The label to fetch by.
    pub label: Label,
    /// The version behind it; none while the registry has not answered or has no such label.
    pub version: Option<Version>,
}

/// The candidate's side of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct Treatment {
    /// What the arm is served.
    pub served: Served,
    /// Share of users: a whole number of the line's cells.
    pub exposure: Exposure,
    /// Share that never enters treatment: the highest part of the hash line, likewise.
    pub holdback: Exposure,
    /// The rollout.
    pub rollout: RolloutId,
    /// Its generation.
    pub generation: Generation,
    /// The line that users are placed on.
    pub line: line::Line,
    /// The key that spreads users over clusters.
    pub cluster_key: bucket::SplitKey,
    /// Who may enter.
    pub admission: Admission,
    /// Users with a fixed arm: they have the candidate as long as this value exists, at any exposure.
    pub forced_treatment: Arc<BTreeSet<Arc<str>>>,
    /// Users with a fixed arm, likewise.
    pub forced_control: Arc<BTreeSet<Arc<str>>>,
}

/// Why nobody is in treatment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Idle {
    /// No rollout has run, or the last one ended.
    NoRollout,
    /// A rollout waits for its gates.
    Pending,
    /// The candidate was taken back.
    RolledBack,
    /// The candidate became stable: everybody has it.
    Promoted,
}

/// Why a user got what they got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The hash decided.
    Split,
    /// The policy fixes this user's arm.
    Forced,
    /// The user is in the share that stays in control.
    Holdback,
    /// The condition at this position of [`Admission::conditions`] needs an attribute that nobody sent.
    AttributeMissing(u8),
    /// The condition at this position is not met.
    NotTargeted(u8),
    /// The user is outside of the share of users that the rollout is for.
    OutsideSegment,
    /// Another policy of the group may have the user in treatment.
    OtherInGroup,
    /// The user is in the server's reserve, which is in treatment of no policy.
    Reserved,
    /// Nobody is in treatment: see [`Idle`].
    Idle(Idle),
}

impl Reason {
    /// Whether the user is no part of the rollout, by [`Admission`].
    pub fn is_outside(self) -> bool {
        match self {
            Self::AttributeMissing(_)
            | Self::NotTargeted(_)
            | Self::OutsideSegment
            | Self::OtherInGroup
            | Self::Reserved => true,
            Self::Split | Self::Forced | Self::Holdback | Self::Idle(_) => false,
        }
    }
}

/// What a user gets; borrows from the snapshot that answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assignment<'s> {
    /// The policy.
    pub policy: &'s PolicyName,
    /// The arm.
    pub arm: Arm,
    /// The label to fetch by, and the version behind it.
    pub served: &'s Served,
    /// The share of users in treatment at this moment.
    pub exposure: Exposure,
    /// Why this arm.
    pub reason: Reason,
    /// The attribute that keeps the user out, where one does.
    pub attribute: Option<&'s AttributeName>,
    /// The rollout and its generation, while one exposes a candidate.
    pub rollout: Option<(RolloutId, Generation)>,
}

pub mod admission;
pub mod assign;
pub mod snapshot;
mod who;

pub use admission::Admission;
pub use who::Who;

pub mod bucket;
pub mod forced;
pub mod line;
pub mod siphash;

pub mod eppo;
pub mod flagd;
pub mod growthbook;
pub mod launchdarkly;
mod murmur3;
pub mod optimizely;
pub mod statsig;
pub mod unleash;

pub mod receipt;

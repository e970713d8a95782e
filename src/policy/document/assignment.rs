//! `spec.assignment`: how users are split.

use super::super::problem::Span;
use super::super::quantity::Percentage;
use super::super::sdk::Sdk;
use super::read::Given;
use super::targeting::{CONDITIONS_MAX, TargetingDocument};
use super::value::{ForcedUser, Items};
use crate::ids::Scheme;
use schemars::JsonSchema;

/// Most users that are forced into one arm.
pub const FORCED_USERS_MAX: usize = 1_000;

/// Most SDKs that a policy names.
const SDKS_MAX: usize = 16;

/// How users are split.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Assignment", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AssignmentDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// How users are placed on the hash line.
    #[schemars(default, extend("default" = "serin"))]
    pub(crate) hash: Given<Scheme>,
    /// Seed of the split; without it, each candidate draws other users. With the hash of another system,
    /// what that system hashes beside the user: see `hash`.
    #[schemars(default, extend("maxLength" = 128))]
    pub(crate) salt: Given<String>,
    /// Share that stays in control until promotion: a percentage below 100%.
    #[schemars(default, extend("default" = "0%"))]
    pub(crate) holdback: Given<Percentage>,
    /// Users with a fixed arm; they are served, never counted.
    #[schemars(default)]
    pub(crate) force: Given<ForceDocument>,
    /// SDKs of other systems that evaluate this policy by themselves; `lint` says where they would put
    /// users into other arms.
    #[schemars(default)]
    pub(crate) sdks: Given<Items<Sdk, 0, SDKS_MAX>>,
    /// Whom the rollout is for: users who meet every one of these; the others are served the stable version
    /// and not counted. Without it, everybody.
    #[schemars(default)]
    pub(crate) targeting: Given<Items<TargetingDocument, 0, CONDITIONS_MAX>>,
    /// The policy's part of a group: a user is in treatment of one policy of a group at most.
    #[schemars(default)]
    pub(crate) group: Given<GroupDocument>,
}

/// The part of a group's users who may enter; the parts of its policies do not overlap.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Group", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct GroupDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// Name of the group: a DNS label, which is also what draws its users.
    #[schemars(extend("maxLength" = 63, "pattern" = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub(crate) name: Given<String>,
    /// Where the part begins on the group's line of users.
    pub(crate) from: Given<Percentage>,
    /// Where it ends: above `from`.
    pub(crate) to: Given<Percentage>,
}

/// Users with a fixed arm.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Force", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ForceDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// Users who always get the candidate while a rollout runs.
    #[schemars(default)]
    pub(crate) treatment: Given<Items<ForcedUser, 0, FORCED_USERS_MAX>>,
    /// Users who always get the stable version.
    #[schemars(default)]
    pub(crate) control: Given<Items<ForcedUser, 0, FORCED_USERS_MAX>>,
}

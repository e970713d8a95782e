//! The route table: everything that whoever assigns by themselves needs, in a form of its own.

use super::admission::AdmissionView;
use super::assignment::{ServedView, reason_word};
use crate::api::schema::{AssignmentReasonText, DnsLabel, PromptNameText, RolloutIdText};
use crate::assignment::line::Line;
use crate::assignment::{Reason, Route, Treatment, forced};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

/// The form that is written; a reader refuses every other.
pub const FORMAT: &str = "serin/route-table/v1";

/// Every policy, as its users are assigned.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RouteTable)]
pub struct RouteTableView<'s> {
    /// `serin/route-table/v1`; refuse a table of any other.
    pub format: &'static str,
    /// By name of policy.
    pub routes: Vec<TableRouteView<'s>>,
}

/// How one policy's users are assigned.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TableRoute)]
pub struct TableRouteView<'s> {
    /// The policy.
    #[schema(value_type = DnsLabel)]
    pub policy: &'s str,
    /// The prompt that the labels belong to.
    #[schema(value_type = PromptNameText)]
    pub prompt: &'s str,
    /// What the control arm is served.
    pub control: ServedView,
    /// Why everybody is in control where `treatment` is null.
    #[schema(value_type = AssignmentReasonText)]
    pub idle: &'static str,
    /// What the treatment arm is served, and who is in it; null while no candidate is exposed.
    pub treatment: Option<TableTreatmentView<'s>>,
}

/// The candidate's side of a route.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TableTreatment)]
pub struct TableTreatmentView<'s> {
    /// What the arm is served.
    #[serde(flatten)]
    pub served: ServedView,
    /// Share of users in treatment, from the lowest end of the hash line, in parts per million.
    #[schema(maximum = 1_000_000)]
    pub exposure_ppm: u32,
    /// Share that never enters treatment, at the highest end, in parts per million.
    #[schema(maximum = 1_000_000)]
    pub holdback_ppm: u32,
    /// The rollout.
    #[schema(value_type = RolloutIdText)]
    pub rollout: String,
    /// Its generation.
    pub generation: u64,
    /// Where users lie.
    pub line: LineView<'s>,
    /// Whether the rollout is for some users only: a reader that knows nothing of `admission` asks the server.
    pub restricted: bool,
    /// Who may enter; forced users have their arm before.
    pub admission: AdmissionView<'s>,
    /// Users with a fixed arm.
    pub forced: ForcedView,
}

/// A hash line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HashLine)]
pub struct LineView<'s> {
    /// The hash, as `spec.assignment.hash` of the policy names it.
    pub scheme: &'static str,
    /// The rollout's 128-bit key as base64url, for `serin`; null for the others.
    pub key: Option<String>,
    /// What users are hashed with, in the open; null for `serin`.
    pub salt: Option<&'s str>,
}

/// Users with a fixed arm, by digest (see `assignment::forced`), because their keys are nobody's to read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ForcedDigests)]
pub struct ForcedView {
    /// Who has the candidate.
    pub treatment: Vec<String>,
    /// Who has not.
    pub control: Vec<String>,
}

/// "The table has changed: ask for it."
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteTableNotice)]
pub struct RouteTableNoticeView<'s> {
    /// The `ETag` of the table as it is now.
    pub tag: &'s str,
}

impl<'s> From<&'s Route> for TableRouteView<'s> {
    fn from(route: &'s Route) -> Self {
        Self {
            policy: route.policy.as_str(),
            prompt: route.prompt.as_str(),
            control: (&route.control).into(),
            idle: reason_word(Reason::Idle(route.idle)),
            treatment: route.treatment.as_ref().map(Into::into),
        }
    }
}

impl<'s> From<&'s Treatment> for TableTreatmentView<'s> {
    fn from(treatment: &'s Treatment) -> Self {
        let digests = |users: &BTreeSet<Arc<str>>| {
            let digest = |user: &Arc<str>| URL_SAFE_NO_PAD.encode(forced::digest(treatment.rollout, user));
            users.iter().map(digest).collect()
        };
        Self {
            served: (&treatment.served).into(),
            exposure_ppm: treatment.exposure.ppm(),
            holdback_ppm: treatment.holdback.ppm(),
            rollout: treatment.rollout.to_string(),
            generation: treatment.generation.get(),
            line: (&treatment.line).into(),
            restricted: treatment.admission.is_restricted(),
            admission: (&treatment.admission).into(),
            forced: ForcedView {
                treatment: digests(&treatment.forced_treatment),
                control: digests(&treatment.forced_control),
            },
        }
    }
}

impl<'s> From<&'s Line> for LineView<'s> {
    fn from(line: &'s Line) -> Self {
        Self {
            scheme: line.scheme().as_str(),
            key: line.split_key().map(|key| URL_SAFE_NO_PAD.encode(key.to_bytes())),
            salt: line.open_salt(),
        }
    }
}

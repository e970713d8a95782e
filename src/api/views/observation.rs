//! What applications observe, and what became of it.

use crate::api::problem::LineError;
use crate::api::schema::{ArmText, IgnoredText, MetricValues, UserKeyText, VersionNumber};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One observation. `user` or `receipt` must be there; the arm follows from the receipt, else from
/// `version`, else from `label`, else from `arm`, else from the user's hash on arrival.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Observation)]
#[expect(dead_code, reason = "it documents what `source::ingest` reads by hand")]
pub struct ObservationBody {
    /// The policy.
    #[schema(max_length = 63)]
    policy: String,
    /// Whom the values are about.
    #[schema(value_type = Option<UserKeyText>)]
    user: Option<String>,
    /// The key that the user had before they signed in, where the assignment was asked for with it.
    #[schema(value_type = Option<UserKeyText>)]
    anonymous: Option<String>,
    /// The receipt of the assignment.
    #[schema(max_length = 64)]
    receipt: Option<String>,
    /// Values by metric.
    #[schema(value_type = MetricValues)]
    metrics: BTreeMap<String, f64>,
    /// What makes the observation the same when it is sent again.
    #[schema(min_length = 1, max_length = 256)]
    id: Option<String>,
    /// The version that was served.
    #[schema(value_type = Option<VersionNumber>)]
    version: Option<u32>,
    /// The label that was fetched.
    label: Option<String>,
    /// The arm that was served.
    #[schema(value_type = Option<ArmText>)]
    arm: Option<String>,
}

/// One observation or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ObservationsBody {
    /// One.
    One(ObservationBody),
    /// Several.
    Several(Vec<ObservationBody>),
}

/// What became of the observations of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ObservationsReceipt)]
pub struct ObservationsView {
    /// Lines of `accepted` that an earlier request had brought, by their `id`; they count once.
    pub duplicates: usize,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "the schema is that of the rest")]
    pub judged: JudgedView,
}

/// What was found about the lines of a request, before they were counted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JudgedObservations)]
pub struct JudgedView {
    /// Lines that are counted, now or by an earlier request.
    pub accepted: usize,
    /// Lines that are right and belong to no running comparison.
    pub ignored: u64,
    /// The same by reason.
    #[schema(value_type = BTreeMap<IgnoredText, u64>)]
    pub ignored_by: BTreeMap<&'static str, u64>,
    /// Lines that are wrong.
    pub refused: Vec<LineError>,
}

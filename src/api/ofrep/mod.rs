//! OFREP 0.3, the protocol of OpenFeature's remote providers: a policy is a flag.
//!
//! | asked | answered |
//! |---|---|
//! | `POST /ofrep/v1/evaluate/flags/{policy}` | the label as a string; the arm as `variant`; version, receipt and the rest as `metadata` |
//! | `POST /ofrep/v1/evaluate/flags/{policy}.assignment` | the assignment as an object, as `/v1/assignments` gives it |
//! | `POST /ofrep/v1/evaluate/flags` | every policy at once, with an `ETag`; objects as well when the context has `serinAssignments: true` |
//! | `GET /ofrep/v1/events?token=…` | "ask again", as server-sent events |
//!
//! No type is on the wire, so the key says which of both is wanted: a policy's name has no dot. The
//! user is the context's `targetingKey`.
//!
//! Paths, shapes, reasons and error codes are those of the specification
//! (`open-feature/protocol`, `service/openapi.yaml`, version 0.3.0; streams: ADR 0008). Where clients are
//! stricter than it, so are the answers: `variant`, `value` and `errorDetails` are always there, and
//! shares are floats. Statuses that it does not know become the nearest that it does: a body that is too
//! large or of another media type is 400, an overloaded server 429.

mod address;
mod bulk;
mod context;
mod events;
mod refusal;
mod request;
mod single;
mod views;

pub(in crate::api) use self::address::AddressKey;
pub(in crate::api) use self::single::evaluate_key;

use super::App;
use super::problem::Problem;
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What every path begins with.
pub(super) const PREFIX: &str = "/ofrep/";
/// What the paths of evaluations begin with.
pub(super) const EVALUATION_PREFIX: &str = "/ofrep/v1/evaluate/";
/// The route of one evaluation.
pub(super) const EVALUATION_ROUTE: &str = "/ofrep/v1/evaluate/flags/{key}";
/// What its path begins with.
pub(super) const FLAG_PREFIX: &str = "/ofrep/v1/evaluate/flags/";
/// What its operations are under in the API's description.
pub(super) const TAG: &str = "ofrep";

/// A problem in OFREP's form, where it arose before the route was reached.
pub(super) fn refused(problem: Problem) -> Response {
    refusal::Refusal::from(problem).into_response()
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(single::evaluate))
        // Clients do not encode slashes; no policy has one in its name, and the answer must say so.
        .route(
            "/ofrep/v1/evaluate/flags/{key}/{*rest}",
            axum::routing::post(single::evaluate),
        )
        .routes(routes!(bulk::evaluate_all))
        .routes(routes!(events::events))
}

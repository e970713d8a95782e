//! flagd's flag file, for evaluation in the application's own process: policies with `hash: flagd-v2` at
//! `GET /flagd/v2/flags.json`, those with `hash: flagd-v3` at `GET /flagd/v3/flags.json`, each with `ETag`.
//!
//! Two files, because the generations of flagd bucket the same flag differently: flagd-core for JavaScript
//! 4.0.1 and the Go mirror read v2, flagd-core for Python 2.0.0 v3. A flag's value is the label, the
//! context's `targetingKey` the user. Needs the scope `assign`. Source: flagd, "Flag definitions" and
//! "Fractional operation".

use super::App;
use super::access::MayAssign;
use super::etag::TaggedJson;
use super::problem::Problem;
use super::published::{Published, Split, published};
use crate::assignment::flagd::Message;
use crate::assignment::line::Line;
use crate::ids::{Exposure, Scheme};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: &str = "https://flagd.dev/schema/v0/flags.json";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/flagd/v2/flags.json", get(second))
        .route("/flagd/v3/flags.json", get(third))
}

#[derive(Serialize)]
struct FileView<'s> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    flags: BTreeMap<&'s str, FlagView<'s>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlagView<'s> {
    state: &'static str,
    /// Each label under its own name.
    variants: BTreeMap<&'s str, &'s str>,
    default_variant: &'s str,
    targeting: Value,
}

fn flag<'s>(policy: &Published<'s>) -> FlagView<'s> {
    let labels = policy
        .split
        .iter()
        .map(|split| split.treatment)
        .chain([policy.control]);
    FlagView {
        state: "ENABLED",
        variants: labels.map(|label| (label, label)).collect(),
        default_variant: policy.control,
        targeting: policy
            .split
            .as_ref()
            .map_or_else(|| json!({}), |split| fractional(policy, split)),
    }
}

/// The rule; weights are parts per million.
fn fractional(policy: &Published<'_>, split: &Split<'_>) -> Value {
    let treated = split.share.ppm();
    let buckets = [
        json!([split.treatment, treated]),
        json!([policy.control, Exposure::EVERYBODY.ppm() - treated]),
    ];
    // Without a value, flagd hashes the pair of the flag's key and the user.
    let is_pair = matches!(split.line, Line::FlagdV3(Message::Pair(_)));
    let hashed = (!is_pair).then(|| json!({"cat": [split.salt, {"var": "targetingKey"}]}));
    let arguments: Vec<Value> = hashed.into_iter().chain(buckets).collect();
    json!({ "fractional": arguments })
}

async fn second(app: State<Arc<App>>, _: MayAssign, headers: HeaderMap) -> Result<Response, Problem> {
    file(&app, Scheme::FlagdV2, &headers)
}

async fn third(app: State<Arc<App>>, _: MayAssign, headers: HeaderMap) -> Result<Response, Problem> {
    file(&app, Scheme::FlagdV3, &headers)
}

fn file(app: &App, scheme: Scheme, headers: &HeaderMap) -> Result<Response, Problem> {
    let snapshot = app.controller.snapshot();
    let policies = published(app, &snapshot, scheme)?;
    let flags = policies.iter().map(|policy| (policy.policy, flag(policy)));
    let view = FileView {
        schema: SCHEMA,
        flags: flags.collect(),
    };
    Ok(TaggedJson::new(&view)?.answer(headers, None))
}

//! GrowthBook's SDKs, which evaluate by themselves and hear of changes: policies with `hash: growthbook-v2`.
//!
//! | asked | answered |
//! |---|---|
//! | `GET /api/features/{key}` | every such policy as a feature, with `ETag` and `x-sse-support: enabled` |
//! | `GET /sub/{key}` | the event `features` with the same, at once and after each change |
//!
//! The key in the path is a token with the scope `assign`; on an open server it may be anything. The
//! attribute `id` is the user. A feature's value is the label, by an experiment with `ranges`; `coverage` is
//! never sent, because the SDKs disagree about its edge. Source: GrowthBook, "Build your own SDK",
//! sections *Features* and *Streaming updates*.

use super::App;
use super::access::Permit;
use super::etag::TaggedJson;
use super::extract::{Path, Segment};
use super::follow::{Follower, kept_alive};
use super::problem::Problem;
use super::published::{Published, Split, published};
use crate::ids::Scheme;
use crate::store::Scope;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::stream;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

const SSE_SUPPORT: HeaderName = HeaderName::from_static("x-sse-support");
/// `hashVersion` of the scheme.
const HASH_VERSION: u8 = 2;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/features/{key}", get(features))
        .route("/sub/{key}", get(subscribe))
}

/// The key in the path.
struct Key(String);

impl Segment for Key {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PayloadView<'s> {
    status: u16,
    features: BTreeMap<&'s str, FeatureView<'s>>,
    /// SDKs take it for the payload's version, and pass over a payload whose version they have.
    date_updated: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FeatureView<'s> {
    default_value: &'s str,
    rules: Vec<RuleView<'s>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleView<'s> {
    id: &'static str,
    key: &'s str,
    seed: &'s str,
    hash_attribute: &'static str,
    hash_version: u8,
    variations: [&'s str; 2],
    meta: [MetaView<'s>; 2],
    ranges: [[f64; 2]; 2],
}

#[derive(Serialize)]
struct MetaView<'s> {
    key: &'s str,
    name: &'s str,
}

/// Bits of the hash that become a date, in milliseconds: 34 years from 1970.
const DATE_BITS: u32 = 40;

/// A date that stands for the content: another one for other features, the same one after a restart.
fn date_of(features: &BTreeMap<&str, FeatureView<'_>>) -> Result<String, Problem> {
    let text = serde_json::to_vec(features).map_err(|error| Problem::internal(&error))?;
    let digest: [u8; 32] = Sha256::digest(&text).into();
    let hash = u64::from_be_bytes(std::array::from_fn(|at| digest[at])) >> (u64::BITS - DATE_BITS);
    let date = Timestamp::from_millisecond(hash.cast_signed()).map_err(|error| Problem::internal(&error))?;
    Ok(date.to_string())
}

fn feature<'s>(policy: &Published<'s>) -> FeatureView<'s> {
    let rule = |split: &Split<'s>| {
        let share = split.share.ratio();
        let labels = [split.treatment, policy.control];
        RuleView {
            id: "serin",
            key: policy.policy,
            seed: split.salt,
            hash_attribute: "id",
            hash_version: HASH_VERSION,
            variations: labels,
            meta: labels.map(|label| MetaView {
                key: label,
                name: label,
            }),
            ranges: [[0.0, share], [share, 1.0]],
        }
    };
    FeatureView {
        default_value: policy.control,
        rules: policy.split.iter().map(rule).collect(),
    }
}

/// What is made of that which is sent.
fn with_payload<T>(
    app: &App,
    make: impl FnOnce(&PayloadView<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let snapshot = app.controller.snapshot();
    let policies = published(app, &snapshot, Scheme::GrowthBookV2)?;
    let features = policies
        .iter()
        .map(|policy| (policy.policy, feature(policy)))
        .collect();
    make(&PayloadView {
        status: 200,
        date_updated: date_of(&features)?,
        features,
    })
}

fn permit(app: &App, key: &Key) -> Result<Permit, Problem> {
    app.access.permit(Some(&key.0), Scope::Assign)
}

async fn features(
    State(app): State<Arc<App>>,
    Path(key): Path<Key>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    permit(&app, &key)?;
    let payload = with_payload(&app, |payload| TaggedJson::new(payload))?;
    let enabled = [(SSE_SUPPORT, HeaderValue::from_static("enabled"))];
    Ok((enabled, payload.answer(&headers, Some("no-cache"))).into_response())
}

async fn subscribe(State(app): State<Arc<App>>, Path(key): Path<Key>) -> Result<Response, Problem> {
    let permit = permit(&app, &key)?;
    let follower = Follower::new(Arc::clone(&app), permit)?;
    let events = stream::unfold((app, follower), |(app, mut follower)| async move {
        loop {
            follower.next().await?;
            // Between two policies there may be none to tell of; the client keeps what it has.
            let told = with_payload(&app, |payload| {
                let event = Event::default().event("features");
                event
                    .json_data(payload)
                    .map_err(|error| Problem::internal(&error))
            });
            if let Ok(event) = told {
                return Some((Ok::<_, Infallible>(event), (app, follower)));
            }
        }
    });
    Ok(kept_alive(events))
}

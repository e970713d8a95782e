//! Unleash's client SDKs, which evaluate by themselves: policies with `hash: unleash`.
//!
//! | asked | answered |
//! |---|---|
//! | `GET /api/client/features` | every such policy as a feature, with `ETag` |
//! | `GET /api/client/streaming` | `unleash-connected`, then `unleash-updated` after each change, each with everything |
//! | `POST /api/client/register`, `POST /api/client/metrics` | 202: taken, and not kept |
//!
//! The token is the whole header `Authorization`, as Unleash's SDKs send it, or a bearer token; it needs
//! the scope `assign`. The context's `userId` is the user, and the variant of a feature is the label:
//! `getVariant`. Weights are thousandths, which is as fine as Unleash splits. Source: Unleash, client
//! specification 6.1.0, and the delta events of its SDKs ("hydration").

use super::App;
use super::access::Permit;
use super::body;
use super::etag::TaggedJson;
use super::follow::{Follower, kept_alive};
use super::problem::Problem;
use super::published::{Published, published};
use crate::ids::{Exposure, Scheme};
use crate::store::Scope;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::response::sse::Event;
use axum::routing::{get, post};
use futures_util::stream;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;

/// Sum of the weights of a feature's variants.
const WEIGHTS: u32 = 1_000;
/// The first event of a stream.
const CONNECTED: &str = "unleash-connected";
/// Every later event.
const UPDATED: &str = "unleash-updated";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/client/features", get(features))
        .route("/api/client/streaming", get(streaming))
        .route("/api/client/register", post(told))
        .route("/api/client/metrics", post(told))
}

#[derive(Serialize)]
struct FeaturesView<'s> {
    version: u8,
    features: Vec<FeatureView<'s>>,
}

#[derive(Serialize)]
struct EventsView<'s> {
    events: [HydrationView<'s>; 1],
}

/// Everything at once, which is always right.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HydrationView<'s> {
    #[serde(rename = "type")]
    kind: &'static str,
    event_id: u64,
    features: Vec<FeatureView<'s>>,
    segments: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FeatureView<'s> {
    name: &'s str,
    #[serde(rename = "type")]
    kind: &'static str,
    enabled: bool,
    project: &'static str,
    stale: bool,
    impression_data: bool,
    strategies: [StrategyView<'s>; 1],
    variants: [(); 0],
}

#[derive(Serialize)]
struct StrategyView<'s> {
    name: &'static str,
    constraints: [(); 0],
    segments: [(); 0],
    parameters: ParametersView<'s>,
    variants: Vec<VariantView<'s>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParametersView<'s> {
    rollout: &'static str,
    stickiness: &'static str,
    group_id: &'s str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VariantView<'s> {
    name: &'s str,
    weight: u32,
    weight_type: &'static str,
    stickiness: &'static str,
    payload: PayloadView<'s>,
}

#[derive(Serialize)]
struct PayloadView<'s> {
    #[serde(rename = "type")]
    kind: &'static str,
    value: &'s str,
}

fn variant(label: &str, weight: u32) -> VariantView<'_> {
    VariantView {
        name: label,
        weight,
        weight_type: "fix",
        stickiness: "userId",
        payload: PayloadView {
            kind: "string",
            value: label,
        },
    }
}

fn feature<'s>(policy: &Published<'s>) -> FeatureView<'s> {
    let (group_id, variants) = match &policy.split {
        Some(split) => {
            let treated = thousandths(split.share);
            let variants = vec![
                variant(split.treatment, treated),
                variant(policy.control, WEIGHTS - treated),
            ];
            (split.salt, variants)
        }
        None => (policy.policy, vec![variant(policy.control, WEIGHTS)]),
    };
    FeatureView {
        name: policy.policy,
        kind: "release",
        enabled: true,
        project: "default",
        stale: false,
        impression_data: false,
        strategies: [StrategyView {
            name: "flexibleRollout",
            constraints: [],
            segments: [],
            parameters: ParametersView {
                rollout: "100",
                stickiness: "userId",
                group_id,
            },
            variants,
        }],
        variants: [],
    }
}

/// A share of this scheme is a whole number of thousandths.
fn thousandths(share: Exposure) -> u32 {
    share.ppm() / (Exposure::EVERYBODY.ppm() / WEIGHTS)
}

/// A token as Unleash sends it, or as everybody else does.
fn permit(app: &App, headers: &HeaderMap) -> Result<Permit, Problem> {
    let value = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = value.map(|text| match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) | None => text,
    });
    app.access.permit(token, Scope::Assign)
}

async fn features(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    permit(&app, &headers)?;
    let snapshot = app.controller.snapshot();
    let policies = published(&app, &snapshot, Scheme::Unleash)?;
    let view = FeaturesView {
        version: 2,
        features: policies.iter().map(feature).collect(),
    };
    Ok(TaggedJson::new(&view)?.answer(&headers, None))
}

async fn streaming(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let permit = permit(&app, &headers)?;
    let follower = Follower::new(Arc::clone(&app), permit)?;
    let events = stream::unfold(
        (app, follower, CONNECTED),
        |(app, mut follower, name)| async move {
            loop {
                let number = follower.next().await?;
                if let Some(event) = event(&app, name, number) {
                    return Some((Ok::<_, Infallible>(event), (app, follower, UPDATED)));
                }
            }
        },
    );
    Ok(kept_alive(events))
}

/// Everything; none while there is nothing to tell of, and the client keeps what it has.
fn event(app: &App, name: &str, number: u64) -> Option<Event> {
    let snapshot = app.controller.snapshot();
    let policies = published(app, &snapshot, Scheme::Unleash).ok()?;
    let hydration = HydrationView {
        kind: "hydration",
        event_id: number,
        features: policies.iter().map(feature).collect(),
        segments: [],
    };
    let view = EventsView { events: [hydration] };
    Event::default()
        .event(name)
        .id(number.to_string())
        .json_data(&view)
        .ok()
}

/// What clients tell of themselves and of how often they evaluated; Serin counts observations instead.
async fn told(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    permit(&app, request.headers())?;
    body::read(request, &app.limits).await?;
    Ok(StatusCode::ACCEPTED)
}

//! The least that a server can do with an assignment: axum, one route, a label that is there already.
//!
//! `bare ADDRESS` answers `GET /v1/assignments/{policy}?user=` and `POST /ofrep/v1/evaluate/flags/{key}` with
//! bodies of the same form and size as Serin's, after it has read what Serin reads. It knows no tokens, hashes
//! nobody and counts nothing: what Serin takes more is what those cost.

use axum::extract::{Path, Query};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Asked {
    user: String,
}

#[derive(Serialize)]
struct Assignment {
    policy: String,
    arm: &'static str,
    label: &'static str,
    version: u32,
    exposure: f64,
    reason: &'static str,
    rollout: &'static str,
    receipt: &'static str,
}

async fn assign(Path(policy): Path<String>, Query(asked): Query<Asked>) -> Json<Assignment> {
    let treated = asked.user.len() % 2 == 0;
    Json(Assignment {
        policy,
        arm: if treated { "treatment" } else { "control" },
        label: if treated { "canary" } else { "production" },
        version: 2,
        exposure: 0.25,
        reason: "split",
        rollout: "r1",
        receipt: "AgEBgAAAAAAAAAAAAAAAAAAAAAAA",
    })
}

#[derive(Deserialize)]
struct Evaluation {
    context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    targeting_key: String,
}

#[derive(Serialize)]
struct Flag {
    key: String,
    value: &'static str,
    reason: &'static str,
    variant: &'static str,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {
    version: u32,
    rollout: &'static str,
    receipt: &'static str,
}

async fn evaluate(Path(key): Path<String>, Json(asked): Json<Evaluation>) -> Json<Flag> {
    let treated = asked.context.targeting_key.len() % 2 == 0;
    Json(Flag {
        key,
        value: if treated { "canary" } else { "production" },
        reason: "SPLIT",
        variant: if treated { "treatment" } else { "control" },
        metadata: Metadata {
            version: 2,
            rollout: "r1",
            receipt: "AgEBgAAAAAAAAAAAAAAAAAAAAAAA",
        },
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let router = Router::new()
        .route("/v1/assignments/{policy}", get(assign))
        .route("/ofrep/v1/evaluate/flags/{key}", post(evaluate));
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router).await
}

//! What SDKs ask to learn whether they speak to the right server.

use super::access::Keys;
use super::{PROJECT, refusal::Refusal};
use crate::api::access::Read;
use axum::Json;
use serde_json::{Value, json};

/// `GET /api/public/projects`: what `auth_check` of the SDKs asks for.
pub(super) async fn projects(_: Keys<Read>) -> Result<Json<Value>, Refusal> {
    let organization = json!({"id": PROJECT, "name": PROJECT});
    Ok(Json(json!({
        "data": [{"id": PROJECT, "name": PROJECT, "organization": organization, "metadata": {}}],
    })))
}

/// `GET /api/public/health`, which needs no keys.
pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "OK", "version": env!("CARGO_PKG_VERSION")}))
}

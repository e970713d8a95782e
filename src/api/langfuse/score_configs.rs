//! `GET /api/public/score-configs`: the metrics of policies, as Langfuse describes scores.
//!
//! They are written in policies and cannot be changed here.

use super::PROJECT;
use super::access::Keys;
use super::prompt_view::PageView;
use super::refusal::Refusal;
use super::request::Params;
use crate::api::App;
use crate::api::access::Read;
use crate::policy::{Metric, MetricKind};
use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Magnitude from which a bound is none.
const BOUND_MAX: f64 = 1e9;

/// Every metric that a score can be of, by name.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: Keys<Read>,
    params: Params,
) -> Result<Json<PageView<Value>>, Refusal> {
    let (page, limit) = (params.page()?, params.limit()?);
    let configs = configs(&app);
    let total = configs.len();
    let skipped = limit.saturating_mul(page - 1);
    let data = configs.into_values().skip(skipped).take(limit).collect();
    Ok(Json(PageView::new(data, page, limit, total)))
}

/// One of them.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    _: Keys<Read>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let found = configs(&app).remove(&id);
    found
        .map(Json)
        .ok_or_else(|| Refusal::not_found("Score config not found within authorized project"))
}

fn configs(app: &App) -> BTreeMap<String, Value> {
    let board = app.controller.board();
    let at = board.loaded_at.unwrap_or_default().to_string();
    let metrics = board.policies.values().flat_map(|status| &status.policy.metrics);
    metrics
        .map(|metric| (metric.name.to_string(), config(metric, &at)))
        .collect()
}

fn config(metric: &Metric, at: &str) -> Value {
    let (least, greatest) = metric.kind.range();
    let bound = |bound: f64| (bound.abs() < BOUND_MAX).then_some(bound);
    let (kind, bounds) = match metric.kind {
        MetricKind::Rate => ("BOOLEAN", (None, None)),
        MetricKind::Score { .. } | MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
            ("NUMERIC", (bound(least), bound(greatest)))
        }
    };
    json!({
        "id": metric.name.as_str(),
        "name": metric.name.as_str(),
        "createdAt": at,
        "updatedAt": at,
        "projectId": PROJECT,
        "dataType": kind,
        "isArchived": false,
        "minValue": bounds.0,
        "maxValue": bounds.1,
        "categories": null,
        "description": null,
    })
}

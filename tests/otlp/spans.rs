//! Traces to send, and what a world makes of them.

use crate::world::{Setting, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const TRACES: &str = "/v1/traces";

/// A policy of the prompt of the usual world whose metrics spans feed, but for two.
pub(crate) const TRACED: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: greeting}
spec:
  prompt: team/greeting
  registry: embedded
  labels: {control: production, treatment: canary}
  assignment: {force: {treatment: [qa-7], control: [probe]}}
  steps:
    - {exposure: 50%, bake: 1h, samples: 5}
    - {exposure: 100%, bake: 1h}
  analysis: {every: 1s}
  metrics:
    - {name: latency, kind: latency, unit: ms, scale: log, margin: 10%}
    - {name: errors, kind: rate, better: lower, margin: 1pp}
    - {name: cost, kind: amount, margin: 10%, role: watched}
    - {name: size, kind: amount, margin: 10%, role: watched, from: span.totalTokens}
    - {name: duration, kind: latency, quantile: 95%, margin: 10%, role: watched, from: observations}
    - {name: faithfulness, kind: score, margin: 0.05}
    - {name: kind, kind: rate, better: higher, margin: 1pp, from: evaluation:kindness}
";

/// A world in which a rollout of that policy runs.
pub(crate) async fn traced() -> World {
    let setting = Setting {
        policies: &[TRACED],
        ..Setting::default()
    };
    World::with(setting).await.with_rollout().await
}

/// A span; the first one of its trace where its number is 0. It takes a second and a half.
pub(crate) fn span(trace: u32, number: u32, attributes: Value) -> Value {
    let attributes: Vec<Value> = attributes
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => json!({"key": key, "value": {"stringValue": text}}),
            Value::Number(number) if number.is_u64() => {
                json!({"key": key, "value": {"intValue": number.to_string()}})
            }
            other
            @ (Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                json!({"key": key, "value": {"doubleValue": other}})
            }
        })
        .collect();
    let parent = if number == 0 {
        String::new()
    } else {
        format!("{:016x}", 1)
    };
    json!({
        "traceId": trace_id(trace), "spanId": format!("{:016x}", number + 1), "parentSpanId": parent,
        "startTimeUnixNano": "1795237264000000000", "endTimeUnixNano": "1795237265500000000",
        "attributes": attributes,
    })
}

pub(crate) fn trace_id(trace: u32) -> String {
    format!("{:032x}", trace + 1)
}

/// A call with this version of the prompt.
pub(crate) fn call(trace: u32, number: u32, version: u32) -> Value {
    let attributes = json!({
        "langfuse.observation.prompt.name": "team/greeting",
        "langfuse.observation.prompt.version": version,
        "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 8,
        "langfuse.observation.cost_details": "{\"total\": 0.25}",
    });
    span(trace, number, attributes)
}

/// The first span of a trace, which alone knows the user.
pub(crate) fn first(trace: u32, user: &str) -> Value {
    span(
        trace,
        0,
        json!({"user.id": user, "session.id": format!("s-{trace}")}),
    )
}

pub(crate) fn export(spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
}

/// Sends spans, none of which may be refused.
pub(crate) async fn send(world: &World, spans: &[Value]) {
    assert_eq!(world.post(TRACES, export(spans)).await.ok(200), json!({}));
}

pub(crate) async fn assessment(world: &mut World) -> Value {
    world.tick(3).await;
    world.get("/v1/rollouts/r1/evidence").await.ok(200)["assessment"].clone()
}

/// How many values of a metric were counted, by arm.
pub(crate) async fn counted(world: &mut World, metric: &str) -> [u64; 2] {
    let assessment = assessment(world).await;
    let metrics = assessment["metrics"].as_array().cloned().unwrap_or_default();
    let of = |arm: &str| {
        let metric = metrics.iter().find(|found| found["metric"] == metric);
        metric.map_or(0, |found| found[arm]["count"].as_u64().unwrap())
    };
    [of("control"), of("treatment")]
}

/// What became of spans, by Serin's own counters.
pub(crate) async fn outcomes(world: &World) -> BTreeMap<String, u64> {
    let text = world.get("/metrics").await.text;
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("serin_spans_total{outcome=\""));
    lines
        .map(|line| {
            let (outcome, count) = line.split_once("\"} ").unwrap();
            (outcome.to_owned(), count.parse().unwrap())
        })
        .collect()
}

/// The value of one of Serin's own series.
pub(crate) async fn series(world: &World, name: &str) -> Option<f64> {
    let text = world.get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

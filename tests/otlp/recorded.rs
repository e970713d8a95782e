//! Recorded exports of real SDKs, counted by the policy of their application.

use crate::spans::{TRACES, assessment, counted, outcomes};
use crate::world::{Setting, World};
use serde_json::json;

const AB: &[u8] = include_bytes!("../conformance/otlp/seed1-ab.bin");
const ERROR: &[u8] = include_bytes!("../conformance/otlp/seed1-error-fallback.bin.gz");
const VARIANT: &str = include_str!("../conformance/otlp/seed2-variant.json");
const PYTHON: [&[u8]; 2] = [
    include_bytes!("../conformance/otlp/langfuse-sdk-py4.bin"),
    include_bytes!("../conformance/otlp/langfuse-sdk-py5.bin"),
];

/// Two applications: one that names the version, and the label that it fetched; one that names the arm, too.
const POLICIES: &[&str] = &[
    "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: order-status-answer}
spec:
  prompt: order-status-answer
  labels: {control: prod-a, treatment: prod-b}
  steps: [{exposure: 50%, bake: 1h, samples: 100}, {exposure: 100%, bake: 1h}]
  analysis: {every: 1s}
  metrics:
    - {name: latency, kind: latency, quantile: 95%, margin: 10%}
    - {name: errors, kind: rate, better: lower, margin: 1pp}
    - {name: cost, kind: amount, margin: 10%, role: watched}
    - {name: tokens, kind: amount, margin: 10%, role: watched}
",
    "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: support}
spec:
  prompt: customer-support-system
  steps: [{exposure: 50%, bake: 1h, samples: 100}, {exposure: 100%, bake: 1h}]
  analysis: {every: 1s}
  metrics: [{name: latency, kind: latency, quantile: 95%, margin: 10%}]
",
];

async fn recorded() -> World {
    let setting = Setting {
        policies: POLICIES,
        ..Setting::default()
    };
    let mut world = World::with(setting).await;
    for (name, labels) in [
        ("order-status-answer", ["prod-a", "production"]),
        ("customer-support-system", ["production", "x"]),
    ] {
        for (text, labels) in [("one", labels), ("two", ["staging", "y"])] {
            let body =
                json!({"name": name, "type": "text", "prompt": text, "reason": "to test", "labels": labels});
            world.post("/v1/prompts", body).await.ok(201);
        }
    }
    world.tick(1).await;
    for policy in ["order-status-answer", "support"] {
        let start = json!({"policy": policy, "candidate": 2, "reason": "to test"});
        world.post("/v1/rollouts", start).await.ok(201);
    }
    world.tick(1).await;
    world
}

async fn send(world: &World, encoding: &str, body: &[u8]) {
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", encoding),
    ];
    let request = World::request_bytes("POST", TRACES, &headers, body.to_vec());
    assert_eq!(world.send(request).await.ok_text(200), "");
}

#[tokio::test]
async fn recorded_exports_count_for_the_arms_that_they_tell_of() {
    let mut world = recorded().await;
    send(&world, "identity", AB).await;
    for metric in ["latency", "errors", "cost", "tokens"] {
        assert_eq!(counted(&mut world, metric).await, [1, 1], "{metric}");
    }
    // A call of treatment that failed, and one of control whose prompt came from a cache.
    send(&world, "gzip", ERROR).await;
    assert_eq!(counted(&mut world, "errors").await, [1, 2]);
    let evidence = assessment(&mut world).await;
    assert_eq!(evidence["metrics"][1]["treatment"]["mean"], 0.5, "{evidence}");
    assert_eq!(
        evidence["data"]["fallback"],
        json!({"control": 1, "treatment": 0})
    );
    for export in PYTHON {
        send(&world, "identity", export).await;
    }
    let [control, treatment] = counted(&mut world, "cost").await;
    assert_eq!(control + treatment, 4);
    assert_eq!(outcomes(&world).await["counted"], 5);
    assert_eq!(
        world
            .post(TRACES, serde_json::from_str(VARIANT).unwrap())
            .await
            .ok(200),
        json!({})
    );
    assert_eq!(outcomes(&world).await["counted"], 7);
}

//! Scores of traces that spans tell of, and evaluations in spans.

use crate::spans::{call, counted, first, send, span, trace_id, traced};
use crate::world::World;
use serde_json::{Value, json};

async fn score(world: &World, id: &str, fields: Value) {
    let mut body = json!({"id": id, "name": "faithfulness", "value": 0.5});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    world.post("/api/public/scores", body).await.ok(200);
}

#[tokio::test]
async fn a_score_by_trace_counts_whether_it_comes_before_or_after_the_spans() {
    let mut world = traced().await;
    score(&world, "early", json!({"traceId": trace_id(1)})).await;
    send(&world, &[call(1, 1, 2)]).await;
    // Its first span is still to come, and with it the user.
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 0]);
    send(&world, &[first(1, "user-1")]).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 1]);
    // Long after the trace is forgotten.
    world.tick(1_000).await;
    score(&world, "late", json!({"traceId": trace_id(1)})).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 2]);
    // By the call, and by the conversation.
    send(&world, &[call(2, 1, 1), first(2, "user-2")]).await;
    score(
        &world,
        "call",
        json!({"traceId": trace_id(2), "observationId": format!("{:016x}", 2)}),
    )
    .await;
    score(&world, "session", json!({"sessionId": "s-2"})).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [2, 2]);
}

#[tokio::test]
async fn scores_of_fallbacks_and_of_several_versions_do_not_count() {
    let mut world = traced().await;
    let cached = span(1, 2, json!({"app.prompt.fetch.source": "unavailable"}));
    send(&world, &[call(1, 1, 2), cached, first(1, "user-1")]).await;
    send(&world, &[call(2, 1, 1), call(2, 2, 2), first(2, "user-2")]).await;
    score(&world, "fallback", json!({"traceId": trace_id(1)})).await;
    score(&world, "both", json!({"traceId": trace_id(2)})).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 0]);
    // It is clear which call this one is of.
    let about = json!({"traceId": trace_id(2), "observationId": format!("{:016x}", 3)});
    score(&world, "one", about).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 1]);
}

#[tokio::test]
async fn scores_feed_the_metric_that_asks_for_them() {
    let mut world = traced().await;
    send(&world, &[call(1, 1, 2), first(1, "user-1")]).await;
    let about = json!({"traceId": trace_id(1), "name": "kindness", "value": 1});
    score(&world, "kindness", about).await;
    assert_eq!(counted(&mut world, "kind").await, [0, 1]);
    // Its own name is not what it asks for.
    let about = json!({"traceId": trace_id(1), "name": "kind", "value": 1});
    score(&world, "kind", about).await;
    assert_eq!(counted(&mut world, "kind").await, [0, 1]);
}

#[tokio::test]
async fn evaluations_in_spans_are_scores() {
    let mut world = traced().await;
    let judged = |trace: u32, number: u32, name: &str, value: Value| {
        let mut judge = span(trace, number, json!({}));
        judge["events"] = json!([{"name": "gen_ai.evaluation.result", "attributes": [
            {"key": "gen_ai.evaluation.name", "value": {"stringValue": name}},
            {"key": "gen_ai.evaluation.score.value", "value": value},
        ]}]);
        judge
    };
    let value = json!({"doubleValue": 0.75});
    let spans = [
        judged(1, 2, "faithfulness", value.clone()),
        call(1, 1, 2),
        first(1, "user-1"),
    ];
    send(&world, &spans).await;
    send(&world, &spans).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 1]);
    // On the call itself, and before it is known what was served.
    let mut own = call(2, 1, 1);
    own["events"] = judged(2, 1, "kindness", json!({"intValue": "1"}))["events"].clone();
    send(&world, &[own]).await;
    assert_eq!(counted(&mut world, "kind").await, [0, 0]);
    send(&world, &[first(2, "user-2")]).await;
    assert_eq!(counted(&mut world, "kind").await, [1, 0]);
    let kept = world.get("/api/public/v3/scores?name=faithfulness").await.ok(200);
    assert_eq!(
        (&kept["data"][0]["value"], &kept["data"][0]["source"]),
        (&json!(0.75), &json!("EVAL"))
    );
}

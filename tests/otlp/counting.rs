//! What spans are worth.

use crate::spans::{assessment, call, counted, first, outcomes, send, series, span, traced};
use crate::world::World;
use serde_json::{Value, json};

fn of(outcomes: &std::collections::BTreeMap<String, u64>, outcome: &str) -> u64 {
    outcomes.get(outcome).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_call_counts_once_for_the_version_that_it_used_in_every_metric_that_it_feeds() {
    let mut world = traced().await;
    let mut spans = Vec::new();
    for trace in 0..10 {
        spans.extend([
            call(trace, 1, 1 + trace % 2),
            first(trace, &format!("user-{trace}")),
        ]);
    }
    send(&world, &spans).await;
    for metric in ["latency", "errors", "cost", "size"] {
        assert_eq!(counted(&mut world, metric).await, [5, 5], "{metric}");
    }
    for metric in ["duration", "faithfulness", "kind"] {
        assert_eq!(counted(&mut world, metric).await, [0, 0], "{metric}");
    }
    let evidence = assessment(&mut world).await;
    let mean = |at: usize| evidence["metrics"][at]["treatment"]["mean"].as_f64().unwrap();
    for (at, expected) in [(0, 1.5), (1, 0.0), (2, 0.25), (3, 20.0)] {
        assert!((mean(at) - expected).abs() < 1e-9, "{at}: {}", mean(at));
    }
    // Sent again, whole and in parts: counted once.
    send(&world, &spans).await;
    for span in &spans {
        send(&world, std::slice::from_ref(span)).await;
    }
    world.tick(700).await;
    send(&world, &spans).await;
    assert_eq!(counted(&mut world, "latency").await, [5, 5]);
    let counters = r#"serin_span_values_total{arm="control",metric="latency",policy="greeting"}"#;
    assert_eq!(series(&world, counters).await, Some(5.0));
    assert_eq!(
        series(&world, r#"serin_source_up{source="otlp"}"#).await,
        Some(1.0)
    );
}

#[tokio::test]
async fn calls_wait_for_the_user_whom_the_first_span_names() {
    let mut world = traced().await;
    world.tick(700).await;
    send(&world, &[call(1, 1, 2), call(2, 1, 2)]).await;
    assert_eq!(counted(&mut world, "latency").await, [0, 0]);
    assert_eq!(series(&world, "serin_span_calls_held").await, Some(2.0));
    send(&world, &[first(1, "user-1")]).await;
    assert_eq!(counted(&mut world, "latency").await, [0, 1]);
    let users = |evidence: &Value| evidence["data"]["users"]["treatment"].as_u64();
    assert_eq!(users(&assessment(&mut world).await), Some(1));
    // Whose first span never comes is counted all the same, and nobody's.
    world.app.settle_spans(false).await;
    assert_eq!(counted(&mut world, "latency").await, [0, 1]);
    world.tick(120).await;
    world.app.settle_spans(false).await;
    assert_eq!(counted(&mut world, "latency").await, [0, 2]);
    assert_eq!(users(&assessment(&mut world).await), Some(1));
    assert_eq!(series(&world, "serin_span_calls_held").await, Some(0.0));
    // What is held when the server stops is counted.
    send(&world, &[call(3, 1, 1)]).await;
    world.app.settle_spans(true).await;
    assert_eq!(counted(&mut world, "latency").await, [1, 2]);
}

#[tokio::test]
async fn fallbacks_are_left_out_and_counted_for_their_arm() {
    let mut world = traced().await;
    let cached = span(1, 2, json!({"app.prompt.fetch.source": "cache"}));
    let own = span(
        2,
        1,
        json!({
            "langfuse.observation.prompt.name": "team/greeting", "langfuse.observation.prompt.version": 0,
            "langfuse.observation.metadata.prompt_label": "canary",
        }),
    );
    let spans = [call(1, 1, 1), cached, first(1, "user-1"), own, first(2, "user-2")];
    send(&world, &spans).await;
    send(&world, &spans).await;
    assert_eq!(counted(&mut world, "latency").await, [0, 0]);
    let evidence = assessment(&mut world).await;
    assert_eq!(
        evidence["data"]["fallback"],
        json!({"control": 1, "treatment": 1}),
        "{evidence}"
    );
    assert_eq!(of(&outcomes(&world).await, "fallback"), 2);
}

#[tokio::test]
async fn a_trace_with_two_versions_says_nothing_of_either() {
    let mut world = traced().await;
    send(&world, &[call(1, 1, 1), call(1, 2, 2), first(1, "user-1")]).await;
    send(&world, &[call(2, 1, 2), call(2, 2, 2), first(2, "user-2")]).await;
    assert_eq!(counted(&mut world, "latency").await, [0, 2]);
    let outcomes = outcomes(&world).await;
    assert_eq!((of(&outcomes, "ambiguous"), of(&outcomes, "counted")), (2, 2));
    assert_eq!(of(&outcomes, "no_prompt"), 2);
}

#[tokio::test]
async fn the_arm_follows_from_receipt_version_label_and_tag() {
    let mut world = traced().await;
    let (_, control) = world.user_in("control").await;
    let (_, treatment) = world.user_in("treatment").await;
    let name = "gen_ai.prompt.name";
    let prompt = "team/greeting";
    let by = |trace: u32, attributes: Value| [span(trace, 1, attributes), first(trace, "user-1")];
    // A receipt goes before a version.
    let receipt = json!({name: prompt, "gen_ai.prompt.version": "1", "serin.receipt": treatment["receipt"]});
    send(&world, &by(1, receipt)).await;
    assert_eq!(counted(&mut world, "latency").await, [0, 1]);
    // A receipt on another span of the trace is for the call.
    let shown = span(2, 0, json!({"serin.receipt": control["receipt"]}));
    send(&world, &[span(2, 1, json!({name: prompt})), shown]).await;
    assert_eq!(counted(&mut world, "latency").await, [1, 1]);
    // Where no call names its prompt, the span with the receipt is it.
    let alone = span(3, 0, json!({"serin.receipt": control["receipt"]}));
    send(&world, &[span(3, 1, json!({})), alone]).await;
    assert_eq!(counted(&mut world, "latency").await, [2, 1]);
    let label = "langfuse.observation.metadata.prompt_label";
    send(&world, &by(4, json!({name: prompt, label: "canary"}))).await;
    send(
        &world,
        &by(5, json!({"prompt.name": prompt, "prompt.variant": "treatment"})),
    )
    .await;
    assert_eq!(counted(&mut world, "latency").await, [2, 3]);
    // A tag that is a label; a label that is none of the policy's says nothing.
    let tagged = span(6, 0, json!({"langfuse.trace.tags": "production"}));
    send(&world, &[span(6, 1, json!({name: prompt})), tagged]).await;
    send(&world, &by(7, json!({name: prompt, label: "staging"}))).await;
    assert_eq!(counted(&mut world, "latency").await, [3, 3]);
    // Without anything, by the hash of the user.
    send(&world, &[span(8, 1, json!({name: prompt})), first(8, "user-3")]).await;
    let [controls, treated] = counted(&mut world, "latency").await;
    assert_eq!(controls + treated, 7);
    // A user whose arm the policy fixes, and prompts that nobody steers.
    send(&world, &[call(9, 1, 2), first(9, "qa-7")]).await;
    send(&world, &by(10, json!({name: "nobody's"}))).await;
    let [controls, treated] = counted(&mut world, "latency").await;
    assert_eq!(controls + treated, 7);
    assert_eq!(of(&outcomes(&world).await, "unmatched"), 3);
}

#[tokio::test]
async fn no_user_is_shown_anywhere() {
    let mut world = traced().await;
    let secret = "somebody-secret";
    send(&world, &[call(1, 1, 2), first(1, secret)]).await;
    assert_eq!(counted(&mut world, "latency").await, [0, 1]);
    let evaluated = span(
        1,
        3,
        json!({"gen_ai.evaluation.name": "faithfulness", "gen_ai.evaluation.score.value": 1, "user.id": secret}),
    );
    send(&world, &[evaluated]).await;
    for path in [
        "/metrics",
        "/v1/rollouts/r1/evidence",
        "/v1/rollouts/r1/audit",
        "/api/public/v3/scores",
    ] {
        let shown = world.get(path).await.text;
        assert!(!shown.contains(secret), "{path}: {shown}");
    }
}

#[tokio::test]
async fn a_metric_that_is_pushed_as_well_counts_both() {
    let mut world = traced().await;
    send(&world, &[call(1, 1, 2), first(1, "user-1")]).await;
    let pushed = json!({"policy": "greeting", "user": "user-1", "version": 2, "metrics": {"latency": 900}});
    world.observe(&pushed.to_string()).await.ok(200);
    assert_eq!(counted(&mut world, "latency").await, [0, 2]);
    // Under the span's id it is the same observation.
    let mut same = pushed;
    same["id"] = json!(format!("span:{:032x}:{:016x}", 2, 2));
    assert_eq!(world.observe(&same.to_string()).await.ok(200)["duplicates"], 1);
    assert_eq!(counted(&mut world, "latency").await, [0, 2]);
}

#[tokio::test]
async fn exports_of_many_traces_are_counted_at_once() {
    let mut world = World::with(crate::world::Setting {
        policies: &[crate::spans::TRACED],
        limits: serin::config::Limits::default(),
        ..crate::world::Setting::default()
    })
    .await
    .with_rollout()
    .await;
    let mut spans = Vec::new();
    for trace in 0..2_000 {
        spans.extend([
            call(trace, 1, 1 + trace % 2),
            first(trace, &format!("user-{trace}")),
        ]);
    }
    send(&world, &spans).await;
    assert_eq!(counted(&mut world, "latency").await, [1_000, 1_000]);
}

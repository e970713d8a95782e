//! Scores: counted for the arm that was served, kept to be read.

use crate::world::{Answer, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const INGESTION: &str = "/api/public/ingestion";
const SCORES: &str = "/api/public/scores";

/// Sends events, all of which must be accepted.
async fn send(world: &World, events: Vec<Value>) {
    let answer = world.post(INGESTION, json!({"batch": events})).await.ok(207);
    assert_eq!(answer["errors"], json!([]));
}

fn event(kind: &str, body: Value) -> Value {
    json!({"id": format!("{kind}-{body}"), "type": kind, "timestamp": "2026-11-21T12:00:00Z", "body": body})
}

fn trace(id: &str, user: &str) -> Value {
    event(
        "trace-create",
        json!({"id": id, "userId": user, "sessionId": format!("s-{id}")}),
    )
}

fn call(trace: &str, version: u32) -> Value {
    let id = format!("call-{trace}-{version}");
    let prompt = json!({"id": id, "traceId": trace, "promptName": "team/greeting", "promptVersion": version});
    event("generation-create", prompt)
}

fn score(id: &str, trace: &str, value: f64) -> Value {
    event(
        "score-create",
        json!({"id": id, "traceId": trace, "name": "faithfulness", "value": value}),
    )
}

/// How many values of a metric were counted, by arm.
async fn counted(world: &mut World, metric: &str) -> [u64; 2] {
    world.tick(3).await;
    let evidence = world.get("/v1/rollouts/r1/evidence").await.ok(200);
    let metrics = evidence["assessment"]["metrics"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let of = |arm: &str| {
        let metric = metrics.iter().find(|found| found["metric"] == metric);
        metric.map_or(0, |found| found[arm]["count"].as_u64().unwrap())
    };
    [of("control"), of("treatment")]
}

/// A series of Serin's own counters with this label.
async fn outcomes(world: &World) -> BTreeMap<String, u64> {
    let text = world.get("/metrics").await.ok_text(200);
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("serin_scores_total{outcome=\""));
    lines
        .map(|line| {
            let (outcome, count) = line.split_once("\"} ").unwrap();
            (outcome.to_owned(), count.parse().unwrap())
        })
        .collect()
}

async fn ids(world: &World, query: &str) -> Vec<String> {
    let page: Answer = world.get(&format!("/api/public/v3/scores?{query}")).await;
    let page = page.ok(200);
    let data = page["data"].as_array().unwrap().iter();
    data.map(|score| score["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_score_counts_for_the_version_that_its_trace_used() {
    let mut world = World::new().await.with_rollout().await;
    let mut events = Vec::new();
    for number in 0..10 {
        let id = format!("t{number}");
        events.extend([
            trace(&id, &format!("user-{number}")),
            call(&id, 1 + u32::from(number % 2 == 0)),
            score(&format!("score-{number}"), &id, 0.5),
        ]);
    }
    send(&world, events.clone()).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [5, 5]);
    // Sent again, and again in another order: counted once.
    events.reverse();
    send(&world, events).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [5, 5]);
    assert_eq!(outcomes(&world).await["matched"], 20);
}

#[tokio::test]
async fn a_score_that_comes_before_its_trace_or_long_after_is_counted() {
    let mut world = World::new().await.with_rollout().await;
    send(&world, vec![score("early", "t", 0.5)]).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 0]);
    assert_eq!(outcomes(&world).await["unmatched"], 1);
    send(&world, vec![call("t", 2)]).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 1]);
    // What was told is held for minutes; what follows from it is kept.
    world.tick(1_000).await;
    send(&world, vec![score("late", "t", 0.7)]).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 2]);
}

#[tokio::test]
async fn the_score_may_say_itself_what_was_served() {
    let mut world = World::new().await.with_rollout().await;
    let (_, assignment) = world.user_in("treatment").await;
    let numbered = |id: &str, metadata: Value| json!({"id": id, "traceId": id, "name": "faithfulness", "value": 0.5, "metadata": metadata});
    let prompt = "team/greeting";
    for (id, metadata) in [
        (
            "by-version",
            json!({"prompt_name": prompt, "prompt_version": 2, "user_id": "user-1"}),
        ),
        (
            "by-label",
            json!({"prompt_name": prompt, "prompt_label": "canary"}),
        ),
        ("by-receipt", json!({"serin_receipt": assignment["receipt"]})),
    ] {
        world.post(SCORES, numbered(id, metadata)).await.ok(200);
    }
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 3]);
    let of_control = numbered("control", json!({"promptName": prompt, "promptVersion": "1"}));
    world.post(SCORES, json!([of_control])).await.ok(202);
    assert_eq!(counted(&mut world, "faithfulness").await, [1, 3]);
    // Neither a fallback nor a version of another rollout.
    for (id, version) in [("fallback", 0), ("other", 7)] {
        let metadata = json!({"prompt_name": prompt, "prompt_version": version});
        world.post(SCORES, numbered(id, metadata)).await.ok(200);
    }
    assert_eq!(counted(&mut world, "faithfulness").await, [1, 3]);
    assert_eq!(outcomes(&world).await["unmatched"], 2);
    assert_eq!(ids(&world, "traceId=other,fallback").await, ["other", "fallback"]);
}

#[tokio::test]
async fn a_session_and_a_part_of_a_trace_are_known_too() {
    let mut world = World::new().await.with_rollout().await;
    let mut both = vec![trace("t", "user-1"), call("t", 1), call("t", 2)];
    both.extend([trace("u", "user-2"), call("u", 2)]);
    send(&world, both).await;
    let base = json!({"name": "faithfulness", "value": 0.5});
    let about = |fields: Value| {
        let mut body = base.clone();
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    world
        .post(
            SCORES,
            about(json!({"traceId": "t", "observationId": "call-t-1"})),
        )
        .await
        .ok(200);
    world
        .post(SCORES, about(json!({"sessionId": "s-u"})))
        .await
        .ok(200);
    assert_eq!(counted(&mut world, "faithfulness").await, [1, 1]);
    // A trace with both versions says nothing of either.
    world.post(SCORES, about(json!({"traceId": "t"}))).await.ok(200);
    assert_eq!(counted(&mut world, "faithfulness").await, [1, 1]);
    assert_eq!(outcomes(&world).await["ambiguous"], 1);
}

#[tokio::test]
async fn users_are_counted_once_and_strangers_not_at_all() {
    let mut world = World::new().await.with_rollout().await;
    // Claims of versions count as users a while after the exposure changed.
    world.tick(700).await;
    let mut events = Vec::new();
    for (id, user) in [("a", "user-1"), ("b", "user-1"), ("c", "user-2"), ("d", "qa-7")] {
        events.extend([trace(id, user), call(id, 2), score(id, id, 0.5)]);
    }
    events.extend([call("stranger", 2), score("stranger", "stranger", 0.5)]);
    send(&world, events).await;
    // A user whose arm the policy fixes is not compared.
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 4]);
    let evidence = world.get("/v1/rollouts/r1/evidence").await.ok(200);
    let ratio = &evidence["assessment"]["data"]["users"];
    assert_eq!(
        (&ratio["control"], &ratio["treatment"]),
        (&json!(0), &json!(2)),
        "{evidence}"
    );
}

#[tokio::test]
async fn what_cannot_be_counted_is_kept_and_never_an_error() {
    let mut world = World::new().await.with_rollout().await;
    let about = |id: &str, name: &str, value: Value| {
        let metadata =
            json!({"prompt_name": "team/greeting", "prompt_version": 2, "note": "kept", "user_id": "anna"});
        json!({"id": id, "traceId": "t", "name": name, "value": value, "metadata": metadata, "comment": "so so"})
    };
    for (id, name, value) in [
        ("category", "faithfulness", json!("good")),
        ("stranger", "not a metric of anybody", json!(1)),
        ("too-much", "faithfulness", json!(5)),
        ("yes", "errors", json!(true)),
    ] {
        world.post(SCORES, about(id, name, value)).await.ok(200);
    }
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 0]);
    assert_eq!(counted(&mut world, "errors").await, [0, 1]);
    let outcomes = outcomes(&world).await;
    let expected = [("kept", 1), ("matched", 2), ("no_metric", 1)];
    let expected: BTreeMap<String, u64> = expected.map(|(word, count)| (word.to_owned(), count)).into();
    assert_eq!(outcomes, expected);
    assert_eq!(ids(&world, "").await, ["yes", "too-much", "stranger", "category"]);
    let kept = world
        .get("/api/public/v3/scores?fields=details,subject,annotation&id=yes")
        .await
        .ok(200);
    let kept = &kept["data"][0];
    assert_eq!(
        (&kept["value"], &kept["dataType"]),
        (&json!(true), &json!("BOOLEAN"))
    );
    assert_eq!(kept["subject"], json!({"kind": "trace", "id": "t"}));
    assert_eq!(
        (&kept["comment"], &kept["metadata"]["note"]),
        (&json!("so so"), &json!("kept"))
    );
    assert!(!kept.to_string().contains("anna"), "{kept}");
    let older = world.get("/api/public/v2/scores/yes").await.ok(200);
    assert_eq!(
        (&older["value"], &older["stringValue"]),
        (&json!(1.0), &json!("True"))
    );
    world.get("/api/public/v2/scores/nobody").await.ok(404);
}

#[tokio::test]
async fn scores_are_filtered_and_paged() {
    let world = World::new().await;
    for number in 0..5 {
        let body = json!({
            "id": format!("n{number}"), "name": if number < 3 { "a" } else { "b" }, "value": f64::from(number),
            "sessionId": "s", "environment": if number % 2 == 0 { "prod" } else { "dev" },
            "timestamp": format!("2026-11-2{number}T00:00:00Z"),
        });
        world.post(SCORES, body).await.ok(200);
    }
    assert_eq!(ids(&world, "name=a&environment=prod").await, ["n2", "n0"]);
    assert_eq!(
        ids(&world, "dataType=numeric&valueMin=1&valueMax=2").await,
        ["n2", "n1"]
    );
    assert_eq!(ids(&world, "dataType=NUMERIC&value=4").await, ["n4"]);
    assert_eq!(ids(&world, "sessionId=s&source=api&limit=100").await.len(), 5);
    assert_eq!(ids(&world, "traceId=s").await, [""; 0]);
    let between = "fromTimestamp=2026-11-21T00:00:00Z&toTimestamp=2026-11-23T00:00:00Z";
    assert_eq!(ids(&world, between).await, ["n2", "n1"]);
    // From page to page.
    let mut found = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = world.get(&format!("/api/public/v3/scores?{query}")).await.ok(200);
        found.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|score| score["id"].clone()),
        );
        match page["meta"]["cursor"].as_str() {
            Some(cursor) => query = format!("limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(json!(found), json!(["n4", "n3", "n2", "n1", "n0"]));
    let page = world
        .get("/api/public/v2/scores?operator=%3E&value=1&limit=2&page=2")
        .await
        .ok(200);
    assert_eq!(page["data"][0]["id"], "n2");
    assert_eq!(
        page["meta"],
        json!({"page": 2, "limit": 2, "totalItems": 3, "totalPages": 2})
    );
    for bad in [
        "limit=101",
        "cursor=%21",
        "valueMin=1",
        "value=1",
        "traceId=t&sessionId=s",
        "observationId=o",
        "dataType=x",
        "fields=all",
        "fromTimestamp=soon",
    ] {
        world.get(&format!("/api/public/v3/scores?{bad}")).await.ok(400);
    }
    for bad in ["userId=anna", "operator=%3E", "operator=~&value=1", "page=0"] {
        world.get(&format!("/api/public/v2/scores?{bad}")).await.ok(400);
    }
}

#[tokio::test]
async fn a_score_sent_again_with_another_value_is_what_it_was_last_and_counted_once() {
    let mut world = World::new().await.with_rollout().await;
    send(&world, vec![call("t", 2), score("one", "t", 0.25)]).await;
    send(&world, vec![score("one", "t", 0.75)]).await;
    assert_eq!(counted(&mut world, "faithfulness").await, [0, 1]);
    let kept = world.get("/api/public/v2/scores/one").await.ok(200);
    assert_eq!(kept["value"], 0.75);
    assert_eq!(ids(&world, "").await, ["one"]);
}

#[tokio::test]
async fn events_that_are_wrong_do_not_keep_the_others_out() {
    let world = World::new().await;
    let events = json!({"batch": [
        {"id": "1", "type": "sdk-log", "body": {}},
        {"id": "2", "type": "no-such-event", "body": {}},
        {"id": "3", "type": "score-create", "body": {"name": "x"}},
        {"id": "4", "type": "score-create", "body": {"name": "x", "value": 1}},
        {"id": "5", "type": "span-create", "body": {"traceId": "t"}},
        7,
    ]});
    let answer = world.post(INGESTION, events).await.ok(207);
    let ids = |list: &str| -> Vec<String> {
        let list = answer[list].as_array().unwrap().iter();
        list.map(|entry| entry["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids("successes"), ["1", "5"]);
    assert_eq!(ids("errors"), ["2", "3", "4", ""]);
    for refused in answer["errors"].as_array().unwrap() {
        assert_eq!(refused["status"], 400);
    }
    for bad in [json!({}), json!({"batch": 7}), json!([])] {
        world.post(INGESTION, bad).await.ok(400);
    }
    world.post(SCORES, json!({"name": "x", "value": 1})).await.ok(400);
    world.post(SCORES, json!([])).await.ok(202);
    let export = World::request(
        "POST",
        "/api/public/otel/v1/traces",
        &[("content-type", "text/plain")],
        "",
    );
    world.send(export).await.ok(400);
}

#[tokio::test]
async fn configurations_are_the_metrics_of_policies() {
    let mut world = World::new().await;
    world.tick(1).await;
    let page = world.get("/api/public/score-configs").await.ok(200);
    let names: Vec<&Value> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|config| &config["name"])
        .collect();
    assert_eq!(names, ["errors", "faithfulness"]);
    assert_eq!(page["data"][0]["dataType"], "BOOLEAN");
    let one = world.get("/api/public/score-configs/faithfulness").await.ok(200);
    assert_eq!((&one["minValue"], &one["maxValue"]), (&json!(0.0), &json!(1.0)));
    world.get("/api/public/score-configs/nobody").await.ok(404);
}

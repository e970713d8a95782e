//! What is sent again counts once.

use crate::world::World;
use crate::{counts, ndjson};
use serde_json::{Value, json};

fn line(user: &str, id: &str) -> Value {
    json!({"policy": "greeting", "user": user, "metrics": {"errors": 0}, "id": id})
}

#[tokio::test]
async fn an_id_counts_once_within_and_across_requests() {
    let mut world = World::new().await.with_rollout().await;
    let (user, _) = world.user_in("control").await;
    let lines = ndjson(&[line(&user, "a"), line(&user, "b"), line(&user, "a")]);
    let first = world.observe(&lines).await.ok(200);
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(3), &json!(1)));
    let again = world.observe(&lines).await.ok(200);
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(3), &json!(3)));
    assert_eq!(counts(&mut world, "errors").await, (2, 0));
    let metrics = world.get("/metrics").await.text;
    let counted = r#"serin_observations_total{arm="control",metric="errors",policy="greeting"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
}

async fn keyed(world: &World, key: &str, body: &str) -> crate::world::Answer {
    let headers = [("content-type", "application/x-ndjson"), ("idempotency-key", key)];
    world
        .send(World::request("POST", "/v1/observations", &headers, body))
        .await
}

#[tokio::test]
async fn a_key_repeats_the_answer_and_counts_once() {
    let mut world = World::new().await.with_rollout().await;
    let (user, _) = world.user_in("control").await;
    world.observe(&ndjson(&[line(&user, "a")])).await.ok(200);
    let lines = ndjson(&[
        line(&user, "a"),
        line(&user, "b"),
        json!({"policy": "greeting"}),
        line("qa-7", "c"),
    ]);
    let first = keyed(&world, "batch-1", &lines).await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let again = keyed(&world, "batch-1", &lines).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.text, first.text);
    let first = first.ok(200);
    assert_eq!(
        (&first["accepted"], &first["duplicates"], &first["ignored"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(first["refused"][0]["line"], 3);
    assert_eq!(counts(&mut world, "errors").await, (2, 0));
}

#[tokio::test]
async fn a_key_with_another_body_is_a_mistake() {
    let mut world = World::new().await.with_rollout().await;
    let (user, _) = world.user_in("control").await;
    keyed(&world, "batch-1", &ndjson(&[line(&user, "a")]))
        .await
        .ok(200);
    keyed(&world, "batch-1", &ndjson(&[line(&user, "b")]))
        .await
        .problem(422, "idempotency_key_reused");
    assert_eq!(counts(&mut world, "errors").await, (1, 0));
}

#[tokio::test]
async fn a_request_that_was_refused_may_be_mended_under_its_key() {
    let world = World::new().await.with_rollout().await;
    keyed(&world, "batch-1", "{}").await.problem(422, "all_refused");
    keyed(&world, "batch-1", &ndjson(&[line("ann", "a")]))
        .await
        .ok(200);
}

#[tokio::test]
async fn keys_have_1_to_255_visible_characters() {
    let world = World::new().await.with_rollout().await;
    let lines = ndjson(&[line("ann", "a")]);
    keyed(&world, &"k".repeat(255), &lines).await.ok(200);
    for bad in ["", "a b", "é", &"k".repeat(256)] {
        keyed(&world, bad, &lines).await.problem(400, "bad_header");
    }
}

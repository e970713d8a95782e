//! Which arm an observation counts for.

use crate::world::World;
use crate::{counts, ndjson};
use serde_json::{Value, json};

fn line(fields: Value) -> Value {
    let mut line = json!({"policy": "greeting", "metrics": {"errors": 0}});
    line.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    line
}

#[tokio::test]
async fn the_hash_decides_where_nothing_is_said() {
    let mut world = World::new().await.with_rollout().await;
    let (control, _) = world.user_in("control").await;
    let (treatment, _) = world.user_in("treatment").await;
    let lines = [&control, &treatment, &treatment].map(|user| line(json!({"user": user})));
    let answer = world.observe(&ndjson(&lines)).await.ok(200);
    assert_eq!(
        answer,
        json!({"accepted": 3, "duplicates": 0, "ignored": 0, "ignoredBy": {}, "refused": []})
    );
    assert_eq!(counts(&mut world, "errors").await, (1, 2));
}

#[tokio::test]
async fn the_receipt_wins_over_everything_and_needs_no_user() {
    let mut world = World::new().await.with_rollout().await;
    let (control, _) = world.user_in("control").await;
    let (_, treated) = world.user_in("treatment").await;
    let receipt = &treated["receipt"];
    let lines = [
        line(json!({"receipt": receipt})),
        line(
            json!({"receipt": receipt, "user": control, "version": 1, "label": "production", "arm": "control"}),
        ),
    ];
    assert_eq!(world.observe(&ndjson(&lines)).await.ok(200)["accepted"], 2);
    assert_eq!(counts(&mut world, "errors").await, (0, 2));
}

#[tokio::test]
async fn version_label_and_arm_follow_in_this_order() {
    let mut world = World::new().await.with_rollout().await;
    let (control, _) = world.user_in("control").await;
    let (treatment, _) = world.user_in("treatment").await;
    let lines = [
        line(json!({"user": control, "version": 2, "label": "production", "arm": "control"})),
        line(json!({"user": control, "label": "canary", "arm": "control"})),
        line(json!({"user": control, "arm": "treatment"})),
        line(json!({"user": treatment, "version": 1})),
        line(
            json!({"user": control, "version": null, "label": null, "arm": null, "receipt": null, "id": null}),
        ),
    ];
    assert_eq!(world.observe(&ndjson(&lines)).await.ok(200)["accepted"], 5);
    assert_eq!(counts(&mut world, "errors").await, (2, 3));
}

#[tokio::test]
async fn what_belongs_to_no_comparison_is_ignored_and_tallied() {
    let mut world = World::new().await.with_rollout().await;
    let (_, treated) = world.user_in("treatment").await;
    let lines = [
        line(json!({"user": "qa-7"})),
        line(json!({"user": "probe", "version": 1})),
        line(json!({"user": "ann", "version": 7})),
        line(json!({"user": "ann", "label": "staging"})),
        json!({"policy": "farewell", "user": "ann", "metrics": {"errors": 1}}),
    ];
    let answer = world.observe(&ndjson(&lines)).await.ok(200);
    assert_eq!((&answer["accepted"], &answer["ignored"]), (&json!(0), &json!(5)));
    assert_eq!(
        answer["ignoredBy"],
        json!({"forced_user": 2, "version_not_in_rollout": 1, "label_not_in_rollout": 1, "no_rollout": 1})
    );
    world
        .post("/v1/rollouts/r1/rollback", json!({"reason": "enough"}))
        .await
        .ok(200);
    world.tick(2).await;
    let late = [
        line(json!({"receipt": treated["receipt"]})),
        line(json!({"user": "ann"})),
    ];
    let answer = world.observe(&ndjson(&late)).await.ok(200);
    assert_eq!(answer["ignoredBy"], json!({"rollout_ended": 1, "no_rollout": 1}));
    let metrics = world.get("/metrics").await.text;
    assert!(
        metrics.contains(r#"serin_observations_ignored_total{reason="forced_user"} 2"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn after_the_promotion_the_control_label_is_the_candidates() {
    let mut world = World::new().await.with_rollout().await;
    world
        .post("/v1/rollouts/r1/promote", json!({"reason": "sure"}))
        .await
        .ok(200);
    world.tick(2).await;
    assert_eq!(
        world.get("/v1/rollouts/r1").await.ok(200)["phase"]["code"],
        "watching"
    );
    let lines = [
        line(json!({"user": "ann", "label": "production"})),
        line(json!({"user": "ann", "label": "canary"})),
        line(json!({"user": "ann", "version": 1})),
    ];
    assert_eq!(world.observe(&ndjson(&lines)).await.ok(200)["accepted"], 3);
    assert_eq!(counts(&mut world, "errors").await, (1, 2));
}

#[tokio::test]
async fn a_receipt_of_another_policy_is_a_mistake() {
    let mut world = World::new().await.with_rollout().await;
    let body =
        json!({"name": "farewell", "type": "text", "prompt": "Bye", "reason": "x", "labels": ["production"]});
    world.post("/v1/prompts", body.clone()).await.ok(201);
    let mut next = body;
    next["labels"] = json!([]);
    world.post("/v1/prompts", next).await.ok(201);
    world.tick(5).await;
    let start = json!({"policy": "farewell", "candidate": 2, "reason": "x"});
    world.post("/v1/rollouts", start).await.ok(201);
    world.tick(5).await;
    let farewell = world.get("/v1/assignments/farewell?user=ann").await.ok(200);
    assert_eq!(farewell["rollout"], "r2");
    let answer = world
        .observe(&ndjson(&[line(json!({"receipt": farewell["receipt"]}))]))
        .await;
    let errors = answer.json()["errors"].clone();
    assert_eq!(errors[0]["code"], "receipt_of_other_policy");
    assert_eq!(
        errors[0]["detail"],
        "the receipt was issued for policy `farewell`, and the line is about `greeting`"
    );
    answer.problem(422, "all_refused");
}

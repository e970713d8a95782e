//! Labels: who moves them where.

use crate::world::World;
use serde_json::{Value, json};

const STAGING: &str = "/v1/prompts/team%2Fgreeting/labels/staging";

#[tokio::test]
async fn labels_are_moved_removed_and_remembered() {
    let world = World::new().await.with_prompt().await;
    let moved = world
        .put(STAGING, json!({"version": 1, "reason": "compare"}))
        .await
        .ok(200);
    assert_eq!(
        (&moved["from"], &moved["to"], &moved["actor"]),
        (&json!(2), &json!(1), &json!("local"))
    );
    let removed = world.delete(&format!("{STAGING}?reason=tidy+up")).await.ok(200);
    assert_eq!(
        (&removed["to"], &removed["reason"]),
        (&Value::Null, &json!("tidy up"))
    );
    let first = world
        .get("/v1/prompts/team%2Fgreeting/history?limit=1")
        .await
        .ok(200);
    assert_eq!(first["changes"][0], removed);
    let before = first["next"].clone();
    let second = world
        .get(&format!(
            "/v1/prompts/team%2Fgreeting/history?limit=1&before={before}"
        ))
        .await
        .ok(200);
    assert_eq!(second["changes"][0], moved);
}

#[tokio::test]
async fn an_expectation_guards_the_move() {
    let world = World::new().await.with_prompt().await;
    let body = |expect: u32| json!({"version": 1, "reason": "compare", "expect": expect});
    let detail = world.put(STAGING, body(1)).await.problem(409, "label_elsewhere");
    assert!(
        detail.contains("points at version 2, not at version 1"),
        "{detail}"
    );
    world.put(STAGING, body(0)).await.problem(409, "label_elsewhere");
    world.put(STAGING, body(2)).await.ok(200);
    let fresh = "/v1/prompts/team%2Fgreeting/labels/fresh";
    world.put(fresh, body(0)).await.ok(200);
}

#[tokio::test]
async fn what_cannot_be_moved_is_said() {
    let world = World::new().await.with_prompt().await;
    let body = json!({"version": 1, "reason": "compare"});
    let latest = "/v1/prompts/team%2Fgreeting/labels/latest";
    world
        .put(latest, body.clone())
        .await
        .problem(422, "label_reserved");
    world
        .delete(&format!("{latest}?reason=x"))
        .await
        .problem(422, "label_reserved");
    world
        .put(&format!("{latest}/protection"), json!({"protected": true}))
        .await
        .problem(422, "label_reserved");
    world
        .put("/v1/prompts/nobody/labels/staging", body.clone())
        .await
        .problem(404, "unknown_prompt");
    world
        .put(STAGING, json!({"version": 9, "reason": "compare"}))
        .await
        .problem(404, "unknown_version");
    world
        .put(STAGING, json!({"version": 0, "reason": "compare"}))
        .await
        .problem(400, "bad_field");
    world.delete(STAGING).await.problem(400, "bad_query");
    world
        .delete("/v1/prompts/nobody/labels/staging?reason=x")
        .await
        .problem(404, "unknown_prompt");
    world
        .put("/v1/prompts/team%2Fgreeting/labels/Big", body)
        .await
        .problem(400, "bad_path");
}

#[tokio::test]
async fn a_protected_label_is_moved_by_administrators_only() {
    let world = World::new().await.with_prompt().await;
    let protection = format!("{STAGING}/protection");
    assert_eq!(
        world.put(&protection, json!({"protected": true})).await.ok(200),
        json!({"protected": true})
    );
    assert_eq!(
        world.get("/v1/prompts").await.ok(200)["prompts"][0]["protected"],
        json!(["staging"])
    );
    let admin = world
        .post("/v1/tokens", json!({"name": "root", "scopes": ["admin"]}))
        .await
        .ok(201);
    let admin = admin["token"].as_str().unwrap();
    let body = json!({"name": "bot", "scopes": ["operate"]});
    let bot = world
        .send(World::authorized("POST", "/v1/tokens", admin, &body))
        .await
        .ok(201);
    let bot = bot["token"].as_str().unwrap();
    let body = json!({"version": 1, "reason": "compare"});
    world
        .send(World::authorized("PUT", STAGING, bot, &body))
        .await
        .problem(403, "label_protected");
    let removal = format!("{STAGING}?reason=x");
    world
        .send(World::authorized("DELETE", &removal, bot, &Value::Null))
        .await
        .problem(403, "label_protected");
    let draft =
        json!({"name": "team/greeting", "type": "text", "prompt": "x", "reason": "y", "labels": ["staging"]});
    world
        .send(World::authorized("POST", "/v1/prompts", bot, &draft))
        .await
        .problem(403, "label_protected");
    let lift = json!({"protected": false});
    world
        .send(World::authorized("PUT", &protection, bot, &lift))
        .await
        .problem(403, "scope_missing");
    world
        .send(World::authorized("PUT", STAGING, admin, &body))
        .await
        .ok(200);
    world
        .send(World::authorized("PUT", &protection, admin, &lift))
        .await
        .ok(200);
    world
        .send(World::authorized(
            "PUT",
            STAGING,
            bot,
            &json!({"version": 2, "reason": "back"}),
        ))
        .await
        .ok(200);
}

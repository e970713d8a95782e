//! Prompts that take in what a policy steers: named before anything moves, and with every move.

use crate::world::World;
use serde_json::{Value, json};

fn because(reason: &str) -> Value {
    json!({"reason": reason})
}

/// Those of other prompts that change.
fn warnings(problems: &Value) -> Vec<&Value> {
    let problems = problems.as_array().unwrap().iter();
    problems.filter(|problem| problem["code"] == "SRN926").collect()
}

/// The texts of the label moves in a history.
async fn moves(world: &World, rollout: &str) -> Vec<Value> {
    let path = format!("/v1/rollouts/{rollout}/audit?limit=100");
    let audit = world.get(&path).await.ok(200);
    let records = audit["records"].as_array().unwrap().iter();
    let moves = records.filter(|record| record["event"]["code"] == "label_move");
    moves.cloned().collect()
}

#[tokio::test]
async fn what_takes_in_a_label_of_the_own_registry_is_named() {
    let mut world = World::new().await.with_prompt().await;
    let clear = world.get("/v1/prompts/team%2Fgreeting/parents").await.ok(200);
    assert_eq!((&clear["labels"], &clear["gap"]), (&json!([]), &Value::Null));
    let tag = "@@@langfusePrompt:name=team/greeting|label=canary@@@";
    let body = json!({
        "name": "letter", "type": "text", "prompt": format!("{tag} Yours"), "reason": "try",
        "labels": ["production"],
    });
    world.post("/v1/prompts", body).await.ok(201);
    let body = json!({
        "name": "mailing", "type": "text", "reason": "try", "labels": ["live"],
        "prompt": "@@@langfusePrompt:name=letter|label=production@@@",
    });
    world.post("/v1/prompts", body).await.ok(201);
    let found = world.get("/v1/prompts/team%2Fgreeting/parents").await.ok(200);
    let parents = json!([
        {"prompt": "letter", "label": "production"},
        {"prompt": "mailing", "label": "live"},
    ]);
    assert_eq!(found["labels"][0]["label"], "canary");
    assert_eq!(found["labels"][0]["parents"]["labels"], parents);

    world.tick(11).await;
    let warned = "prompts `letter` (label `production`) and `mailing` (label `live`) take in label `canary`, and \
                  change for all of their users when it moves";
    let policy = world.get("/v1/policies/greeting").await.ok(200);
    assert_eq!(warnings(&policy["warnings"])[0]["message"], warned);
    let status = world.get("/v1/status").await.ok(200);
    let problems = warnings(&status["problems"]);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0]["message"], warned);
    let file = problems[0]["file"].as_str().unwrap();
    assert!(file.ends_with("0.yaml"), "{file}");
    assert_eq!(problems[0]["line"], 8);

    let start = json!({"policy": "greeting", "candidate": 2, "reason": "it greets better"});
    world.post("/v1/rollouts", start).await.ok(201);
    world.tick(1).await;
    let moved = moves(&world, "r1").await;
    assert_eq!(moved[0]["event"]["parents"]["labels"], parents);
    let told = format!("label `canary` from no version to version 2: read back and confirmed; {warned}");
    assert_eq!(moved[0]["text"], told);
    let audit = world.get("/v1/rollouts/r1/audit").await.ok(200);
    let intent = audit["records"][0]["text"].as_str().unwrap();
    assert!(intent.ends_with(warned), "{intent}");
}

#[tokio::test]
async fn what_takes_in_a_label_of_a_langfuse_is_named_when_it_was_looked_through() {
    let mut world = World::with_orders().await;
    let model = &world.model;
    let tag = "@@@langfusePrompt:name=order-status|label=canary@@@";
    model.create("page", json!(format!("{tag} Anything else?")));
    model.point("page", "production", Some(1));
    world.tick(7).await;
    let known = world
        .get("/v1/prompts/order-status/parents?registry=ours")
        .await
        .ok(200);
    assert_eq!(known["labels"], json!([]));
    assert_eq!(known["gap"], "the project has not been looked through yet");
    world
        .get("/v1/prompts/order-status/parents?registry=theirs")
        .await
        .problem(404, "unknown_registry");

    assert!(world.ours.survey().await);
    world.tick(11).await;
    let policy = world.get("/v1/policies/order-status").await.ok(200);
    let warned = "prompts `page` (label `latest`) and `page` (label `production`) take in label `canary`, and \
                  change for all of their users when it moves";
    assert_eq!(warnings(&policy["warnings"])[0]["message"], warned);
    let quiet = world.get("/v1/policies/greeting").await.ok(200);
    assert_eq!(warnings(&quiet["warnings"]).len(), 0);

    world
        .post("/v1/rollouts/r1/rollback", because("enough"))
        .await
        .ok(200);
    world.tick(2).await;
    assert_eq!(world.model.label("order-status", "canary"), Some(1));
    let moved = moves(&world, "r1").await;
    let told = format!("label `canary` from version 2 to version 1: read back and confirmed; {warned}");
    assert_eq!(moved[0]["text"], told);
}

//! Deleted versions: gone for whoever fetches, kept in the history.

use crate::prompts::{PROMPTS, create, patch};
use crate::world::World;
use serde_json::{Value, json};

async fn versions(world: &World, name: &str) -> Value {
    let list = world.get(&format!("{PROMPTS}?name={name}")).await.ok(200);
    list["data"][0]["versions"].clone()
}

#[tokio::test]
async fn latest_goes_to_the_highest_left_and_numbers_are_not_used_again() {
    let world = World::new().await;
    for text in ["one", "two", "three"] {
        create(&world, json!({"name": "greet", "prompt": text, "labels": [text]})).await;
    }
    world
        .delete(&format!("{PROMPTS}/greet?version=3"))
        .await
        .ok_text(204);
    let latest = world.get(&format!("{PROMPTS}/greet?label=latest")).await.ok(200);
    assert_eq!(latest["version"], 2);
    world.get(&format!("{PROMPTS}/greet?label=three")).await.ok(404);
    patch(&world, &format!("{PROMPTS}/greet/versions/3"), &["x"])
        .await
        .ok(404);
    world.delete(&format!("{PROMPTS}/greet?version=3")).await.ok(404);
    let next = create(&world, json!({"name": "greet", "prompt": "four"})).await;
    assert_eq!(next["version"], 4);
    assert_eq!(versions(&world, "greet").await, json!([1, 2, 4]));
    // The native API says the same, and its journal why.
    world.get("/v1/prompts/greet/versions/3").await.ok(404);
    let history = world.get("/v1/prompts/greet/history").await.ok(200);
    assert_eq!(
        (&history["changes"][0]["label"], &history["changes"][0]["to"]),
        (&json!("three"), &Value::Null)
    );
}

#[tokio::test]
async fn without_a_version_all_of_them_go() {
    let world = World::new().await;
    create(
        &world,
        json!({"name": "greet", "prompt": "one", "labels": ["production"]}),
    )
    .await;
    create(&world, json!({"name": "other", "prompt": "one"})).await;
    world.delete(&format!("{PROMPTS}/greet")).await.ok_text(204);
    world.get(&format!("{PROMPTS}/greet")).await.ok(404);
    world.delete(&format!("{PROMPTS}/greet")).await.ok(404);
    let list = world.get(PROMPTS).await.ok(200);
    assert_eq!(list["meta"]["totalItems"], 1);
    // The name may be used again.
    assert_eq!(
        create(&world, json!({"name": "greet", "prompt": "two"})).await["version"],
        2
    );
    for unknown in ["nobody", "other?label=x", "other?version=2", "a%7Cb"] {
        world.delete(&format!("{PROMPTS}/{unknown}")).await.ok(404);
    }
}

#[tokio::test]
async fn what_a_policy_serves_stays_whoever_asks() {
    let mut world = World::new().await.with_rollout().await;
    let path = format!("{PROMPTS}/team/greeting");
    for which in [
        "?version=1",
        "?version=2",
        "?label=production",
        "?label=canary",
        "?label=staging",
        "",
    ] {
        let refusal = world.delete(&format!("{path}{which}")).await.ok(403);
        assert!(
            refusal["message"].as_str().unwrap().contains("policy `greeting`"),
            "{refusal}"
        );
    }
    create(&world, json!({"name": "team/greeting", "prompt": "idle"})).await;
    world.delete(&format!("{path}?version=3")).await.ok_text(204);
    // The rollout goes on.
    world.tick(2).await;
    assert_eq!(
        world.get("/v1/rollouts/r1").await.ok(200)["phase"]["code"],
        "ramping"
    );
}

#[tokio::test]
async fn what_other_prompts_refer_to_stays() {
    let world = World::new().await;
    create(
        &world,
        json!({"name": "tone", "prompt": "one", "labels": ["production"]}),
    )
    .await;
    create(&world, json!({"name": "tone", "prompt": "two"})).await;
    let text = "@@@langfusePrompt:name=tone|label=production@@@";
    create(&world, json!({"name": "whole", "prompt": text})).await;
    for which in ["?version=1", "?label=production", ""] {
        let refusal = world.delete(&format!("{PROMPTS}/tone{which}")).await.ok(400);
        assert!(
            refusal["message"]
                .as_str()
                .unwrap()
                .contains("part of prompt `whole`"),
            "{refusal}"
        );
    }
    world
        .delete(&format!("{PROMPTS}/tone?version=2"))
        .await
        .ok_text(204);
    world.delete(&format!("{PROMPTS}/whole")).await.ok_text(204);
    world.delete(&format!("{PROMPTS}/tone")).await.ok_text(204);
}

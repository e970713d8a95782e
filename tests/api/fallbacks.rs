//! Prompts that applications did not get as they asked for them: the history of the policy tells.

use crate::world::World;
use serde_json::{Value, json};
use serin::ids::{Actor, Justification, Label, PromptName};
use serin::prompt::{LabelRequest, PromptStore as _};

const PATH: &str = "/v1/prompts/order-status";

/// A server with a rollout of a prompt in a Langfuse, r1.
async fn world() -> World {
    let mut world = World::with_orders().await;
    world.tick(7).await;
    world.get("/v1/rollouts/r1").await.ok(200);
    world
}

/// What the history of r1 has of fallbacks: event and sentence.
async fn told(world: &World) -> Vec<(Value, String)> {
    let audit = world.get("/v1/rollouts/r1/audit?limit=100").await.ok(200);
    let records = audit["records"].as_array().unwrap().iter();
    let fallbacks = records.filter(|record| record["event"]["code"] == "fallback");
    fallbacks
        .map(|record| {
            (
                record["event"].clone(),
                record["text"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// The status that an SDK of Langfuse is answered with, whose routes are Langfuse's to describe.
async fn fetched_by_sdk(world: &World) -> u16 {
    let path = "/api/public/v2/prompts/team%2Fgreeting?label=canary";
    let request = World::request("GET", path, &[], "");
    world.respond(request).await.status().as_u16()
}

fn kinds(told: &[(Value, String)]) -> Vec<String> {
    let shown = told.iter().map(|(event, _)| {
        let word = |field: &str| event[field].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", word("kind"), word("label"), event["count"])
    });
    shown.collect()
}

#[tokio::test]
async fn a_registry_that_is_away_is_told_once_with_how_often_what_was_read_earlier_was_given() {
    let mut world = world().await;
    let ask = async |world: &World| world.get(&format!("{PATH}?user=qa-7")).await.ok(200);
    ask(&world).await;
    world.model.set_away(true);
    world.pass(60);
    while world.model.requests() == 0 || told(&world).await.is_empty() {
        assert_eq!(ask(&world).await["prompt"], "Your order is {{status}}");
        world.tick(1).await;
    }
    for _ in 0..5 {
        ask(&world).await;
        world.tick(1).await;
    }
    let begun = told(&world).await;
    assert_eq!(
        kinds(&begun),
        ["stale canary null"],
        "one entry, however often it is asked"
    );
    let sentence = &begun[0].1;
    assert!(
        sentence.starts_with(
            "applications were given prompt `order-status` (label `canary`) as it was read earlier, because its \
             registry did not answer, since 2026-11-21 12:"
        ),
        "{sentence}"
    );
    world.model.set_away(false);
    world.tick(301).await;
    let ended = told(&world).await;
    assert_eq!(ended.len(), 2);
    assert!(ended[1].0["count"].as_u64().unwrap() >= 3, "{ended:?}");
    assert!(ended[1].1.contains(" times from 2026-11-21 12:"), "{ended:?}");
    world.tick(1).await;
    assert_eq!(told(&world).await.len(), 2);
}

#[tokio::test]
async fn refusals_are_told_for_the_labels_of_the_policy() {
    let mut world = world().await;
    let wrong = json!({"user": "probe", "variables": {"stauts": "x"}});
    for _ in 0..3 {
        world
            .post(&format!("{PATH}/compile"), wrong.clone())
            .await
            .problem(422, "variables_mismatch");
    }
    let wrong = json!({"version": 2, "registry": "ours"});
    world
        .post(&format!("{PATH}/compile"), wrong)
        .await
        .problem(422, "variables_mismatch");
    world.model.point("order-status", "canary", None);
    for label in ["canary", "made-up"] {
        let path = format!("{PATH}?registry=ours&label={label}");
        world.get(&path).await.problem(404, "unknown_label");
    }
    world.tick(1).await;
    let begun = told(&world).await;
    let expected = [
        "variables_mismatch - null",
        "label_missing canary null",
        "variables_mismatch production null",
    ];
    assert_eq!(kinds(&begun), expected);
    assert!(
        begun[0]
            .1
            .contains("`order-status`, because their variables are not those"),
        "{begun:?}"
    );
    assert!(
        begun[1]
            .1
            .contains("and given no other version in its place, since"),
        "{begun:?}"
    );
    assert!(
        begun[2].1.ends_with("`status` is missing") || begun[2].1.contains("stauts"),
        "{begun:?}"
    );
    world.tick(300).await;
    let ended = told(&world).await;
    assert_eq!(
        kinds(&ended)[3..],
        [
            "variables_mismatch - 1",
            "label_missing canary 1",
            "variables_mismatch production 3"
        ]
    );
    assert!(ended[3].1.contains("once, at 2026-11-21 12:"), "{ended:?}");
}

#[tokio::test]
async fn a_policy_that_never_had_a_rollout_has_no_history_and_sdks_of_langfuse_are_heard() {
    let mut world = World::new().await.with_prompt().await;
    assert_eq!(fetched_by_sdk(&world).await, 404);
    world.tick(1).await;
    let start = json!({"policy": "greeting", "candidate": 2, "reason": "it greets better"});
    world.post("/v1/rollouts", start).await.ok(201);
    world.tick(1).await;
    assert_eq!(told(&world).await, []);
    world
        .post("/v1/rollouts/r1/rollback", json!({"reason": "enough"}))
        .await
        .ok(200);
    world.tick(2).await;
    let removed = LabelRequest {
        prompt: PromptName::new("team/greeting").unwrap(),
        label: Label::new("canary").unwrap(),
        expect: None,
        to: None,
        actor: Actor::new("anna").unwrap(),
        reason: Justification::new("behind everybody's back").unwrap(),
        rollout: None,
        may_move_protected: true,
    };
    world.store.change_label(removed).await.unwrap();
    assert_eq!(fetched_by_sdk(&world).await, 404);
    world.tick(1).await;
    assert_eq!(
        kinds(&told(&world).await),
        ["label_missing canary null"],
        "the last rollout tells of it"
    );
}

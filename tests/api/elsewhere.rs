//! Prompts of somebody's Langfuse, for applications.

use crate::world::{Answer, GREETING, World};
use serde_json::{Value, json};
use serin::api::keep_warm;

const OURS: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: order-status}
spec:
  prompt: support/order status
  registry: ours
  labels: {control: production, treatment: canary}
  assignment: {force: {treatment: [qa-7], control: [probe]}}
  steps: [{exposure: 50%, bake: 1h}, {exposure: 100%, bake: 1h}]
  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]
";
const NAME: &str = "support/order status";
const PATH: &str = "/v1/prompts/support%2Forder%20status";

/// A server whose policy's prompt is in a Langfuse, with a rollout of version 2.
async fn world() -> World {
    let mut world = World::of(&[GREETING, OURS]).await;
    let model = &world.model;
    model.create("tone", json!("Be kind."));
    model.point("tone", "production", Some(1));
    let tag = "@@@langfusePrompt:name=tone|label=production@@@";
    model.create(NAME, json!(format!("{tag} It is {{{{status}}}}")));
    model.create(NAME, json!(format!("{tag} Your order is {{{{status}}}}")));
    model.point(NAME, "production", Some(1));
    model.point(NAME, "canary", Some(2));
    world.tick(7).await;
    world
}

/// Where the answer came from, by field and by header.
#[track_caller]
fn source(answer: Answer) -> String {
    let header = answer.headers["x-serin-prompt-source"]
        .to_str()
        .unwrap()
        .to_owned();
    let age = answer.headers["age"].to_str().unwrap().to_owned();
    let body = answer.ok(200);
    assert_eq!(body["source"], header);
    assert_eq!(body["ageSeconds"].to_string(), age);
    assert_eq!(body["registry"], "ours");
    header
}

#[tokio::test]
async fn one_call_gives_assignment_version_text_and_span_attributes() {
    let world = world().await;
    let body = json!({"user": "qa-7", "variables": {"status": "on its way"}});
    let compiled = world.post(&format!("{PATH}/compile"), body).await.ok(200);
    assert_eq!(compiled["prompt"], "Be kind. Your order is on its way");
    assert_eq!(compiled["version"], 2);
    assert_eq!(compiled["assignment"]["arm"], "treatment");
    assert_eq!(
        compiled["spanAttributes"],
        json!({
            "langfuse.observation.prompt.name": NAME,
            "langfuse.observation.prompt.version": 2,
            "langfuse.observation.metadata.prompt_label": "canary",
            "gen_ai.prompt.name": NAME,
            "gen_ai.prompt.version": "2",
        })
    );
    let fetched = world.get(&format!("{PATH}?user=probe")).await.ok(200);
    assert_eq!(fetched["prompt"], "Be kind. It is {{status}}");
    assert_eq!(fetched["version"], 1);
    assert_eq!(fetched["labels"], json!(["production"]));
    assert_eq!(fetched["variables"], json!(["status"]));
    let named = world.get(&format!("{PATH}?registry=ours")).await.ok(200);
    assert_eq!(
        (&named["version"], &named["assignment"]),
        (&json!(1), &Value::Null)
    );
}

#[tokio::test]
async fn whoever_signs_in_keeps_the_version_that_they_had() {
    let world = World::new().await.with_rollout().await;
    let path = "/v1/prompts/team%2Fgreeting";
    let (anonymous, _) = world.user_in("treatment").await;
    let (account, _) = world.user_in("control").await;
    let linked = world
        .get(&format!("{path}?user={account}&anonymous={anonymous}"))
        .await
        .ok(200);
    assert_eq!(
        (&linked["version"], &linked["assignment"]["arm"]),
        (&json!(2), &json!("treatment"))
    );
    assert_eq!(
        linked["spanAttributes"]["langfuse.observation.metadata.prompt_label"],
        "canary"
    );
    let alone = world.get(&format!("{path}?user={account}")).await.ok(200);
    assert_eq!(alone["version"], 1);
    let body = json!({"user": account, "anonymous": anonymous, "variables": {"name": "Ann", "wish": "well"}});
    let compiled = world.post(&format!("{path}/compile"), body).await.ok(200);
    assert_eq!(compiled["prompt"], "Good day Ann, well");
    assert_eq!(compiled["assignment"], linked["assignment"]);

    let detail = world
        .get(&format!("{path}?anonymous={anonymous}"))
        .await
        .problem(422, "unclear_version");
    assert_eq!(detail, "`anonymous` goes with `user`");
    for (query, code) in [
        ("user=ann&anonymous=", "bad_query"),
        ("user=ann&anonymus=x", "bad_query"),
    ] {
        world.get(&format!("{path}?{query}")).await.problem(400, code);
    }
    let body = json!({"user": "ann", "anonymous": "", "variables": {}});
    world
        .post(&format!("{path}/compile"), body)
        .await
        .problem(400, "bad_field");
}

#[tokio::test]
async fn keys_are_linked_for_prompts_that_are_elsewhere() {
    let world = world().await;
    let mut keys: Vec<(String, Value)> = Vec::new();
    for arm in ["treatment", "control"] {
        for number in 0..200 {
            let user = format!("user-{number}");
            let fetched = world.get(&format!("{PATH}?user={user}")).await.ok(200);
            if fetched["assignment"]["arm"] == arm {
                keys.push((user, fetched["assignment"].clone()));
                break;
            }
        }
    }
    let [(anonymous, before), (account, _)] = &keys[..] else {
        panic!("an arm has nobody");
    };
    let linked = world
        .get(&format!("{PATH}?user={account}&anonymous={anonymous}"))
        .await
        .ok(200);
    assert_eq!((&linked["assignment"], &linked["version"]), (before, &json!(2)));
}

#[tokio::test]
async fn every_answer_tells_where_it_was_read_and_is_counted() {
    let world = world().await;
    let path = format!("{PATH}?user=qa-7");
    assert_eq!(source(world.get(&path).await), "registry");
    assert_eq!(source(world.get(&path).await), "cache");
    world.model.set_away(true);
    world.pass(60);
    assert_eq!(source(world.get(&path).await), "stale");
    world.pass(3_600);
    let refused = world.get(&path).await.problem(503, "registry_unavailable");
    assert!(refused.starts_with("registry `ours`: "), "{refused}");
    let wrong = json!({"user": "qa-7", "variables": {"stauts": "x"}});
    world.model.set_away(false);
    world.pass(6);
    world
        .post(&format!("{PATH}/compile"), wrong)
        .await
        .problem(422, "variables_mismatch");
    let metrics = world.get("/metrics").await.text;
    for line in [
        r#"serin_prompt_reads_total{registry="ours",source="registry"} 2"#,
        r#"serin_prompt_reads_total{registry="ours",source="cache"} 1"#,
        r#"serin_prompt_reads_total{registry="ours",source="stale"} 1"#,
        r#"serin_prompt_refusals_total{reason="registry_unavailable",registry="ours"} 1"#,
        r#"serin_prompt_refusals_total{reason="variables_mismatch",registry="ours"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let world = world().await;
    for (query, code) in [
        ("registry=ours&label=staging", "unknown_label"),
        ("registry=ours&version=9", "unknown_version"),
        ("registry=theirs", "unknown_registry"),
        ("user=qa-7&registry=embedded", "no_policy_for_prompt"),
    ] {
        world.get(&format!("{PATH}?{query}")).await.problem(404, code);
    }
    let metrics = world.get("/metrics").await.text;
    assert!(
        !metrics.contains("theirs"),
        "a name that anybody can make up is no label"
    );
}

#[tokio::test]
async fn what_policies_name_is_read_before_anybody_asks() {
    let world = world().await;
    let warming = tokio::spawn(keep_warm(world.app.clone()));
    let before = world.model.requests();
    while world.model.requests() < before + 2 {
        tokio::task::yield_now().await;
    }
    for user in ["qa-7", "probe"] {
        // The last answer may be on its way.
        tokio::task::yield_now().await;
        assert_eq!(source(world.get(&format!("{PATH}?user={user}")).await), "cache");
    }
    world.app.stop();
    warming.await.unwrap();
}

#[tokio::test]
async fn prompts_of_the_own_registry_are_put_together_too() {
    let world = World::new().await;
    let new = |name: &str, text: &str| {
        let labels = ["production"];
        json!({"name": name, "type": "text", "prompt": text, "reason": "try", "labels": labels})
    };
    let whole = "@@@langfusePrompt:name=tone|label=production@@@ Hello {{name}}";
    world.post("/v1/prompts", new("whole", whole)).await.ok(201);
    world
        .get("/v1/prompts/whole")
        .await
        .problem(422, "invalid_prompt");
    world
        .post("/v1/prompts", new("tone", "Be {{how}}."))
        .await
        .ok(201);
    let fetched = world.get("/v1/prompts/whole").await.ok(200);
    assert_eq!(fetched["prompt"], "Be {{how}}. Hello {{name}}");
    assert_eq!(fetched["variables"], json!(["how", "name"]));
    let body = json!({"variables": {"how": "kind", "name": "Ann"}});
    let compiled = world.post("/v1/prompts/whole/compile", body).await.ok(200);
    assert_eq!(compiled["prompt"], "Be kind. Hello Ann");
    let written = world.get("/v1/prompts/whole/versions/1").await.ok(200);
    assert_eq!(written["prompt"], whole);
}

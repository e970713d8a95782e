//! Prompts, their versions, and what applications make of them.

use crate::world::World;
use serde_json::{Value, json};

const PROMPT: &str = "/v1/prompts/team%2Fgreeting";

#[tokio::test]
async fn a_version_holds_everything_that_was_said_about_it() {
    let world = World::new().await;
    let body = json!({
        "name": "support/reply", "type": "chat", "reason": "first try", "semanticVersion": "1.0.0",
        "prompt": [
            {"role": "system", "content": "You are {{tone}}"}, {"placeholder": "history"},
            {"role": "user", "content": "{{question}}"},
        ],
        "config": {"model": "m", "temperature": 0.2}, "owner": "support", "tags": ["b", "a"],
        "labels": ["production", "staging"],
    });
    let created = world.post("/v1/prompts", body.clone()).await;
    assert_eq!(
        created.headers["location"],
        "/v1/prompts/support%2Freply/versions/1"
    );
    let created = created.ok(201);
    for field in [
        "name",
        "type",
        "reason",
        "semanticVersion",
        "prompt",
        "config",
        "owner",
        "labels",
    ] {
        assert_eq!(created[field], body[field], "{field}");
    }
    assert_eq!(created["tags"], json!(["a", "b"]));
    assert_eq!(
        (&created["variables"], &created["placeholders"]),
        (&json!(["question", "tone"]), &json!(["history"]))
    );
    assert_eq!(
        (&created["version"], &created["author"]),
        (&json!(1), &json!("local"))
    );
    assert_eq!(
        world.get("/v1/prompts/support%2Freply/versions/1").await.ok(200),
        created
    );
}

#[tokio::test]
async fn a_prompt_is_fetched_by_label_version_or_user() {
    let world = World::new().await.with_rollout().await;
    let version = |query: &str| {
        let (world, path) = (&world, format!("{PROMPT}{query}"));
        async move { world.get(&path).await.ok(200)["version"].clone() }
    };
    assert_eq!(version("").await, 1);
    assert_eq!(version("?label=staging").await, 2);
    assert_eq!(version("?version=2").await, 2);
    assert_eq!(version("?label=latest").await, 2);
    for arm in ["control", "treatment"] {
        let (user, assignment) = world.user_in(arm).await;
        let fetched = world.get(&format!("{PROMPT}?user={user}")).await.ok(200);
        assert_eq!(fetched["assignment"], assignment);
        assert_eq!(fetched["version"], assignment["version"]);
        assert_eq!(
            version(&format!("?user={user}&policy=greeting")).await,
            assignment["version"]
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_never_replaced_by_something_else() {
    let world = World::new().await.with_prompt().await;
    let only_staging = json!({
        "name": "draft", "type": "text", "prompt": "x", "reason": "try", "labels": ["staging"],
    });
    world.post("/v1/prompts", only_staging).await.ok(201);
    for (path, code) in [
        ("/v1/prompts/nobody", "unknown_prompt"),
        ("/v1/prompts/draft", "unknown_label"),
        ("/v1/prompts/draft?label=canary", "unknown_label"),
        ("/v1/prompts/draft?version=2", "unknown_version"),
        ("/v1/prompts/draft?user=ann", "no_policy_for_prompt"),
        (
            "/v1/prompts/team%2Fgreeting?user=ann&policy=farewell",
            "no_policy_for_prompt",
        ),
        ("/v1/prompts/draft/versions/2", "unknown_version"),
        ("/v1/prompts/nobody/versions", "unknown_prompt"),
        ("/v1/prompts/nobody/history", "unknown_prompt"),
        ("/v1/prompts/draft/diff?from=1&to=2", "unknown_version"),
    ] {
        world.get(path).await.problem(404, code);
    }
    for query in ["label=a&version=1", "user=a&version=1", "policy=greeting"] {
        let answer = world.get(&format!("/v1/prompts/draft?{query}")).await;
        answer.problem(422, "unclear_version");
    }
    for query in ["version=0", "label=A", "lable=a"] {
        world
            .get(&format!("/v1/prompts/draft?{query}"))
            .await
            .problem(400, "bad_query");
    }
    world.get("/v1/prompts/a%7Cb").await.problem(400, "bad_path");
    world
        .get("/v1/prompts/draft/diff?from=1")
        .await
        .problem(400, "bad_query");
}

#[tokio::test]
async fn variables_are_a_contract() {
    let world = World::new().await.with_rollout().await;
    let path = format!("{PROMPT}/compile");
    let compile = |body: Value| world.post(&path, body);
    let compiled = compile(json!({"variables": {"name": "Ann"}})).await.ok(200);
    assert_eq!(
        (&compiled["prompt"], &compiled["version"]),
        (&json!("Hello Ann"), &json!(1))
    );
    let answer = compile(json!({"label": "staging", "variables": {"name": "Ann", "wsh": "x"}})).await;
    let errors = answer.json()["errors"].clone();
    assert_eq!(errors[0]["detail"], "variable `wish` is missing");
    assert_eq!(
        errors[1]["detail"],
        "variable `wsh` is not in the template, did you mean `wish`?"
    );
    answer.problem(422, "variables_mismatch");
    let (user, assignment) = world.user_in("treatment").await;
    let body = json!({"user": user, "variables": {"name": "Ann", "wish": "{{name}}"}});
    let compiled = compile(body).await.ok(200);
    assert_eq!(compiled["prompt"], "Good day Ann, {{name}}");
    assert_eq!(compiled["assignment"], assignment);
    assert_eq!(
        compiled["spanAttributes"],
        json!({
            "langfuse.observation.prompt.name": compiled["name"],
            "langfuse.observation.prompt.version": compiled["version"],
            "langfuse.observation.metadata.prompt_label": assignment["label"],
            "gen_ai.prompt.name": compiled["name"],
            "gen_ai.prompt.version": compiled["version"].to_string(),
        })
    );
    compile(json!({"version": 9}))
        .await
        .problem(404, "unknown_version");
    compile(json!({"version": 0})).await.problem(400, "bad_field");
    compile(json!({"user": "", "variables": {}}))
        .await
        .problem(400, "bad_field");
    compile(json!({"variables": []})).await.problem(400, "bad_field");
}

#[tokio::test]
async fn a_span_is_told_the_label_that_was_asked_for() {
    let world = World::new().await.with_rollout().await;
    let label = async |query: &str| {
        let fetched = world.get(&format!("{PROMPT}?{query}")).await.ok(200);
        let attributes = &fetched["spanAttributes"];
        assert_eq!(
            attributes["langfuse.observation.prompt.version"],
            fetched["version"]
        );
        attributes
            .get("langfuse.observation.metadata.prompt_label")
            .cloned()
    };
    assert_eq!(label("").await, Some(json!("production")));
    assert_eq!(label("label=staging").await, Some(json!("staging")));
    assert_eq!(label("version=1").await, None);
}

#[tokio::test]
async fn chats_are_compiled_with_their_placeholders() {
    let world = World::new().await;
    let body = json!({
        "name": "chat", "type": "chat", "reason": "first", "labels": ["production"],
        "prompt": [{"role": "system", "content": "Be {{tone}}"}, {"placeholder": "history"}],
    });
    world.post("/v1/prompts", body).await.ok(201);
    let given = json!([{"role": "tool", "content": "42", "tool_call_id": "t"}]);
    let body = json!({"variables": {"tone": "kind"}, "placeholders": {"history": given}});
    let compiled = world.post("/v1/prompts/chat/compile", body).await.ok(200);
    assert_eq!(
        compiled["prompt"],
        json!([{"role": "system", "content": "Be kind"}, {"role": "tool", "content": "42", "tool_call_id": "t"}])
    );
}

#[tokio::test]
async fn drafts_that_break_a_rule_are_refused() {
    let world = World::new().await.with_prompt().await;
    let draft = |changes: Value| {
        let mut body = json!({"name": "team/greeting", "type": "text", "prompt": "x", "reason": "try"});
        body.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        body
    };
    for (changes, status, code) in [
        (json!({"prompt": ""}), 422, "invalid_prompt"),
        (json!({"type": "chat"}), 422, "invalid_prompt"),
        (
            json!({"type": "chat", "prompt": [{"role": "user", "content": "x"}]}),
            422,
            "invalid_prompt",
        ),
        (json!({"labels": ["latest"]}), 422, "label_reserved"),
        (json!({"prompt": [{"role": "user"}]}), 400, "bad_field"),
        (json!({"semanticVersion": "1.0"}), 400, "bad_field"),
        (json!({"labels": ["Big"]}), 400, "bad_field"),
        (json!({"reason": ""}), 400, "bad_field"),
        (json!({"name": "a|b"}), 400, "bad_field"),
        (json!({"lables": []}), 400, "bad_field"),
    ] {
        world
            .post("/v1/prompts", draft(changes))
            .await
            .problem(status, code);
    }
    assert_eq!(world.get("/v1/prompts").await.ok(200)["prompts"][0]["newest"], 2);
}

#[tokio::test]
async fn versions_prompts_and_differences_are_listed() {
    let world = World::new().await.with_prompt().await;
    for number in 0..3 {
        let body = json!({"name": format!("p{number}"), "type": "text", "prompt": "x", "reason": "try"});
        world.post("/v1/prompts", body).await.ok(201);
    }
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/prompts?limit=2{after}")).await.ok(200);
        names.extend(
            page["prompts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|prompt| prompt["name"].clone()),
        );
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(names, ["p0", "p1", "p2", "team/greeting"]);
    let first = world.get(&format!("{PROMPT}/versions?limit=1")).await.ok(200);
    assert_eq!(
        (&first["versions"][0]["version"], &first["next"]),
        (&json!(2), &json!(2))
    );
    let rest = world
        .get(&format!("{PROMPT}/versions?limit=1&before=2"))
        .await
        .ok(200);
    assert_eq!(
        (&rest["versions"][0]["version"], &rest["next"]),
        (&json!(1), &Value::Null)
    );
    let diff = world.get(&format!("{PROMPT}/diff?from=1&to=2")).await.ok(200);
    assert_eq!(
        diff["parts"][0]["lines"][0],
        json!({"change": "removed", "text": "Hello {{name}}"})
    );
    assert!(
        diff["unified"]
            .as_str()
            .unwrap()
            .contains("+Good day {{name}}, {{wish}}")
    );
}

#[tokio::test]
async fn evaluations_stay_with_their_version() {
    let world = World::new().await.with_prompt().await;
    let path = format!("{PROMPT}/versions/2/evaluations");
    let body = json!({"dataset": "golden.jsonl", "scores": {"faithfulness": 0.8}});
    let recorded = world.post(&path, body.clone()).await.ok(201);
    assert_eq!(recorded["scores"], body["scores"]);
    let version = world.get(&format!("{PROMPT}/versions/2")).await.ok(200);
    assert_eq!(version["evaluations"], json!([recorded]));
    for bad in [
        json!({"dataset": "", "scores": {"a": 1}}),
        json!({"dataset": "d", "scores": {}}),
        json!({"dataset": "d", "scores": {"_a": 1}}),
        json!({"dataset": "d", "scores": {"a": "1"}}),
    ] {
        world.post(&path, bad).await.problem(400, "bad_field");
    }
    let nowhere = format!("{PROMPT}/versions/9/evaluations");
    world.post(&nowhere, body).await.problem(404, "unknown_version");
}

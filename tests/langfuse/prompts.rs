//! Prompts: versions, labels, lists.

use crate::contract::assert_prompt;
use crate::world::{Answer, World};
use serde_json::{Value, json};

pub(crate) const PROMPTS: &str = "/api/public/v2/prompts";

pub(crate) async fn create(world: &World, body: Value) -> Value {
    world.post(PROMPTS, body).await.ok(201)
}

pub(crate) async fn patch(world: &World, path: &str, labels: &[&str]) -> Answer {
    let body = json!({"newLabels": labels}).to_string();
    let headers = [("content-type", "application/json")];
    world.send(World::request("PATCH", path, &headers, &body)).await
}

#[tokio::test]
async fn a_version_is_what_was_sent() {
    let world = World::new().await;
    let made = create(
        &world,
        json!({
            "name": "folder/greet me", "prompt": "Hi {{name}}", "config": {"model": "m", "temperature": 0.5},
            "labels": ["production", "staging"], "tags": ["b", "a"], "commitMessage": "shorter",
        }),
    )
    .await;
    assert_prompt(&made);
    assert_eq!(made["type"], "text");
    assert_eq!(made["version"], 1);
    assert_eq!(made["labels"], json!(["production", "staging", "latest"]));
    assert_eq!(made["tags"], json!(["a", "b"]));
    assert_eq!(made["config"], json!({"model": "m", "temperature": 0.5}));
    assert_eq!(made["commitMessage"], "shorter");
    assert_eq!(made["isActive"], true);
    // Both spellings of a folder.
    for path in ["folder%2Fgreet%20me", "folder/greet%20me"] {
        assert_eq!(
            world.get(&format!("{PROMPTS}/{path}")).await.ok(200),
            made,
            "{path}"
        );
    }
    let plain = create(&world, json!({"name": "plain", "prompt": "x", "type": null})).await;
    assert_eq!(plain["commitMessage"], Value::Null);
    assert_eq!(plain["labels"], json!(["latest"]));
}

#[tokio::test]
async fn the_next_version_takes_labels_and_keeps_tags() {
    let world = World::new().await;
    let body = |text: &str| json!({"name": "greet", "prompt": text, "labels": ["production"], "tags": null});
    let mut first = body("one");
    first["tags"] = json!(["support"]);
    create(&world, first).await;
    let second = create(&world, body("two")).await;
    assert_eq!(second["version"], 2);
    assert_eq!(second["tags"], json!(["support"]));
    let old = world.get(&format!("{PROMPTS}/greet?version=1")).await.ok(200);
    assert_eq!(old["labels"], json!([]));
    // Tags are of the prompt, not of one version.
    let mut third = body("three");
    third["tags"] = json!(["sales"]);
    create(&world, third).await;
    let old = world.get(&format!("{PROMPTS}/greet?version=1")).await.ok(200);
    assert_eq!(old["tags"], json!(["sales"]));
    let kind = json!({"name": "greet", "type": "chat", "prompt": [{"role": "user", "content": "x"}]});
    let refusal = world.post(PROMPTS, kind).await.ok(400);
    assert!(
        refusal["message"]
            .as_str()
            .unwrap()
            .starts_with("Previous versions have different prompt type")
    );
}

#[tokio::test]
async fn latest_is_computed() {
    let world = World::new().await.with_prompt().await;
    let path = format!("{PROMPTS}/team/greeting");
    let latest = world.get(&format!("{path}?label=latest")).await.ok(200);
    assert_eq!(latest["version"], 2);
    assert_eq!(latest["labels"], json!(["staging", "latest"]));
    patch(&world, &format!("{path}/versions/1"), &["latest"])
        .await
        .ok(400);
    let made = create(
        &world,
        json!({"name": "team/greeting", "prompt": "x", "labels": ["latest"]}),
    )
    .await;
    assert_eq!(made["labels"], json!(["latest"]));
}

#[tokio::test]
async fn labels_are_added_and_taken_from_others() {
    let world = World::new().await.with_prompt().await;
    let path = format!("{PROMPTS}/team%2Fgreeting");
    let moved = patch(&world, &format!("{path}/versions/2"), &["canary"])
        .await
        .ok(200);
    assert_eq!(moved["labels"], json!(["canary", "staging", "latest"]));
    let back = patch(&world, &format!("{path}/versions/1"), &["canary", "beta"])
        .await
        .ok(200);
    assert_eq!(back["labels"], json!(["beta", "canary", "production"]));
    assert_prompt(&back);
    let two = world.get(&format!("{path}?version=2")).await.ok(200);
    assert_eq!(two["labels"], json!(["staging", "latest"]));
    // Nothing to add is no mistake.
    let same = patch(&world, &format!("{path}/versions/1"), &[]).await.ok(200);
    assert_eq!(same["labels"], back["labels"]);
    patch(&world, &format!("{path}/versions/1"), &["Not A Label"])
        .await
        .ok(400);
    patch(&world, &format!("{path}/versions/0"), &["x"]).await.ok(404);
    patch(&world, &path, &["x"]).await.ok(404);
    // The journal says who and why.
    let history = world.get("/v1/prompts/team%2Fgreeting/history").await.ok(200);
    assert_eq!(history["changes"][0]["actor"], "local");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = World::new().await;
    for (name, labels, tags) in [
        ("a", json!(["production"]), json!(["support"])),
        ("a", json!(["canary"]), json!(["support"])),
        ("b", json!(["production"]), json!([])),
        ("c", json!([]), json!(["support"])),
    ] {
        let body =
            json!({"name": name, "prompt": "x", "labels": labels, "tags": tags, "config": {"n": name}});
        create(&world, body).await;
    }
    let list = async |query: &str| world.get(&format!("{PROMPTS}?{query}")).await.ok(200);
    let names = |list: &Value| -> Vec<String> {
        let data = list["data"].as_array().unwrap().iter();
        data.map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = list("").await;
    assert_eq!(names(&all), ["a", "b", "c"]);
    assert_eq!(all["data"][0]["versions"], json!([1, 2]));
    assert_eq!(
        all["data"][0]["labels"],
        json!(["production", "canary", "latest"])
    );
    assert_eq!(all["data"][0]["lastConfig"], json!({"n": "a"}));
    let canary = list("label=canary").await;
    assert_eq!(names(&canary), ["a"]);
    assert_eq!(canary["data"][0]["versions"], json!([2]));
    assert_eq!(names(&list("tag=support").await), ["a", "c"]);
    assert_eq!(names(&list("name=b").await), ["b"]);
    assert_eq!(names(&list("name=nobody").await), [""; 0]);
    assert_eq!(names(&list("fromUpdatedAt=2026-11-22T00:00:00Z").await), [""; 0]);
    assert_eq!(
        names(&list("toUpdatedAt=2026-11-22T00:00:00.000%2B00:00").await).len(),
        3
    );
    let second = list("limit=2&page=2").await;
    assert_eq!(names(&second), ["c"]);
    let meta = json!({"page": 2, "limit": 2, "totalItems": 3, "totalPages": 2});
    assert_eq!((&second["meta"], &second["pagination"]), (&meta, &meta));
    for bad in ["limit=101", "limit=0", "page=0", "fromUpdatedAt=soon"] {
        world.get(&format!("{PROMPTS}?{bad}")).await.ok(400);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_400_and_nothing_else() {
    let world = World::new().await.with_prompt().await;
    let json_type = [("content-type", "application/json")];
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"name":"x","prompt":7}"#,
        r#"{"name":"x","prompt":" "}"#,
    ] {
        let request = World::request("POST", PROMPTS, &json_type, body);
        world.send(request).await.ok(400);
    }
    let form = World::request(
        "POST",
        PROMPTS,
        &[("content-type", "text/plain")],
        r#"{"name":"x","prompt":"y"}"#,
    );
    world.send(form).await.ok(400);
    world
        .get(&format!("{PROMPTS}/team/greeting?version=one"))
        .await
        .ok(400);
    world
        .get(&format!("{PROMPTS}/team/greeting?version=99999999999"))
        .await
        .ok(404);
    world
        .get(&format!("{PROMPTS}/team/greeting?label=NOT%20ONE"))
        .await
        .ok(404);
    world.get(&format!("{PROMPTS}/a%7Cb")).await.ok(404);
    world.get("/api/public/traces").await.ok(404);
    let put = World::request("PUT", PROMPTS, &json_type, "{}");
    let refused = world.send(put).await;
    assert!(refused.headers.contains_key("allow"));
    refused.ok(405);
}

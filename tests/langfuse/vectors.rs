//! Every case of `tests/conformance/langfuse/contract.json`, by its id.

use crate::contract::assert_prompt;
use crate::prompts::{PROMPTS, create, patch};
use crate::world::{Setting, World};
use serde_json::{Value, json};
use serin::config::Limits;

const CONTRACT: &str = include_str!("../conformance/langfuse/contract.json");

fn contract() -> Value {
    serde_json::from_str(CONTRACT).unwrap()
}

/// A world with `NAME` and `order-status-answer`, two versions each, and a folder.
async fn furnished() -> World {
    let world = World::new().await;
    for name in ["NAME", "order-status-answer", "folder/greet me"] {
        for labels in [["production", "x"], ["prod-b", "canary"]] {
            let body = json!({"name": name, "prompt": "Answer {{question}}", "labels": labels});
            create(&world, body).await;
        }
    }
    world
}

/// The path of a request of the contract, with its blanks filled in.
fn path(case: &Value) -> String {
    let request = case["req"].as_str().unwrap();
    let path = request.split(' ').nth(1).unwrap();
    path.replace("...", &format!("{PROMPTS}/NAME"))
}

#[track_caller]
fn status(case: &Value) -> u16 {
    u16::try_from(case["status"].as_u64().unwrap()).unwrap()
}

/// Prompts that are fetched; false for another case.
async fn fetching(id: &str, case: &Value, world: &World) -> bool {
    match id {
        "get-by-label" | "get-version" => {
            let prompt = world.get(&path(case)).await.ok(status(case));
            assert_prompt(&prompt);
            for field in case["required_fields_py4_py5"].as_array().into_iter().flatten() {
                assert!(!prompt[field.as_str().unwrap()].is_null(), "{id}: {field}");
            }
            assert_eq!(prompt["version"], 2, "{id}");
        }
        "get-default" => {
            let prompt = world.get(&path(case)).await.ok(200);
            assert!(
                prompt["labels"]
                    .as_array()
                    .unwrap()
                    .contains(&json!("production")),
                "{prompt}"
            );
        }
        "get-both" => assert_eq!(world.get(&path(case)).await.ok(status(case)), case["body"]),
        "get-missing-label" => {
            let refusal = world
                .get(&format!("{PROMPTS}/NAME?label=nowhere"))
                .await
                .ok(status(case));
            let expected = case["body"]["message"]
                .as_str()
                .unwrap()
                .replace("LABEL", "nowhere");
            assert_eq!(
                (&refusal["message"], &refusal["error"]),
                (&json!(expected), &case["body"]["error"])
            );
        }
        "get-missing-version" => {
            let refusal = world
                .get(&format!("{PROMPTS}/NAME?version=9"))
                .await
                .ok(status(case));
            assert_eq!(refusal, case["body"]);
        }
        "folder-name-1" | "folder-name-2" => {
            assert_eq!(world.get(&path(case)).await.ok(200)["name"], "folder/greet me");
        }
        _ => return false,
    }
    true
}

/// Prompts that are made, labelled and deleted; false for another case.
async fn changing(id: &str, case: &Value, world: &World) -> bool {
    match id {
        "move" => {
            let labels = case["body"]["newLabels"][0].as_str().unwrap();
            patch(world, &format!("{PROMPTS}/NAME/versions/2"), &[labels])
                .await
                .ok(200);
            let row = patch(world, &path(case), &[labels]).await.ok(status(case));
            assert_prompt(&row);
            assert_eq!(
                row["labels"],
                json!(["production", "x"]),
                "added, and the others kept"
            );
            let other = world.get(&format!("{PROMPTS}/NAME?version=2")).await.ok(200);
            assert_eq!(other["labels"], json!(["canary", "prod-b", "latest"]), "stripped");
        }
        "move-latest" => {
            let refusal = patch(world, &format!("{PROMPTS}/NAME/versions/1"), &["latest"]).await;
            let refusal = refusal.ok(status(case));
            assert_eq!(refusal["message"], case["reply"]["message"]);
            assert!(!refusal["error"].as_array().unwrap().is_empty());
        }
        "move-missing" => {
            let refusal = patch(world, &format!("{PROMPTS}/NAME/versions/9"), &["x"]).await;
            assert_eq!(refusal.ok(status(case)), case["reply"]);
        }
        "create" => {
            let made = world.post(PROMPTS, case["body"].clone()).await.ok(status(case));
            assert_eq!(made["prompt"][1], case["body"]["prompt"][1]);
            assert_eq!(made["labels"], json!(["production", "latest"]));
        }
        "delete" => {
            let removed = world.delete(&path(case)).await;
            assert_eq!(removed.ok_text(status(case)), "");
            let gone = world.get(&format!("{PROMPTS}/NAME?version=2")).await;
            gone.ok(404);
            let other = world.get(&format!("{PROMPTS}/NAME?label=prod-b")).await;
            other.ok(404);
        }
        _ => return false,
    }
    true
}

/// Lists, and what the server says of itself; false for another case.
async fn asking(id: &str, case: &Value, world: &World) -> bool {
    match id {
        "list" => {
            let page = world.get(&path(case)).await.ok(200);
            let shape =
                |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
            assert_eq!(shape(&page), shape(&case["reply"]));
            assert_eq!(shape(&page["data"][0]), shape(&case["reply"]["data"][0]));
            assert_eq!(shape(&page["meta"]), shape(&case["reply"]["meta"]));
            assert_eq!(page["meta"], page["pagination"]);
            assert_eq!(page["meta"]["limit"], 5);
        }
        "projects" | "health" => {
            let answer = world.get(&path(case)).await.ok(200);
            let expected = &case["reply"];
            let (answer, expected) = match id {
                "projects" => (&answer["data"][0], &expected["data"][0]),
                _ => (&answer, expected),
            };
            for field in expected.as_object().unwrap().keys() {
                assert!(!answer[field].is_null(), "{id}: {field}");
            }
        }
        _ => return false,
    }
    true
}

/// What clients send of their users' requests; false for another case.
async fn sending(id: &str, case: &Value, world: &World) -> bool {
    match id {
        "score-one" => {
            let answer = world
                .post(&path(case), case["body"].clone())
                .await
                .ok(status(case));
            assert!(answer["id"].is_string(), "{answer}");
        }
        "score-list" => {
            let answer = world.post(&path(case), case["body"].clone()).await;
            assert_eq!(answer.ok(202), json!({"message": "Accepted"}));
            let mut mixed = case["body"].clone();
            mixed.as_array_mut().unwrap().push(json!({"name": "x"}));
            let answer = world.post(&path(case), mixed).await.ok(207);
            assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(1), &json!(1)));
            assert!(answer["errors"][0]["message"].is_string(), "{answer}");
        }
        "score-batch" => {
            let answer = world
                .post(&path(case), case["body"].clone())
                .await
                .ok(status(case));
            let event = &case["body"]["batch"][0];
            assert_eq!(answer["successes"], json!([{"id": event["id"], "status": 201}]));
            assert_eq!(answer["errors"], json!([]));
        }
        "otlp" => exports(case, world).await,
        "rate-limited" => never_limited().await,
        _ => return false,
    }
    true
}

/// Exports of the SDKs, as they are and compressed.
async fn exports(case: &Value, world: &World) {
    let content_type = case["headers"]["content-type"].as_str().unwrap();
    let plain = include_bytes!("../conformance/otlp/langfuse-sdk-py4.bin").to_vec();
    let newer = include_bytes!("../conformance/otlp/langfuse-sdk-py5.bin");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, newer).unwrap();
    for (encoding, body) in [("identity", plain), ("gzip", encoder.finish().unwrap())] {
        let headers = [("content-type", content_type), ("content-encoding", encoding)];
        let answer = world
            .send(World::request_bytes("POST", &path(case), &headers, body))
            .await;
        assert_eq!(answer.headers["content-type"], content_type);
        assert_eq!(answer.ok_text(200), "");
    }
    let headers = [("content-type", "application/json")];
    let answer = world
        .send(World::request("POST", &path(case), &headers, "{}"))
        .await;
    assert_eq!(answer.ok(200), json!({}));
}

/// A server that cannot keep up says so in a way that no SDK waits minutes for.
async fn never_limited() {
    let setting = Setting::default();
    let limits = Limits {
        requests_in_flight_max: 0,
        ..setting.limits
    };
    let world = World::with(Setting { limits, ..setting }).await;
    let answer = world.get(&format!("{PROMPTS}/NAME")).await;
    assert_eq!(answer.headers["retry-after"], "1");
    answer.ok(503);
}

async fn check(case: &Value) {
    let world = furnished().await;
    let id = case["id"].as_str().unwrap();
    let is_checked = fetching(id, case, &world).await
        || changing(id, case, &world).await
        || asking(id, case, &world).await
        || sending(id, case, &world).await;
    assert!(is_checked, "nobody checks the case `{id}`");
}

#[tokio::test]
async fn every_case_of_the_contract_holds() {
    let contract = contract();
    let cases = contract["cases"].as_array().unwrap();
    assert!(cases.len() > 20, "{}", cases.len());
    for case in cases {
        check(case).await;
    }
}

#[tokio::test]
async fn names_and_labels_have_the_contracts_rules() {
    let contract = contract();
    let rules = &contract["label_rules"];
    let world = World::new().await;
    let longest = usize::try_from(rules["max"].as_u64().unwrap()).unwrap();
    let with_label = |label: String| json!({"name": "a", "prompt": "b", "labels": [label]});
    create(&world, with_label("a".repeat(longest))).await;
    for bad in [
        "a".repeat(longest + 1),
        "A".to_owned(),
        "a b".to_owned(),
        String::new(),
    ] {
        world.post(PROMPTS, with_label(bad)).await.ok(400);
    }
    let rules = &contract["name_rules"];
    let longest = usize::try_from(rules["max"].as_u64().unwrap()).unwrap();
    let named = |name: String| json!({"name": name, "prompt": "b"});
    create(&world, named("ä".repeat(longest))).await;
    for bad in [
        "a".repeat(longest + 1),
        "a|b".to_owned(),
        "<i>a</i>".to_owned(),
        "new".to_owned(),
    ] {
        world.post(PROMPTS, named(bad)).await.ok(400);
    }
}

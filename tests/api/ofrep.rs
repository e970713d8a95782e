//! OFREP: every answer is held against the schemas of its specification as well.

use crate::world::{Answer, World};
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

const FLAGS: &str = "/ofrep/v1/evaluate/flags";

/// Holds a value against a schema of the specification.
#[track_caller]
fn conforms(name: &str, value: &Value) {
    let text = include_str!("../conformance/ofrep/schemas.json");
    let mut schema: Value = serde_json::from_str(text).unwrap();
    assert!(schema["components"]["schemas"][name].is_object(), "{name}");
    schema["$ref"] = json!(format!("#/components/schemas/{name}"));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let found: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(found.is_empty(), "{name}: {found:#?} in {value:#}");
}

async fn evaluate(world: &World, key: &str, user: &str) -> Answer {
    let body = json!({"context": {"targetingKey": user, "country": "CA"}});
    world.post(&format!("{FLAGS}/{key}"), body).await
}

/// What a refusal says: status, code, details.
#[track_caller]
fn refusal(answer: &Answer, schema: &str) -> (u16, String, String) {
    let body = answer.json();
    conforms(schema, &body);
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (answer.status.as_u16(), text("errorCode"), text("errorDetails"))
}

#[tokio::test]
async fn a_policy_is_a_flag_whose_value_is_the_label() {
    let world = World::new().await.with_rollout().await;
    for arm in ["treatment", "control"] {
        let (user, assignment) = world.user_in(arm).await;
        let label = evaluate(&world, "greeting", &user).await.ok(200);
        conforms("serverEvaluationSuccess", &label);
        let metadata = json!({
            "version": assignment["version"], "exposure": 0.5, "serinReason": "split", "rollout": "r1",
            "receipt": assignment["receipt"],
        });
        let expected = json!({
            "key": "greeting", "value": assignment["label"], "reason": "SPLIT", "variant": arm,
            "metadata": metadata,
        });
        assert_eq!(label, expected);
        let whole = evaluate(&world, "greeting.assignment", &user).await.ok(200);
        conforms("serverEvaluationSuccess", &whole);
        assert_eq!(whole["value"], assignment);
        assert_eq!(
            (&whole["key"], &whole["variant"]),
            (&json!("greeting.assignment"), &json!(arm))
        );
    }
    let forced = evaluate(&world, "greeting", "qa-7").await.ok(200);
    assert_eq!(
        (&forced["reason"], &forced["value"]),
        (&json!("TARGETING_MATCH"), &json!("canary"))
    );
    assert_eq!(forced["metadata"].get("receipt"), None);
    let idle = evaluate(&world, "farewell", "ann").await;
    assert!(idle.text.contains(r#""exposure":0.0"#), "{}", idle.text);
    assert_eq!(idle.ok(200)["reason"], "STATIC");
}

#[tokio::test]
async fn refusals_have_the_words_of_the_specification() {
    let world = World::new().await.with_rollout().await;
    let path = format!("{FLAGS}/greeting");
    for (body, code, says) in [
        (json!({}), "TARGETING_KEY_MISSING", "set it to the user's key"),
        (json!({"context": {}}), "TARGETING_KEY_MISSING", "set it"),
        (
            json!({"context": {"targetingKey": null}}),
            "TARGETING_KEY_MISSING",
            "set it",
        ),
        (
            json!({"context": {"targetingKey": ""}}),
            "TARGETING_KEY_MISSING",
            "set it",
        ),
        (
            json!({"context": {"targetingKey": "x".repeat(257)}}),
            "INVALID_CONTEXT",
            "1 to 256 bytes",
        ),
        (
            json!({"context": {"targetingKey": 7}}),
            "INVALID_CONTEXT",
            "invalid type",
        ),
        (json!({"context": ["ann"]}), "INVALID_CONTEXT", "invalid type"),
        (json!(["ann"]), "INVALID_CONTEXT", "invalid type"),
    ] {
        let answer = world.post(&path, body.clone()).await;
        assert_eq!(answer.json()["key"], "greeting");
        let (status, found, details) = refusal(&answer, "evaluationFailure");
        assert_eq!((status, found.as_str()), (400, code), "{body}");
        assert!(details.contains(says), "{details}");
        let answer = world.post(FLAGS, body).await;
        let (status, found, _) = refusal(&answer, "bulkEvaluationFailure");
        assert_eq!((status, found.as_str()), (400, code));
    }
    let json = [("content-type", "application/json")];
    for (headers, body) in [
        (&json[..], "{"),
        (&json[..], ""),
        (&[], "{}"),
        (&json[..], "{} x"),
    ] {
        let answer = world.send(World::request("POST", &path, headers, body)).await;
        let (status, code, _) = refusal(&answer, "evaluationFailure");
        assert_eq!((status, code.as_str()), (400, "PARSE_ERROR"), "{body}");
    }
    let large = json!({"context": {"targetingKey": "ann", "padding": "x".repeat(70_000)}});
    let (status, code, _) = refusal(&world.post(&path, large).await, "evaluationFailure");
    assert_eq!((status, code.as_str()), (400, "PARSE_ERROR"));
}

#[tokio::test]
async fn what_is_no_policy_is_not_found_however_it_is_written() {
    let world = World::new().await.with_rollout().await;
    for (path, key) in [
        ("nobody", "nobody"),
        ("nobody.assignment", "nobody.assignment"),
        ("greeting.assignments", "greeting.assignments"),
        ("team%2Fgreeting", "team/greeting"),
        ("caf%C3%A9", "café"),
    ] {
        let answer = evaluate(&world, path, "ann").await;
        let (status, code, details) = refusal(&answer, "flagNotFound");
        assert_eq!((status, code.as_str()), (404, "FLAG_NOT_FOUND"), "{path}");
        assert!(details.starts_with("there is no policy `"), "{details}");
        assert_eq!(answer.json()["key"], key);
    }
    // Clients send a slash as it is; the document has no such path, so this goes past its check.
    let request = World::request(
        "POST",
        &format!("{FLAGS}/a/b/c"),
        &[("content-type", "application/json")],
        r#"{"context":{"targetingKey":"ann"}}"#,
    );
    let (status, _, body) = raw(&world, request).await;
    assert_eq!(status, 404);
    conforms("flagNotFound", &body);
    assert_eq!(body["key"], "a/b/c");
}

async fn all(world: &World, context: Value, known: Option<&str>) -> Answer {
    let mut headers = vec![("content-type", "application/json; charset=utf-8")];
    headers.extend(known.map(|tag| ("if-none-match", tag)));
    let body = json!({"context": context}).to_string();
    world.send(World::request("POST", FLAGS, &headers, &body)).await
}

#[tokio::test]
async fn all_flags_come_at_once_and_once_only() {
    let mut world = World::new().await.with_rollout().await;
    let (user, assignment) = world.user_in("treatment").await;
    let first = all(&world, json!({"targetingKey": user}), None).await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    let body = first.ok(200);
    conforms("bulkEvaluationSuccess", &body);
    let keys: Vec<&str> = body["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| flag["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["farewell", "greeting"]);
    assert_eq!(body["flags"][1]["value"], "canary");
    let again = all(&world, json!({"targetingKey": user}), Some(&tag)).await;
    assert_eq!(again.headers["etag"], tag);
    again.ok(304);
    all(&world, json!({"targetingKey": "another"}), Some(&tag))
        .await
        .ok(200);

    let whole = all(
        &world,
        json!({"targetingKey": user, "serinAssignments": true}),
        None,
    )
    .await
    .ok(200);
    conforms("bulkEvaluationSuccess", &whole);
    assert_eq!(whole["flags"].as_array().unwrap().len(), 4);
    assert_eq!(whole["flags"][2]["value"], assignment);

    world
        .post("/v1/rollouts/r1/rollback", json!({"reason": "enough"}))
        .await
        .ok(200);
    world.tick(1).await;
    let after = all(&world, json!({"targetingKey": user}), Some(&tag))
        .await
        .ok(200);
    assert_eq!(after["flags"][1]["value"], "production");
}

/// The address of the stream, and a tag to ask with.
async fn address(world: &World, headers: &[(&str, &str)]) -> (String, String) {
    let headers = [&[("content-type", "application/json")], headers].concat();
    let body = json!({"context": {"targetingKey": "ann"}}).to_string();
    let answer = world.send(World::request("POST", FLAGS, &headers, &body)).await;
    let tag = answer.headers["etag"].to_str().unwrap().to_owned();
    let stream = &answer.ok(200)["eventStreams"][0];
    assert_eq!(stream["type"], "sse");
    (stream["endpoint"]["requestUri"].as_str().unwrap().to_owned(), tag)
}

struct Listener(BodyDataStream);

impl Listener {
    async fn at(world: &World, address: &str) -> Self {
        let request = Request::get(address).body(Body::empty()).unwrap();
        let response = world.respond(request).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body().into_data_stream())
    }

    /// The next notice; none when the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        let bytes = self.0.next().await?.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let notice: Value = serde_json::from_str(data).unwrap();
        conforms("sseEventData", &notice);
        assert_eq!(notice["type"], "refetchEvaluation");
        Some(notice)
    }
}

#[tokio::test]
async fn listeners_are_told_to_ask_again() {
    let mut world = World::new().await.with_rollout().await;
    let (address, _) = address(&world, &[]).await;
    let mut listener = Listener::at(&world, &address).await;
    let first = listener.next().await.unwrap();
    world
        .post("/v1/rollouts/r1/rollback", json!({"reason": "enough"}))
        .await
        .ok(200);
    world.tick(1).await;
    let second = listener.next().await.unwrap();
    assert_ne!(first["etag"], second["etag"]);
    world.app.stop();
    assert_eq!(listener.next().await, None);
}

#[tokio::test]
async fn addresses_end_and_a_new_one_is_a_change() {
    let world = World::new().await.with_rollout().await;
    let (first, tag) = address(&world, &[]).await;
    world.pass(3_500);
    assert_eq!(address(&world, &[]).await, (first.clone(), tag.clone()));
    world.pass(100);
    let (second, newer) = address(&world, &[]).await;
    assert_ne!(first, second);
    assert_ne!(tag, newer);
    Listener::at(&world, &first).await.next().await.unwrap();
    world.pass(3_600);
    let ended = world.get(&first).await;
    let body = ended.json();
    assert_eq!(
        (ended.status.as_u16(), &body["errorCode"]),
        (401, &json!("GENERAL"))
    );
    Listener::at(&world, &second).await.next().await.unwrap();
    for forged in [
        "/ofrep/v1/events",
        "/ofrep/v1/events?token=",
        "/ofrep/v1/events?token=AAAA",
    ] {
        assert_eq!(world.get(forged).await.status, 401);
    }
    let mut forged = second.clone().into_bytes();
    *forged.last_mut().unwrap() ^= 4;
    assert_eq!(world.get(std::str::from_utf8(&forged).unwrap()).await.status, 401);
}

#[tokio::test]
async fn tokens_come_in_either_header_and_end_their_streams_with_them() {
    let mut world = World::new().await.with_rollout().await;
    let (open, _) = address(&world, &[]).await;
    let make = json!({"name": "root", "scopes": ["admin"]});
    let root = world.post("/v1/tokens", make).await.ok(201)["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(world.get(&open).await.status, 401, "the server is no longer open");
    let mut tokens = Vec::new();
    for scope in ["assign", "observe"] {
        let body = json!({"name": scope, "scopes": [scope]});
        let made = world
            .send(World::authorized("POST", "/v1/tokens", &root, &body))
            .await
            .ok(201);
        tokens.push(made["token"].as_str().unwrap().to_owned());
    }
    let body = r#"{"context":{"targetingKey":"ann"}}"#;
    let path = format!("{FLAGS}/greeting");
    let ask = async |header: &str, value: &str| {
        let headers = [("content-type", "application/json"), (header, value)];
        world
            .send(World::request("POST", &path, &headers, body))
            .await
            .status
            .as_u16()
    };
    let [assign, observe] = &tokens[..] else {
        unreachable!()
    };
    assert_eq!(ask("x-api-key", assign).await, 200);
    assert_eq!(ask("authorization", &format!("Bearer {assign}")).await, 200);
    assert_eq!(ask("authorization", &format!("Bearer {observe}")).await, 403);
    assert_eq!(ask("x-api-key", "srn_unknown").await, 401);
    assert_eq!(ask("x-nothing", "").await, 401);
    let (address, _) = address(&world, &[("x-api-key", assign)]).await;
    assert!(!address.contains(assign.as_str()));
    let mut listener = Listener::at(&world, &address).await;
    listener.next().await.unwrap();
    let revoke = World::authorized("DELETE", "/v1/tokens/assign", &root, &Value::Null);
    assert!(world.send(revoke).await.status.is_success());
    assert_eq!(world.get(&address).await.status, 401);
    world.tick(1).await;
    assert_eq!(listener.next().await, None);
}

/// What the providers of OpenFeature were seen to send is answered as the specification has it.
#[tokio::test]
async fn recorded_sessions_replay_clean() {
    let world = World::new().await.with_rollout().await;
    let recorded: Value = serde_json::from_str(include_str!("../conformance/ofrep/sessions.json")).unwrap();
    let sessions = recorded["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    for session in sessions {
        let (mut stream, mut tag) = (String::new(), String::new());
        for asked in session["requests"].as_array().unwrap() {
            let text = |name: &str| asked[name].as_str().unwrap();
            if text("path") == "@stream" {
                Listener::at(&world, &stream).await.next().await.unwrap();
                continue;
            }
            let headers = asked["headers"].as_object().unwrap();
            let headers = headers.iter().map(|(name, value)| match value.as_str().unwrap() {
                "@etag" => (name.as_str(), tag.as_str()),
                value => (name.as_str(), value),
            });
            let headers: Vec<_> = headers.collect();
            let request = World::request(text("method"), text("path"), &headers, text("body"));
            let (status, headers, body) = raw(&world, request).await;
            assert_eq!(u64::from(status), asked["status"].as_u64().unwrap(), "{asked}");
            match (status, body.get("flags")) {
                (304, _) => continue,
                (200, Some(_)) => {
                    conforms("bulkEvaluationSuccess", &body);
                    let address = &body["eventStreams"][0]["endpoint"]["requestUri"];
                    stream = address.as_str().unwrap().to_owned();
                    tag = headers["etag"].to_str().unwrap().to_owned();
                }
                (200, None) => conforms("serverEvaluationSuccess", &body),
                (404, _) => conforms("flagNotFound", &body),
                _ => conforms("evaluationFailure", &body),
            }
        }
    }
}

/// Sends a request past the check against the document, which has no path with a slash in its key.
async fn raw(world: &World, request: Request<Body>) -> (u16, axum::http::HeaderMap, Value) {
    let answer = world.answer(request).await;
    let body = serde_json::from_str(&answer.text).unwrap_or(Value::Null);
    (answer.status.as_u16(), answer.headers, body)
}

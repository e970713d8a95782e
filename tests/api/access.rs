//! Tokens, scopes, and the open local server.

use crate::world::{Setting, World};
use axum::http::Method;
use serde_json::{Value, json};
use serin::api::access::AccessMode;

async fn guarded() -> (World, String) {
    let world = World::new().await.with_rollout().await;
    let body = json!({"name": "root", "scopes": ["admin"]});
    let token = world.post("/v1/tokens", body).await.ok(201)["token"]
        .as_str()
        .unwrap()
        .to_owned();
    (world, token)
}

async fn make(world: &World, admin: &str, name: &str, scopes: Value) -> String {
    let body = json!({"name": name, "scopes": scopes});
    let made = world
        .send(World::authorized("POST", "/v1/tokens", admin, &body))
        .await
        .ok(201);
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_first_token_closes_the_door_and_must_be_an_administrators() {
    let mut world = World::new().await;
    world.tick(1).await;
    let body = json!({"name": "app", "scopes": ["assign"]});
    world.post("/v1/tokens", body).await.problem(409, "last_admin");
    assert_eq!(world.get("/v1/status").await.ok(200)["open"], true);
    let root = world
        .post("/v1/tokens", json!({"name": "root", "scopes": ["admin"]}))
        .await;
    assert_eq!(root.headers["cache-control"], "no-store");
    let root = root.ok(201);
    let answer = world.get("/v1/status").await;
    assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"serin\"");
    answer.problem(401, "unauthenticated");
    let token = root["token"].as_str().unwrap();
    let status = world
        .send(World::authorized("GET", "/v1/status", token, &Value::Null))
        .await
        .ok(200);
    assert_eq!(status["open"], false);
    for open in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"] {
        world.get(open).await.ok_text(200);
    }
}

#[tokio::test]
async fn each_scope_opens_its_own_doors() {
    let (world, admin) = guarded().await;
    let observation = json!({"policy": "greeting", "user": "ann", "metrics": {"errors": 0}});
    let reason = json!({"reason": "because"});
    let doors = [
        ("assign", "GET", "/v1/assignments/greeting?user=ann", Value::Null),
        ("assign", "GET", "/v1/prompts/team%2Fgreeting", Value::Null),
        ("assign", "GET", "/v1/snapshot", Value::Null),
        ("observe", "POST", "/v1/observations", observation),
        ("operate", "POST", "/v1/rollouts/r1/pause", reason),
        ("operate", "GET", "/v1/policies/greeting", Value::Null),
        ("admin", "GET", "/v1/tokens", Value::Null),
    ];
    for (scope, opened) in [
        ("assign", vec!["assign"]),
        ("observe", vec!["observe"]),
        ("operate", vec!["assign", "observe", "operate"]),
    ] {
        let token = make(&world, &admin, scope, json!([scope])).await;
        world
            .send(World::authorized("GET", "/v1/rollouts", &token, &Value::Null))
            .await
            .ok(200);
        for (needed, method, path, body) in &doors {
            let answer = world.send(World::authorized(method, path, &token, body)).await;
            if opened.contains(needed) {
                assert!(answer.status.is_success(), "{scope}: {path}: {}", answer.text);
            } else {
                assert_eq!(answer.json()["scope"], *needed, "{scope}: {path}");
                answer.problem(403, "scope_missing");
            }
        }
    }
}

#[tokio::test]
async fn what_is_done_with_a_token_is_done_in_its_name() {
    let (world, admin) = guarded().await;
    let token = make(&world, &admin, "deploy-bot", json!(["operate"])).await;
    let body = json!({"reason": "because"});
    let paused = world
        .send(World::authorized("POST", "/v1/rollouts/r1/pause", &token, &body))
        .await
        .ok(200);
    assert_eq!(paused["phase"]["cause"]["actor"], "deploy-bot");
}

#[tokio::test]
async fn a_revoked_token_is_worth_nothing_at_once() {
    let (world, admin) = guarded().await;
    let token = make(&world, &admin, "app", json!(["assign", "observe"])).await;
    let listed = world
        .send(World::authorized("GET", "/v1/tokens", &admin, &Value::Null))
        .await
        .ok(200);
    assert_eq!(listed["tokens"][0]["name"], "app");
    assert_eq!(listed["tokens"][0]["scopes"], json!(["assign", "observe"]));
    assert!(!listed.to_string().contains(&token));
    let again = json!({"name": "app", "scopes": ["admin"]});
    world
        .send(World::authorized("POST", "/v1/tokens", &admin, &again))
        .await
        .problem(409, "name_taken");
    world
        .send(World::authorized(
            "DELETE",
            "/v1/tokens/app",
            &admin,
            &Value::Null,
        ))
        .await
        .ok(204);
    world
        .send(World::authorized(
            "DELETE",
            "/v1/tokens/app",
            &admin,
            &Value::Null,
        ))
        .await
        .problem(404, "unknown_token");
    let path = "/v1/assignments/greeting?user=ann";
    world
        .send(World::authorized("GET", path, &token, &Value::Null))
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_last_administrator_stays_while_others_have_tokens() {
    let (world, admin) = guarded().await;
    make(&world, &admin, "app", json!(["assign"])).await;
    world
        .send(World::authorized(
            "DELETE",
            "/v1/tokens/root",
            &admin,
            &Value::Null,
        ))
        .await
        .problem(409, "last_admin");
    world
        .send(World::authorized(
            "DELETE",
            "/v1/tokens/app",
            &admin,
            &Value::Null,
        ))
        .await
        .ok(204);
    world
        .send(World::authorized(
            "DELETE",
            "/v1/tokens/root",
            &admin,
            &Value::Null,
        ))
        .await
        .ok(204);
    assert_eq!(world.get("/v1/status").await.ok(200)["open"], true);
}

#[tokio::test]
async fn bad_tokens_are_not_made() {
    let world = World::new().await;
    for body in [
        json!({"name": "", "scopes": ["admin"]}),
        json!({"name": "a b", "scopes": ["admin"]}),
        json!({"name": "a", "scopes": []}),
        json!({"name": "a", "scopes": ["admin", "admin", "admin", "admin", "admin"]}),
        json!({"name": "a", "scopes": ["root"]}),
    ] {
        world.post("/v1/tokens", body).await.problem(400, "bad_field");
    }
    world.delete("/v1/tokens/a%20b").await.problem(400, "bad_path");
}

#[tokio::test]
async fn an_open_local_server_knows_its_own_names_only() {
    let world = World::new().await;
    for (host, allowed) in [
        ("localhost:8080", true),
        ("127.0.0.1", true),
        ("evil.example", false),
    ] {
        for path in ["/v1/status", "/healthz", "/nowhere"] {
            let answer = world
                .send(World::request("GET", path, &[("host", host)], ""))
                .await;
            assert_eq!(answer.status != 403, allowed, "{host} {path}");
        }
    }
    let refused = world
        .send(World::request(
            "GET",
            "/v1/status",
            &[("host", "evil.example")],
            "",
        ))
        .await;
    refused.problem(403, "host_not_local");
}

#[tokio::test]
async fn forms_of_other_sites_cannot_change_anything() {
    let world = World::new().await.with_rollout().await;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        for path in [
            "/v1/rollouts/r1/pause",
            "/v1/tokens",
            "/v1/observations",
            "/v1/assignments",
        ] {
            let request = World::request(
                "POST",
                path,
                &[("content-type", media_type)],
                r#"{"reason": "x"}"#,
            );
            world.send(request).await.problem(415, "unsupported_media_type");
        }
    }
    let no_type = World::request("POST", "/v1/rollouts/r1/pause", &[], r#"{"reason": "x"}"#);
    world.send(no_type).await.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn local_people_may_say_who_they_are() {
    let world = World::new().await.with_rollout().await;
    let headers = [("content-type", "application/json"), ("x-serin-actor", "ann")];
    let request = World::request("POST", "/v1/rollouts/r1/pause", &headers, r#"{"reason": "x"}"#);
    let paused = world.send(request).await.ok(200);
    assert_eq!(paused["phase"]["cause"]["actor"], "local:ann");
    let headers = [("x-serin-actor", "a\tb")];
    world
        .send(World::request("GET", "/v1/status", &headers, ""))
        .await
        .problem(400, "bad_header");
}

#[tokio::test]
async fn a_server_in_the_network_asks_for_tokens_even_when_it_has_none() {
    let setting = Setting {
        mode: AccessMode::Tokens,
        ..Setting::default()
    };
    let world = World::with(setting).await;
    world.get("/v1/status").await.problem(401, "unauthenticated");
    world.get("/healthz").await.ok(200);
    let told = Setting {
        mode: AccessMode::Insecure,
        ..Setting::default()
    };
    let world = World::with(told).await;
    let request = World::request(
        Method::GET.as_str(),
        "/v1/status",
        &[("host", "serin.example")],
        "",
    );
    world.send(request).await.ok(200);
}

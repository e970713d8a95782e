//! Who may do what, with Langfuse's keys.

use crate::world::World;
use serde_json::{Value, json};

const GREET: &str = "/api/public/v2/prompts/team/greeting";

/// A world whose first token shuts out everybody without one; the tokens by scope.
async fn guarded() -> (World, impl Fn(&str) -> String) {
    let mut world = World::new().await;
    world.tick(1).await;
    let world = world.with_prompt().await;
    let body = json!({"name": "root", "scopes": ["admin"]});
    let admin = world.post("/v1/tokens", body).await.ok(201)["token"].clone();
    let admin = admin.as_str().unwrap().to_owned();
    let mut tokens = vec![("admin", admin.clone())];
    for scope in ["assign", "observe", "operate"] {
        let body = json!({"name": scope, "scopes": [scope]});
        let request = World::authorized("POST", "/v1/tokens", &admin, &body);
        let token = world.send(request).await.ok(201)["token"].clone();
        tokens.push((scope, token.as_str().unwrap().to_owned()));
    }
    let token = move |scope: &str| {
        let (_, token) = tokens.iter().find(|(name, _)| *name == scope).unwrap();
        token.clone()
    };
    (world, token)
}

/// The header of an SDK with this secret key.
pub(crate) fn basic(secret: &str) -> String {
    use base64::Engine as _;
    let pair = format!("pk-lf-of-anybody:{secret}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

async fn ask(world: &World, method: &str, path: &str, authorization: &str, body: &Value) -> u16 {
    let headers = [
        ("authorization", authorization),
        ("content-type", "application/json"),
    ];
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = world.send(World::request(method, path, &headers, &text)).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn the_secret_key_is_a_token_and_its_scopes_hold() {
    let (world, token) = guarded().await;
    let new = json!({"name": "other", "prompt": "Hi"});
    let none = Value::Null;
    for (scope, fetched, created, checked) in [
        ("assign", 200, 403, 200),
        ("observe", 403, 403, 200),
        ("operate", 200, 201, 200),
        ("admin", 200, 201, 200),
    ] {
        let keys = basic(&token(scope));
        assert_eq!(ask(&world, "GET", GREET, &keys, &none).await, fetched, "{scope}");
        let list = "/api/public/v2/prompts";
        assert_eq!(ask(&world, "GET", list, &keys, &none).await, fetched, "{scope}");
        assert_eq!(ask(&world, "POST", list, &keys, &new).await, created, "{scope}");
        assert_eq!(
            ask(&world, "GET", "/api/public/projects", &keys, &none).await,
            checked,
            "{scope}"
        );
    }
    let bearer = format!("Bearer {}", token("assign"));
    assert_eq!(ask(&world, "GET", GREET, &bearer, &none).await, 200);
}

#[tokio::test]
async fn strangers_are_sent_away_in_langfuses_words() {
    let (world, _) = guarded().await;
    for authorization in ["", "Basic", "Basic !", &basic("sk-lf-unknown"), "Bearer srn_x"] {
        let request = World::request("GET", GREET, &[("authorization", authorization)], "");
        let refusal = world.send(request).await.ok(401);
        assert_eq!(refusal["error"], "UnauthorizedError", "{authorization}");
        assert!(
            refusal["message"]
                .as_str()
                .unwrap()
                .starts_with("Invalid credentials")
        );
    }
    // Health says that there is a server, to everybody.
    assert_eq!(world.get("/api/public/health").await.ok(200)["status"], "OK");
}

#[tokio::test]
async fn an_open_server_looks_at_no_key() {
    let world = World::new().await.with_prompt().await;
    assert_eq!(
        ask(&world, "GET", GREET, &basic("sk-lf-anything"), &Value::Null).await,
        200
    );
}

#[tokio::test]
async fn protected_labels_and_those_of_policies_are_refused_with_403() {
    // The policies are read; of the labels the controller has not heard.
    let (world, token) = guarded().await;
    let path = format!("{GREET}/versions/2");
    let (operate, admin) = (basic(&token("operate")), basic(&token("admin")));
    let moving = |label: &str| json!({"newLabels": [label]});
    // `production` is the control label of the policy.
    let body = moving("production");
    assert_eq!(ask(&world, "PATCH", &path, &operate, &body).await, 403);
    let protect = World::authorized(
        "PUT",
        "/v1/prompts/team%2Fgreeting/labels/gold/protection",
        &token("admin"),
        &json!({"protected": true}),
    );
    world.send(protect).await.ok(200);
    // None of them is moved when one of them is refused.
    let body = json!({"newLabels": ["free", "gold"]});
    assert_eq!(ask(&world, "PATCH", &path, &operate, &body).await, 403);
    let shown = World::authorized(
        "GET",
        "/v1/prompts/team%2Fgreeting?version=2",
        &token("admin"),
        &Value::Null,
    );
    let labels = world.send(shown).await.ok(200)["labels"].clone();
    assert!(!labels.to_string().contains("free"), "{labels}");
    let new = json!({"name": "team/greeting", "prompt": "Hi", "labels": ["gold"]});
    let list = "/api/public/v2/prompts";
    assert_eq!(ask(&world, "POST", list, &operate, &new).await, 403);
    assert_eq!(ask(&world, "PATCH", &path, &admin, &body).await, 200);
    assert_eq!(ask(&world, "POST", list, &admin, &new).await, 201);
}

//! Policies for SDKs that evaluate by themselves: the shapes, the tags, the streams, the refusals. That the
//! SDKs get the same assignments is held by `tests/real/flags.py`.

use crate::world::World;
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

macro_rules! policy {
    ($hash:literal) => {
        concat!(
            "\napiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {name: greeting}\nspec:\n",
            "  prompt: team/greeting\n  registry: embedded\n  labels: {control: production, treatment: canary}\n",
            "  assignment: {hash: ",
            $hash,
            ", salt: checkout/2026, holdback: 10%, force: {treatment: [qa-7]}}\n",
            "  steps: [{exposure: 50%, bake: 1h, samples: 5}, {exposure: 100%, bake: 1h}]\n",
            "  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]\n",
        )
    };
}

async fn world(policies: &'static [&'static str]) -> World {
    World::of(policies).await.with_rollout().await
}

async fn follow(world: &World, path: &str) -> BodyDataStream {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = world.respond(request).await;
    assert_eq!(response.status(), 200);
    response.into_body().into_data_stream()
}

/// Name and data of the next event.
async fn event(stream: &mut BodyDataStream) -> (String, Value) {
    let bytes = stream.next().await.unwrap().unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .to_owned()
    };
    (field("event: "), serde_json::from_str(&field("data: ")).unwrap())
}

async fn roll_back(world: &mut World) {
    world
        .post("/v1/rollouts/r1/rollback", json!({"reason": "enough"}))
        .await
        .ok(200);
    world.tick(1).await;
}

/// Asked again with its tag, a payload is not sent again, until it changes.
async fn comes_once(world: &mut World, path: &str) {
    let first = world.ask(path, &[]).await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    assert!(!first.text.contains("qa-7"), "{}", first.text);
    first.ok(200);
    world.ask(path, &[("if-none-match", &tag)]).await.ok(304);
    roll_back(world).await;
    let after = world.ask(path, &[("if-none-match", &tag)]).await;
    assert!(!after.text.contains("canary"), "{}", after.text);
    after.ok(200);
}

#[tokio::test]
async fn growthbook_has_ranges_and_never_coverage() {
    let mut world = world(&[policy!("growthbook-v2")]).await;
    let answer = world.ask("/api/features/any-key", &[]).await;
    assert_eq!(answer.headers["x-sse-support"], "enabled");
    let payload = answer.ok(200);
    let labels = ["canary", "production"];
    let meta = labels.map(|label| json!({"key": label, "name": label}));
    let rule = json!({
        "id": "serin", "key": "greeting", "seed": "checkout/2026", "hashAttribute": "id", "hashVersion": 2,
        "variations": labels, "meta": meta, "ranges": [[0.0, 0.5], [0.5, 1.0]],
    });
    let expected = json!({"greeting": {"defaultValue": "production", "rules": [rule]}});
    assert_eq!(payload["features"], expected);
    let mut stream = follow(&world, "/sub/any-key").await;
    assert_eq!(event(&mut stream).await, ("features".to_owned(), payload.clone()));
    comes_once(&mut world, "/api/features/any-key").await;
    let before = payload["dateUpdated"].clone();
    let (name, payload) = event(&mut stream).await;
    assert_eq!(name, "features");
    // The SDK for JavaScript passes over a payload with the date that it knows.
    assert_ne!(payload["dateUpdated"], before);
    assert_eq!(
        payload["features"]["greeting"],
        json!({"defaultValue": "production", "rules": []})
    );
}

#[tokio::test]
async fn unleash_has_variants_of_a_thousand() {
    let mut world = world(&[policy!("unleash")]).await;
    let features = world.ask("/api/client/features", &[]).await.ok(200);
    let strategy = &features["features"][0]["strategies"][0];
    let parameters = json!({"rollout": "100", "stickiness": "userId", "groupId": "checkout/2026"});
    assert_eq!(strategy["parameters"], parameters);
    let found = ["canary", "production"].iter().enumerate().all(|(at, label)| {
        let variant = &strategy["variants"][at];
        variant["name"] == *label && variant["payload"]["value"] == *label && variant["weight"] == 500
    });
    assert!(found, "{strategy}");
    let mut stream = follow(&world, "/api/client/streaming").await;
    let (name, data) = event(&mut stream).await;
    assert_eq!(name, "unleash-connected");
    assert_eq!(data["events"][0]["type"], "hydration");
    assert_eq!(data["events"][0]["features"], features["features"]);
    for told in ["register", "metrics"] {
        let path = format!("/api/client/{told}");
        let request = World::request("POST", &path, &[("content-type", "application/json")], "{}");
        world.answer(request).await.ok(202);
    }
    comes_once(&mut world, "/api/client/features").await;
    let (name, data) = event(&mut stream).await;
    assert_eq!(name, "unleash-updated");
    let variants = &data["events"][0]["features"][0]["strategies"][0]["variants"];
    assert_eq!(
        (&variants[0]["name"], &variants[0]["weight"]),
        (&json!("production"), &json!(1_000))
    );
}

#[tokio::test]
async fn flagd_has_a_file_for_each_generation() {
    let cat = json!({"cat": ["checkout/2026", {"var": "targetingKey"}]});
    let rule = json!({"fractional": [cat, ["canary", 500_000], ["production", 500_000]]});
    for (policies, path) in [
        (&[policy!("flagd-v2")], "/flagd/v2/flags.json"),
        (&[policy!("flagd-v3")], "/flagd/v3/flags.json"),
    ] {
        let mut world = world(policies).await;
        let file = world.ask(path, &[]).await.ok(200);
        let flag = &file["flags"]["greeting"];
        assert_eq!(flag["targeting"], rule);
        assert_eq!(
            (&flag["state"], &flag["defaultVariant"]),
            (&json!("ENABLED"), &json!("production"))
        );
        comes_once(&mut world, path).await;
    }
}

#[tokio::test]
async fn a_policy_of_another_scheme_is_told_as_such() {
    let world = world(&[policy!("unleash")]).await;
    for path in [
        "/api/features/any",
        "/flagd/v2/flags.json",
        "/flagd/v3/flags.json",
    ] {
        let detail = world.ask(path, &[]).await.problem(409, "scheme_elsewhere");
        assert!(detail.contains("there are `greeting` (`unleash`)"), "{detail}");
    }
}

#[tokio::test]
async fn each_protocol_has_its_own_place_for_the_token() {
    let world = world(&[policy!("unleash")]).await;
    let body = json!({"name": "root", "scopes": ["admin"]});
    let root = world.post("/v1/tokens", body).await.ok(201)["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = json!({"name": "sdk", "scopes": ["assign"]});
    let made = world
        .send(World::authorized("POST", "/v1/tokens", &root, &body))
        .await
        .ok(201);
    let token = made["token"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    let status = async |path: &str, headers: &[(&str, &str)]| world.ask(path, headers).await.status.as_u16();
    for value in [token, &bearer] {
        assert_eq!(
            status("/api/client/features", &[("authorization", value)]).await,
            200
        );
    }
    for path in [
        "/api/client/features",
        "/api/client/streaming",
        "/flagd/v2/flags.json",
    ] {
        assert_eq!(status(path, &[]).await, 401, "{path}");
        assert_eq!(
            status(path, &[("authorization", "srn_unknown")]).await,
            401,
            "{path}"
        );
    }
    assert_eq!(status(&format!("/api/features/{token}"), &[]).await, 409);
    for path in ["/api/features/srn_unknown", "/sub/srn_unknown"] {
        assert_eq!(status(path, &[("authorization", &bearer)]).await, 401, "{path}");
    }
}

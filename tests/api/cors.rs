//! Pages of other origins.

use crate::world::{Answer, Setting, World};
use axum::body::Body;
use axum::http::Request;
use serde_json::json;

const OURS: &str = "https://app.example.org";

async fn world(allowed_origins: &'static [&'static str]) -> World {
    let setting = Setting {
        allowed_origins,
        ..Setting::default()
    };
    World::with(setting).await
}

/// Who may read the answer.
fn reader(answer: &Answer) -> Option<&str> {
    let header = answer.headers.get("access-control-allow-origin")?;
    Some(header.to_str().unwrap())
}

async fn get(world: &World, path: &str, origin: &str) -> Answer {
    world
        .send(World::request("GET", path, &[("origin", origin)], ""))
        .await
}

/// What a browser asks before it asks; the document has no such method, so this goes past its check.
async fn preflight(world: &World, path: &str, origin: &str) -> axum::http::Response<Body> {
    let request = Request::options(path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    world.respond(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn nobody_may_read_unless_told() {
    let world = world(&[]).await;
    let answer = get(&world, "/v1/assignments/farewell?user=ann", OURS).await;
    assert_eq!(reader(&answer), None);
    let answer = preflight(&world, "/ofrep/v1/evaluate/flags", OURS).await;
    assert_eq!(answer.status(), 405);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn pages_of_allowed_origins_read_assignments_and_nothing_else() {
    let world = world(&[OURS]).await;
    let answer = get(&world, "/v1/assignments/farewell?user=ann", OURS).await;
    assert_eq!(reader(&answer), Some(OURS));
    assert_eq!(answer.headers["vary"], "origin");
    let refused = get(&world, "/v1/assignments/nobody?user=ann", OURS).await;
    assert_eq!((reader(&refused), refused.status.as_u16()), (Some(OURS), 404));
    let body = json!({"context": {"targetingKey": "ann"}}).to_string();
    let headers = [("origin", OURS), ("content-type", "application/json")];
    let flags = world
        .send(World::request(
            "POST",
            "/ofrep/v1/evaluate/flags",
            &headers,
            &body,
        ))
        .await;
    assert_eq!(reader(&flags), Some(OURS));
    assert!(
        flags.headers["access-control-expose-headers"]
            .to_str()
            .unwrap()
            .contains("etag")
    );
    for (path, origin) in [
        ("/v1/assignments/farewell?user=ann", "https://evil.example"),
        ("/v1/assignments/farewell?user=ann", "null"),
        ("/v1/rollouts", OURS),
        ("/v1/snapshot", OURS),
        ("/v1/status", OURS),
    ] {
        assert_eq!(reader(&get(&world, path, origin).await), None, "{path} {origin}");
    }
}

#[tokio::test]
async fn browsers_may_ask_before_they_ask() {
    let world = world(&["*"]).await;
    let answer = preflight(&world, "/ofrep/v1/evaluate/flags", OURS).await;
    assert_eq!(answer.status(), 204);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("access-control-allow-origin"), OURS);
    for (name, part) in [
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization"),
        ("access-control-allow-headers", "if-none-match"),
    ] {
        assert!(header(name).contains(part), "{name}");
    }
    assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    let answer = preflight(&world, "/v1/rollouts", OURS).await;
    assert_eq!(answer.status(), 405);
}

//! Assignments before the router, and those that go through it: the same answer to the byte.

use crate::world::{Setting, World};
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::json;

/// The plain form, and one that is the router's: the name has an escape.
const WAYS: [&str; 2] = ["/v1/assignments/greeting", "/v1/assignments/greetin%67"];
const ORIGIN: &str = "https://app.example";

async fn ask(world: &World, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| {
        request.header(*name, *value)
    });
    let request = request.body(Body::empty()).unwrap();
    world.respond(request).await
}

/// Status, headers and body; the length is told by whoever sends the answer, where the router has not.
async fn whole(response: Response<Body>) -> String {
    let (mut parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    if let Some(length) = parts.headers.remove("content-length") {
        assert_eq!(length.to_str().unwrap(), bytes.len().to_string());
    }
    format!(
        "{} {:?}\n{}",
        parts.status,
        parts.headers,
        String::from_utf8_lossy(&bytes)
    )
}

async fn agree(world: &World, query: &str, headers: &[(&str, &str)]) -> String {
    let mut answers = Vec::new();
    for way in WAYS {
        answers.push(whole(ask(world, &format!("{way}{query}"), headers).await).await);
    }
    assert_eq!(answers[0], answers[1], "{query}");
    answers.swap_remove(0)
}

#[tokio::test]
async fn every_answer_is_the_same_both_ways() {
    let setting = Setting {
        allowed_origins: &[ORIGIN],
        ..Setting::default()
    };
    let world = World::with(setting).await.with_rollout().await;
    let page = [("origin", ORIGIN)];
    let cookie = [("cookie", "uid=u-7")];
    let foreign = [("host", "evil.example")];
    for (query, headers, begins) in [
        ("?user=anna", &[][..], "200 OK"),
        ("?user=%C3%A9+x&attribute.region=eu&anonymous=a", &[], "200 OK"),
        ("?user=qa-7", &page, "200 OK"),
        ("?user-from=cookie:uid", &cookie, "200 OK"),
        ("?user-from=cookie:none", &cookie, "204 No Content"),
        ("?user-from=nowhere", &[], "400 Bad Request"),
        ("", &[], "400 Bad Request"),
        ("?user=", &page, "400 Bad Request"),
        ("?usr=anna", &[], "400 Bad Request"),
        ("?user=%", &[], "400 Bad Request"),
        ("?user=anna", &foreign, "403 Forbidden"),
    ] {
        let answer = agree(&world, query, headers).await;
        assert!(answer.starts_with(begins), "{query}: {answer}");
    }
    let counted = world.get("/metrics").await.text;
    let both = r#"serin_http_requests_total{method="GET",route="/v1/assignments/{policy}",status="200"} 8"#;
    assert!(counted.contains(both), "{counted}");
}

#[tokio::test]
async fn unknown_names_and_tokens_are_refused_before_the_router_too() {
    let world = World::new().await.with_rollout().await;
    for (path, status, code) in [
        ("/v1/assignments/nobody?user=anna", 404, "unknown_policy"),
        ("/v1/assignments/nobody?usr=anna", 400, "bad_query"),
        ("/v1/assignments/No_Body?usr=anna", 400, "bad_path"),
    ] {
        world.get(path).await.problem(status, code);
    }
    let body = json!({"name": "root", "scopes": ["admin"]});
    let root = world.post("/v1/tokens", body).await.ok(201)["token"].clone();
    let bearer = format!("Bearer {}", root.as_str().unwrap());
    for (headers, begins) in [
        (&[][..], "401 Unauthorized"),
        (&[("authorization", "Bearer srn_unknown")], "401 Unauthorized"),
        (&[("authorization", bearer.as_str())], "200 OK"),
    ] {
        let answer = agree(&world, "?user=anna", headers).await;
        assert!(answer.starts_with(begins), "{answer}");
    }
}

#[tokio::test]
async fn evaluations_are_the_same_both_ways() {
    let setting = Setting {
        allowed_origins: &[ORIGIN],
        ..Setting::default()
    };
    let world = World::with(setting).await.with_rollout().await;
    let json = ("content-type", "application/json");
    for (key, headers, body, status) in [
        (
            "greeting",
            &[json][..],
            r#"{"context":{"targetingKey":"anna"}}"#,
            200,
        ),
        (
            "greeting",
            &[json, ("origin", ORIGIN)],
            r#"{"context":{"targetingKey":"qa-7"}}"#,
            200,
        ),
        (
            "greeting.assignment",
            &[json],
            r#"{"context":{"targetingKey":"anna"}}"#,
            200,
        ),
        ("nobody", &[json], r#"{"context":{"targetingKey":"anna"}}"#, 404),
        ("greeting", &[json], "{", 400),
        ("greeting", &[], "{}", 400),
        ("greeting", &[json, ("host", "evil.example")], "{}", 403),
    ] {
        let (first, rest) = key.split_at(1);
        let escaped = format!("%{:02x}{rest}", first.as_bytes()[0]);
        let mut answers = Vec::new();
        for key in [key.to_owned(), escaped] {
            let path = format!("/ofrep/v1/evaluate/flags/{key}");
            let request = World::request("POST", &path, headers, body);
            answers.push(whole(world.respond(request).await).await);
        }
        assert_eq!(answers[0], answers[1], "{key} {body}");
        assert!(answers[0].starts_with(&status.to_string()), "{}", answers[0]);
    }
    let counted = world.get("/metrics").await.text;
    let route =
        r#"serin_http_requests_total{method="POST",route="/ofrep/v1/evaluate/flags/{key}",status="200"} 6"#;
    assert!(counted.contains(route), "{counted}");
}

#[tokio::test]
async fn other_methods_are_the_routers() {
    let world = World::new().await.with_rollout().await;
    let request = Request::head("/v1/assignments/greeting?user=anna");
    let response = world.respond(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-serin-label"));
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert!(bytes.is_empty());
    let request = Request::delete("/v1/assignments/greeting?user=anna");
    let response = world.respond(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 405);
}

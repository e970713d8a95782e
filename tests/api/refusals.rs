//! What breaks a rule of HTTP rather than one of Serin's.

use crate::world::{Setting, World};
use serde_json::json;
use serin::config::Limits;
use std::io::Write as _;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn problems_say_what_is_wrong_in_the_same_form_everywhere() {
    let world = World::new().await;
    let answer = world.get("/v1/nowhere").await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(
        answer.json(),
        json!({
            "type": "/docs#unknown_route", "title": "There is no such route", "status": 404,
            "code": "unknown_route", "detail": "there is no `/v1/nowhere`: `/docs` lists what there is",
        })
    );
    let answer = world.delete("/v1/status").await;
    assert_eq!(answer.headers["allow"], "GET,HEAD");
    answer.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_with_the_place() {
    let world = World::new().await;
    for (body, code) in [
        ("", "malformed_body"),
        ("{", "malformed_body"),
        (r#"{"requests": []} {}"#, "malformed_body"),
        ("\u{feff}{}", "malformed_body"),
        ("[]", "bad_field"),
        ("[[]]", "bad_field"),
        (r#"{"requests": [["greeting", "ann"]]}"#, "bad_field"),
        ("null", "bad_field"),
        (r#"{"requests": 5}"#, "bad_field"),
        (r#"{"requests": [{"policy": "a"}]}"#, "bad_field"),
        (r#"{"requests": [], "requests": []}"#, "bad_field"),
    ] {
        world
            .send(World::request("POST", "/v1/assignments", &[JSON], body))
            .await
            .problem(400, code);
    }
    let body = r#"{"requests": [{"policy": "a", "usr": "b"}]}"#;
    let detail = world
        .send(World::request("POST", "/v1/assignments", &[JSON], body))
        .await
        .problem(400, "bad_field");
    assert!(detail.starts_with("`requests[0].usr`: unknown field"), "{detail}");
    assert!(detail.ends_with("did you mean `user`?"), "{detail}");
    let deep = format!("{{\"requests\":{}", "[".repeat(10_000));
    let refused = world
        .send(World::request("POST", "/v1/assignments", &[JSON], &deep))
        .await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    let not_utf8 = World::request_bytes("POST", "/v1/assignments", &[JSON], vec![b'"', 0xff, b'"']);
    world.send(not_utf8).await.problem(400, "malformed_body");
}

#[tokio::test]
async fn bodies_are_bounded_as_sent_and_as_decompressed() {
    let world = World::new().await;
    let path = "/v1/observations";
    let long = vec![b' '; 64 * 1024 + 1];
    world
        .send(World::request_bytes("POST", path, &[JSON], long.clone()))
        .await
        .problem(413, "body_too_large");
    let length = [JSON, ("content-length", "99999999")];
    world
        .send(World::request("POST", path, &length, "{}"))
        .await
        .problem(413, "body_too_large");
    let bomb = gzip(&vec![b' '; 1_000_000]);
    let encoded = [JSON, ("content-encoding", "gzip")];
    world
        .send(World::request_bytes("POST", path, &encoded, bomb))
        .await
        .problem(413, "body_too_large");
    let bomb = zstd::encode_all(&vec![b' '; 1_000_000][..], 3).unwrap();
    let zstd = [JSON, ("content-encoding", "zstd")];
    world
        .send(World::request_bytes("POST", path, &zstd, bomb))
        .await
        .problem(413, "body_too_large");
    world
        .send(World::request("POST", path, &encoded, "not gzip"))
        .await
        .problem(400, "malformed_body");
    let brotli = [JSON, ("content-encoding", "br")];
    world
        .send(World::request("POST", path, &brotli, "{}"))
        .await
        .problem(415, "unsupported_encoding");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn too_many_at_once_are_sent_away_and_assignments_go_on() {
    let limits = Limits {
        requests_in_flight_max: 0,
        ..Limits::default()
    };
    let world = World::with(Setting {
        limits,
        ..Setting::default()
    })
    .await;
    let answer = world.get("/v1/status").await;
    assert_eq!(answer.headers["retry-after"], "1");
    answer.problem(503, "overloaded");
    // Sixteen times nothing is nothing.
    world
        .get("/v1/assignments/greeting?user=ann")
        .await
        .problem(503, "overloaded");
    let limits = Limits {
        requests_in_flight_max: 1,
        ..Limits::default()
    };
    let world = World::with(Setting {
        limits,
        ..Setting::default()
    })
    .await;
    for _ in 0..3 {
        world.get("/v1/status").await.ok(200);
        world.get("/v1/assignments/greeting?user=ann").await.ok(200);
    }
}

#[tokio::test]
async fn bodies_that_never_arrive_are_given_up() {
    let limits = Limits {
        request_timeout: World::short(),
        ..Limits::default()
    };
    let world = World::with(Setting {
        limits,
        ..Setting::default()
    })
    .await;
    let endless =
        axum::body::Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let mut request = World::request("POST", "/v1/assignments", &[JSON], "");
    *request.body_mut() = endless;
    world.send(request).await.problem(408, "body_timeout");
}

#[tokio::test]
async fn parameters_that_do_not_exist_are_refused_everywhere() {
    let world = World::new().await.with_rollout().await;
    for path in [
        "/v1/assignments/greeting?user=a&x=1",
        "/v1/events?x=1",
        "/v1/policies?x=1",
        "/v1/policies/greeting?x=1",
        "/v1/prompts?x=1",
        "/v1/prompts/team%2Fgreeting?x=1",
        "/v1/prompts/team%2Fgreeting/diff?from=1&to=2&x=1",
        "/v1/prompts/team%2Fgreeting/history?x=1",
        "/v1/prompts/team%2Fgreeting/versions?x=1",
        "/v1/prompts/team%2Fgreeting/versions/1?x=1",
        "/v1/rollouts?x=1",
        "/v1/rollouts/r1?x=1",
        "/v1/rollouts/r1/audit?x=1",
        "/v1/rollouts/r1/evidence?x=1",
        "/v1/snapshot?x=1",
        "/v1/status?x=1",
        "/v1/tokens?x=1",
    ] {
        world.get(path).await.problem(400, "bad_query");
    }
}

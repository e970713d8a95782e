//! Assignments for gateways.

use crate::world::{Answer, World};
use axum::body::Body;
use axum::http::{Request, Response};

const ASKED: &str = "/v1/assignments/greeting?user-from=cookie:uid,header:x-user-id";

async fn ask(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    world.send(World::request("GET", path, headers, "")).await
}

fn said<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(format!("x-serin-{name}"));
    value.map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_user_of_a_cookie_or_header_has_what_they_have_by_their_key() {
    let world = World::new().await.with_rollout().await;
    for arm in ["treatment", "control"] {
        let (user, assignment) = world.user_in(arm).await;
        let cookies = format!("theme=dark; uid={user}");
        for headers in [("cookie", cookies.as_str()), ("x-user-id", user.as_str())] {
            let answer = ask(&world, ASKED, &[headers]).await;
            assert_eq!(said(&answer, "label"), assignment["label"]);
            assert_eq!(said(&answer, "receipt"), assignment["receipt"]);
            assert_eq!(answer.ok(200), assignment);
        }
    }
}

#[tokio::test]
async fn a_request_without_a_user_can_still_be_routed() {
    let world = World::new().await.with_rollout().await;
    let long = "x".repeat(257);
    for headers in [
        &[][..],
        &[("cookie", "theme=dark")],
        &[("x-user-id", &long)],
        &[("cookie", "uid=")],
    ] {
        let answer = ask(&world, ASKED, headers).await;
        let found = [
            "policy", "arm", "label", "version", "reason", "receipt", "rollout",
        ]
        .map(|name| said(&answer, name));
        assert_eq!(
            found,
            ["greeting", "control", "production", "1", "no_user", "", ""]
        );
        assert_eq!(answer.headers["cache-control"], "no-store");
        answer.ok(204);
    }
    let counted = world.get("/metrics").await.text;
    assert!(!counted.contains("serin_assignments_total{"), "{counted}");
}

#[tokio::test]
async fn slips_of_the_configuration_are_told() {
    let world = World::new().await.with_rollout().await;
    for (query, says) in [
        (
            "user-from=uid",
            "`user-from` must be `header:NAME` or `cookie:NAME`",
        ),
        (
            "user-from=header:authorization",
            "the header `authorization` is no user's key",
        ),
        ("user-from=cookie:uid&user=ann", "send one of them"),
        ("user-from=cookie:uid&anonymous=a", "send `anonymous-from`"),
        ("user=ann&anonymous-from=cookie:a", "goes with `user-from`"),
        (
            "user-from=cookie:uid&anonymous-from=a",
            "`anonymous-from` must be `header:NAME`",
        ),
    ] {
        let detail = world
            .get(&format!("/v1/assignments/greeting?{query}"))
            .await
            .problem(400, "bad_query");
        assert!(detail.contains(says), "{detail}");
    }
    let path = "/v1/assignments/nobody?user-from=cookie:uid";
    world.get(path).await.problem(404, "unknown_policy");
}

#[tokio::test]
async fn whoever_signs_in_keeps_the_arm_of_their_anonymous_key() {
    let world = World::new().await.with_rollout().await;
    let (visitor, before) = world.user_in("treatment").await;
    let (user, _) = world.user_in("control").await;
    let query = "/v1/assignments/greeting?user-from=header:x-user-id&anonymous-from=cookie:visitor";
    let path = "/v1/assignments/greeting/for/header:x-user-id;anonymous=cookie:visitor/orders/7";
    let cookie = format!("visitor={visitor}");
    let carried: [&[(&str, &str)]; 2] = [
        &[("cookie", &cookie)],
        &[("cookie", &cookie), ("x-user-id", &user)],
    ];
    for headers in carried {
        assert_eq!(ask(&world, query, headers).await.ok(200), before);
        let request = headers.iter().fold(Request::get(path), |request, (name, value)| {
            request.header(*name, *value)
        });
        let answer = world.respond(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.headers()["x-serin-arm"], "treatment");
        assert_eq!(
            answer.headers()["x-serin-receipt"],
            before["receipt"].as_str().unwrap()
        );
    }
}

/// Envoy sends the client's method and adds the client's path and query; the document cannot say so.
async fn authorise(world: &World, method: &str, path: &str, user: &str) -> Response<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-user-id", user);
    world.respond(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn whatever_the_client_asks_for_is_authorised_by_its_headers() {
    let world = World::new().await.with_rollout().await;
    let (user, _) = world.user_in("treatment").await;
    let prefix = "/v1/assignments/greeting/for/header:x-user-id";
    for (method, rest) in [
        ("GET", ""),
        ("GET", "/"),
        ("POST", "/orders/7?user=x&y"),
        ("DELETE", "/a//b%2Fc"),
    ] {
        let answer = authorise(&world, method, &format!("{prefix}{rest}"), &user).await;
        assert_eq!(answer.status(), 200, "{method} {rest}");
        assert_eq!(answer.headers()["x-serin-label"], "canary");
    }
    let nobody = authorise(&world, "PUT", &format!("{prefix}/x"), "").await;
    assert_eq!(
        (nobody.status().as_u16(), &nobody.headers()["x-serin-arm"]),
        (204, &"control".parse().unwrap())
    );
    let wrong = authorise(&world, "GET", "/v1/assignments/greeting/for/uid/x", &user).await;
    assert_eq!(wrong.status(), 400);
}

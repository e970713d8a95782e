//! Who gets what.

use crate::world::World;
use serde_json::{Value, json};

#[tokio::test]
async fn an_assignment_is_in_the_body_and_in_the_headers() {
    let world = World::new().await.with_rollout().await;
    let (user, expected) = world.user_in("treatment").await;
    assert_eq!(expected["label"], "canary");
    assert_eq!(expected["version"], 2);
    assert_eq!(expected["exposure"], 0.5);
    assert_eq!(expected["reason"], "split");
    assert_eq!(expected["rollout"], "r1");
    let answer = world.get(&format!("/v1/assignments/greeting?user={user}")).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    for (name, value) in expected.as_object().unwrap() {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(answer.headers[format!("x-serin-{name}")], shown, "{name}");
    }
}

#[tokio::test]
async fn without_a_rollout_everybody_has_the_control_label() {
    let mut world = World::new().await.with_prompt().await;
    let nothing_known = world.get("/v1/assignments/farewell?user=ann").await;
    assert!(!nothing_known.headers.contains_key("x-serin-version"));
    assert!(!nothing_known.headers.contains_key("x-serin-receipt"));
    assert_eq!(
        nothing_known.ok(200),
        json!({
            "policy": "farewell", "arm": "control", "label": "production", "version": null,
            "exposure": 0.0, "reason": "no_rollout", "rollout": null, "receipt": null,
        })
    );
    world.tick(1).await;
    let known = world.get("/v1/assignments/greeting?user=ann").await.ok(200);
    assert_eq!(
        (&known["version"], &known["reason"]),
        (&json!(1), &json!("no_rollout"))
    );
}

#[tokio::test]
async fn forced_users_have_their_arm_and_no_receipt() {
    let world = World::new().await.with_rollout().await;
    for (user, arm) in [("qa-7", "treatment"), ("probe", "control")] {
        let assignment = world
            .get(&format!("/v1/assignments/greeting?user={user}"))
            .await
            .ok(200);
        assert_eq!(
            (&assignment["arm"], &assignment["reason"]),
            (&json!(arm), &json!("forced"))
        );
        assert_eq!(assignment["receipt"], Value::Null);
    }
}

#[tokio::test]
async fn users_are_1_to_256_bytes_of_utf_8() {
    let world = World::new().await.with_rollout().await;
    let longest = "é".repeat(128);
    let encoded = "%C3%A9".repeat(128);
    let assigned = world
        .get(&format!("/v1/assignments/greeting?user={encoded}"))
        .await
        .ok(200);
    let many = json!({"requests": [{"policy": "greeting", "user": longest}]});
    assert_eq!(
        world.post("/v1/assignments", many).await.ok(200)["assignments"][0]["assignment"],
        assigned
    );
    for bad in ["user=", &format!("user={encoded}x")] {
        let detail = world
            .get(&format!("/v1/assignments/greeting?{bad}"))
            .await
            .problem(400, "bad_query");
        assert_eq!(detail, "`user` must be 1 to 256 bytes of UTF-8");
    }
    for (bad, why) in [
        ("", "`user` is missing"),
        ("user=a&user=b", "`user` is given twice"),
        ("usr=a", "there is no parameter `usr`, did you mean `user`?"),
        ("user=%FF", "`user` is not percent-encoded UTF-8"),
    ] {
        let detail = world
            .get(&format!("/v1/assignments/greeting?{bad}"))
            .await
            .problem(400, "bad_query");
        assert_eq!(detail, why);
    }
}

#[tokio::test]
async fn unknown_policies_and_wrong_names_are_told_apart() {
    let world = World::new().await;
    let detail = world
        .get("/v1/assignments/greetin?user=ann")
        .await
        .problem(404, "unknown_policy");
    assert_eq!(detail, "there is no policy `greetin`");
    let detail = world
        .get("/v1/assignments/Greeting?user=ann")
        .await
        .problem(400, "bad_path");
    assert!(
        detail.starts_with("`policy` in the path: `Greeting` is not a policy name"),
        "{detail}"
    );
    world
        .get("/v1/assignments/%FF?user=ann")
        .await
        .problem(400, "bad_path");
}

#[tokio::test]
async fn many_are_answered_in_order_each_with_its_own_problem() {
    let world = World::new().await.with_rollout().await;
    let requests = json!({"requests": [
        {"policy": "greeting", "user": "ann"},
        {"policy": "nobody", "user": "ann"},
        {"policy": "greeting", "user": ""},
        {"policy": "Not a name\u{1}", "user": "ann"},
        {"policy": "farewell", "user": "ann"},
    ]});
    let outcomes = world.post("/v1/assignments", requests).await.ok(200);
    let outcomes = outcomes["assignments"].as_array().unwrap();
    assert_eq!(outcomes[0]["assignment"]["policy"], "greeting");
    assert_eq!(outcomes[1]["problem"]["code"], "unknown_policy");
    assert_eq!(outcomes[2]["problem"]["code"], "bad_field");
    assert_eq!(outcomes[3]["problem"]["code"], "unknown_policy");
    assert_eq!(outcomes[4]["assignment"]["policy"], "farewell");
    let too_many = vec![json!({"policy": "greeting", "user": "ann"}); 1_001];
    let detail = world
        .post("/v1/assignments", json!({"requests": too_many}))
        .await
        .problem(400, "bad_field");
    assert_eq!(detail, "`requests` must have at most 1000 entries");
}

#[tokio::test]
async fn the_snapshot_is_sent_once() {
    let mut world = World::new().await.with_rollout().await;
    let answer = world.get("/v1/snapshot").await;
    let tag = answer.headers["etag"].to_str().unwrap().to_owned();
    let routes = answer.ok(200)["routes"].clone();
    assert_eq!(routes[1]["policy"], "greeting");
    assert_eq!(routes[1]["treatment"]["exposure"], 0.5);
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let again = world
            .send(World::request(
                "GET",
                "/v1/snapshot",
                &[("if-none-match", &known)],
                "",
            ))
            .await;
        assert_eq!(again.headers["etag"], tag);
        again.ok(304);
    }
    let stop = json!({"reason": "enough"});
    world.post("/v1/rollouts/r1/rollback", stop).await.ok(200);
    world.tick(1).await;
    let changed = world
        .send(World::request(
            "GET",
            "/v1/snapshot",
            &[("if-none-match", &tag)],
            "",
        ))
        .await;
    assert_eq!(changed.ok(200)["routes"][1]["treatment"], Value::Null);
}

#[tokio::test]
async fn assignments_are_counted() {
    let world = World::new().await.with_rollout().await;
    world.get("/v1/assignments/greeting?user=qa-7").await.ok(200);
    world
        .get("/v1/assignments/nobody?user=qa-7")
        .await
        .problem(404, "unknown_policy");
    let metrics = world.get("/metrics").await.text;
    let counted = r#"serin_assignments_total{arm="treatment",policy="greeting",reason="forced"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(
        !metrics.contains("nobody") && !metrics.contains("qa-7"),
        "{metrics}"
    );
    let requests =
        r#"serin_http_requests_total{method="GET",route="/v1/assignments/{policy}",status="404"} 1"#;
    assert!(metrics.contains(requests), "{metrics}");
}

//! What people ask of rollouts, and what they are told.

use crate::world::World;
use serde_json::{Value, json};

fn because(reason: &str) -> Value {
    json!({"reason": reason})
}

#[tokio::test]
async fn a_rollout_is_started_shown_and_listed() {
    let mut world = World::new().await.with_prompt().await;
    world.tick(1).await;
    let start = json!({"policy": "greeting", "candidate": 2, "reason": "it greets better"});
    let started = world.post("/v1/rollouts", start.clone()).await;
    assert_eq!(started.headers["location"], "/v1/rollouts/r1");
    let started = started.ok(201);
    assert_eq!(
        (&started["stable"], &started["candidate"]),
        (&json!(1), &json!(2))
    );
    world
        .post("/v1/rollouts", start)
        .await
        .problem(409, "start_refused");
    world.tick(1).await;
    let shown = world.get("/v1/rollouts/r1").await.ok(200);
    assert_eq!(
        shown["phase"],
        json!({"code": "ramping", "step": 1, "text": "in step 1"})
    );
    assert_eq!(shown["stay"]["code"], "baking");
    let listed = world.get("/v1/rollouts?policy=greeting").await.ok(200);
    assert_eq!(listed, json!({"rollouts": [shown], "next": null}));
    assert_eq!(
        world.get("/v1/rollouts?policy=farewell").await.ok(200)["rollouts"],
        json!([])
    );
}

#[tokio::test]
async fn every_verb_does_what_it_says_or_says_why_not() {
    let mut world = World::new().await.with_rollout().await;
    let paused = world
        .post("/v1/rollouts/r1/pause", because("lunch"))
        .await
        .ok(200);
    assert_eq!(paused["phase"]["code"], "paused");
    assert_eq!(paused["phase"]["cause"]["reason"], "lunch");
    assert_eq!(paused["stay"]["code"], "paused");
    let detail = world
        .post("/v1/rollouts/r1/pause", because("again"))
        .await
        .problem(409, "command_refused");
    assert!(
        detail.starts_with("cannot pause a rollout that is paused"),
        "{detail}"
    );
    let resumed = world
        .post("/v1/rollouts/r1/resume", because("back"))
        .await
        .ok(200);
    assert_eq!(resumed["phase"]["code"], "ramping");
    world
        .post("/v1/rollouts/r1/approve", because("fine"))
        .await
        .problem(409, "command_refused");
    let stepped = world.post("/v1/rollouts/r1/step", because("sure")).await.ok(200);
    assert_eq!(
        (&stepped["phase"]["step"], &stepped["exposure"]),
        (&json!(2), &json!(1.0))
    );
    let promoted = world
        .post("/v1/rollouts/r1/promote", because("very sure"))
        .await
        .ok(200);
    assert_eq!(promoted["promoted"], true);
    world.tick(1).await;
    let back = world
        .post("/v1/rollouts/r1/rollback", because("not so sure"))
        .await
        .ok(200);
    assert_eq!(back["phase"]["cause"]["code"], "operator");
    world.tick(1).await;
    let over = world.get("/v1/rollouts/r1").await.ok(200);
    assert_eq!(
        (&over["phase"]["code"], &over["exposure"]),
        (&json!("rolled_back"), &json!(0.0))
    );
    let labels = world.get("/v1/prompts").await.ok(200)["prompts"][0]["labels"].clone();
    assert_eq!((&labels["production"], &labels["canary"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn what_nobody_can_start_is_refused() {
    let world = World::new().await;
    let start =
        |policy: &str, candidate: u32| json!({"policy": policy, "candidate": candidate, "reason": "why not"});
    world
        .post("/v1/rollouts", start("nobody", 1))
        .await
        .problem(404, "unknown_policy");
    world
        .post("/v1/rollouts", start("farewell", 1))
        .await
        .problem(409, "start_refused");
    let detail = world
        .post("/v1/rollouts", start("Nobody", 1))
        .await
        .problem(400, "bad_field");
    assert!(
        detail.starts_with("`policy`: `Nobody` is not a policy name"),
        "{detail}"
    );
    world
        .post("/v1/rollouts", start("farewell", 0))
        .await
        .problem(400, "bad_field");
    for reason in ["", " ", "a\u{7}"] {
        let body = json!({"policy": "greeting", "reason": reason});
        let detail = world.post("/v1/rollouts", body).await.problem(400, "bad_field");
        assert!(detail.starts_with("`reason`: "), "{detail}");
    }
}

#[tokio::test]
async fn unknown_rollouts_and_verbs_are_told_apart() {
    let world = World::new().await.with_rollout().await;
    for path in [
        "/v1/rollouts/r99",
        "/v1/rollouts/r99/evidence",
        "/v1/rollouts/r99/audit",
    ] {
        assert_eq!(
            world.get(path).await.problem(404, "unknown_rollout"),
            "there is no rollout r99"
        );
    }
    world
        .post("/v1/rollouts/r99/pause", because("hm"))
        .await
        .problem(404, "unknown_rollout");
    world.get("/v1/rollouts/99").await.problem(400, "bad_path");
    let detail = world
        .post("/v1/rollouts/r1/paus", because("hm"))
        .await
        .problem(400, "bad_path");
    assert!(detail.contains("did you mean `pause`?"), "{detail}");
    for query in [
        "limit=0",
        "limit=101",
        "limit=ten",
        "before=5",
        "policy=X",
        "after=r1",
    ] {
        world
            .get(&format!("/v1/rollouts?{query}"))
            .await
            .problem(400, "bad_query");
    }
}

#[tokio::test]
async fn history_comes_in_pages() {
    let mut world = World::new().await.with_rollout().await;
    world
        .post("/v1/rollouts/r1/pause", because("lunch"))
        .await
        .ok(200);
    world
        .post("/v1/rollouts/r1/pause", because("again"))
        .await
        .problem(409, "command_refused");
    world.tick(1).await;
    let whole = world.get("/v1/rollouts/r1/audit?limit=100").await.ok(200);
    let whole = whole["records"].as_array().unwrap();
    let codes: Vec<&str> = whole
        .iter()
        .map(|record| record["event"]["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["moved", "label_move", "moved", "moved", "refused"]);
    assert_eq!(whole[4]["event"]["command"], "pause");
    let (mut paged, mut after) = (Vec::new(), json!(0));
    while !after.is_null() {
        let page = world
            .get(&format!("/v1/rollouts/r1/audit?limit=2&after={after}"))
            .await
            .ok(200);
        paged.extend(page["records"].as_array().unwrap().clone());
        after = page["next"].clone();
    }
    assert_eq!(&paged, whole);
}

#[tokio::test]
async fn the_last_numbers_outlive_the_rollout() {
    let mut world = World::new().await.with_rollout().await;
    let (user, _) = world.user_in("treatment").await;
    let line = json!({"policy": "greeting", "user": user, "metrics": {"faithfulness": 0.5}});
    world.observe(&line.to_string()).await.ok(200);
    world.tick(2).await;
    let evidence = world.get("/v1/rollouts/r1/evidence").await.ok(200);
    let metric = &evidence["assessment"]["metrics"][0];
    assert_eq!(
        (&metric["metric"], &metric["treatment"]["mean"]),
        (&json!("faithfulness"), &json!(0.5))
    );
    world
        .post("/v1/rollouts/r1/rollback", because("enough"))
        .await
        .ok(200);
    world.tick(1).await;
    world.tick(1).await;
    let start = json!({"policy": "greeting", "candidate": 2, "reason": "again"});
    world.post("/v1/rollouts", start).await.ok(201);
    world.tick(1).await;
    let evidence = world.get("/v1/rollouts/r1/evidence").await.ok(200);
    assert_eq!(evidence["assessment"]["metrics"][0]["treatment"]["count"], 1);
    let newest_first = world.get("/v1/rollouts?limit=1").await.ok(200);
    assert_eq!(
        (&newest_first["rollouts"][0]["id"], &newest_first["next"]),
        (&json!("r2"), &json!("r2"))
    );
    let rest = world.get("/v1/rollouts?limit=1&before=r2").await.ok(200);
    assert_eq!(
        (&rest["rollouts"][0]["id"], &rest["next"]),
        (&json!("r1"), &Value::Null)
    );
}

#[tokio::test]
async fn a_controller_that_stopped_is_unavailable_and_assignments_go_on() {
    let mut world = World::new().await.with_rollout().await;
    world.stop_controller().await;
    let answer = world.post("/v1/rollouts/r1/pause", because("hm")).await;
    assert_eq!(answer.headers["retry-after"], "1");
    answer.problem(503, "stopping");
    world.get("/v1/assignments/greeting?user=ann").await.ok(200);
    world.store.close().await;
    world.get("/v1/rollouts").await.problem(503, "stopping");
    world.get("/v1/prompts").await.problem(503, "overloaded");
    world.get("/v1/assignments/greeting?user=ann").await.ok(200);
    assert_eq!(world.get("/readyz").await.ok(503)["store"], false);
}

//! Who is counted once, and what is left out.

use crate::ndjson;
use crate::world::World;
use serde_json::{Value, json};

fn line(fields: Value) -> Value {
    let mut line = json!({"policy": "greeting", "metrics": {"errors": 0}});
    line.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    line
}

async fn data(world: &mut World) -> Value {
    world.tick(2).await;
    let evidence = world.get("/v1/rollouts/r1/evidence").await.ok(200);
    evidence["assessment"]["data"].clone()
}

fn users(data: &Value, which: &str) -> (u64, u64) {
    let count = |arm: &str| data[which][arm].as_u64().unwrap();
    (count("control"), count("treatment"))
}

#[tokio::test]
async fn a_user_counts_once_however_often_they_are_observed() {
    let mut world = World::new().await.with_rollout().await;
    let (control, _) = world.user_in("control").await;
    let (treatment, assigned) = world.user_in("treatment").await;
    for _ in 0..3 {
        let lines = [
            line(json!({"user": control})),
            line(json!({"user": treatment})),
            line(json!({"receipt": assigned["receipt"]})),
            line(json!({"user": "qa-7"})),
        ];
        world.observe(&ndjson(&lines)).await.ok(200);
        let data = data(&mut world).await;
        assert_eq!(users(&data, "users"), (1, 1));
        assert_eq!(data["users"]["expected"], 1.0);
    }
}

#[tokio::test]
async fn an_arm_that_is_only_claimed_does_not_count_until_the_exposure_has_settled() {
    let mut world = World::new().await.with_rollout().await;
    let claimed = |user: &str| line(json!({"user": user, "version": 1}));
    world
        .observe(&ndjson(&[claimed("ann"), claimed("ben")]))
        .await
        .ok(200);
    assert_eq!(users(&data(&mut world).await, "users"), (0, 0));
    world.tick(600).await;
    // Those who were noted before stay uncounted.
    world
        .observe(&ndjson(&[claimed("ann"), claimed("cid")]))
        .await
        .ok(200);
    assert_eq!(users(&data(&mut world).await, "users"), (1, 0));
}

#[tokio::test]
async fn a_receipt_from_before_a_transition_is_noted_and_does_not_count() {
    let mut world = World::new().await.with_rollout().await;
    let (user, assigned) = world.user_in("treatment").await;
    world
        .post("/v1/rollouts/r1/pause", json!({"reason": "to look"}))
        .await
        .ok(200);
    world
        .post("/v1/rollouts/r1/resume", json!({"reason": "looked"}))
        .await
        .ok(200);
    world.tick(1).await;
    let lines = [
        line(json!({"receipt": assigned["receipt"]})),
        line(json!({"user": user})),
    ];
    assert_eq!(world.observe(&ndjson(&lines)).await.ok(200)["accepted"], 2);
    assert_eq!(users(&data(&mut world).await, "users"), (0, 0));
}

#[tokio::test]
async fn fallbacks_and_values_out_of_range_are_left_out_and_counted_by_arm() {
    let mut world = World::new().await.with_rollout().await;
    let (control, _) = world.user_in("control").await;
    let (treatment, _) = world.user_in("treatment").await;
    let wrong = json!({"errors": 7});
    let lines = [
        line(json!({"user": treatment, "version": 0})),
        line(json!({"user": treatment, "version": 0, "label": "canary"})),
        line(json!({"user": control, "metrics": wrong})),
        line(json!({"user": "qa-7", "version": 0})),
    ];
    // Nothing of the first request is right, and of the second something is.
    world.observe(&ndjson(&lines)).await.problem(422, "all_refused");
    let mut more = lines.to_vec();
    more.push(line(json!({"user": control})));
    let answer = world.observe(&ndjson(&more)).await.ok(200);
    assert_eq!(
        (&answer["accepted"], answer["refused"].as_array().unwrap().len()),
        (&json!(1), 4)
    );
    let data = data(&mut world).await;
    assert_eq!(data["fallback"], json!({"control": 0, "treatment": 4}));
    assert_eq!(data["outOfRange"], json!({"control": 2, "treatment": 0}));
    assert_eq!(users(&data, "excluded"), (1, 1));
    assert_eq!(users(&data, "users"), (1, 0));
}

#[tokio::test]
async fn a_wrong_split_pauses_the_rollout_and_says_so() {
    let mut world = World::new().await.with_rollout().await;
    let mut told = Vec::new();
    for number in 0..400 {
        let assigned = world
            .get(&format!("/v1/assignments/greeting?user=user-{number}"))
            .await
            .ok(200);
        // Three of four treated users are lost on the way.
        if assigned["arm"] == "control" || number % 4 == 0 {
            told.push(line(json!({"receipt": assigned["receipt"]})));
        }
    }
    world.observe(&ndjson(&told)).await.ok(200);
    world.tick(2).await;
    let rollout = world.get("/v1/rollouts/r1").await.ok(200);
    assert_eq!(rollout["phase"]["code"], "paused");
    assert_eq!(rollout["phase"]["cause"]["code"], "sample_ratio");
    assert_eq!(rollout["phase"]["cause"]["of"], "users");
    let metrics = world.get("/metrics").await.text;
    let shown = metrics
        .lines()
        .find_map(|line| line.strip_prefix(r#"serin_sample_ratio_log_e_value{policy="greeting"} "#));
    assert!(shown.unwrap().parse::<f64>().unwrap() > 6.9, "{shown:?}");
    // Whoever goes on all the same moves by hand.
    world
        .post(
            "/v1/rollouts/r1/resume",
            json!({"reason": "a batch job, not users"}),
        )
        .await
        .ok(200);
    world.tick(2).await;
    let rollout = world.get("/v1/rollouts/r1").await.ok(200);
    assert_eq!(
        (
            &rollout["phase"]["code"],
            &rollout["stay"]["code"],
            &rollout["verdict"]
        ),
        (&json!("ramping"), &json!("sample_ratio"), &json!("invalid"))
    );
}

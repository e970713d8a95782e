//! People who were somebody unknown before they signed in.

use crate::world::World;
use serde_json::{Value, json};

#[tokio::test]
async fn whoever_signs_in_keeps_their_arm_and_counts_once() {
    let mut world = World::new().await.with_rollout().await;
    let (anonymous, before) = world.user_in("treatment").await;
    let (account, own) = world.user_in("control").await;
    assert_ne!(own["arm"], before["arm"]);
    let path = format!("/v1/assignments/greeting?user={account}&anonymous={anonymous}");
    assert_eq!(world.get(&path).await.ok(200), before);
    let body = json!({"requests": [{"policy": "greeting", "user": account, "anonymous": anonymous}]});
    let answer = world.post("/v1/assignments", body).await.ok(200);
    assert_eq!(answer["assignments"][0]["assignment"], before);
    let context = json!({"context": {"targetingKey": account, "anonymousId": anonymous}});
    let flag = world
        .post("/ofrep/v1/evaluate/flags/greeting", context)
        .await
        .ok(200);
    assert_eq!(
        (&flag["variant"], &flag["metadata"]["receipt"]),
        (&json!("treatment"), &before["receipt"])
    );

    let line = |fields: Value| {
        let mut line = json!({"policy": "greeting", "metrics": {"errors": 0}});
        line.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        line
    };
    let lines = [
        line(json!({"user": anonymous})),
        line(json!({"user": account, "anonymous": anonymous})),
        line(json!({"user": account, "receipt": before["receipt"]})),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(world.observe(&text).await.ok(200)["accepted"], 3);
    world.tick(2).await;
    let evidence = world.get("/v1/rollouts/r1/evidence").await.ok(200);
    let metrics = evidence["assessment"]["metrics"].as_array().unwrap();
    let errors = metrics
        .iter()
        .find(|metric| metric["metric"] == "errors")
        .unwrap();
    assert_eq!(
        (&errors["control"]["count"], &errors["treatment"]["count"]),
        (&json!(0), &json!(3))
    );
    let split = &evidence["assessment"]["data"]["users"];
    assert_eq!(
        (&split["control"], &split["treatment"]),
        (&json!(0), &json!(1)),
        "{split}"
    );
}

#[tokio::test]
async fn a_fixed_arm_is_that_of_either_key() {
    let world = World::new().await.with_rollout().await;
    for query in ["user=qa-7&anonymous=somebody", "user=somebody&anonymous=qa-7"] {
        let assignment = world
            .get(&format!("/v1/assignments/greeting?{query}"))
            .await
            .ok(200);
        assert_eq!(
            (&assignment["arm"], &assignment["reason"]),
            (&json!("treatment"), &json!("forced"))
        );
    }
    let path = "/v1/assignments/greeting?user=ann&anonymous=";
    let detail = world.get(path).await.problem(400, "bad_query");
    assert_eq!(detail, "`anonymous` must be 1 to 256 bytes of UTF-8");
}

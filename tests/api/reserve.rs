//! The server's reserve, whose users are in treatment of no policy.

use crate::world::{FAREWELL, GREETING, Setting, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const USERS: u32 = 400;

async fn assigned(world: &World, policy: &str, query: &str) -> Value {
    let path = format!("/v1/assignments/{policy}?{query}");
    world.get(&path).await.ok(200)
}

/// The users in reserve, and those in treatment.
async fn drawn(world: &World, policy: &str) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut reserved, mut treated) = (BTreeSet::new(), BTreeSet::new());
    for user in 0..USERS {
        let assignment = assigned(world, policy, &format!("user=user-{user}")).await;
        if assignment["reason"] == "reserved" {
            assert_eq!(
                (&assignment["arm"], &assignment["label"], &assignment["version"]),
                (&json!("control"), &json!("production"), &json!(1))
            );
            reserved.insert(user);
        }
        if assignment["arm"] == "treatment" {
            treated.insert(user);
        }
    }
    (reserved, treated)
}

async fn world() -> World {
    let setting = Setting {
        policies: &[GREETING, FAREWELL],
        reserve_ppm: 200_000,
        ..Setting::default()
    };
    World::with(setting).await.with_rollout().await
}

#[tokio::test]
async fn its_users_are_in_treatment_of_no_policy_at_any_step() {
    let mut world = world().await;
    for label in ["production", "staging"] {
        let body = json!({
            "name": "farewell", "type": "text", "prompt": "Bye", "reason": "to part", "labels": [label],
        });
        world.post("/v1/prompts", body).await.ok(201);
    }
    let body = json!({"policy": "farewell", "candidate": 2, "reason": "to try"});
    world.post("/v1/rollouts", body).await.ok(201);
    world.tick(1).await;
    let (reserved, half) = drawn(&world, "greeting").await;
    // 20% of 400 with a standard deviation of 8.
    assert!((48..=112).contains(&reserved.len()), "{}", reserved.len());
    assert!(half.len() > 100 && half.is_disjoint(&reserved), "{}", half.len());
    // The other policy has everybody in treatment whom it may have, and keeps the same ones out.
    let (theirs, everybody) = drawn(&world, "farewell").await;
    assert_eq!(theirs, reserved);
    assert_eq!(everybody.len() + reserved.len(), USERS as usize);
    let body = json!({"reason": "to all"});
    world.post("/v1/rollouts/r1/step", body).await.ok(200);
    world.tick(1).await;
    let (after, all) = drawn(&world, "greeting").await;
    assert_eq!((&after, all.len() + after.len()), (&reserved, USERS as usize));
}

#[tokio::test]
async fn its_users_are_not_counted_and_those_who_are_forced_are_in_none() {
    let world = world().await;
    assert_eq!(
        assigned(&world, "greeting", "user=qa-7").await["reason"],
        "forced"
    );
    let (reserved, treated) = drawn(&world, "greeting").await;
    let (inside, outside) = (treated.first().unwrap(), reserved.first().unwrap());
    // Whoever is known by their anonymous key is drawn by it.
    let query = format!("user=user-{inside}&anonymous=user-{outside}");
    let linked = assigned(&world, "greeting", &query).await;
    assert_eq!(linked["reason"], "reserved");
    for said in [
        json!({"receipt": linked["receipt"]}),
        json!({"user": format!("user-{outside}")}),
    ] {
        let mut line = json!({"policy": "greeting", "metrics": {"errors": 0}});
        line.as_object_mut()
            .unwrap()
            .extend(said.as_object().unwrap().clone());
        let answer = world.observe(&line.to_string()).await.ok(200);
        assert_eq!(answer["ignoredBy"], json!({"outside_rollout": 1}), "{said}");
    }
    let flag = json!({"context": {"targetingKey": format!("user-{outside}")}});
    let flag = world
        .post("/ofrep/v1/evaluate/flags/greeting", flag)
        .await
        .ok(200);
    assert_eq!(flag["metadata"]["serinReason"], "reserved");
    let counted = world.get("/metrics").await.text;
    assert!(counted.contains("reason=\"reserved\""), "{counted}");
}

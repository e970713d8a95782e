//! Policies of which a user is in treatment of one at most.

use crate::world::{Setting, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;

macro_rules! policy {
    ($name:literal, $from:literal, $to:literal) => {
        concat!(
            "\napiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {name: ",
            $name,
            "}\nspec:\n  prompt: team/",
            $name,
            "\n  registry: embedded\n  labels: {control: production, treatment: canary}\n",
            "  assignment: {group: {name: page, from: ",
            $from,
            ", to: ",
            $to,
            "}}\n  steps: [{exposure: 50%, bake: 1h, samples: 5}, {exposure: 100%, bake: 1h}]\n",
            "  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]\n",
        )
    };
}

/// Users who enter a policy's rollout, and those of them who are in treatment.
async fn inside(world: &World, policy: &str) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut entered, mut treated) = (BTreeSet::new(), BTreeSet::new());
    for user in 0..300 {
        let path = format!("/v1/assignments/{policy}?user=user-{user}");
        let assignment = world.get(&path).await.ok(200);
        match assignment["reason"].as_str().unwrap() {
            "split" => {
                entered.insert(user);
            }
            reason => assert_eq!(
                (reason, &assignment["arm"]),
                ("other_in_group", &json!("control"))
            ),
        }
        if assignment["arm"] == "treatment" {
            treated.insert(user);
        }
    }
    (entered, treated)
}

async fn start(world: &mut World, policy: &str) -> Value {
    let body = json!({"policy": policy, "candidate": 2, "reason": "to try"});
    let started = world.post("/v1/rollouts", body).await.ok(201);
    world.tick(1).await;
    started
}

#[tokio::test]
async fn a_rollout_keeps_its_part_of_the_group_when_the_files_change() {
    let setting = Setting {
        policies: &[
            policy!("greeting", "0%", "60%"),
            policy!("farewell", "60%", "100%"),
        ],
        ..Setting::default()
    };
    let mut world = World::with(setting).await.with_rollout().await;
    for label in ["production", "staging"] {
        let body = json!({
            "name": "team/farewell", "type": "text", "prompt": "Bye", "reason": "to part", "labels": [label],
        });
        world.post("/v1/prompts", body).await.ok(201);
    }
    let (first, _) = inside(&world, "greeting").await;
    // 60% of 300 with a standard deviation of 8.
    assert!((140..=220).contains(&first.len()), "{}", first.len());

    // The parts change while the first rollout goes on with the one that it began with.
    let texts = [
        policy!("greeting", "0%", "20%"),
        policy!("farewell", "20%", "100%"),
    ];
    world.write_policies(&texts).await;
    start(&mut world, "farewell").await;
    let (second, treated) = inside(&world, "farewell").await;
    assert_eq!(inside(&world, "greeting").await.0, first);
    assert!(first.is_disjoint(&second) && !second.is_empty());
    assert_eq!(first.len() + second.len(), 300);

    // When it ends, the other gains users and loses none.
    let reason = json!({"reason": "enough"});
    world.post("/v1/rollouts/r1/rollback", reason).await.ok(200);
    world.tick(1).await;
    let (later, treated_later) = inside(&world, "farewell").await;
    assert!(later.is_superset(&second) && later.len() > second.len());
    assert!(treated_later.is_superset(&treated));
}

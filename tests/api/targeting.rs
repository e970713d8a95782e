//! Policies that are for some users only.

use crate::world::World;
use serde_json::{Value, json};

macro_rules! policy {
    ($assignment:literal) => {
        concat!(
            "\napiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {name: greeting}\nspec:\n",
            "  prompt: team/greeting\n  registry: embedded\n  labels: {control: production, treatment: canary}\n",
            "  assignment:\n",
            $assignment,
            "  steps: [{exposure: 50%, bake: 1h, samples: 5}, {exposure: 100%, bake: 1h}]\n",
            "  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]\n",
        )
    };
}

const TARGETED: &str = policy!(
    "    targeting:
      - {attribute: region, in: [eu, us]}
      - {attribute: appVersion, version: '>=2.4.0 <3.0.0'}
      - {attribute: beta, in: [true]}
      - {attribute: seats, number: '>=10'}\n"
);
const MATCHING: &str =
    "attribute.region=eu&attribute.appVersion=2.10.1&attribute.beta=true&attribute.seats=12";

async fn world(policies: &'static [&'static str]) -> World {
    World::of(policies).await.with_rollout().await
}

async fn assigned(world: &World, query: &str) -> Value {
    let path = format!("/v1/assignments/greeting?{query}");
    world.get(&path).await.ok(200)
}

/// A user who is in `arm` where everything matches.
async fn user_in(world: &World, arm: &str) -> (String, Value) {
    for number in 0..100 {
        let user = format!("user-{number}");
        let assignment = assigned(world, &format!("user={user}&{MATCHING}")).await;
        if assignment["arm"] == arm {
            return (user, assignment);
        }
    }
    unreachable!("half of the users are in each arm")
}

#[tokio::test]
async fn only_users_whose_attributes_match_enter() {
    let world = world(&[TARGETED]).await;
    let (user, assignment) = user_in(&world, "treatment").await;
    assert_eq!(assignment["reason"], "split");
    assert_eq!(assignment.get("attribute"), None);
    for (query, reason, attribute) in [
        (
            MATCHING.replace("region=eu", "region=EU"),
            "not_targeted",
            "region",
        ),
        (
            MATCHING.replace("region=eu", "area=eu"),
            "attribute_missing",
            "region",
        ),
        (MATCHING.replace("2.10.1", "3.0.0"), "not_targeted", "appVersion"),
        (MATCHING.replace("2.10.1", "2.10"), "not_targeted", "appVersion"),
        (MATCHING.replace("beta=true", "beta=1"), "not_targeted", "beta"),
        (MATCHING.replace("seats=12", "seats=9.5"), "not_targeted", "seats"),
        (String::new(), "attribute_missing", "region"),
    ] {
        let outside = assigned(&world, &format!("user={user}&{query}")).await;
        let found = ["arm", "label", "version", "reason", "attribute"].map(|key| outside[key].clone());
        let expected = json!(["control", "production", 1, reason, attribute]);
        assert_eq!(json!(found), expected, "{query}");
    }
    let counted = world.get("/metrics").await.text;
    assert!(counted.contains("reason=\"attribute_missing\""), "{counted}");
}

#[tokio::test]
async fn attributes_have_types_where_json_has_them() {
    let world = world(&[TARGETED]).await;
    let (user, _) = user_in(&world, "treatment").await;
    let matching = json!({"region": "us", "appVersion": "2.4.0", "beta": true, "seats": 10});
    let with = |name: &str, value: Value| {
        let mut attributes = matching.clone();
        attributes[name] = value;
        attributes
    };
    for (attributes, reason) in [
        (matching.clone(), "split"),
        (with("seats", json!("10")), "not_targeted"),
        (with("beta", json!("true")), "not_targeted"),
        (with("region", json!(5)), "not_targeted"),
        (with("other", json!("x")), "split"),
    ] {
        let body = json!({"requests": [{"policy": "greeting", "user": user, "attributes": attributes}]});
        let answer = world.post("/v1/assignments", body).await.ok(200);
        assert_eq!(
            answer["assignments"][0]["assignment"]["reason"], reason,
            "{attributes}"
        );
        let mut context = attributes.clone();
        context["targetingKey"] = json!(user);
        context["other"] = json!({"nested": [1, null]});
        let body = json!({"context": context});
        let flag = world
            .post("/ofrep/v1/evaluate/flags/greeting", body.clone())
            .await
            .ok(200);
        assert_eq!(flag["metadata"]["serinReason"], reason);
        let flags = world.post("/ofrep/v1/evaluate/flags", body).await.ok(200);
        assert_eq!(flags["flags"][0]["metadata"]["serinReason"], reason);
    }
    let wrong = json!({"requests": [{"policy": "greeting", "user": "ann", "attributes": {"a b": "x"}}]});
    let answer = world.post("/v1/assignments", wrong).await.ok(200);
    assert_eq!(answer["assignments"][0]["problem"]["code"], "bad_field");
}

#[tokio::test]
async fn gateways_and_prompts_pass_attributes_on() {
    let world = world(&[TARGETED]).await;
    let (user, assignment) = user_in(&world, "treatment").await;
    let path = format!("/v1/assignments/greeting?user-from=header:x-user-id&{MATCHING}");
    let request = World::request("GET", &path, &[("x-user-id", &user)], "");
    assert_eq!(world.send(request).await.ok(200), assignment);
    let prompt = world
        .get(&format!("/v1/prompts/team%2Fgreeting?user={user}&{MATCHING}"))
        .await
        .ok(200);
    assert_eq!(prompt["version"], 2);
    let prompt = world
        .get(&format!("/v1/prompts/team%2Fgreeting?user={user}"))
        .await
        .ok(200);
    assert_eq!(
        (&prompt["version"], &prompt["assignment"]["reason"]),
        (&json!(1), &json!("attribute_missing"))
    );
}

#[tokio::test]
async fn wrong_attributes_are_refused_by_name() {
    let world = world(&[TARGETED]).await;
    for (query, detail) in [
        ("attribute.a=1&attribute.a=2", "the attribute `a` is given twice"),
        ("attribute.=1", "the name of an attribute must be 1 to 64 letters"),
        (
            "attribute.1a=1",
            "the name of an attribute must be 1 to 64 letters",
        ),
        ("atribute.a=1", "there is no parameter `atribute.a`"),
    ] {
        let path = format!("/v1/assignments/greeting?user=ann&{query}");
        let found = world.get(&path).await.problem(400, "bad_query");
        assert!(found.starts_with(detail), "{found}");
    }
}

#[tokio::test]
async fn observations_of_users_outside_are_told_apart_and_not_counted() {
    let mut world = world(&[TARGETED]).await;
    let (user, inside) = user_in(&world, "treatment").await;
    let outside = assigned(&world, &format!("user={user}&attribute.region=asia")).await;
    let line = |fields: Value| {
        let mut line = json!({"policy": "greeting", "metrics": {"errors": 0}});
        line.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        line
    };
    let lines = [
        line(json!({"receipt": inside["receipt"]})),
        line(json!({"receipt": inside["receipt"], "user": user})),
        line(json!({"receipt": outside["receipt"]})),
        line(json!({"receipt": outside["receipt"], "user": user, "version": 2})),
        line(json!({"user": user, "version": 2})),
        line(json!({"user": user})),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let answer = world.observe(&text).await.ok(200);
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!([])));
    assert_eq!(
        answer["ignoredBy"],
        json!({"outside_rollout": 2, "receipt_needed": 2})
    );
    world.tick(10).await;
    let evidence = world.get("/v1/rollouts/r1/evidence").await.ok(200);
    let errors = &evidence["assessment"]["metrics"][0];
    assert_eq!(
        (&errors["control"]["count"], &errors["treatment"]["count"]),
        (&json!(0), &json!(2))
    );
}

#[tokio::test]
async fn a_share_of_users_is_told_from_the_key_alone() {
    const SHARED: &str = policy!("    targeting: [{share: 40%, salt: pilot}]\n");
    let world = world(&[SHARED]).await;
    let mut reasons = std::collections::BTreeMap::new();
    for number in 0..500 {
        let assignment = assigned(&world, &format!("user=user-{number}")).await;
        let reason = assignment["reason"].as_str().unwrap().to_owned();
        *reasons.entry(reason).or_insert(0) += 1;
        if assignment["reason"] == "outside_segment" {
            let line =
                json!({"policy": "greeting", "metrics": {"errors": 0}, "user": format!("user-{number}")});
            let answer = world.observe(&line.to_string()).await.ok(200);
            assert_eq!(answer["ignoredBy"], json!({"outside_rollout": 1}));
        }
    }
    // 40% of 500 with a standard deviation of 11.
    assert!((150..=250).contains(&reasons["split"]), "{reasons:?}");
    assert_eq!(reasons["split"] + reasons["outside_segment"], 500);
}

#[tokio::test]
async fn a_policy_with_targeting_is_not_published() {
    const FOR_SDKS: &str =
        policy!("    hash: unleash\n    salt: checkout\n    targeting: [{attribute: region, in: [eu]}]\n");
    let world = world(&[FOR_SDKS]).await;
    let detail = world
        .ask("/api/client/features", &[])
        .await
        .problem(409, "not_published");
    assert!(
        detail.contains("cannot follow the `targeting`, the `group` or the server's reserve of `greeting`"),
        "{detail}"
    );
}

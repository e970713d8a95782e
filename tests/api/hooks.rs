//! Webhooks: who is believed, and what comes of it.

use crate::world::{HOOK_SECRET, Setting, World};
use axum::body::Body;
use axum::http::Request;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::fmt::Write as _;

/// A policy that looks at its labels every five minutes.
const PATIENT: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: patient}
spec:
  prompt: team/greeting
  registry: embedded
  labels: {control: production, treatment: beta}
  steps: [{exposure: 100%, bake: 1h}]
  analysis: {every: 5m}
  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]
";

const HOOK: &str = "/v1/hooks/langfuse/embedded";
/// When the worlds of these tests begin.
const START: i64 = 1_795_262_400;

fn event(name: &str) -> String {
    let prompt = json!({"name": name, "version": 7, "labels": ["beta"]});
    json!({"id": "e", "type": "prompt-version", "action": "updated", "prompt": prompt}).to_string()
}

/// The header of a body that is signed at this second.
fn signature(second: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(HOOK_SECRET.as_bytes()).unwrap();
    mac.update(format!("{second}.{body}").as_bytes());
    let mut digits = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(digits, "{byte:02x}").unwrap();
    }
    format!("t={second},v1={digits}")
}

fn hook(path: &str, signature: &str, body: &str) -> Request<Body> {
    let headers = [
        ("x-langfuse-signature", signature),
        ("content-type", "application/json"),
    ];
    World::request("POST", path, &headers, body)
}

async fn rollouts(world: &World) -> usize {
    let listed = world.get("/v1/rollouts").await.ok(200);
    listed["rollouts"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_signed_event_has_the_labels_read_at_once_however_often_it_comes() {
    let setting = Setting {
        policies: &[PATIENT],
        ..Setting::default()
    };
    let mut world = World::with(setting).await.with_prompt().await;
    world.tick(1).await;
    let beta = json!({"version": 2, "reason": "try it"});
    world
        .put("/v1/prompts/team%2Fgreeting/labels/beta", beta)
        .await
        .ok(200);
    world.tick(3).await;
    assert_eq!(rollouts(&world).await, 0, "nobody has told it");
    let body = event("team/greeting");
    for _ in 0..3 {
        world
            .send(hook(HOOK, &signature(START + 4, &body), &body))
            .await
            .ok(202);
    }
    // The controller answers in order: whoever hears from it knows that it took the events.
    let unknown = json!({"reason": "to wait"});
    world
        .post("/v1/rollouts/r99/pause", unknown)
        .await
        .problem(404, "unknown_rollout");
    world.tick(1).await;
    assert_eq!(rollouts(&world).await, 1);
    let listed = world.get("/v1/rollouts").await.ok(200);
    assert_eq!(
        listed["rollouts"][0]["candidate"], 2,
        "the event's own version is not believed"
    );
}

#[tokio::test]
async fn what_is_not_signed_as_it_must_be_is_refused() {
    let world = World::new().await;
    let body = event("team/greeting");
    let refused = async |signature: &str, body: &str| {
        let answer = world.send(hook(HOOK, signature, body)).await;
        answer.problem(401, "signature_refused")
    };
    assert!(refused("", &body).await.contains("must be `t=<seconds>,v1="));
    assert!(
        refused(&signature(START, "{}"), &body)
            .await
            .contains("`webhookSecret`")
    );
    assert!(
        refused(&signature(START - 301, &body), &body)
            .await
            .contains("more than 300 s")
    );
    let nobody = hook("/v1/hooks/langfuse/nobody", &signature(START, &body), &body);
    let detail = world.send(nobody).await.problem(404, "unknown_hook");
    assert!(detail.contains("`nobody`"), "{detail}");
}

#[tokio::test]
async fn events_about_other_things_are_taken_and_left_alone() {
    let world = World::new().await;
    for body in [
        event("nobody steers this"),
        event(" | "),
        json!({"type": "monitor-alert"}).to_string(),
    ] {
        world
            .send(hook(HOOK, &signature(START, &body), &body))
            .await
            .ok(202);
    }
    let body = Value::from("text").to_string();
    world
        .send(hook(HOOK, &signature(START, &body), &body))
        .await
        .problem(400, "bad_field");
}

#[tokio::test]
async fn a_body_without_bound_is_not_read() {
    let world = World::new().await;
    let body = "x".repeat(64 * 1024 + 1);
    world
        .send(hook(HOOK, &signature(START, &body), &body))
        .await
        .problem(413, "body_too_large");
}

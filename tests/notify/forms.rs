//! What is sent in each form.

use crate::receiver::Receiver;
use crate::world::{SECRET, World, secrets};
use jiff::SignedDuration;
use serde_json::json;
use serin::notify::sign;
use serin::rollout::{NoticeOutcome, Verb};

#[tokio::test]
async fn a_webhook_is_signed_and_says_what_happened() {
    let receiver = Receiver::start().await;
    let notify = format!(
        "    - {{webhook: \"{}\", secret: hooks, on: [paused]}}\n",
        receiver.url("rollouts?team=a")
    );
    let mut world = World::new(&notify, secrets(&[("hooks", SECRET)])).await;
    world.command(Verb::Pause).await;
    world.advance(SignedDuration::from_secs(5));
    assert_eq!(world.pass().await, 1);
    let arrived = receiver.arrived().remove(0);
    let (id, at) = (arrived.header("webhook-id"), world.now());
    assert!(!id.contains('.'), "{id}");
    assert_eq!(arrived.header("webhook-timestamp"), at.as_second().to_string());
    assert_eq!(
        arrived.header("webhook-signature"),
        sign(SECRET, id, at, &arrived.body).unwrap()
    );
    assert_eq!(arrived.header("content-type"), "application/json");
    assert_eq!(
        arrived.json(),
        json!({
            "type": "rollout.paused",
            "timestamp": "2026-03-01T12:00:00Z",
            "data": {
                "policy": "answer",
                "owner": "R&D <core>",
                "prompt": "answer",
                "rollout": "r1",
                "generation": 2,
                "stable": 13,
                "candidate": 14,
                "phase": "paused",
                "step": null,
                "steps": 2,
                "exposure": 0.0,
                "cause": "operator",
                "reason": "alice asked for it: <!channel> & so on",
                "text": "the rollout of version 14 of `answer` waits for a person, with 0% of users: alice asked for it: <!channel> & so on",
            },
        })
    );
}

#[tokio::test]
async fn slack_sees_no_mention_and_the_secret_is_in_its_url_alone() {
    let receiver = Receiver::start().await;
    let notify = format!(
        "    - {{webhook: \"{}\", format: slack, secret: chat, on: [rolledBack]}}\n",
        receiver.url("services/{secret}")
    );
    let mut world = World::new(&notify, secrets(&[("chat", "T0/B0/hush")])).await;
    world.command(Verb::RollBack).await;
    assert_eq!(world.pass().await, 1);
    let arrived = receiver.arrived().remove(0);
    assert_eq!(arrived.path, "/services/T0/B0/hush");
    assert!(!arrived.headers.contains_key("webhook-signature"));
    let body = arrived.json();
    let text = body["text"].as_str().unwrap();
    assert!(
        text.ends_with("everybody gets version 13: alice asked for it: &lt;!channel&gt; &amp; so on"),
        "{text}"
    );
    let validator = jsonschema::validator_for(&slack_schema()).unwrap();
    assert_eq!(
        validator
            .iter_errors(&body)
            .map(|error| error.to_string())
            .collect::<Vec<_>>(),
        [""; 0]
    );
    assert!(
        body["blocks"][1]["elements"][0]["text"]
            .as_str()
            .unwrap()
            .ends_with("R&amp;D &lt;core&gt;")
    );
    assert!(!arrived.body.windows(4).any(|window| window == b"hush"));
}

#[tokio::test]
async fn no_secret_comes_into_the_history() {
    let receiver = Receiver::start().await;
    let notify = format!(
        "    - {{webhook: \"{}\", format: slack, secret: chat, on: [started]}}\n",
        receiver.url("{secret}")
    );
    let world = World::new(&notify, secrets(&[("chat", "hush")])).await;
    // Nobody listens any more.
    drop(receiver);
    tokio::task::yield_now().await;
    assert_eq!(world.pass().await, 0);
    let outcomes = world.outcomes().await;
    let [("started", NoticeOutcome::Failed { error })] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert!(!error.is_empty() && !error.contains("hush"), "{error}");
}

#[tokio::test]
async fn an_alert_is_one_that_alertmanager_takes() {
    let receiver = Receiver::start().await;
    let notify = format!(
        "    - {{webhook: \"{}\", format: alertmanager, secret: token, on: [started]}}\n    \
         - {{webhook: \"{}\", format: alertmanager, on: [paused]}}\n",
        receiver.url("behind/a/prefix/"),
        receiver.url("api/v2/alerts"),
    );
    let mut world = World::new(&notify, secrets(&[("token", "t0ken")])).await;
    world.command(Verb::Pause).await;
    world.advance(SignedDuration::from_mins(10));
    assert_eq!(world.pass().await, 2);
    let mut arrived = receiver.arrived();
    arrived.sort_by(|a, b| b.path.cmp(&a.path));
    assert_eq!(arrived[0].path, "/behind/a/prefix/api/v2/alerts");
    assert_eq!(arrived[0].header("authorization"), "Bearer t0ken");
    assert_eq!(arrived[1].path, "/api/v2/alerts");
    assert!(!arrived[1].headers.contains_key("authorization"));
    let validator = jsonschema::validator_for(&postable_alerts()).unwrap();
    for arrived in &arrived {
        let body = arrived.json();
        assert_eq!(
            validator
                .iter_errors(&body)
                .map(|error| error.to_string())
                .collect::<Vec<_>>(),
            [""; 0]
        );
    }
    let alert = &arrived[1].json()[0];
    assert_eq!(alert["labels"]["severity"], "warning");
    assert_eq!(alert["labels"]["event"], "paused");
    assert_eq!(alert["startsAt"], "2026-03-01T12:00:00Z");
    // It stands for an hour from when it was delivered, however late that is.
    assert_eq!(alert["endsAt"], "2026-03-01T13:10:00Z");
}

/// `postableAlerts` of Alertmanager's `api/v2/openapi.yaml`; names of labels as `model.LabelName` has them.
fn postable_alerts() -> serde_json::Value {
    let labels = json!({
        "type": "object",
        "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
        "additionalProperties": {"type": "string"},
    });
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["labels"],
            "properties": {
                "labels": {"allOf": [labels, {"minProperties": 1}]},
                "annotations": labels,
                "startsAt": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?Z$"},
                "endsAt": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?Z$"},
                "generatorURL": {"type": "string", "format": "uri"},
            },
            "additionalProperties": false,
        },
    })
}

/// The part of Slack's message that is used, with the limits of its reference.
fn slack_schema() -> serde_json::Value {
    let words = json!({
        "type": "object",
        "required": ["type", "text"],
        "properties": {"type": {"const": "mrkdwn"}, "text": {"type": "string", "minLength": 1, "maxLength": 3000}},
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "required": ["text"],
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 40000},
            "blocks": {
                "type": "array",
                "maxItems": 50,
                "items": {"oneOf": [
                    {
                        "required": ["type", "text"],
                        "properties": {"type": {"const": "section"}, "text": words},
                        "additionalProperties": false,
                    },
                    {
                        "required": ["type", "elements"],
                        "properties": {
                            "type": {"const": "context"},
                            "elements": {"type": "array", "minItems": 1, "maxItems": 10, "items": words},
                        },
                        "additionalProperties": false,
                    },
                ]},
            },
        },
        "additionalProperties": false,
    })
}

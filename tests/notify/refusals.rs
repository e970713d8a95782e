//! Receivers that do not take what they are sent, and what becomes of it.

use crate::receiver::{Answer, Receiver};
use crate::world::{SECRET, World, failed, secrets};
use jiff::SignedDuration;
use serin::controller::{Board, PolicyStatus, Trouble};
use serin::rollout::{NoticeOutcome, Verb};
use std::sync::Arc;

fn everything(receiver: &Receiver) -> String {
    format!(
        "    - {{webhook: \"{}\", on: [started, paused, rolledBack]}}\n",
        receiver.url("hook")
    )
}

fn kinds(receiver: &Receiver) -> Vec<String> {
    let arrived = receiver.arrived();
    let kind = |json: serde_json::Value| json["type"].as_str().unwrap().to_owned();
    arrived.iter().map(|arrived| kind(arrived.json())).collect()
}

#[tokio::test]
async fn a_refused_one_is_tried_again_and_holds_back_those_after_it() {
    let receiver = Receiver::start().await;
    receiver.answer(&[Answer::Status(500), Answer::Hang, Answer::Status(500)]);
    let mut world = World::new(&everything(&receiver), secrets(&[])).await;
    world.command(Verb::Pause).await;
    for (wait, error) in [
        (0, "the receiver answered 500 Internal Server Error"),
        (2, "no answer in time"),
        (3, "the receiver answered 500 Internal Server Error"),
    ] {
        world.advance(SignedDuration::from_secs(wait));
        assert_eq!(world.pass().await, 0);
        let (on, outcome) = world.outcomes().await.pop().unwrap();
        assert_eq!((on, outcome), ("started", failed(error)));
        // Until its time has come, nobody is asked again.
        assert_eq!(world.pass().await, 0);
        assert_eq!(kinds(&receiver), ["rollout.started"]);
    }
    world.advance(SignedDuration::from_secs(6));
    assert_eq!(world.pass().await, 1);
    assert_eq!(world.pass().await, 1);
    assert_eq!(kinds(&receiver), ["rollout.started", "rollout.paused"]);
    assert_eq!(world.pass().await, 0);
    let outcomes = world.outcomes().await;
    assert_eq!(
        outcomes[3..],
        [
            ("started", NoticeOutcome::Delivered),
            ("paused", NoticeOutcome::Delivered)
        ]
    );
}

#[tokio::test]
async fn a_receiver_is_left_alone_as_long_as_it_asks() {
    let receiver = Receiver::start().await;
    receiver.answer(&[
        Answer::RetryAfter(429, "120"),
        Answer::RetryAfter(503, "Sun, 01 Mar 2026 12:05:00 GMT"),
        Answer::RetryAfter(429, "100000000"),
    ]);
    let world = World::new(&everything(&receiver), secrets(&[])).await;
    // Each is asked for at the second before, and at the second itself.
    for (early, late) in [(119, 1), (179, 1), (3_599, 1)] {
        assert_eq!(world.pass().await, 0);
        assert_eq!(kinds(&receiver).len(), 1);
        world.advance(SignedDuration::from_secs(early));
        assert_eq!(world.pass().await, 0);
        assert_eq!(kinds(&receiver).len(), 0, "after {early} s");
        world.advance(SignedDuration::from_secs(late));
    }
    assert_eq!(world.pass().await, 1);
}

#[tokio::test]
async fn what_was_not_taken_is_sent_after_a_restart_under_the_same_id() {
    let receiver = Receiver::start().await;
    receiver.answer(&[Answer::Status(502)]);
    let mut world = World::new(&everything(&receiver), secrets(&[])).await;
    assert_eq!(world.pass().await, 0);
    let first = receiver.arrived().remove(0);
    world.command(Verb::RollBack).await;
    let world = world.restarted(secrets(&[]));
    world.advance(SignedDuration::from_secs(2));
    assert_eq!(world.pass().await, 1);
    assert_eq!(world.pass().await, 1);
    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0].header("webhook-id"), first.header("webhook-id"));
    assert_eq!(arrived[0].body, first.body);
    assert_eq!(arrived[1].json()["type"], "rollout.rolledBack");
    assert_ne!(arrived[1].header("webhook-id"), first.header("webhook-id"));
}

#[tokio::test]
async fn a_receiver_that_is_gone_and_news_of_yesterday_are_given_up() {
    let receiver = Receiver::start().await;
    receiver.answer(&[Answer::Status(410), Answer::Status(404), Answer::Status(404)]);
    let mut world = World::new(&everything(&receiver), secrets(&[])).await;
    world.command(Verb::Pause).await;
    assert_eq!(world.pass().await, 0);
    assert_eq!(world.pass().await, 0);
    world.advance(SignedDuration::from_hours(24));
    world.command(Verb::RollBack).await;
    assert_eq!(world.pass().await, 0);
    assert_eq!(world.pass().await, 1);
    let given_up = |error: &str| NoticeOutcome::GivenUp {
        error: error.to_owned(),
    };
    let not_found = "the receiver answered 404 Not Found";
    assert_eq!(
        world.outcomes().await,
        [
            ("started", given_up("the receiver answered 410 Gone")),
            ("paused", failed(not_found)),
            ("paused", given_up(not_found)),
            ("rolledBack", NoticeOutcome::Delivered),
        ]
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let receiver = Receiver::start().await;
    receiver.answer(&[Answer::Redirect]);
    let world = World::new(&everything(&receiver), secrets(&[])).await;
    assert_eq!(world.pass().await, 0);
    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].path, "/hook");
    assert_eq!(
        world.outcomes().await,
        [("started", failed("the receiver answered 302 Found"))]
    );
}

#[tokio::test]
async fn what_is_not_taken_shows_until_it_is() {
    let receiver = Receiver::start().await;
    let notify = format!(
        "    - {{webhook: \"{}\", secret: hooks, on: [started, paused]}}\n",
        receiver.url("hook")
    );
    let mut world = World::new(&notify, secrets(&[("other", SECRET)])).await;
    world.command(Verb::Pause).await;
    assert_eq!(world.pass().await, 0);
    assert!(receiver.arrived().is_empty(), "nothing is sent unsigned");
    let troubles = world.troubles();
    let expected = Trouble::Notices {
        policy: world.policy.name.clone(),
        waiting: 2,
        error: "there is no secret `hooks` in the server's settings, under `notify.secrets`".to_owned(),
    };
    assert_eq!(troubles, [expected]);
    let shown = shown(&world, troubles);
    for line in [
        r#"serin_notices_total{outcome="failed",policy="answer"} 1"#,
        r#"serin_notices_total{outcome="delivered",policy="answer"} 0"#,
        r#"serin_notices_waiting{policy="answer"} 2"#,
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} is not in\n{shown}"
        );
    }
    let world = world.restarted(secrets(&[("hooks", SECRET)]));
    world.advance(SignedDuration::from_secs(2));
    assert_eq!(world.pass().await, 1);
    assert_eq!(world.pass().await, 1);
    assert_eq!(world.troubles(), []);
    let told = self::shown(&world, Vec::new());
    assert!(
        told.contains("serin_notices_total{outcome=\"delivered\",policy=\"answer\"} 2"),
        "{told}"
    );
    assert!(
        told.contains("serin_notices_waiting{policy=\"answer\"} 0"),
        "{told}"
    );
}

/// `/metrics`, with the policy on the board.
fn shown(world: &World, troubles: Vec<Trouble>) -> String {
    let status = PolicyStatus {
        policy: Arc::clone(&world.policy),
        labels: None,
        registry_error: None,
        rollout: None,
        warnings: Vec::new(),
        removed: false,
    };
    let board = Board {
        policies: [(world.policy.name.clone(), Arc::new(status))].into(),
        troubles,
        ..Board::default()
    };
    world.telemetry.render(&board).unwrap()
}

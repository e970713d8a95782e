//! Label moves: what is sent, and what comes of every way in which it can go wrong.

use crate::server::{NAME, World, world};
use axum::http::Method;
use jiff::SignedDuration;
use serde_json::json;
use serin::registry::langfuse::LATE_MOVE_SECONDS_MAX;
use serin::registry::{MoveOutcome, Registry, RegistryError};
use serin::sim::langfuse::{Call, Fault, Writer};
use std::time::Duration;

/// How often Serin changed something, in truth.
fn changes(world: &World) -> usize {
    let journal = world.model.journal();
    journal
        .iter()
        .filter(|written| written.by != Writer::Person)
        .count()
}

#[tokio::test]
async fn a_move_reads_compares_and_adds_the_one_label() {
    let world = world().await;
    world.model.point(NAME, "staging", Some(2));
    assert_eq!(
        world.move_label("production", Some(1), 2).await,
        Ok(MoveOutcome::Moved)
    );
    assert_eq!(world.at("production"), Some(2));
    let seen = world.take_seen();
    let patches: Vec<_> = seen.iter().filter(|seen| seen.method == Method::PATCH).collect();
    assert_eq!(patches.len(), 1);
    assert_eq!(
        patches[0].uri,
        "/api/public/v2/prompts/support%2Forder%20status%3F/versions/2"
    );
    assert_eq!(patches[0].body, json!({"newLabels": ["production"]}));
    assert!(seen.iter().all(|seen| seen.method != Method::DELETE));
    // Labels that others hold are left alone: the version keeps them, and so do other versions.
    let held = ["canary", "staging", "latest"].map(|name| world.at(name));
    assert_eq!(held, [Some(2), Some(2), Some(3)]);
}

#[tokio::test]
async fn a_label_is_parked_and_never_deleted() {
    let world = world().await;
    assert_eq!(
        world.move_label("canary", Some(2), 1).await,
        Ok(MoveOutcome::Moved)
    );
    assert_eq!((world.at("canary"), world.at("production")), (Some(1), Some(1)));
    assert_eq!(
        world.model.label(NAME, "latest"),
        Some(3),
        "all versions are still there"
    );
}

#[tokio::test]
async fn a_move_sent_again_changes_nothing() {
    let world = world().await;
    assert_eq!(
        world.move_label("production", Some(1), 2).await,
        Ok(MoveOutcome::Moved)
    );
    for _ in 0..2 {
        assert_eq!(
            world.move_label("production", Some(1), 2).await,
            Ok(MoveOutcome::InPlace)
        );
    }
    assert_eq!(changes(&world), 1);
}

#[tokio::test]
async fn a_label_that_is_elsewhere_is_left_there() {
    let world = world().await;
    world.model.point(NAME, "production", Some(3));
    world.model.point(NAME, "canary", None);
    let elsewhere = |found: Option<u32>| {
        Ok(MoveOutcome::Elsewhere {
            found: found.map(crate::server::version),
        })
    };
    assert_eq!(
        world.move_label("production", Some(1), 2).await,
        elsewhere(Some(3))
    );
    assert_eq!(world.move_label("canary", Some(2), 1).await, elsewhere(None));
    assert_eq!(world.move_label("production", None, 2).await, elsewhere(Some(3)));
    assert_eq!(changes(&world), 0);
}

#[tokio::test]
async fn a_label_that_does_not_exist_yet_is_made() {
    let world = world().await;
    assert_eq!(world.move_label("beta", None, 2).await, Ok(MoveOutcome::Moved));
    assert_eq!(world.at("beta"), Some(2));
}

#[tokio::test]
async fn a_version_that_is_not_there_is_not_found_and_nothing_is_sent() {
    let world = world().await;
    let words = format!("prompt `{NAME}` has no version 9");
    let moved = world.move_label("production", Some(1), 9).await;
    assert_eq!(moved, Err(RegistryError::NotFound(words)));
    assert!(world.take_seen().iter().all(|seen| seen.method == Method::GET));
}

#[tokio::test]
async fn a_lost_answer_is_found_out_by_reading() {
    for fault in [Fault::LostReply, Fault::StatusAfter(502), Fault::StatusAfter(504)] {
        let world = world().await;
        world.model.inject(Call::Change, fault.clone());
        let moved = world.move_label("production", Some(1), 2).await;
        assert_eq!(moved, Ok(MoveOutcome::Moved), "{fault:?}");
        assert_eq!(changes(&world), 1);
    }
}

#[tokio::test]
async fn a_move_that_did_not_arrive_is_unavailable_and_may_be_sent_again() {
    for fault in [
        Fault::Lost,
        Fault::Status(503),
        Fault::Status(409),
        Fault::Status(422),
    ] {
        let world = world().await;
        world.model.inject(Call::Change, fault.clone());
        let moved = world.move_label("production", Some(1), 2).await;
        assert!(
            matches!(moved, Err(RegistryError::Unavailable(_))),
            "{fault:?}: {moved:?}"
        );
        assert_eq!(world.at("production"), Some(1));
        assert_eq!(
            world.move_label("production", Some(1), 2).await,
            Ok(MoveOutcome::Moved)
        );
    }
}

#[tokio::test]
async fn a_refused_move_says_so() {
    for status in [400, 401, 403] {
        let world = world().await;
        world.model.inject(Call::Change, Fault::Status(status));
        let moved = world.move_label("production", Some(1), 2).await;
        assert!(
            matches!(moved, Err(RegistryError::Refused(_))),
            "{status}: {moved:?}"
        );
    }
}

#[tokio::test]
async fn a_late_move_is_unavailable_until_it_is_there() {
    let world = world().await;
    let late = i64::try_from(LATE_MOVE_SECONDS_MAX).unwrap();
    world.model.inject(Call::Change, Fault::Late(late - 1));
    let moved = world.move_label("production", Some(1), 2).await;
    assert!(matches!(moved, Err(RegistryError::Unavailable(_))), "{moved:?}");
    assert_eq!(world.at("production"), Some(1));
    world.clock.advance(SignedDuration::from_secs(late));
    assert_eq!(
        world.move_label("production", Some(1), 2).await,
        Ok(MoveOutcome::InPlace)
    );
    assert_eq!(
        world.registry.late_moves_within(),
        Duration::from_secs(LATE_MOVE_SECONDS_MAX)
    );
}

#[tokio::test]
async fn somebody_between_the_read_and_the_move_is_seen_by_whoever_reads_back() {
    let world = world().await;
    let fault = Fault::PersonFirst {
        label: "production".to_owned(),
        to: Some(3),
    };
    world.model.inject(Call::Change, fault);
    // Langfuse has no compare-and-set: the move overruns the person's, and the journal tells both.
    assert_eq!(
        world.move_label("production", Some(1), 2).await,
        Ok(MoveOutcome::Moved)
    );
    let journal = world.model.journal();
    let [.., person, serin] = journal.as_slice() else {
        panic!("{journal:?}");
    };
    assert_eq!((person.by, person.to), (Writer::Person, Some(3)));
    assert_eq!((serin.from, serin.to), (Some(3), Some(2)));
}

#[tokio::test]
async fn one_move_makes_two_webhooks() {
    let world = world().await;
    world.model.take_events();
    world.move_label("production", Some(1), 2).await.unwrap();
    let events = world.model.take_events();
    let told: Vec<_> = events.iter().map(|event| &event["prompt"]["version"]).collect();
    assert_eq!(told, [&json!(1), &json!(2)]);
}

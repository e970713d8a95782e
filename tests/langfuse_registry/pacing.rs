//! Limits: Langfuse's own, and the budget of the settings.

use crate::server::{World, world, world_with};
use jiff::SignedDuration;
use serin::registry::langfuse::Manner;
use serin::registry::langfuse::pace::RETRY_AFTER_SECONDS_MAX;
use serin::registry::{Freshness, MoveOutcome, RegistryError};
use serin::sim::langfuse::{Call, Fault};
use std::time::Duration;

fn words<T: std::fmt::Debug>(answer: Result<T, RegistryError>) -> String {
    match answer {
        Err(RegistryError::Unavailable(words)) => words,
        other => panic!("{other:?}"),
    }
}

fn advance(world: &World, seconds: i64) {
    world.clock.advance(SignedDuration::from_secs(seconds));
}

#[tokio::test]
async fn after_a_429_nothing_is_asked_for_as_long_as_it_says() {
    let world = world().await;
    world.model.inject(Call::Change, Fault::RateLimited(12));
    let limited = words(world.move_label("production", Some(1), 2).await);
    assert_eq!(
        limited,
        "it answered 429, `Rate limit exceeded`: it asks to be left alone for a while"
    );
    let before = world.model.requests();
    advance(&world, 11);
    let waits = "it asked to be left alone for 1 s more (429)";
    assert_eq!(words(world.move_label("production", Some(1), 2).await), waits);
    assert_eq!(words(world.labels(Freshness::Now).await), waits);
    assert_eq!(world.model.requests(), before);
    advance(&world, 1);
    assert_eq!(
        world.move_label("production", Some(1), 2).await,
        Ok(MoveOutcome::Moved)
    );
}

#[tokio::test]
async fn a_wait_of_a_day_is_asked_about_again_sooner() {
    let world = world().await;
    world.model.inject(Call::Read, Fault::RateLimited(86_400));
    words(world.labels(Freshness::Now).await);
    advance(&world, RETRY_AFTER_SECONDS_MAX);
    assert!(world.labels(Freshness::Now).await.is_ok());
}

#[tokio::test]
async fn looks_leave_room_for_moves_in_the_budget() {
    let manner = Manner {
        requests_per_minute: 120,
        look_every: Duration::ZERO,
        ..Manner::default()
    };
    let world = world_with(manner).await;
    let mut looks = 0;
    while world.labels(Freshness::Polled).await.is_ok() {
        looks += 1;
    }
    assert!((7..=8).contains(&looks), "{looks} looks of two requests");
    let spent = words(world.labels(Freshness::Polled).await);
    assert_eq!(spent, "its budget of 120 requests a minute is spent");
    assert_eq!(
        world.move_label("production", Some(1), 2).await,
        Ok(MoveOutcome::Moved)
    );
    advance(&world, 10);
    assert!(world.labels(Freshness::Polled).await.is_ok());
}

#[tokio::test]
async fn after_silence_looks_rest_and_a_move_is_tried_all_the_same() {
    let world = world().await;
    world.model.set_away(true);
    assert_eq!(
        words(world.labels(Freshness::Polled).await),
        "no answer within 0.5 s"
    );
    let before = world.model.requests();
    assert_eq!(
        words(world.labels(Freshness::Polled).await),
        "no answer within 0.5 s; asked again in 5 s"
    );
    assert_eq!(world.model.requests(), before);
    world.model.set_away(false);
    assert_eq!(
        world.move_label("production", Some(1), 2).await,
        Ok(MoveOutcome::Moved)
    );
    assert!(world.labels(Freshness::Polled).await.is_ok());
}

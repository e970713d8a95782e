//! The controller's loop, with a real clock and nothing else that is real.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serin::clock::Clock;
use serin::controller::book::PolicyBook;
use serin::controller::{CommandError, Controller, ControllerHandle, Parts, StartRequest, channel};
use serin::ids::{Actor, Justification, PolicyName};
use serin::store::Store;
use serin::store::sqlite::SqliteStore;
use serin::telemetry::Telemetry;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How many ask at once, again and again.
const ASKERS: usize = 16;

/// After so long a loop that does not tick is stuck; one that does needs a second.
const STUCK: Duration = Duration::from_secs(60);

async fn ask_for_ever(handle: ControllerHandle) {
    let start = StartRequest {
        policy: PolicyName::new("nobody").unwrap(),
        candidate: None,
        actor: Actor::serin(),
        reason: Justification::new("to be in the way").unwrap(),
    };
    while let Err(CommandError::UnknownPolicy(_)) = handle.start(start.clone()).await {}
}

#[tokio::test]
async fn a_flood_of_requests_does_not_keep_the_tick_from_coming() {
    let clock = Clock::System;
    let store = Arc::new(SqliteStore::in_memory(clock.clone()).unwrap());
    let (handle, side) = channel();
    let parts = Parts {
        secret: store.secret().await.unwrap(),
        store,
        registries: BTreeMap::new(),
        book: PolicyBook::of_policies([]),
        clock,
        telemetry: Arc::new(Telemetry::new().unwrap()),
        side,
    };
    let controller = Controller::resume(parts).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(controller.run(stopped));
    let askers: Vec<_> = (0..ASKERS)
        .map(|_| tokio::spawn(ask_for_ever(handle.clone())))
        .collect();
    let ticks = async {
        let mut changes = handle.changes();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            changes.changed().await.unwrap();
            let ticked_at = handle.board().ticked_at;
            if ticked_at.is_some() && seen.last() != Some(&ticked_at) {
                seen.push(ticked_at);
            }
        }
    };
    let ticked = tokio::time::timeout(STUCK, ticks).await;
    assert!(
        ticked.is_ok(),
        "the controller answered requests and never ticked"
    );
    stop.send(()).unwrap();
    running.await.unwrap();
    for asker in askers {
        asker.await.unwrap();
    }
}

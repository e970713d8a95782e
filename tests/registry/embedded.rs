//! The embedded registry over a store.

use crate::suite::{World, a_move, anna, because, label, prompt, why};
use async_trait::async_trait;
use jiff::Timestamp;
use serin::clock::{Clock, ManualClock};
use serin::ids::{Label, PromptName, Version};
use serin::prompt::{Draft, Evaluation, LabelChange, LabelRequest, PromptStore};
use serin::registry::embedded::Embedded;
use serin::registry::{Freshness, MoveOutcome, Registry, RegistryError};
use serin::sim::faults::hazards::Hazards;
use serin::sim::faults::registry::HazardousRegistry;
use serin::store::sqlite::SqliteStore;
use std::sync::Arc;

/// A store in memory, and the registry over it.
pub(crate) struct Stored {
    store: Arc<SqliteStore>,
    registry: Embedded,
}

#[async_trait]
impl World for Stored {
    async fn new() -> Self {
        let clock = Clock::Manual(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        let store = Arc::new(SqliteStore::in_memory(clock).unwrap());
        let registry = Embedded::new(store.clone());
        Self { store, registry }
    }

    fn registry(&self) -> &dyn Registry {
        &self.registry
    }

    async fn create_version(&self, draft: Draft) {
        self.store
            .create_version(&prompt(), draft, anna(), Vec::new())
            .await
            .unwrap();
    }

    async fn anna_moves(&self, label: &Label, to: Option<Version>) {
        let request = LabelRequest {
            prompt: prompt(),
            label: label.clone(),
            expect: None,
            to,
            actor: anna(),
            reason: because("to see"),
            rollout: None,
            may_move_protected: true,
        };
        self.store.change_label(request).await.unwrap();
    }

    async fn record_evaluation(&self, version: Version, evaluation: Evaluation) {
        self.store
            .record_evaluation(&prompt(), version, evaluation)
            .await
            .unwrap();
    }

    async fn journal(&self) -> Vec<LabelChange> {
        let mut journal = self.store.history(&prompt(), None, 1_000).await.unwrap();
        journal.reverse();
        journal
    }
}

#[tokio::test]
async fn serin_moves_protected_labels() {
    let world = crate::suite::world::<Stored>().await;
    world
        .store
        .protect_label(&prompt(), &label("production"), true)
        .await
        .unwrap();
    let moved = world
        .registry
        .move_label(&a_move("production", Some(1), 2), &why())
        .await;
    assert_eq!(moved, Ok(MoveOutcome::Moved));
}

#[tokio::test]
async fn what_is_polled_is_what_is_read() {
    let world = crate::suite::world::<Stored>().await;
    let wanted = [label("production"), label("canary")];
    let ask = async |freshness| world.registry.labels(&prompt(), &wanted, freshness).await;
    let (first, second) = (Version::new(1).ok(), Version::new(2).ok());
    let moves = [
        ("canary", first),
        ("production", second),
        ("elsewhere", first),
        ("canary", None),
        ("production", None),
        ("elsewhere", None),
    ];
    world.registry.before_polling().await;
    for (name, to) in moves {
        let before = ask(Freshness::Now).await;
        world.anna_moves(&label(name), to).await;
        assert_eq!(
            ask(Freshness::Polled).await,
            before,
            "{name} was polled before the round"
        );
        world.registry.before_polling().await;
        let now = ask(Freshness::Now).await;
        assert_eq!(ask(Freshness::Polled).await, now, "{name}");
        assert_eq!(before != now, name != "elsewhere");
    }
    let unknown = PromptName::new("nobody").unwrap();
    let polled = world.registry.labels(&unknown, &wanted, Freshness::Polled).await;
    assert_eq!(
        polled,
        world.registry.labels(&unknown, &wanted, Freshness::Now).await
    );
    assert!(matches!(polled, Err(RegistryError::NotFound(_))));
}

#[tokio::test]
async fn hazards_let_through_that_labels_are_about_to_be_polled() {
    let world = crate::suite::world::<Stored>().await;
    let behind: Arc<dyn Registry> = Arc::new(world.registry.clone());
    let registry = HazardousRegistry::new(behind, Arc::<Hazards>::default());
    let wanted = [label("canary")];
    let polled = async || {
        let labels = registry.labels(&prompt(), &wanted, Freshness::Polled).await;
        labels.unwrap()[&wanted[0]].version.get()
    };
    registry.before_polling().await;
    world.anna_moves(&wanted[0], Version::new(3).ok()).await;
    assert_eq!(polled().await, 2, "what was announced is answered from memory");
    registry.before_polling().await;
    assert_eq!(polled().await, 3);
}

#[tokio::test]
async fn more_prompts_than_are_wanted_are_not_told() {
    let world = crate::suite::world::<Stored>().await;
    world.anna_moves(&label("canary"), Version::new(1).ok()).await;
    let moved = world.store.moved_since(0, 1).await.unwrap().unwrap();
    assert_eq!(moved.labels.keys().collect::<Vec<_>>(), [&prompt()]);
    assert_eq!(world.store.moved_since(0, 0).await.unwrap(), None);
    let nothing = world.store.moved_since(moved.newest, 0).await.unwrap().unwrap();
    assert_eq!((nothing.newest, nothing.labels.len()), (moved.newest, 0));
}

//! The embedded registry over a store.

use crate::suite::{World, a_move, anna, because, label, prompt, why};
use async_trait::async_trait;
use jiff::Timestamp;
use serin::clock::{Clock, ManualClock};
use serin::ids::{Label, Version};
use serin::prompt::{Draft, Evaluation, LabelChange, LabelRequest, PromptStore};
use serin::registry::embedded::Embedded;
use serin::registry::{MoveOutcome, Registry};
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

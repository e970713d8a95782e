//! The controller's loop, with a real clock and nothing else that is real.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serin::clock::{Clock, ManualClock};
use serin::controller::book::PolicyBook;
use serin::controller::{CommandError, Controller, ControllerHandle, Parts, StartRequest, channel};
use serin::ids::{Actor, Justification, Label, PolicyName, PromptName, RegistryName, Version};
use serin::policy::check::check;
use serin::prompt::parents::Compositions;
use serin::prompt::{Draft, Evaluation, LabelRequest, PromptStore, PromptVersion, Template};
use serin::registry::embedded::Embedded;
use serin::registry::{Freshness, LabelState, MoveOutcome, MoveReason, Moved, Registry, RegistryError};
use serin::rollout::LabelMove;
use serin::store::Store;
use serin::store::sqlite::SqliteStore;
use serin::telemetry::Telemetry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Serin's own registry, and how often it was asked for labels.
struct Counted {
    registry: Embedded,
    asked: AtomicUsize,
}

#[async_trait]
impl Registry for Counted {
    async fn labels(
        &self,
        prompt: &PromptName,
        wanted: &[Label],
        freshness: Freshness,
    ) -> Result<BTreeMap<Label, LabelState>, RegistryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.registry.labels(prompt, wanted, freshness).await
    }

    async fn before_polling(&self) -> Moved {
        self.registry.before_polling().await
    }

    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, RegistryError> {
        self.registry.version(prompt, version).await
    }

    async fn evaluations(
        &self,
        prompt: &PromptName,
        version: Version,
    ) -> Result<Vec<Evaluation>, RegistryError> {
        self.registry.evaluations(prompt, version).await
    }

    async fn compositions(&self) -> Result<Arc<Compositions>, RegistryError> {
        self.registry.compositions().await
    }

    async fn move_label(
        &self,
        label_move: &LabelMove,
        why: &MoveReason,
    ) -> Result<MoveOutcome, RegistryError> {
        self.registry.move_label(label_move, why).await
    }
}

/// A controller of idle policies, driven by hand.
struct Idle {
    store: Arc<SqliteStore>,
    registry: Arc<Counted>,
    clock: ManualClock,
    controller: Controller,
    handle: ControllerHandle,
}

impl Idle {
    /// Policies of these names for prompts of the same, looked at every five seconds; it is a multiple of that.
    async fn new(names: &[&str]) -> Self {
        let clock = ManualClock::starting_at(Timestamp::from_second(1_000).unwrap());
        let store = Arc::new(SqliteStore::in_memory(Clock::Manual(clock.clone())).unwrap());
        let registry = Arc::new(Counted {
            registry: Embedded::new(store.clone()),
            asked: AtomicUsize::new(0),
        });
        let policies = names.iter().map(|name| {
            let text = format!(
                "apiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {{name: {name}}}\nspec:\n  prompt: {name}\n  \
                 steps: [{{exposure: 50%, bake: 1h}}, {{exposure: 100%, bake: 1h}}]\n  analysis: {{every: 5s}}\n  \
                 metrics: [{{name: errors, kind: rate, better: lower, margin: 1pp}}]\n"
            );
            check(name, &text).unwrap().policy
        });
        let (handle, side) = channel();
        let parts = Parts {
            secret: store.secret().await.unwrap(),
            store: store.clone(),
            registries: BTreeMap::from([(
                RegistryName::new("embedded").unwrap(),
                registry.clone() as Arc<dyn Registry>,
            )]),
            book: PolicyBook::of_policies(policies.collect::<Vec<_>>()),
            clock: Clock::Manual(clock.clone()),
            telemetry: Arc::new(Telemetry::new().unwrap()),
            side,
        };
        let controller = Controller::resume(parts).await.unwrap();
        let mut idle = Self {
            store,
            registry,
            clock,
            controller,
            handle,
        };
        for name in names {
            idle.add_versions(name).await;
        }
        idle.tick(10).await;
        idle
    }

    /// Two versions, the first of which is stable.
    async fn add_versions(&mut self, name: &str) {
        let prompt = PromptName::new(name).unwrap();
        for text in ["one", "two"] {
            let draft = Draft {
                template: Template::Text(text.into()),
                semantic_version: None,
                reason: Justification::new("to see").unwrap(),
                config: serde_json::Map::new(),
                owner: None,
                tags: BTreeSet::new(),
            };
            let made = self
                .store
                .create_version(&prompt, draft, Actor::serin(), Vec::new());
            made.await.unwrap();
        }
        self.point(name, "production", 1).await;
    }

    async fn point(&self, name: &str, label: &str, to: u32) {
        let request = LabelRequest {
            prompt: PromptName::new(name).unwrap(),
            label: Label::new(label).unwrap(),
            expect: None,
            to: Version::new(to).ok(),
            actor: Actor::serin(),
            reason: Justification::new("to see").unwrap(),
            rollout: None,
            may_move_protected: true,
        };
        self.store.change_label(request).await.unwrap();
    }

    async fn tick(&mut self, seconds: usize) {
        for _ in 0..seconds {
            self.clock.advance(SignedDuration::from_secs(1));
            self.controller.tick().await;
        }
    }

    /// How often the registry was asked for labels meanwhile.
    async fn asked_in(&mut self, seconds: usize) -> usize {
        let before = self.registry.asked.load(Ordering::SeqCst);
        self.tick(seconds).await;
        self.registry.asked.load(Ordering::SeqCst) - before
    }

    fn is_running(&self, name: &str) -> bool {
        self.handle.board().policies[name].rollout.is_some()
    }
}

#[tokio::test]
async fn idle_policies_are_not_looked_at_until_a_label_of_theirs_moves() {
    let mut idle = Idle::new(&["greeting", "farewell"]).await;
    assert_eq!(idle.asked_in(60).await, 0);
    // A label that is nobody's, and one of another prompt.
    idle.add_versions("elsewhere").await;
    assert_eq!(idle.asked_in(10).await, 0);
    idle.point("greeting", "canary", 1).await;
    assert_eq!(idle.asked_in(10).await, 1);
    idle.point("greeting", "canary", 2).await;
    idle.tick(5).await;
    assert!(idle.is_running("greeting") && !idle.is_running("farewell"));
    assert!(idle.asked_in(10).await >= 2, "a rollout that runs is looked at");
}

#[tokio::test]
async fn whoever_rested_is_looked_at_when_it_would_have_been() {
    for wait in 0..10 {
        let mut idle = Idle::new(&["greeting"]).await;
        // Beginnings of five seconds are at 1010, 1015, 1020, …; a tick looks at what is there before it.
        idle.tick(wait).await;
        idle.point("greeting", "canary", 2).await;
        let mut second = 1_010 + wait;
        while !idle.is_running("greeting") {
            idle.tick(1).await;
            second += 1;
        }
        assert_eq!(second, (1_010 + wait) / 5 * 5 + 5, "after {wait} s");
    }
}

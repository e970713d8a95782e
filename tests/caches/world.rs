//! A controller with a registry of Serin's own and one of somebody else's, and keepers of caches.

use crate::model::Model;
use jiff::SignedDuration;
use serin::caches::{Keeper, Manner, Parts, Reach, Redis, Then};
use serin::clock::{Clock, ManualClock};
use serin::controller::book::PolicyBook;
use serin::controller::{self, Controller, ControllerHandle, Request};
use serin::ids::{
    Actor, CacheName, Justification, KeyPattern, Label, PromptName, RegistryName, RolloutId, Version,
};
use serin::policy::check;
use serin::prompt::{Draft, LabelRequest, PromptStore, Template};
use serin::registry::Registry;
use serin::registry::embedded::Embedded;
use serin::registry::in_memory::InMemory;
use serin::rollout::{AuditEvent, Command, Verb, explain};
use serin::store::Store;
use serin::store::sqlite::SqliteStore;
use serin::telemetry::Telemetry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The prompts of both policies.
pub(crate) const OWN: &str = "greeting";
pub(crate) const THEIRS: &str = "order/status";

fn policy(name: &str, prompt: &str, registry: &str) -> String {
    format!(
        "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {{name: {name}}}
spec:
  prompt: {prompt}
  registry: {registry}
  labels: {{control: production, treatment: canary}}
  clients: {{cacheTtl: 60s, redisTtl: 300s}}
  steps: [{{exposure: 50%, bake: 1h}}, {{exposure: 100%, bake: 1h}}]
  analysis: {{every: 1s}}
  metrics: [{{name: errors, kind: rate, better: lower, margin: 1pp}}]
"
    )
}

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) theirs: Arc<InMemory>,
    pub(crate) handle: ControllerHandle,
    pub(crate) controller: Controller,
    pub(crate) telemetry: Arc<Telemetry>,
    parts: Parts,
}

impl World {
    /// Two versions of both prompts, both labels at the first.
    pub(crate) async fn new(keepers: &[(&str, &Model, Then)]) -> (Self, Vec<Keeper>) {
        let clock = ManualClock::starting_at("2026-03-02T09:00:00Z".parse().unwrap());
        let store = Arc::new(SqliteStore::in_memory(Clock::Manual(clock.clone())).unwrap());
        let theirs = Arc::new(InMemory::new(clock.clone()));
        for number in 1..=2 {
            let own = PromptName::new(OWN).unwrap();
            let created =
                PromptStore::create_version(store.as_ref(), &own, draft(number), Actor::serin(), Vec::new());
            created.await.unwrap();
            theirs.create_version(&PromptName::new(THEIRS).unwrap(), draft(number), Actor::serin());
        }
        let mut registries: BTreeMap<RegistryName, Arc<dyn Registry>> = BTreeMap::new();
        registries.insert(
            RegistryName::new("embedded").unwrap(),
            Arc::new(Embedded::new(Arc::clone(&store) as _)),
        );
        registries.insert(RegistryName::new("ours").unwrap(), Arc::clone(&theirs) as _);
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let (handle, side) = controller::channel();
        let policies = [policy("own", OWN, "embedded"), policy("theirs", THEIRS, "ours")];
        let policies = policies.map(|text| check::check("a.yaml", &text).unwrap().policy);
        let parts = Parts {
            store: Arc::clone(&store) as _,
            registries: registries.clone(),
            controller: handle.clone(),
            telemetry: Arc::clone(&telemetry),
            clock: Clock::Manual(clock.clone()),
        };
        let made = keepers
            .iter()
            .map(|(name, model, then)| keeper(name, model, *then, &parts));
        let made = made.collect();
        let controller = Controller::resume(controller::Parts {
            secret: store.secret().await.unwrap(),
            store: Arc::clone(&store) as _,
            registries,
            book: PolicyBook::of_policies(policies),
            clock: Clock::Manual(clock.clone()),
            telemetry: Arc::clone(&telemetry),
            side,
        });
        let controller = controller.await.unwrap();
        let mut world = Self {
            clock,
            store,
            theirs,
            handle,
            controller,
            telemetry,
            parts,
        };
        for label in ["production", "canary"] {
            world.move_own(label, Some(1)).await;
            world.move_theirs(label, 1);
        }
        world.pass(1).await;
        (world, made)
    }

    /// Another keeper of the same cache, as after a restart of the process.
    pub(crate) fn keeper(&self, name: &str, model: &Model, then: Then) -> Keeper {
        keeper(name, model, then, &self.parts)
    }

    /// Has a person take a rollout back.
    pub(crate) async fn roll_back(&mut self, rollout: u64) {
        let (reply, answer) = oneshot::channel();
        let command = Command {
            verb: Verb::RollBack,
            actor: Actor::new("ann").unwrap(),
            reason: Justification::new("worse").unwrap(),
            is_admin: false,
        };
        let request = Request::Command {
            rollout: RolloutId::new(rollout),
            command,
            reply,
        };
        self.controller.answer(request).await;
        answer.await.unwrap().unwrap();
    }

    /// Lets seconds pass, with a tick at the end of each.
    pub(crate) async fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.clock.advance(SignedDuration::from_secs(1));
            self.controller.tick().await;
        }
    }

    pub(crate) async fn move_own(&self, label: &str, to: Option<u32>) {
        let request = LabelRequest {
            prompt: PromptName::new(OWN).unwrap(),
            label: Label::new(label).unwrap(),
            expect: None,
            to: to.map(|to| Version::new(to).unwrap()),
            actor: Actor::new("ann").unwrap(),
            reason: Justification::new("by hand").unwrap(),
            rollout: None,
            may_move_protected: true,
        };
        let changed = PromptStore::change_label(self.store.as_ref(), request);
        changed.await.unwrap();
    }

    /// A prompt of the embedded registry, with `production` on its one version.
    pub(crate) async fn compose(&self, name: &str, text: &str) {
        let name = PromptName::new(name).unwrap();
        let draft = Draft {
            template: Template::Text(text.into()),
            ..draft(1)
        };
        let store = self.store.as_ref();
        let created = PromptStore::create_version(store, &name, draft, Actor::serin(), Vec::new());
        let version = created.await.unwrap().version;
        let request = LabelRequest {
            prompt: name,
            label: Label::new("production").unwrap(),
            expect: None,
            to: Some(version),
            actor: Actor::serin(),
            reason: Justification::new("first").unwrap(),
            rollout: None,
            may_move_protected: true,
        };
        PromptStore::change_label(store, request).await.unwrap();
    }

    /// A prompt of the other registry, with `production` on its one version.
    pub(crate) fn compose_theirs(&self, name: &str, text: &str) {
        let name = PromptName::new(name).unwrap();
        let draft = Draft {
            template: Template::Text(text.into()),
            ..draft(1)
        };
        let version = self.theirs.create_version(&name, draft, Actor::serin()).version;
        let moved = self.theirs.move_label_as(
            Actor::serin(),
            Justification::new("first").unwrap(),
            &name,
            &Label::new("production").unwrap(),
            Some(version),
        );
        moved.unwrap();
    }

    pub(crate) fn move_theirs(&self, label: &str, to: u32) {
        let moved = self.theirs.move_label_as(
            Actor::new("ann").unwrap(),
            Justification::new("by hand").unwrap(),
            &PromptName::new(THEIRS).unwrap(),
            &Label::new(label).unwrap(),
            Version::new(to).ok(),
        );
        moved.unwrap();
    }

    /// What the history of the policy's rollout says of caches.
    pub(crate) async fn history(&self, policy: &str) -> Vec<String> {
        let board = self.handle.board();
        let rollout = board.policies[policy].rollout.as_ref().unwrap().state.id;
        let records = self.store.audit(rollout, None, 1_000).await.unwrap();
        let of_caches = records
            .iter()
            .filter(|record| matches!(record.event, AuditEvent::Cache { .. }));
        of_caches.map(|record| explain::event(&record.event)).collect()
    }

    /// The lines of telemetry about caches.
    pub(crate) fn series(&self) -> Vec<String> {
        let text = self.telemetry.render(&self.handle.board()).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("serin_cache_"));
        lines.map(str::to_owned).collect()
    }
}

fn keeper(name: &str, model: &Model, then: Then, parts: &Parts) -> Keeper {
    let reach = Reach {
        url: model.url.clone(),
        username: None,
        password: Some("deep".to_owned()),
        timeout: Duration::from_millis(200),
    };
    let manner = Manner {
        pattern: KeyPattern::new("prompt:{name}:{label}").unwrap(),
        then,
        sweep: SignedDuration::from_secs(90),
    };
    let redis = Redis::new(&reach).unwrap();
    Keeper::new(CacheName::new(name).unwrap(), redis, manner, parts.clone())
}

fn draft(number: u32) -> Draft {
    Draft {
        template: Template::Text(format!("Answer {number}: {{{{question}}}}").into()),
        semantic_version: None,
        reason: Justification::new("a better answer").unwrap(),
        config: serde_json::Map::new(),
        owner: None,
        tags: BTreeSet::new(),
    }
}

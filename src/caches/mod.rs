//! Caches of applications that follow labels: a Redis in which they keep prompts by name and label.
//!
//! A label that moved, by whosever hand, leaves the old version in them until it expires. A [`Keeper`] for
//! each cache clears the keys of labels that moved: at once, and again until what applications keep in
//! their processes has expired, because they put that back. What is left to do is in the store, so that it
//! survives the process. Nothing waits for a cache, and no label move depends on one.

mod pace;
mod redis;
mod value;

pub use self::redis::{Reach, Redis, RedisError};

use self::redis::Errand;
use crate::clock::Clock;
use crate::controller::{Board, CacheStatus, ControllerHandle, PolicyStatus};
use crate::ids::{CacheName, KeyPattern, Label, PromptName, RegistryName, RolloutId, Version};
use crate::registry::{Registry, RegistryError};
use crate::rollout::{AuditEvent, CacheOutcome};
use crate::store::{Clearing, SeenLabel, Store, StoreError};
use crate::telemetry::Telemetry;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at what has moved, beside those when the board changes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Labels whose keys are cleared at once; the rest follows with the next look.
const CLEARINGS_AT_ONCE_MAX: usize = 500;
/// Prompts that take in a label whose keys are cleared with it; those of further ones expire.
const PARENTS_AT_ONCE_MAX: usize = 500;
/// How long after its end a move still belongs to a rollout.
const AFTERWARDS: SignedDuration = SignedDuration::from_secs(60);

/// What becomes of the keys of a label that moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// They are deleted, and applications read the prompt anew.
    Delete,
    /// Those that exist get the new version as Langfuse's API would show it, and keep their time to live.
    Rewrite,
}

/// How a cache is kept.
#[derive(Debug, Clone)]
pub struct Manner {
    /// How its keys are named.
    pub pattern: KeyPattern,
    /// What becomes of them.
    pub then: Then,
    /// How long after a move they are cleared again and again.
    pub sweep: SignedDuration,
}

/// What a keeper works with.
#[derive(Clone)]
pub struct Parts {
    /// Where moves are read, and what is left to do is kept.
    pub store: Arc<dyn Store>,
    /// By name; they give the versions that keys are rewritten with.
    pub registries: BTreeMap<RegistryName, Arc<dyn Registry>>,
    /// Shows where labels are, and how far the cache has followed.
    pub controller: ControllerHandle,
    /// Counts clearings.
    pub telemetry: Arc<Telemetry>,
    /// The time.
    pub clock: Clock,
}

/// Has one cache follow the labels.
pub struct Keeper {
    cache: CacheName,
    redis: Redis,
    manner: Manner,
    parts: Parts,
    /// Where labels of other registries than the embedded one were last noted.
    noted: BTreeMap<(RegistryName, PromptName, Label), Option<Version>>,
}

impl Keeper {
    /// A keeper, which shows its cache from now on.
    pub fn new(cache: CacheName, redis: Redis, manner: Manner, parts: Parts) -> Self {
        let keeper = Self {
            cache,
            redis,
            manner,
            parts,
            noted: BTreeMap::new(),
        };
        keeper.show(&[]);
        keeper
    }

    /// Follows until the controller or the store has ended.
    pub async fn run(mut self) {
        let mut changes = self.parts.controller.changes();
        loop {
            match self.follow().await {
                Ok(()) => {}
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::warn!(cache = %self.cache, error = error.chain(), "a cache cannot follow without the store");
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Clears what is due now.
    ///
    /// # Errors
    ///
    /// When the store fails; what was not done is done with the next call.
    pub async fn follow(&mut self) -> Result<(), StoreError> {
        let board = self.parts.controller.board();
        let now = self.parts.clock.now();
        let news = self.news(&board);
        let store = &self.parts.store;
        let mut under_way = store
            .follow_labels(&self.cache, now, news.clone(), CLEARINGS_AT_ONCE_MAX)
            .await?;
        self.noted.extend(news.into_iter().map(noted));
        let sweep = self.manner.sweep;
        let due: Vec<&mut Clearing> = under_way
            .iter_mut()
            .filter(|clearing| pace::due_at(clearing, sweep) <= now)
            .collect();
        if !due.is_empty() {
            let tried = self.clear(due, now).await;
            store.save_clearings(tried.clone()).await?;
            for clearing in &tried {
                self.tell(&board, clearing, now).await?;
            }
        }
        self.show(&under_way);
        Ok(())
    }

    /// Labels of other registries than Serin's own, which keeps a journal, that are not where they were.
    fn news(&self, board: &Board) -> Vec<SeenLabel> {
        let seen = board.policies.values().filter_map(|status| seen(status));
        let elsewhere = seen.flatten().filter(|seen| {
            let key = (seen.registry.clone(), seen.prompt.clone(), seen.label.clone());
            self.noted.get(&key) != Some(&seen.version)
        });
        elsewhere.collect()
    }

    /// Asks for all of them at once, and notes in each what came of it; gives those.
    async fn clear(&self, due: Vec<&mut Clearing>, now: Timestamp) -> Vec<Clearing> {
        let mut errands = Vec::new();
        let mut refused = BTreeMap::new();
        for (at, clearing) in due.iter().enumerate() {
            match self.errands(&clearing.label).await {
                Ok(of_label) => errands.extend(of_label.into_iter().map(|errand| (at, errand))),
                Err(error) => {
                    refused.insert(at, error.to_string());
                }
            }
        }
        let (places, errands): (Vec<usize>, Vec<Errand>) = errands.into_iter().unzip();
        let outcomes = self.redis.run(&errands).await;
        let mut came_of_it: BTreeMap<usize, Result<(), String>> = BTreeMap::new();
        for (at, outcome) in places.into_iter().zip(outcomes) {
            let so_far = came_of_it.entry(at).or_insert(Ok(()));
            // What failed once is done again, all of it.
            if so_far.is_ok() {
                *so_far = outcome;
            }
        }
        came_of_it.extend(refused.into_iter().map(|(at, error)| (at, Err(error))));
        let mut tried = Vec::with_capacity(due.len());
        for (at, clearing) in due.into_iter().enumerate() {
            match came_of_it.remove(&at) {
                Some(Ok(())) => pace::cleared(clearing, now, self.manner.sweep),
                Some(Err(error)) => pace::failed(clearing, now, error),
                None => continue,
            }
            self.parts
                .telemetry
                .cache_cleared(&self.cache, clearing.error.is_none());
            tried.push(clearing.clone());
        }
        tried
    }

    /// What to ask for: its own key, and those of prompts that take it in. The store notes the latter
    /// itself for the embedded registry, whose journal it has.
    async fn errands(&self, seen: &SeenLabel) -> Result<Vec<Errand>, RegistryError> {
        let mut errands = vec![self.errand(seen).await?];
        let registry = self.parts.registries.get(&seen.registry);
        if let Some(registry) = registry.filter(|_| seen.registry.as_str() != RegistryName::EMBEDDED) {
            let moved = BTreeSet::from([(seen.prompt.clone(), seen.label.clone())]);
            let parents = registry.compositions().await?.parents(&moved).into_keys();
            let keys =
                parents.map(|(prompt, label)| self.manner.pattern.key(&seen.registry, &prompt, &label));
            let parents = keys.map(|key| Errand::Delete { key });
            errands.extend(parents.take(PARENTS_AT_ONCE_MAX));
        }
        Ok(errands)
    }

    async fn errand(&self, seen: &SeenLabel) -> Result<Errand, RegistryError> {
        let key = self.manner.pattern.key(&seen.registry, &seen.prompt, &seen.label);
        let registry = self.parts.registries.get(&seen.registry);
        let (Then::Rewrite, Some(version), Some(registry)) = (self.manner.then, seen.version, registry)
        else {
            return Ok(Errand::Delete { key });
        };
        let version = registry.version(&seen.prompt, version).await?;
        Ok(match value::of(&version, &seen.label) {
            Some(value) => Errand::Rewrite { key, value },
            None => Errand::Delete { key },
        })
    }

    /// Logs what is news, and puts it into the history of the rollout that it belongs to.
    async fn tell(&self, board: &Board, clearing: &Clearing, now: Timestamp) -> Result<(), StoreError> {
        let SeenLabel {
            prompt,
            label,
            version,
            ..
        } = &clearing.label;
        let outcome = match &clearing.error {
            None if clearing.passes == 1 => {
                tracing::info!(cache = %self.cache, prompt.name = %prompt, %label, "cache cleared");
                CacheOutcome::Cleared
            }
            None => return Ok(()),
            Some(error) => {
                // A cache that is away for days does not fill the history.
                if !clearing.failures.is_power_of_two() {
                    return Ok(());
                }
                tracing::warn!(cache = %self.cache, prompt.name = %prompt, %label, error, "cache not cleared; it is tried again");
                CacheOutcome::Failed { error: error.clone() }
            }
        };
        let event = AuditEvent::Cache {
            cache: self.cache.clone(),
            label: label.clone(),
            version: *version,
            outcome,
        };
        for rollout in concerned(board, clearing) {
            self.parts.store.record_event(now, rollout, event.clone()).await?;
        }
        Ok(())
    }

    fn show(&self, under_way: &[Clearing]) {
        let uncleared = || {
            under_way
                .iter()
                .filter(|clearing| clearing.passes == 0 || clearing.failures > 0)
        };
        let status = CacheStatus {
            sweep: self.manner.sweep,
            uncleared: uncleared().count(),
            oldest: uncleared().map(|clearing| clearing.moved_at).min(),
            error: uncleared().find_map(|clearing| clearing.error.clone()),
        };
        self.parts.controller.show_cache(&self.cache, &status);
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper")
            .field("cache", &self.cache)
            .field("manner", &self.manner)
            .finish_non_exhaustive()
    }
}

fn noted(seen: SeenLabel) -> ((RegistryName, PromptName, Label), Option<Version>) {
    ((seen.registry, seen.prompt, seen.label), seen.version)
}

/// Where both labels of a policy were last seen; nothing for those of the embedded registry.
fn seen(status: &PolicyStatus) -> Option<[SeenLabel; 2]> {
    let policy = match status.rollout.as_deref() {
        Some(rollout) if !rollout.state.phase.is_over() => &rollout.policy,
        Some(_) | None => &status.policy,
    };
    if policy.registry.as_str() == RegistryName::EMBEDDED {
        return None;
    }
    let labels = status.labels.as_ref()?;
    let seen = |label: &Label, version| SeenLabel {
        registry: policy.registry.clone(),
        prompt: policy.prompt.clone(),
        label: label.clone(),
        version,
    };
    Some([
        seen(&policy.labels.control, labels.control.version),
        seen(&policy.labels.treatment, labels.treatment.version),
    ])
}

/// The rollouts that guard the label, and those that had just ended when it moved.
fn concerned(board: &Board, clearing: &Clearing) -> Vec<RolloutId> {
    let rollouts = board
        .policies
        .values()
        .filter_map(|status| status.rollout.as_deref());
    let guards = rollouts.filter(|rollout| {
        let (policy, seen) = (&rollout.policy, &clearing.label);
        policy.registry == seen.registry
            && policy.prompt == seen.prompt
            && [&policy.labels.control, &policy.labels.treatment].contains(&&seen.label)
    });
    let timely = guards.filter(|rollout| {
        let ended = rollout.state.entered_at.saturating_add(AFTERWARDS);
        !rollout.state.phase.is_over() || ended.is_ok_and(|ended| clearing.moved_at <= ended)
    });
    timely.map(|rollout| rollout.state.id).collect()
}

//! Policies that rest: nothing can come of looking at them until somebody tells of a change.
//!
//! A policy without a running rollout is looked at for one thing, a candidate at its treatment label. Where the
//! registry tells what has moved, that need not be looked for, so that thousands of idle policies cost a tick
//! nothing. What wakes a policy leaves everything else as if it had been looked at all the while.

use super::Controller;
use super::execute::REGISTRY_CALL_SECONDS_MAX;
use crate::ids::{PolicyName, PromptName, RegistryName, Tick};
use crate::registry::Moved;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// Who rests.
#[derive(Debug, Default)]
pub(super) struct Resting {
    policies: HashSet<PolicyName>,
    /// The policies in force of each prompt.
    of_prompt: HashMap<RegistryName, HashMap<PromptName, Vec<PolicyName>>>,
    /// Registries that told of everything that moved since they were asked before.
    telling: BTreeSet<RegistryName>,
    /// The last tick in which it was seen who is due.
    through: Option<Tick>,
}

impl Controller {
    /// Asks registries that tell what has moved, and wakes the policies of those prompts; one that does not
    /// answer is polled all the same.
    pub(super) async fn hear_of_moves(&mut self, registries: &BTreeSet<RegistryName>) {
        for name in registries {
            let Some(registry) = self.registries.get(name) else {
                continue;
            };
            let limit = Duration::from_secs(REGISTRY_CALL_SECONDS_MAX);
            let asked = tokio::time::timeout(limit, registry.before_polling()).await;
            match asked.unwrap_or(Moved::Unknown) {
                Moved::Unknown => {
                    self.resting.telling.remove(name);
                    self.wake_all();
                }
                Moved::Only(prompts) => {
                    self.resting.telling.insert(name.clone());
                    let known = self.resting.of_prompt.get(name);
                    let policies = prompts.iter().filter_map(|prompt| known?.get(prompt)).flatten();
                    for policy in policies.cloned().collect::<Vec<_>>() {
                        self.wake(&policy);
                    }
                }
            }
        }
    }

    /// Policies to look at in `tick`: those that do not rest, and whose `every` has passed.
    pub(super) async fn due(&mut self, tick: Tick) -> Vec<PolicyName> {
        if !self.resting.policies.is_empty() {
            let telling = self.resting.telling.clone();
            self.hear_of_moves(&telling).await;
        }
        self.resting.through = Some(tick);
        let known = self.policies.keys().chain(self.rollouts.keys());
        let awake = known.filter(|name| !self.resting.policies.contains(*name));
        let awake: BTreeSet<&PolicyName> = awake.collect();
        awake
            .into_iter()
            .filter(|name| self.is_due(name, tick))
            .cloned()
            .collect()
    }

    /// Lets those of `looked_at` rest of whom nothing is to be expected.
    pub(super) fn rest(&mut self, looked_at: &[PolicyName]) {
        for name in looked_at {
            if self.may_rest(name) {
                self.resting.policies.insert(name.clone());
            }
        }
    }

    fn may_rest(&self, name: &PolicyName) -> bool {
        if self.is_running(name) || self.nudged.contains(name) {
            return false;
        }
        let Some(policy) = self.policies.get(name) else {
            // Its rollout is over, and its file is gone.
            return true;
        };
        let is_told = self.resting.telling.contains(&policy.registry);
        let labels = self.fresh_labels(name).filter(|_| is_told);
        labels.is_some_and(|labels| {
            let contest = labels.control.version.zip(labels.treatment.version);
            contest.is_none_or(|(stable, candidate)| stable == candidate)
        })
    }

    /// Has a policy looked at when it is due the next time.
    pub(super) fn wake(&mut self, name: &PolicyName) {
        if self.resting.policies.remove(name)
            && let (Some(through), Some(looked_at)) = (self.resting.through, self.looked_at.get_mut(name))
        {
            *looked_at = through;
        }
    }

    /// Likewise every policy.
    pub(super) fn wake_all(&mut self) {
        let resting = std::mem::take(&mut self.resting.policies);
        if let (Some(through), false) = (self.resting.through, resting.is_empty()) {
            let looked_at = self.looked_at.iter_mut();
            for (_, looked_at) in looked_at.filter(|(name, _)| resting.contains(*name)) {
                *looked_at = through;
            }
        }
    }

    /// Takes other policies into account: any of them may have other labels now.
    pub(super) fn wake_for_policies(&mut self) {
        self.wake_all();
        self.resting.of_prompt.clear();
        for (name, policy) in &self.policies {
            let of_registry = self.resting.of_prompt.entry(policy.registry.clone()).or_default();
            let of_prompt = of_registry.entry(policy.prompt.clone()).or_default();
            of_prompt.push(name.clone());
        }
    }
}

//! Prompts that take in what a policy steers: they change for all of their users when a label moves.

use super::Controller;
use super::execute::REGISTRY_CALL_SECONDS_MAX;
use crate::ids::{Label, PolicyName, RegistryName};
use crate::policy::Policy;
use crate::policy::lint::taken_in;
use crate::policy::problem::Problem;
use crate::prompt::parents::{Compositions, Gap, Place};
use crate::rollout::explain::parents::sentence;
use crate::rollout::{Effect, Parents};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at what takes in other prompts, in seconds; a label move looks anew.
const LOOK_EVERY_SECONDS: i64 = 10;

/// Most warnings at once; label moves tell of the prompts that further ones would be about.
const WARNINGS_MAX: usize = 1_000;

/// What is known of the prompts that take in others.
#[derive(Debug, Default)]
pub(super) struct Composed {
    known: BTreeMap<RegistryName, Arc<Compositions>>,
    looked_at: Option<Timestamp>,
    warnings: BTreeMap<PolicyName, Vec<Problem>>,
}

impl Composed {
    /// What a policy is to be warned of.
    pub(super) fn warnings_of(&self, policy: &PolicyName) -> Vec<Problem> {
        self.warnings.get(policy).cloned().unwrap_or_default()
    }
}

impl Controller {
    /// Looks at what takes in other prompts, when it is time to.
    pub(super) async fn look_at_compositions(&mut self, now: Timestamp) {
        let lately = SignedDuration::ZERO..SignedDuration::from_secs(LOOK_EVERY_SECONDS);
        let looked_at = self.composed.looked_at;
        if looked_at.is_some_and(|looked| lately.contains(&now.duration_since(looked))) {
            return;
        }
        self.composed.looked_at = Some(now);
        let used: BTreeSet<&RegistryName> = self.policies.values().map(|policy| &policy.registry).collect();
        let used: Vec<RegistryName> = used.into_iter().cloned().collect();
        let mut is_changed = false;
        for registry in used {
            is_changed |= self.look_at_composition(&registry).await;
        }
        if is_changed {
            self.warn_of_parents();
        }
    }

    /// Asks a registry what takes in others; whether that is news. What is known stays when it does not
    /// answer, with its words as the reason why there may be others.
    async fn look_at_composition(&mut self, name: &RegistryName) -> bool {
        let Some(registry) = self.registries.get(name) else {
            return false;
        };
        let limit = Duration::from_secs(REGISTRY_CALL_SECONDS_MAX);
        let answer = tokio::time::timeout(limit, registry.compositions()).await;
        let why = match answer {
            Ok(Ok(all)) => {
                let before = self.composed.known.insert(name.clone(), Arc::clone(&all));
                return before.is_none_or(|before| before != all);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {REGISTRY_CALL_SECONDS_MAX} s"),
        };
        let known = self.composed.known.entry(name.clone()).or_default();
        let gap = Some(Gap::Unread(why));
        let is_news = known.gap != gap;
        if is_news {
            Arc::make_mut(known).gap = gap;
        }
        is_news
    }

    /// Says of every policy in force what changes with its labels besides its own prompt.
    pub(super) fn warn_of_parents(&mut self) {
        let mut told: Vec<(&Policy, &Label, String)> = Vec::new();
        for (registry, all) in &self.composed.known {
            let is_limited = matches!(all.gap, Some(Gap::Limit(_)));
            let taken = all.taken_in();
            for policy in self
                .policies
                .values()
                .filter(|policy| policy.registry == *registry)
            {
                for label in [&policy.labels.control, &policy.labels.treatment] {
                    let place = (policy.prompt.clone(), label.clone());
                    if !is_limited && !taken.contains(&place) {
                        continue;
                    }
                    let parents = parents(all, &place);
                    told.extend(sentence(label, &parents).map(|words| (policy.as_ref(), label, words)));
                }
            }
        }
        told.truncate(WARNINGS_MAX);
        let files = match told.is_empty() {
            true => BTreeMap::new(),
            false => self.book.files(),
        };
        let mut warnings: BTreeMap<PolicyName, Vec<Problem>> = BTreeMap::new();
        for (policy, label, words) in told {
            let file = files.get(&policy.name).map(|file| file.to_string_lossy());
            let problem = taken_in(&file.unwrap_or_default(), policy, label, words);
            warnings.entry(policy.name.clone()).or_default().push(problem);
        }
        let before = std::mem::replace(&mut self.composed.warnings, warnings);
        let names = before.keys().chain(self.composed.warnings.keys());
        let changed = names.filter(|name| before.get(*name) != self.composed.warnings.get(*name));
        self.touched.extend(changed.cloned());
    }

    /// What is wrong with the files, and what registries show to be unwise about them.
    pub(super) fn problems(&self) -> Arc<[Problem]> {
        let of_files = self.book.problems();
        if self.composed.warnings.is_empty() {
            return Arc::clone(of_files);
        }
        let warnings = self.composed.warnings.values().flatten();
        of_files.iter().chain(warnings).cloned().collect()
    }

    /// Names in label moves what else they change, as the registry knows it now.
    pub(super) async fn name_parents(&mut self, policy: &Policy, effects: &mut [Effect]) {
        if !effects
            .iter()
            .any(|effect| matches!(effect, Effect::MoveLabel(_)))
        {
            return;
        }
        if self.look_at_composition(&policy.registry).await {
            self.warn_of_parents();
        }
        let Some(all) = self.composed.known.get(&policy.registry) else {
            return;
        };
        for effect in effects {
            match effect {
                Effect::MoveLabel(label_move) => {
                    let place = (label_move.prompt.clone(), label_move.label.clone());
                    label_move.parents = parents(all, &place);
                }
                Effect::Notify(_) => {}
            }
        }
    }
}

fn parents(all: &Compositions, place: &Place) -> Parents {
    let found = all.parents(&BTreeSet::from([place.clone()])).into_keys();
    Parents::new(found, all.gap.as_ref().map(Gap::words))
}

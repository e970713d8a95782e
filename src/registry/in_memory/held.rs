//! What the model holds of one prompt.

use crate::ids::{Actor, Generation, Label, PromptName, RolloutId, Version};
use crate::prompt::labels::{self, ChangeOutcome, LabelFacts};
use crate::prompt::{Draft, LabelChange, LabelRequest, PromptError, PromptVersion};
use crate::registry::LabelState;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Versions and journal of one prompt; there is at least one version.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Version 1 first.
    versions: Vec<PromptVersion>,
    /// Oldest first.
    journal: Vec<LabelChange>,
    /// The highest generation of each rollout that asked for a move and was not refused.
    fences: BTreeMap<RolloutId, Generation>,
}

impl Held {
    pub(super) fn create_version(
        &mut self,
        prompt: &PromptName,
        draft: Draft,
        author: Actor,
        now: Timestamp,
    ) -> PromptVersion {
        let version = PromptVersion {
            prompt: prompt.clone(),
            version: self
                .versions
                .last()
                .map_or(Version::FIRST, |newest| newest.version.next()),
            created_at: now,
            author,
            draft,
            evaluations: Vec::new(),
        };
        self.versions.push(version.clone());
        version
    }

    pub(super) fn version(
        &self,
        prompt: &PromptName,
        version: Version,
    ) -> Result<&PromptVersion, PromptError> {
        let found = self.versions.iter().find(|held| held.version == version);
        found.ok_or_else(|| unknown(prompt, version))
    }

    pub(super) fn version_mut(
        &mut self,
        prompt: &PromptName,
        version: Version,
    ) -> Result<&mut PromptVersion, PromptError> {
        let found = self.versions.iter_mut().find(|held| held.version == version);
        found.ok_or_else(|| unknown(prompt, version))
    }

    pub(super) fn versions(&self) -> &[PromptVersion] {
        &self.versions
    }

    pub(super) fn journal(&self) -> &[LabelChange] {
        &self.journal
    }

    /// The newest entry of a label.
    pub(super) fn last(&self, label: &Label) -> Option<&LabelChange> {
        self.journal.iter().rev().find(|entry| entry.label == *label)
    }

    pub(super) fn labels(&self) -> BTreeMap<Label, LabelState> {
        let mut labels = BTreeMap::new();
        for entry in &self.journal {
            match entry.to {
                Some(version) => {
                    let by = Some(entry.actor.clone());
                    labels.insert(entry.label.clone(), LabelState { version, by });
                }
                None => {
                    labels.remove(&entry.label);
                }
            }
        }
        labels
    }

    /// One arrival of a request; whether it moved the label.
    pub(super) fn change(&mut self, request: LabelRequest, now: Timestamp) -> Result<bool, PromptError> {
        let outcome = labels::change(self.facts(&request)?, &request)?;
        if let Some((rollout, generation)) = request.rollout {
            let fence = self.fences.entry(rollout).or_insert(generation);
            *fence = generation.max(*fence);
        }
        match outcome {
            ChangeOutcome::InPlace(_) => Ok(false),
            ChangeOutcome::Write { from } => {
                let sequence = self.journal.last().map_or(1, |last| last.sequence + 1);
                self.journal.push(request.into_change(sequence, from, now));
                Ok(true)
            }
        }
    }

    /// What the rule for labels wants to know.
    fn facts(&self, request: &LabelRequest) -> Result<LabelFacts, PromptError> {
        let newest = self.versions.last().map(|newest| newest.version);
        let of_label = || self.journal.iter().filter(|entry| entry.label == request.label);
        let is_this_move = |entry: &LabelChange| (entry.rollout, entry.to) == (request.rollout, request.to);
        Ok(LabelFacts {
            newest: newest.ok_or_else(|| PromptError::UnknownPrompt(request.prompt.clone()))?,
            withdrawn: false,
            protected: false,
            last: of_label().next_back().cloned(),
            seen: request
                .rollout
                .and_then(|(rollout, _)| self.fences.get(&rollout).copied()),
            newest_rollout: of_label()
                .filter_map(|entry| entry.rollout)
                .map(|(rollout, _)| rollout)
                .max(),
            done: request.rollout.is_some() && of_label().any(is_this_move),
        })
    }
}

fn unknown(prompt: &PromptName, version: Version) -> PromptError {
    PromptError::UnknownVersion {
        prompt: prompt.clone(),
        version,
    }
}

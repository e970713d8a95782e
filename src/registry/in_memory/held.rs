//! What the model holds of one prompt.

use crate::ids::{Actor, Label, PromptName, Version};
use crate::prompt::labels::LabelFacts;
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

    /// What [`labels::change`](crate::prompt::labels::change) wants to know.
    pub(super) fn facts(&self, request: &LabelRequest) -> Result<LabelFacts, PromptError> {
        let newest = self
            .versions
            .last()
            .ok_or_else(|| PromptError::UnknownPrompt(request.prompt.clone()))?;
        let asker = request.rollout.map(|(rollout, _)| rollout);
        let moves = || {
            self.journal
                .iter()
                .filter_map(|entry| Some((&entry.label, entry.rollout?)))
        };
        let of_asker = moves().filter(|(_, (rollout, _))| Some(*rollout) == asker);
        let of_label = moves().filter(|(label, _)| **label == request.label);
        let is_this_move = |entry: &LabelChange| {
            (&entry.label, entry.rollout, entry.to) == (&request.label, request.rollout, request.to)
        };
        Ok(LabelFacts {
            newest: newest.version,
            protected: false,
            last: self.last(&request.label).cloned(),
            seen: of_asker.map(|(_, (_, generation))| generation).max(),
            newest_rollout: of_label.map(|(_, (rollout, _))| rollout).max(),
            done: request.rollout.is_some() && self.journal.iter().any(is_this_move),
        })
    }

    pub(super) fn write(&mut self, request: LabelRequest, from: Option<Version>, now: Timestamp) {
        let sequence = self.journal.last().map_or(1, |last| last.sequence + 1);
        self.journal.push(request.into_change(sequence, from, now));
    }
}

fn unknown(prompt: &PromptName, version: Version) -> PromptError {
    PromptError::UnknownVersion {
        prompt: prompt.clone(),
        version,
    }
}

//! Serin's own registry: the prompts in the server's store.

use super::{Freshness, LabelState, MoveOutcome, MoveReason, Registry, RegistryError, request_for};
use crate::ids::{Actor, Label, PromptName, Version};
use crate::prompt::{Evaluation, PromptError, PromptStore, PromptVersion};
use crate::rollout::LabelMove;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries of the journal that are read at once to learn who moved a label.
const HISTORY_PAGE_ENTRIES: usize = 64;
/// Pages that are read at most; who moved a label longer ago is not told.
const HISTORY_PAGES_MAX: usize = 8;

/// The registry that keeps its prompts in a [`PromptStore`].
///
/// Its moves are fenced by the journal: an older generation, or an older rollout, is refused. It
/// moves protected labels too, because it speaks for Serin.
#[derive(Clone)]
pub struct Embedded {
    prompts: Arc<dyn PromptStore>,
}

impl Embedded {
    /// The registry over `prompts`.
    pub fn new(prompts: Arc<dyn PromptStore>) -> Self {
        Self { prompts }
    }

    /// Who moved each of `labels` to where it points, as far as the journal's newest pages tell.
    async fn movers(
        &self,
        prompt: &PromptName,
        labels: &BTreeMap<Label, Version>,
    ) -> Result<BTreeMap<Label, Actor>, PromptError> {
        let mut movers = BTreeMap::new();
        let mut before = None;
        for _ in 0..HISTORY_PAGES_MAX {
            if movers.len() == labels.len() {
                break;
            }
            let page = self.prompts.history(prompt, before, HISTORY_PAGE_ENTRIES).await?;
            let Some(oldest) = page.last() else {
                break;
            };
            before = Some(oldest.sequence);
            for entry in page {
                // Labels may have moved since they were read: only the move that led there counts.
                if entry.to.is_some() && labels.get(&entry.label) == entry.to.as_ref() {
                    movers.entry(entry.label).or_insert(entry.actor);
                }
            }
        }
        Ok(movers)
    }
}

#[async_trait]
impl Registry for Embedded {
    async fn labels(
        &self,
        prompt: &PromptName,
        wanted: &[Label],
        _: Freshness,
    ) -> Result<BTreeMap<Label, LabelState>, RegistryError> {
        let mut labels = self.prompts.prompt(prompt).await?.labels;
        labels.retain(|label, _| wanted.contains(label));
        let mut movers = self.movers(prompt, &labels).await?;
        let states = labels.into_iter().map(|(label, version)| {
            let by = movers.remove(&label);
            (label, LabelState { version, by })
        });
        Ok(states.collect())
    }

    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, RegistryError> {
        Ok(self.prompts.version(prompt, version).await?)
    }

    async fn evaluations(
        &self,
        prompt: &PromptName,
        version: Version,
    ) -> Result<Vec<Evaluation>, RegistryError> {
        Ok(self.prompts.version(prompt, version).await?.evaluations)
    }

    async fn move_label(
        &self,
        label_move: &LabelMove,
        why: &MoveReason,
    ) -> Result<MoveOutcome, RegistryError> {
        let labels = self.prompts.prompt(&label_move.prompt).await?.labels;
        let was_in_place = labels.get(&label_move.label) == Some(&label_move.to);
        // Asked even when nothing is to be moved: a stale request must hear that it is stale.
        match self.prompts.change_label(request_for(label_move, why)).await {
            Ok(_) if was_in_place => Ok(MoveOutcome::InPlace),
            Ok(_) => Ok(MoveOutcome::Moved),
            Err(PromptError::LabelElsewhere { found, .. }) => Ok(MoveOutcome::Elsewhere { found }),
            Err(error) => Err(error.into()),
        }
    }
}

//! Serin's own registry: the prompts in the server's store.

use super::{Freshness, LabelState, MoveOutcome, MoveReason, Moved, Registry, RegistryError, request_for};
use crate::ids::{Actor, Label, PromptName, Version};
use crate::prompt::parents::Compositions;
use crate::prompt::{self, Evaluation, PromptError, PromptStore, PromptVersion};
use crate::rollout::LabelMove;
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Entries of the journal that are read at once to learn who moved a label.
const HISTORY_PAGE_ENTRIES: usize = 64;
/// Pages that are read at most; who moved a label longer ago is not told.
const HISTORY_PAGES_MAX: usize = 8;
/// Prompts whose labels are remembered between two polls; where there are more, each is read by itself.
const PROMPTS_REMEMBERED_MAX: usize = 100_000;

/// The registry that keeps its prompts in a [`PromptStore`].
///
/// Its moves are fenced by the journal: an older generation, or an older rollout, is refused. It
/// moves protected labels too, because it speaks for Serin.
#[derive(Clone)]
pub struct Embedded {
    prompts: Arc<dyn PromptStore>,
    /// None while it is not known, or there are too many prompts.
    remembered: Arc<Mutex<Option<Remembered>>>,
    /// What was composed at the journals' entry of that number; it changes with them alone.
    composed: Arc<Mutex<Composed>>,
}

/// What was composed at an entry of the journals; none while that was never read.
type Composed = Option<(u64, Arc<Compositions>)>;

/// Every label of every prompt, as the journals had it when labels were last about to be polled.
#[derive(Default)]
struct Remembered {
    /// The journals' newest entry.
    newest: u64,
    labels: HashMap<PromptName, BTreeMap<Label, LabelState>>,
}

impl Remembered {
    fn learn(&mut self, moved: prompt::Moved) {
        self.newest = moved.newest;
        for (prompt, labels) in moved.labels {
            let states = labels.into_iter().map(|(label, (version, actor))| {
                let by = Some(actor);
                (label, LabelState { version, by })
            });
            self.labels.insert(prompt, states.collect());
        }
    }
}

impl Embedded {
    /// The registry over `prompts`.
    pub fn new(prompts: Arc<dyn PromptStore>) -> Self {
        Self {
            prompts,
            remembered: Arc::default(),
            composed: Arc::default(),
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Option<Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn composed(&self) -> MutexGuard<'_, Composed> {
        self.composed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of a prompt's labels; none where they must be read.
    fn recall(
        &self,
        prompt: &PromptName,
        wanted: &[Label],
    ) -> Option<Result<BTreeMap<Label, LabelState>, RegistryError>> {
        let remembered = self.remembered();
        let Some(labels) = remembered.as_ref()?.labels.get(prompt) else {
            return Some(Err(PromptError::UnknownPrompt(prompt.clone()).into()));
        };
        let held = labels.iter().filter(|(label, _)| wanted.contains(label));
        Some(Ok(held
            .map(|(label, state)| (label.clone(), state.clone()))
            .collect()))
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
        freshness: Freshness,
    ) -> Result<BTreeMap<Label, LabelState>, RegistryError> {
        if freshness == Freshness::Polled
            && let Some(labels) = self.recall(prompt, wanted)
        {
            return labels;
        }
        let mut labels = self.prompts.prompt(prompt).await?.labels;
        labels.retain(|label, _| wanted.contains(label));
        let mut movers = self.movers(prompt, &labels).await?;
        let states = labels.into_iter().map(|(label, version)| {
            let by = movers.remove(&label);
            (label, LabelState { version, by })
        });
        Ok(states.collect())
    }

    /// One question to the store, instead of two for each prompt.
    async fn before_polling(&self) -> Moved {
        let after = self.remembered().as_ref().map_or(0, |known| known.newest);
        let moved = self.prompts.moved_since(after, PROMPTS_REMEMBERED_MAX).await;
        let mut remembered = self.remembered();
        let Ok(Some(moved)) = moved else {
            // Each prompt is read by itself then, and tells by itself what is wrong.
            *remembered = None;
            return Moved::Unknown;
        };
        let known = remembered.get_or_insert_default();
        // Another round may have learned more meanwhile.
        if known.newest != after {
            return Moved::Unknown;
        }
        let prompts = moved.labels.keys().cloned().collect();
        known.learn(moved);
        if known.labels.len() > PROMPTS_REMEMBERED_MAX {
            *remembered = None;
            return Moved::Unknown;
        }
        Moved::Only(prompts)
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

    async fn compositions(&self) -> Result<Arc<Compositions>, RegistryError> {
        let known = self.composed().clone();
        let newer = self
            .prompts
            .compositions(known.as_ref().map(|(newest, _)| *newest))
            .await?;
        match (newer, known) {
            (None, Some((_, known))) => Ok(known),
            (None, None) => Ok(Arc::default()),
            (Some((newest, all)), _) => {
                let all = Arc::new(all);
                *self.composed() = Some((newest, Arc::clone(&all)));
                Ok(all)
            }
        }
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

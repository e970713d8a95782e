//! A registry whose calls pass through hazards, and which remembers every label that really moved.

use super::hazards::{Hazards, RegistryFault};
use crate::controller::ControllerHandle;
use crate::ids::{Actor, Exposure, Generation, Label, PromptName, RolloutId, Version};
use crate::prompt::{Evaluation, PromptVersion};
use crate::registry::{LabelState, MoveOutcome, MoveReason, Registry, RegistryError};
use crate::rollout::LabelMove;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longer than anybody waits for a reply.
const SLOW: Duration = Duration::from_secs(3600);

/// A label that moved.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// The prompt.
    pub prompt: PromptName,
    /// The label.
    pub label: Label,
    /// Where it pointed.
    pub from: Option<Version>,
    /// Where it points.
    pub to: Option<Version>,
    /// Who moved it.
    pub mover: Mover,
}

/// Who moved a label.
#[derive(Debug, Clone, PartialEq)]
pub enum Mover {
    /// Serin.
    Serin {
        /// On behalf of this rollout.
        rollout: RolloutId,
        /// In this generation of it.
        generation: Generation,
        /// Largest exposure that users of the prompt were assigned under at that moment.
        exposure: Exposure,
    },
    /// Somebody else.
    Stranger(Actor),
}

/// A registry that fails as its hazards say, and is the registry behind it otherwise.
pub struct HazardousRegistry {
    behind: Arc<dyn Registry>,
    hazards: Arc<Hazards>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    journal: Vec<JournalEntry>,
    /// Requests that are still on their way although nobody waits for their replies.
    late: Vec<(LabelMove, MoveReason)>,
    /// Shows what users are assigned.
    witness: Option<ControllerHandle>,
}

impl std::fmt::Debug for HazardousRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HazardousRegistry")
            .field("hazards", &self.hazards)
            .finish_non_exhaustive()
    }
}

impl HazardousRegistry {
    /// Puts `hazards` in front of `behind`.
    pub fn new(behind: Arc<dyn Registry>, hazards: Arc<Hazards>) -> Self {
        Self {
            behind,
            hazards,
            memory: Mutex::default(),
        }
    }

    /// Has moves note what users are assigned by the controller behind `handle`.
    pub fn witness(&self, handle: ControllerHandle) {
        self.memory().witness = Some(handle);
    }

    /// Notes a move that was made behind the hazards.
    pub fn note(&self, entry: JournalEntry) {
        self.memory().journal.push(entry);
    }

    /// Every move so far, oldest first.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.memory().journal.clone()
    }

    /// Delivers the requests that were slow; their senders have long given up.
    pub async fn deliver_late(&self) {
        let late = std::mem::take(&mut self.memory().late);
        for (label_move, why) in late {
            // Whatever comes of it, nobody hears of it.
            let _: Result<MoveOutcome, RegistryError> = self.deliver(&label_move, &why).await;
        }
    }

    async fn deliver(&self, label_move: &LabelMove, why: &MoveReason) -> Result<MoveOutcome, RegistryError> {
        let from = self.version_of(label_move).await?;
        let outcome = self.behind.move_label(label_move, why).await?;
        let to = self.version_of(label_move).await?;
        if from != to {
            let mover = Mover::Serin {
                rollout: label_move.rollout,
                generation: label_move.generation,
                exposure: self.exposure_of(&label_move.prompt),
            };
            let (prompt, label) = (label_move.prompt.clone(), label_move.label.clone());
            self.note(JournalEntry {
                prompt,
                label,
                from,
                to,
                mover,
            });
        }
        Ok(outcome)
    }

    async fn version_of(&self, label_move: &LabelMove) -> Result<Option<Version>, RegistryError> {
        let labels = self.behind.labels(&label_move.prompt).await?;
        Ok(labels.get(&label_move.label).map(|state| state.version))
    }

    fn exposure_of(&self, prompt: &PromptName) -> Exposure {
        let Some(handle) = self.memory().witness.clone() else {
            return Exposure::NOBODY;
        };
        let snapshot = handle.snapshot();
        let of_prompt = snapshot.routes().filter(|route| route.prompt == *prompt);
        let exposed = of_prompt.filter_map(|route| route.treatment.as_ref());
        exposed
            .map(|treatment| treatment.exposure)
            .max()
            .unwrap_or(Exposure::NOBODY)
    }

    /// The way to the registry.
    async fn reach(&self) -> Result<(), RegistryError> {
        self.hazards.point().await;
        if self.hazards.registry_is_away() {
            return Err(RegistryError::Unavailable(
                "connection refused (simulated)".to_owned(),
            ));
        }
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Registry for HazardousRegistry {
    async fn labels(&self, prompt: &PromptName) -> Result<BTreeMap<Label, LabelState>, RegistryError> {
        self.reach().await?;
        let answer = self.behind.labels(prompt).await;
        self.hazards.point().await;
        answer
    }

    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, RegistryError> {
        self.reach().await?;
        let answer = self.behind.version(prompt, version).await;
        self.hazards.point().await;
        answer
    }

    async fn evaluations(
        &self,
        prompt: &PromptName,
        version: Version,
    ) -> Result<Vec<Evaluation>, RegistryError> {
        self.reach().await?;
        let answer = self.behind.evaluations(prompt, version).await;
        self.hazards.point().await;
        answer
    }

    async fn move_label(
        &self,
        label_move: &LabelMove,
        why: &MoveReason,
    ) -> Result<MoveOutcome, RegistryError> {
        self.reach().await?;
        let fault = self.hazards.next_move_fault();
        if fault == Some(RegistryFault::SlowRequest) {
            self.memory().late.push((label_move.clone(), why.clone()));
            tokio::time::sleep(SLOW).await;
        }
        let answer = self.deliver(label_move, why).await;
        self.hazards.point().await;
        match fault {
            None => answer,
            Some(RegistryFault::Repeated) => self.deliver(label_move, why).await,
            Some(RegistryFault::LostReply) => Err(RegistryError::Unavailable(
                "the reply was lost (simulated)".to_owned(),
            )),
            Some(RegistryFault::SlowReply | RegistryFault::SlowRequest) => {
                tokio::time::sleep(SLOW).await;
                answer
            }
        }
    }
}

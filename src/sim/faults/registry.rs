//! A registry whose calls pass through hazards, and which notes what users were assigned at each move.

use super::hazards::{Hazards, Strike};
use crate::controller::ControllerHandle;
use crate::ids::{Actor, Exposure, Label, PromptName, Version};
use crate::prompt::parents::Compositions;
use crate::prompt::{Evaluation, PromptVersion};
use crate::registry::{Freshness, LabelState, MoveOutcome, MoveReason, Moved, Registry, RegistryError};
use crate::rollout::LabelMove;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Witnessed moves that wait to be taken; more are not noted.
const MOVES_MAX: usize = 1_024;

/// A registry that crashes its caller or keeps silent as its hazards say, and is the model behind it
/// otherwise; the model has faults of its own.
pub struct HazardousRegistry {
    behind: Mutex<Arc<dyn Registry>>,
    hazards: Arc<Hazards>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Shows what users are assigned.
    witness: Option<ControllerHandle>,
    moves: Vec<WitnessedMove>,
}

/// A label move that reached the registry, done or not.
#[derive(Debug, Clone, PartialEq)]
pub struct WitnessedMove {
    /// What was asked.
    pub label_move: LabelMove,
    /// Largest exposure that users of the prompt were assigned under at that moment.
    pub exposure: Exposure,
}

impl HazardousRegistry {
    /// Puts `hazards` in front of `behind`.
    pub fn new(behind: Arc<dyn Registry>, hazards: Arc<Hazards>) -> Self {
        Self {
            behind: Mutex::new(behind),
            hazards,
            memory: Mutex::default(),
        }
    }

    /// Puts another registry behind the hazards: what a client of one remembers dies with its process.
    pub fn replace(&self, behind: Arc<dyn Registry>) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = behind;
    }

    fn behind(&self) -> Arc<dyn Registry> {
        Arc::clone(&self.behind.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has moves note what users are assigned by the controller behind `handle`.
    pub fn witness(&self, handle: ControllerHandle) {
        self.memory().witness = Some(handle);
    }

    /// The moves since this was last asked.
    pub fn take_moves(&self) -> Vec<WitnessedMove> {
        std::mem::take(&mut self.memory().moves)
    }

    fn note(&self, label_move: &LabelMove) {
        let mut memory = self.memory();
        if memory.moves.len() >= MOVES_MAX {
            return;
        }
        let exposure = memory.witness.as_ref().map_or(Exposure::NOBODY, |witness| {
            let snapshot = witness.snapshot();
            let of_prompt = snapshot
                .routes()
                .filter(|route| route.prompt == label_move.prompt);
            let exposed = of_prompt.filter_map(|route| route.treatment.as_ref());
            exposed
                .map(|treatment| treatment.exposure)
                .max()
                .unwrap_or(Exposure::NOBODY)
        });
        memory.moves.push(WitnessedMove {
            label_move: label_move.clone(),
            exposure,
        });
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for HazardousRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HazardousRegistry")
            .field("hazards", &self.hazards)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for HazardousRegistry {
    async fn labels(
        &self,
        prompt: &PromptName,
        wanted: &[Label],
        freshness: Freshness,
    ) -> Result<BTreeMap<Label, LabelState>, RegistryError> {
        self.hazards.point().await;
        let answer = self.behind().labels(prompt, wanted, freshness).await;
        self.hazards.point().await;
        answer
    }

    async fn before_polling(&self) -> Moved {
        self.hazards.point().await;
        let answer = self.behind().before_polling().await;
        self.hazards.point().await;
        answer
    }

    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, RegistryError> {
        self.hazards.point().await;
        let answer = self.behind().version(prompt, version).await;
        self.hazards.point().await;
        answer
    }

    async fn author(&self, prompt: &PromptName, version: Version) -> Result<Option<Actor>, RegistryError> {
        self.hazards.point().await;
        let answer = self.behind().author(prompt, version).await;
        self.hazards.point().await;
        answer
    }

    async fn evaluations(
        &self,
        prompt: &PromptName,
        version: Version,
    ) -> Result<Vec<Evaluation>, RegistryError> {
        self.hazards.point().await;
        let answer = self.behind().evaluations(prompt, version).await;
        self.hazards.point().await;
        answer
    }

    async fn move_label(
        &self,
        label_move: &LabelMove,
        why: &MoveReason,
    ) -> Result<MoveOutcome, RegistryError> {
        self.hazards.move_point(Strike::BeforeCall).await;
        let silence = self.hazards.next_silence();
        if silence == Some(Strike::BeforeCall) {
            std::future::pending::<()>().await;
        }
        self.note(label_move);
        let answer = self.behind().move_label(label_move, why).await;
        self.hazards.move_point(Strike::AfterCall).await;
        if silence == Some(Strike::AfterCall) {
            std::future::pending::<()>().await;
        }
        answer
    }

    async fn compositions(&self) -> Result<Arc<Compositions>, RegistryError> {
        self.hazards.point().await;
        let answer = self.behind().compositions().await;
        self.hazards.point().await;
        answer
    }

    fn late_moves_within(&self) -> Duration {
        self.behind().late_moves_within()
    }
}

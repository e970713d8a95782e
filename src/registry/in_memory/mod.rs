//! A registry that is a model: versions, labels and a journal in memory, and faults on demand.
//!
//! It answers as [`Embedded`](super::embedded::Embedded) does, by the same rule for labels, and it is
//! deterministic: what happens depends on the calls, the injected [`Fault`]s and the clock it was
//! given, and on nothing else. Tests and the simulator share it.

use super::{Freshness, LabelState, MoveOutcome, MoveReason, Registry, RegistryError, request_for};
use crate::clock::ManualClock;
use crate::ids::{Actor, Justification, Label, PromptName, Version};
use crate::prompt::parents::Compositions;
use crate::prompt::{Draft, Evaluation, LabelChange, LabelRequest, PromptError, PromptVersion};
use crate::rollout::LabelMove;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod faults;
mod held;

pub use faults::{Call, Fault};

/// A model of a registry.
#[derive(Debug)]
pub struct InMemory {
    clock: ManualClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    prompts: BTreeMap<PromptName, held::Held>,
    script: faults::Script,
    is_away: bool,
    /// Calls of the trait's methods so far.
    calls: u64,
    /// Requests that arrive a second time, each before the call of its number.
    late: Vec<(u64, LabelRequest)>,
}

impl InMemory {
    /// An empty registry; its journal shows the time of `clock`, and slow calls move it.
    pub fn new(clock: ManualClock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Adds a version, and the prompt with its first one.
    pub fn create_version(&self, prompt: &PromptName, draft: Draft, author: Actor) -> PromptVersion {
        let mut state = self.state();
        let held = state.prompts.entry(prompt.clone()).or_default();
        held.create_version(prompt, draft, author, self.clock.now())
    }

    /// Records an evaluation of a version.
    pub fn record_evaluation(
        &self,
        prompt: &PromptName,
        version: Version,
        evaluation: Evaluation,
    ) -> Result<(), PromptError> {
        let mut state = self.state();
        state
            .held_mut(prompt)?
            .version_mut(prompt, version)?
            .evaluations
            .push(evaluation);
        Ok(())
    }

    /// Points a label somewhere as somebody else than Serin would; to none removes it.
    pub fn move_label_as(
        &self,
        actor: Actor,
        reason: Justification,
        prompt: &PromptName,
        label: &Label,
        to: Option<Version>,
    ) -> Result<(), PromptError> {
        let request = LabelRequest {
            prompt: prompt.clone(),
            label: label.clone(),
            expect: None,
            to,
            actor,
            reason,
            rollout: None,
            may_move_protected: true,
        };
        self.state().deliver(request, &self.clock).map(|_| ())
    }

    /// Where a label points in truth, whatever the faults.
    pub fn label(&self, prompt: &PromptName, label: &Label) -> Option<Version> {
        self.state().prompts.get(prompt)?.last(label)?.to
    }

    /// Every change of a prompt's labels, oldest first, whatever the faults.
    pub fn journal(&self, prompt: &PromptName) -> Vec<LabelChange> {
        let state = self.state();
        state
            .prompts
            .get(prompt)
            .map_or_else(Vec::new, |held| held.journal().to_vec())
    }

    /// Adds to the script: when everything before it has happened, `fault` happens to the next `call`.
    pub fn inject(&self, call: Call, fault: Fault) {
        self.state().script.push(call, fault);
    }

    /// Cuts the registry off (the script waits meanwhile), or brings it back.
    pub fn set_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    /// Calls of the trait's methods so far, failed ones included.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is one push or insert, so a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, lets happen what happens before it, and says what is still to happen.
    fn begin(
        &self,
        call: Call,
        prompt: &PromptName,
    ) -> Result<(MutexGuard<'_, State>, Option<Fault>), RegistryError> {
        let mut state = self.state();
        state.calls += 1;
        if state.is_away {
            return Err(unavailable("it cannot be reached"));
        }
        state.deliver_late(&self.clock);
        let fault = state.script.next(call);
        match &fault {
            Some(Fault::Unavailable) => return Err(unavailable("it answered 503")),
            Some(Fault::Slow(delay)) => self.clock.advance(*delay),
            Some(Fault::ForeignMove {
                label,
                to,
                actor,
                reason,
            }) => {
                let (actor, reason) = (actor.clone(), reason.clone());
                drop(state);
                self.move_label_as(actor, reason, prompt, label, Some(*to))?;
                state = self.state();
            }
            Some(Fault::LostReply | Fault::Repeated | Fault::RepeatedLater { .. }) | None => {}
        }
        Ok((state, fault))
    }

    /// Answers a call that only reads; repeating one changes nothing.
    fn read<T>(
        &self,
        call: Call,
        prompt: &PromptName,
        answer: impl FnOnce(&held::Held) -> Result<T, PromptError>,
    ) -> Result<T, RegistryError> {
        let (mut state, fault) = self.begin(call, prompt)?;
        if fault == Some(Fault::LostReply) {
            return Err(lost_reply());
        }
        Ok(answer(state.held_mut(prompt)?)?)
    }
}

fn unavailable(why: &str) -> RegistryError {
    RegistryError::Unavailable(why.to_owned())
}

fn lost_reply() -> RegistryError {
    unavailable("the connection broke before the answer came")
}

impl State {
    fn held_mut(&mut self, prompt: &PromptName) -> Result<&mut held::Held, PromptError> {
        self.prompts
            .get_mut(prompt)
            .ok_or_else(|| PromptError::UnknownPrompt(prompt.clone()))
    }

    /// One arrival of a request.
    fn deliver(&mut self, request: LabelRequest, clock: &ManualClock) -> Result<MoveOutcome, PromptError> {
        match self.held_mut(&request.prompt)?.change(request, clock.now()) {
            Ok(true) => Ok(MoveOutcome::Moved),
            Ok(false) => Ok(MoveOutcome::InPlace),
            Err(PromptError::LabelElsewhere { found, .. }) => Ok(MoveOutcome::Elsewhere { found }),
            Err(error) => Err(error),
        }
    }

    /// Lets the requests arrive whose time has come.
    fn deliver_late(&mut self, clock: &ManualClock) {
        let now = self.calls;
        let due: Vec<_> = self.late.extract_if(.., |(call, _)| *call <= now).collect();
        for (_, request) in due {
            // Whatever comes of it, nobody hears of it.
            let _unheard = self.deliver(request, clock);
        }
    }
}

#[async_trait]
impl Registry for InMemory {
    async fn labels(
        &self,
        prompt: &PromptName,
        wanted: &[Label],
        _: Freshness,
    ) -> Result<BTreeMap<Label, LabelState>, RegistryError> {
        self.read(Call::Labels, prompt, |held| {
            let mut labels = held.labels();
            labels.retain(|label, _| wanted.contains(label));
            Ok(labels)
        })
    }

    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, RegistryError> {
        self.read(Call::Version, prompt, |held| {
            held.version(prompt, version).cloned()
        })
    }

    async fn evaluations(
        &self,
        prompt: &PromptName,
        version: Version,
    ) -> Result<Vec<Evaluation>, RegistryError> {
        self.read(Call::Evaluations, prompt, |held| {
            Ok(held.version(prompt, version)?.evaluations.clone())
        })
    }

    /// Whatever the faults: what is not known changes nothing that is done.
    async fn compositions(&self) -> Result<Arc<Compositions>, RegistryError> {
        let state = self.state();
        let mut all = Compositions::default();
        for (prompt, held) in &state.prompts {
            for version in held.versions() {
                all.add_text(prompt, version.version, &version.draft.template);
            }
            for (label, state) in held.labels() {
                all.add_label(prompt, &label, state.version);
            }
        }
        Ok(Arc::new(all))
    }

    async fn move_label(
        &self,
        label_move: &LabelMove,
        why: &MoveReason,
    ) -> Result<MoveOutcome, RegistryError> {
        let request = request_for(label_move, why);
        let (mut state, fault) = self.begin(Call::MoveLabel, &label_move.prompt)?;
        let answer = state.deliver(request.clone(), &self.clock);
        match fault {
            Some(Fault::LostReply) => return Err(lost_reply()),
            Some(Fault::Repeated) => return Ok(state.deliver(request, &self.clock)?),
            Some(Fault::RepeatedLater { calls }) => {
                let at = state.calls + calls;
                state.late.push((at, request));
            }
            Some(Fault::Unavailable | Fault::Slow(_) | Fault::ForeignMove { .. }) | None => {}
        }
        Ok(answer?)
    }
}

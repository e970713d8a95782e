//! How rollouts begin: a candidate appears at the treatment label, or a person asks.

use super::Controller;
use super::execute::{REGISTRY_CALL_SECONDS_MAX, Unfinished};
use super::running::Running;
use super::{CommandError, StartRequest};
use crate::ids::{Actor, Generation, PolicyName, RolloutId, Version};
use crate::policy::Policy;
use crate::registry::{Freshness, RegistryError};
use crate::rollout::{
    AuditEvent, Cause, Command, Decision, Effect, Input, LabelMove, Objection, ObservedLabels, Parents,
    Refusal, RegistryCause, RolloutState, StayReason, notice,
};
use crate::store::{NewRollout, StoreError};
use crate::telemetry::traces::Change;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

impl Controller {
    /// Starts a rollout when the treatment label points at a version other than the stable one; true when it did.
    pub(super) async fn start_found(
        &mut self,
        name: &PolicyName,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if self.is_running(name) {
            return Ok(false);
        }
        let Some(policy) = self.policies.get(name).cloned() else {
            return Ok(false);
        };
        let Some(labels) = self.fresh_labels(name) else {
            return Ok(false);
        };
        let (Some(stable), Some(candidate)) = (labels.control.version, labels.treatment.version) else {
            return Ok(false);
        };
        if stable == candidate {
            return Ok(false);
        }
        let author = match self.author(&policy, candidate).await {
            Ok(author) => author,
            Err(error) => {
                // Whoever may not approve is not known; it begins when the registry tells.
                self.note_registry_trouble(name, error.to_string());
                return Ok(false);
            }
        };
        let cause = Cause::Registry(RegistryCause::CandidateAppeared {
            by: labels.treatment.by,
        });
        let state = RolloutState {
            author,
            ..RolloutState::pending(&policy, stable, candidate, now)
        };
        self.begin(&policy, state, cause, Vec::new(), now).await?;
        Ok(true)
    }

    /// Starts a rollout because a person asks.
    pub(super) async fn start(
        &mut self,
        start: StartRequest,
        now: Timestamp,
    ) -> Result<RolloutState, CommandError> {
        let name = &start.policy;
        let policy = self
            .policies
            .get(name)
            .cloned()
            .ok_or_else(|| CommandError::UnknownPolicy(name.clone()))?;
        if let Some(running) = self
            .rollouts
            .get(name)
            .filter(|running| !running.course.state.phase.is_over())
        {
            return Err(CommandError::Store(StoreError::AlreadyRunning {
                policy: name.clone(),
                rollout: running.course.state.id,
            }));
        }
        self.read_labels(std::slice::from_ref(name), Freshness::Now).await;
        let labels = match self.labels.get(name) {
            Some(seen) if seen.error.is_some() => {
                return Err(CommandError::Registry(RegistryError::Unavailable(
                    seen.error.clone().unwrap_or_default(),
                )));
            }
            Some(seen) => seen.last.clone(),
            None => None,
        };
        let (stable, candidate) = self.contenders(&policy, labels.as_ref(), start.candidate).await?;
        let treatment = labels.and_then(|labels| labels.treatment.version);
        let effects = if treatment == Some(candidate) {
            Vec::new()
        } else {
            vec![Effect::MoveLabel(LabelMove {
                prompt: policy.prompt.clone(),
                label: policy.labels.treatment.clone(),
                from: treatment,
                to: candidate,
                // The store fills in the rollout's number.
                rollout: RolloutId::new(0),
                generation: Generation::ZERO.next(),
                parents: Parents::default(),
            })]
        };
        let cause = Cause::Operator {
            actor: start.actor,
            reason: start.reason,
        };
        let state = RolloutState {
            author: self.author(&policy, candidate).await?,
            ..RolloutState::pending(&policy, stable, candidate, now)
        };
        Ok(self.begin(&policy, state, cause, effects, now).await?)
    }

    /// The stable version and the candidate, or why there can be no rollout.
    async fn contenders(
        &self,
        policy: &Policy,
        labels: Option<&ObservedLabels>,
        asked: Option<Version>,
    ) -> Result<(Version, Version), CommandError> {
        let refused = |why: String| Err(CommandError::StartRefused(why));
        let (control, treatment) = (&policy.labels.control, &policy.labels.treatment);
        let Some(stable) = labels.and_then(|labels| labels.control.version) else {
            return refused(format!(
                "prompt `{}` has no label `{control}`; set it on the version that users have now",
                policy.prompt
            ));
        };
        let shown = labels.and_then(|labels| labels.treatment.version);
        let Some(candidate) = asked.or(shown) else {
            return refused(format!(
                "no candidate is named, and label `{treatment}` points at no version"
            ));
        };
        if candidate == stable {
            return refused(format!("version {candidate} is the stable version already"));
        }
        if let Some(elsewhere) = shown.filter(|shown| *shown != stable && *shown != candidate) {
            return refused(format!(
                "label `{treatment}` points at version {elsewhere}, which starts by itself"
            ));
        }
        if let Some(registry) = self.registries.get(&policy.registry) {
            registry.version(&policy.prompt, candidate).await?;
        }
        Ok((stable, candidate))
    }

    /// Who wrote the candidate, where the policy asks for approval and the registry tells.
    async fn author(&self, policy: &Policy, candidate: Version) -> Result<Option<Actor>, RegistryError> {
        let registry = self.registries.get(&policy.registry);
        let Some(registry) = registry.filter(|_| policy.asks_for_approval()) else {
            return Ok(None);
        };
        let limit = Duration::from_secs(REGISTRY_CALL_SECONDS_MAX);
        match tokio::time::timeout(limit, registry.author(&policy.prompt, candidate)).await {
            Ok(author) => author,
            Err(_) => Err(RegistryError::Unavailable(format!(
                "no answer within {REGISTRY_CALL_SECONDS_MAX} s"
            ))),
        }
    }

    async fn begin(
        &mut self,
        policy: &Arc<Policy>,
        state: RolloutState,
        cause: Cause,
        effects: Vec<Effect>,
        now: Timestamp,
    ) -> Result<RolloutState, StoreError> {
        let (stable, candidate) = (state.stable, state.candidate);
        let mut effects = effects;
        effects.extend(notice::of_beginning(policy, &state));
        self.name_parents(policy, &mut effects).await;
        let policy_source = Arc::clone(&policy.source);
        let begun = self
            .store
            .begin(NewRollout {
                state,
                policy_source,
                cause: cause.clone(),
                effects,
                at: now,
            })
            .await?;
        tracing::info!(
            policy = %policy.name, rollout.id = %begun.state.id, stable = %stable, candidate = %candidate,
            "rollout began"
        );
        let change = Change {
            from: None,
            to: &begun.state,
            cause: &cause,
            assessment: None,
        };
        let asked_by = self.traced.moved(&change, now);
        let unfinished = begun.effects.into_iter();
        self.unfinished
            .extend(unfinished.map(|effect| Unfinished::new(effect, asked_by.clone())));
        self.rollouts.insert(
            policy.name.clone(),
            Running::fresh(Arc::clone(policy), begun.state.clone()),
        );
        self.touched.insert(policy.name.clone());
        Ok(begun.state)
    }

    /// Grants a person's command, or refuses it; both are in the audit.
    pub(super) async fn command(
        &mut self,
        rollout: RolloutId,
        command: Command,
        now: Timestamp,
    ) -> Result<RolloutState, CommandError> {
        let found = self
            .rollouts
            .iter_mut()
            .find(|(_, running)| running.course.state.id == rollout);
        let Some((name, running)) = found.map(|(name, running)| (name.clone(), running)) else {
            return match self.store.rollout(rollout).await? {
                Some(state) => Err(CommandError::Refused(Refusal {
                    verb: command.verb,
                    phase: state.phase.as_str().into(),
                    why: "a newer rollout of its policy has begun".into(),
                    objection: Objection::Phase,
                })),
                None => Err(CommandError::UnknownRollout(rollout)),
            };
        };
        running.recall(self.store.as_ref()).await?;
        let assessment = Box::new(running.course.latest(now));
        let input = Input::Command {
            command: command.clone(),
            assessment,
        };
        match running.course.decide(&input, now) {
            Decision::Move(transition) => {
                self.commit(&name, &transition, now).await?;
                Ok(transition.to)
            }
            Decision::Stay(StayReason::Refused(refusal)) => {
                let event = AuditEvent::Refused {
                    command,
                    refusal: refusal.clone(),
                };
                self.store.record_event(now, rollout, event).await?;
                Err(CommandError::Refused(refusal))
            }
            Decision::Stay(_) => Ok(running.course.state.clone()),
        }
    }

    pub(super) fn is_running(&self, name: &PolicyName) -> bool {
        self.rollouts
            .get(name)
            .is_some_and(|running| !running.course.state.phase.is_over())
    }

    /// The labels as last read; none while the registry is away.
    pub(super) fn fresh_labels(&self, name: &PolicyName) -> Option<ObservedLabels> {
        self.labels
            .get(name)
            .filter(|seen| seen.error.is_none())
            .and_then(|seen| seen.last.clone())
    }
}

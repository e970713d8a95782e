//! What registries show: where labels point, and whether the evaluation gate is open.

use super::Controller;
use super::Trouble;
use super::execute::REGISTRY_CALL_SECONDS_MAX;
use crate::ids::{Label, PolicyName, PromptName, RegistryName, Version};
use crate::policy::{EvaluationGate, Policy};
use crate::registry::{Freshness, LabelState, Registry, RegistryError};
use crate::rollout::{EvaluationState, ObservedLabel, ObservedLabels};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The labels of a policy as they were last read.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenLabels {
    /// The last that was read.
    pub(super) last: Option<ObservedLabels>,
    /// Why the newest reading failed.
    pub(super) error: Option<String>,
    /// The evaluation gate as last looked at.
    pub(super) evaluation: Option<EvaluationState>,
}

impl Controller {
    /// Reads where the labels of policies point; a registry that fails once is asked no more.
    pub(super) async fn read_labels(&mut self, names: &[PolicyName], freshness: Freshness) {
        let mut failing: BTreeMap<RegistryName, String> = BTreeMap::new();
        let mut back = BTreeSet::new();
        if freshness == Freshness::Polled {
            let of_policy = |name| Some(self.policy_of(name)?.registry.clone());
            let registries = names.iter().filter_map(of_policy).collect();
            self.hear_of_moves(&registries).await;
        }
        for name in names {
            let Some(policy) = self.policy_of(name) else {
                continue;
            };
            let freshness = if self.nudged.remove(name) {
                Freshness::Told
            } else {
                freshness
            };
            let read = match (
                failing.get(&policy.registry),
                self.registries.get(&policy.registry),
            ) {
                (Some(error), _) => Err(error.clone()),
                (None, Some(registry)) => self.look(name, &policy, registry, freshness).await,
                (None, None) => Err(format!("the server has no registry `{}`", policy.registry)),
            };
            let seen = self.labels.entry(name.clone()).or_default();
            match read {
                Ok(read) => {
                    if seen.last != read.last || seen.error.is_some() {
                        self.touched.insert(name.clone());
                    }
                    if seen.error.is_some() {
                        back.insert(policy.registry.clone());
                    }
                    *seen = read;
                }
                Err(error) => {
                    if seen.error.as_ref() != Some(&error) {
                        self.touched.insert(name.clone());
                    }
                    seen.error = Some(error.clone());
                    failing.insert(policy.registry.clone(), error);
                }
            }
        }
        if !back.is_empty() {
            self.retry_at_once(&back);
        }
    }

    /// Has the labels of a prompt read anew with the next tick, because somebody says that one moved.
    pub(super) fn nudge(&mut self, registry: &RegistryName, prompt: &PromptName) {
        let known: BTreeSet<PolicyName> = self
            .policies
            .keys()
            .chain(self.rollouts.keys())
            .cloned()
            .collect();
        for name in known {
            let of_prompt = |policy: &Policy| policy.registry == *registry && policy.prompt == *prompt;
            if self.policy_of(&name).is_some_and(|policy| of_prompt(&policy)) {
                self.wake(&name);
                self.looked_at.remove(&name);
                self.nudged.insert(name);
            }
        }
    }

    /// Has the labels of a policy count as unread, because its registry failed.
    pub(super) fn note_registry_trouble(&mut self, name: &PolicyName, error: String) {
        self.labels.entry(name.clone()).or_default().error = Some(error);
        self.wake(name);
        self.touched.insert(name.clone());
    }

    /// What keeps registries from being read, one entry for each.
    pub(super) fn registry_troubles(&self) -> impl Iterator<Item = Trouble> {
        let failing: BTreeMap<RegistryName, String> = self
            .labels
            .iter()
            .filter_map(|(name, seen)| {
                let error = seen.error.clone()?;
                Some((self.policy_of(name)?.registry.clone(), error))
            })
            .collect();
        failing
            .into_iter()
            .map(|(registry, error)| Trouble::Registry { registry, error })
    }

    async fn look(
        &self,
        name: &PolicyName,
        policy: &Policy,
        registry: &Arc<dyn Registry>,
        freshness: Freshness,
    ) -> Result<SeenLabels, String> {
        let limit = Duration::from_secs(REGISTRY_CALL_SECONDS_MAX);
        let wanted = [policy.labels.control.clone(), policy.labels.treatment.clone()];
        let looking = async {
            let labels = match registry.labels(&policy.prompt, &wanted, freshness).await {
                Err(RegistryError::NotFound(_)) => BTreeMap::new(),
                read => read?,
            };
            let evaluation = match (&policy.gates.evaluation, self.contest(name)) {
                (Some(gate), Some((stable, candidate))) => {
                    Some(evaluation_state(registry.as_ref(), policy, gate, stable, candidate).await?)
                }
                (Some(_), None) | (None, _) => None,
            };
            let last = Some(ObservedLabels {
                control: observed(&labels, &policy.labels.control),
                treatment: observed(&labels, &policy.labels.treatment),
            });
            Ok(SeenLabels {
                last,
                error: None,
                evaluation,
            })
        };
        match tokio::time::timeout(limit, looking).await {
            Ok(read) => read.map_err(|error: RegistryError| error.to_string()),
            Err(_) => Err(format!("no answer within {REGISTRY_CALL_SECONDS_MAX} s")),
        }
    }

    /// Stable version and candidate of a rollout that waits for its gates.
    fn contest(&self, name: &PolicyName) -> Option<(Version, Version)> {
        let state = &self.rollouts.get(name)?.course.state;
        (state.phase == crate::rollout::Phase::Pending).then_some((state.stable, state.candidate))
    }

    /// The policy that a rollout runs under, else the one in force.
    fn policy_of(&self, name: &PolicyName) -> Option<Arc<Policy>> {
        match self.rollouts.get(name) {
            Some(running) if !running.course.state.phase.is_over() => {
                Some(Arc::clone(&running.course.policy))
            }
            Some(_) | None => self.policies.get(name).cloned(),
        }
    }
}

fn observed(labels: &BTreeMap<Label, LabelState>, label: &Label) -> ObservedLabel {
    match labels.get(label) {
        Some(state) => ObservedLabel {
            version: Some(state.version),
            by: state.by.clone(),
        },
        None => ObservedLabel {
            version: None,
            by: None,
        },
    }
}

/// Holds the newest evaluation of the candidate on the gate's dataset against floors and stable version.
async fn evaluation_state(
    registry: &dyn Registry,
    policy: &Policy,
    gate: &EvaluationGate,
    stable: Version,
    candidate: Version,
) -> Result<EvaluationState, RegistryError> {
    let newest = async |version| {
        let evaluations = registry.evaluations(&policy.prompt, version).await?;
        let on_dataset = evaluations
            .into_iter()
            .filter(|evaluation| evaluation.dataset == gate.dataset);
        Ok::<_, RegistryError>(on_dataset.last().map(|evaluation| evaluation.scores))
    };
    let Some(scores) = newest(candidate).await? else {
        return Ok(EvaluationState::Missing { version: candidate });
    };
    let mut least: BTreeMap<_, f64> = gate.floor.iter().cloned().collect();
    if gate.versus_stable {
        let Some(present) = newest(stable).await? else {
            return Ok(EvaluationState::Missing { version: stable });
        };
        for (metric, score) in present {
            let floor = least.entry(metric).or_insert(score);
            *floor = floor.max(score);
        }
    }
    for (metric, least) in least {
        match scores.get(&metric) {
            None => return Ok(EvaluationState::Missing { version: candidate }),
            Some(score) if *score < least => {
                return Ok(EvaluationState::Below {
                    metric,
                    score: *score,
                    least,
                });
            }
            Some(_) => {}
        }
    }
    Ok(EvaluationState::Open)
}

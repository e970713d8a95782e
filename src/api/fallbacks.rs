//! Prompts that applications did not get as they asked for them: noted for the history of the policies
//! that steer them.

use super::App;
use super::problem::{Code, Problem};
use crate::ids::{Label, PolicyName, PromptName, RegistryName};
use crate::policy::Policy;
use crate::rollout::fallback::FallbackKind;

/// What an application asked for.
pub(super) struct Wanted<'r> {
    pub(super) registry: &'r RegistryName,
    pub(super) prompt: &'r PromptName,
    /// By which label; none where it asked by version.
    pub(super) label: Option<&'r Label>,
    /// The policy that assigned its user; none where it named no user.
    pub(super) policy: Option<&'r PolicyName>,
}

impl Wanted<'_> {
    /// Notes that it was not given as asked for.
    pub(super) fn note(&self, app: &App, kind: FallbackKind, words: &str) {
        let board = app.controller.board();
        let note = |policy: &Policy| {
            if self.concerns(policy) {
                let (what, now) = ((kind, words), app.now());
                app.controller
                    .note_fallback(&policy.name, self.prompt, self.label, what, now);
            }
        };
        match self.policy {
            Some(asked) => {
                if let Some(status) = board.policies.get(asked) {
                    note(&status.policy);
                }
            }
            None => board.policies.values().for_each(|status| note(&status.policy)),
        }
    }

    /// Notes a refusal, where it is one that people who run rollouts are to hear of.
    pub(super) fn note_refusal(&self, app: &App, problem: &Problem) {
        let kinds = [
            (Code::RegistryUnavailable, FallbackKind::Unavailable),
            (Code::UnknownLabel, FallbackKind::LabelMissing),
            (Code::VariablesMismatch, FallbackKind::VariablesMismatch),
        ];
        if let Some((_, kind)) = kinds.into_iter().find(|(code, _)| *code == problem.code()) {
            self.note(app, kind, problem.detail());
        }
    }

    /// Labels that no policy names are anybody's, and may be made up.
    fn concerns(&self, policy: &Policy) -> bool {
        let labels = [&policy.labels.control, &policy.labels.treatment];
        policy.registry == *self.registry
            && policy.prompt == *self.prompt
            && self.label.is_none_or(|label| labels.contains(&label))
    }
}

//! Label moves that got no answer: where a registry cannot refuse a stale move, they may still be
//! carried out when a newer one has been.

use super::Controller;
use crate::ids::{Label, PolicyName, PromptName, Version};
use crate::rollout::{LabelMove, Phase};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Moves whose fate is not known.
#[derive(Debug, Default)]
pub(super) struct Unheard(Vec<UnheardMove>);

#[derive(Debug)]
struct UnheardMove {
    prompt: PromptName,
    label: Label,
    /// Where to; none when that is not known either.
    to: Option<Version>,
    /// From then on it will not be carried out any more.
    until: Timestamp,
}

impl Unheard {
    /// Notes that `label_move` may be carried out within `late` from `now` on, although nobody hears it.
    pub(super) fn note(&mut self, label_move: &LabelMove, now: Timestamp, late: Duration) {
        let LabelMove {
            prompt, label, to, ..
        } = label_move;
        self.push(prompt, label, Some(*to), now, late);
    }

    fn push(
        &mut self,
        prompt: &PromptName,
        label: &Label,
        to: Option<Version>,
        now: Timestamp,
        late: Duration,
    ) {
        self.0.retain(|unheard| unheard.until > now);
        let late = SignedDuration::try_from(late).ok();
        let until = late
            .filter(SignedDuration::is_positive)
            .and_then(|late| now.checked_add(late).ok());
        if let Some(until) = until {
            self.0.push(UnheardMove {
                prompt: prompt.clone(),
                label: label.clone(),
                to,
                until,
            });
        }
    }

    /// Whether a move of this label to another version than `to` may still be carried out.
    pub(super) fn may_undo(&self, prompt: &PromptName, label: &Label, to: Version, now: Timestamp) -> bool {
        self.0.iter().any(|unheard| {
            unheard.until > now
                && unheard.prompt == *prompt
                && unheard.label == *label
                && unheard.to != Some(to)
        })
    }
}

impl Controller {
    /// Notes what an earlier process may have asked for just before it ended, and may have asked for
    /// twice: what the store says of its moves does not tell whether an earlier attempt is still under way.
    pub(super) fn note_inherited(&mut self, now: Timestamp) {
        for running in self.rollouts.values() {
            let (policy, state) = (&running.course.policy, &running.course.state);
            let Some(registry) = self.registries.get(&policy.registry) else {
                continue;
            };
            let late = registry.late_moves_within();
            let since_change = now.duration_since(state.changed_at).unsigned_abs();
            if state.phase.is_over() && since_change > late {
                continue;
            }
            for label in [&policy.labels.control, &policy.labels.treatment] {
                self.unheard.push(&policy.prompt, label, None, now, late);
            }
        }
    }

    /// Whether labels that are seen where a rollback wants them may still be moved away by an earlier
    /// move of Serin's own: then what is seen confirms nothing.
    pub(super) fn is_seeing_deceptive(&self, name: &PolicyName, now: Timestamp) -> bool {
        let Some(running) = self.rollouts.get(name) else {
            return false;
        };
        let (policy, state) = (&running.course.policy, &running.course.state);
        matches!(state.phase, Phase::RollingBack { .. })
            && [&policy.labels.control, &policy.labels.treatment]
                .into_iter()
                .any(|label| self.unheard.may_undo(&policy.prompt, label, state.stable, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Generation, RolloutId};
    use crate::rollout::Parents;

    #[test]
    fn a_move_to_another_version_may_undo_for_as_long_as_it_may_be_late() {
        let (first, second) = (Version::FIRST, Version::FIRST.next());
        let label_move = LabelMove {
            prompt: PromptName::new("answer").unwrap(),
            label: Label::new("production").unwrap(),
            from: Some(first),
            to: second,
            rollout: RolloutId::new(1),
            generation: Generation::ZERO,
            parents: Parents::default(),
        };
        let other = Label::new("canary").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut unheard = Unheard::default();
        unheard.note(&label_move, at(0), Duration::ZERO);
        assert!(!unheard.may_undo(&label_move.prompt, &label_move.label, first, at(0)));
        unheard.note(&label_move, at(0), Duration::from_secs(30));
        assert!(unheard.may_undo(&label_move.prompt, &label_move.label, first, at(29)));
        assert!(!unheard.may_undo(&label_move.prompt, &label_move.label, first, at(30)));
        assert!(!unheard.may_undo(&label_move.prompt, &label_move.label, second, at(29)));
        assert!(!unheard.may_undo(&label_move.prompt, &other, first, at(29)));
        unheard.push(&label_move.prompt, &other, None, at(0), Duration::from_secs(30));
        assert!(unheard.may_undo(&label_move.prompt, &other, first, at(29)));
    }
}

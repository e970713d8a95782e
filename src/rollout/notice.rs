//! Notifications: which of a policy's are due when a rollout moves.

use super::{Effect, Phase, RolloutState};
use crate::ids::{Generation, RolloutId};
use crate::policy::{NotifyFormat, NotifyOn, Policy};

/// Something that people are to be told; what it says follows from the transition that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// The rollout.
    pub rollout: RolloutId,
    /// Its generation after the transition.
    pub generation: Generation,
    /// What happened.
    pub on: NotifyOn,
    /// Index into the policy's `notify`.
    pub place: usize,
    /// The form that is asked for there.
    pub format: NotifyFormat,
}

/// What came of an attempt to tell people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeOutcome {
    /// The other side has taken it.
    Delivered,
    /// It did not; it is tried again.
    Failed {
        /// Its words.
        error: String,
    },
    /// It did not for too long, or never will; it is not tried again.
    GivenUp {
        /// Its words.
        error: String,
    },
}

/// What a policy says of a rollout that begins.
pub fn of_beginning(policy: &Policy, state: &RolloutState) -> Vec<Effect> {
    effects(policy, state, NotifyOn::Started)
}

/// What a policy says of the way from `before` to `to`.
pub(super) fn of_transition(policy: &Policy, before: &RolloutState, to: &RolloutState) -> Vec<Effect> {
    event(policy, before, to).map_or_else(Vec::new, |on| effects(policy, to, on))
}

/// The word for a transition, where there is one.
fn event(policy: &Policy, before: &RolloutState, to: &RolloutState) -> Option<NotifyOn> {
    if before.phase == to.phase {
        return None;
    }
    match (&before.phase, &to.phase) {
        // One step down inside a pause.
        (Phase::Paused { .. }, Phase::Paused { .. }) => None,
        (_, Phase::Paused { .. }) => Some(NotifyOn::Paused),
        // At once, not when the labels are back: the registry may be away.
        (_, Phase::RollingBack { .. }) => Some(NotifyOn::RolledBack),
        (_, Phase::Promoted) => Some(NotifyOn::Promoted),
        (_, Phase::Pending | Phase::RolledBack { .. } | Phase::Superseded { .. }) => None,
        (_, Phase::Ramping { .. } | Phase::Promoting | Phase::Watching) => {
            (to.exposure(policy) > before.exposure(policy)).then_some(NotifyOn::Advanced)
        }
    }
}

fn effects(policy: &Policy, to: &RolloutState, on: NotifyOn) -> Vec<Effect> {
    let asked = policy.notify.iter().enumerate();
    asked
        .filter(|(_, notify)| notify.on.contains(&on))
        .map(|(place, notify)| {
            Effect::Notify(Notice {
                rollout: to.id,
                generation: to.generation,
                on,
                place,
                format: notify.format,
            })
        })
        .collect()
}

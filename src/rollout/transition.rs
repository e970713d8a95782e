//! The table: which event leads from which phase to which, and what that does to the labels.

use super::{Cause, Effect, LabelMove, Parents, Phase, Resumable, RolloutState, Transition, notice};
use crate::analysis::Assessment;
use crate::ids::Version;
use crate::policy::Policy;
use jiff::Timestamp;

/// Something that changes a phase; `decide` picks it, the table says where it leads.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// Every gate before the start is open, and the treatment label is in place.
    GatesPassed,
    /// The step is left upwards.
    Advance,
    /// The step is left downwards.
    StepBack,
    /// The candidate is to become stable.
    Promote,
    /// The labels of the transition are in place.
    Confirmed,
    /// The promoted version was watched long enough.
    WatchOver,
    /// The candidate is to be taken back.
    RollBack,
    /// A person must look.
    Pause,
    /// Go on where it was paused.
    Resume,
    /// A newer candidate took its place.
    Supersede(Version),
    /// An approval is noted; the phase stays.
    Approve,
}

/// Where `event` leads from `phase`, or what stands against it.
///
/// `last` is the index of the ladder's last step. This is the whole state machine.
pub(super) fn next(phase: &Phase, event: &Event, cause: &Cause, last: usize) -> Result<Phase, &'static str> {
    use Event as E;
    use Phase as P;
    const ON_ITS_WAY: &str = "its labels are on their way; wait until they are confirmed, or roll back";
    const GOING_BACK: &str = "its labels are on their way back; wait until they are confirmed";
    const ENDED: &str = "it is over; start another one";
    const GATED: &str = "its gates are not open yet; approve it, or roll back";
    let cause = || cause.clone();
    Ok(match (phase, event) {
        (P::Pending, E::GatesPassed) => P::Ramping { step: 0 },
        (P::Pending | P::Ramping { .. } | P::Paused { .. }, E::Approve) => phase.clone(),
        (P::Ramping { step }, E::Advance) if *step < last => P::Ramping { step: step + 1 },
        (P::Ramping { .. }, E::Advance) => return Err("it is in the last step; promote it instead"),
        (P::Ramping { step }, E::StepBack) if *step > 0 => P::Ramping { step: step - 1 },
        (
            P::Paused {
                from: Resumable::Ramping { step },
                ..
            },
            E::StepBack,
        ) if *step > 0 => P::Paused {
            from: Resumable::Ramping { step: step - 1 },
            cause: cause(),
        },
        (
            P::Ramping { .. }
            | P::Paused {
                from: Resumable::Ramping { .. },
                ..
            },
            E::Promote,
        ) => P::Promoting,
        (
            P::Paused {
                from: Resumable::Pending,
                ..
            }
            | P::Pending,
            E::Promote | E::Advance,
        ) => return Err(GATED),
        (
            P::Paused {
                from: Resumable::Watching,
                ..
            }
            | P::Watching,
            E::Promote | E::Advance,
        ) => {
            return Err("its candidate has everybody already; nothing is left to do");
        }
        (P::Paused { .. }, E::Advance) => return Err("it is paused; resume it first"),
        (P::Promoting, E::Confirmed) => P::Watching,
        (P::RollingBack { cause }, E::Confirmed) => P::RolledBack { cause: cause.clone() },
        (P::Watching, E::WatchOver) => P::Promoted,
        (P::Pending, E::Pause) => P::Paused {
            from: Resumable::Pending,
            cause: cause(),
        },
        (P::Ramping { step }, E::Pause) => P::Paused {
            from: Resumable::Ramping { step: *step },
            cause: cause(),
        },
        (P::Watching, E::Pause) => P::Paused {
            from: Resumable::Watching,
            cause: cause(),
        },
        // Only a label that somebody else moved pauses a promotion: it goes on from the last step.
        (P::Promoting, E::Pause) => match cause() {
            cause @ Cause::Registry(_) => P::Paused {
                from: Resumable::Ramping { step: last },
                cause,
            },
            Cause::Verdict(_) | Cause::Operator { .. } | Cause::Policy(_) => return Err(ON_ITS_WAY),
        },
        (P::Paused { .. }, E::Pause) => return Err("it is paused already; resume it, or roll back"),
        (P::Paused { from, .. }, E::Resume) => (*from).into(),
        (P::Pending | P::Ramping { .. } | P::Watching, E::Resume) => return Err("it is not paused"),
        (
            P::Pending | P::Ramping { .. } | P::Paused { .. } | P::Promoting | P::Watching | P::Promoted,
            E::RollBack,
        ) => P::RollingBack { cause: cause() },
        (P::Pending | P::Ramping { .. } | P::Paused { .. } | P::Watching, E::Supersede(by)) => {
            P::Superseded { by: *by }
        }
        (P::Ramping { .. } | P::Paused { .. }, E::StepBack) => {
            return Err("it is in the first step; roll back");
        }
        (P::Promoting | P::Watching, E::Approve) => return Err("nothing waits for an approval"),
        (P::Promoting, _) => return Err(ON_ITS_WAY),
        (P::RollingBack { .. }, _) => return Err(GOING_BACK),
        (P::Promoted, _) => return Err("it is over; roll it back, or start another one"),
        (P::RolledBack { .. } | P::Superseded { .. }, _) => return Err(ENDED),
        (P::Pending, E::StepBack | E::Confirmed | E::WatchOver)
        | (P::Ramping { .. }, E::GatesPassed | E::Confirmed | E::WatchOver)
        | (P::Paused { .. }, E::GatesPassed | E::Confirmed | E::WatchOver)
        | (P::Watching, E::GatesPassed | E::StepBack | E::Confirmed) => {
            return Err("it does not follow here");
        }
    })
}

/// Applies the table: the state after, its effects, everything that must be committed together.
pub(super) fn apply(
    policy: &Policy,
    state: &RolloutState,
    event: &Event,
    cause: Cause,
    assessment: Option<Assessment>,
    now: Timestamp,
) -> Result<Transition, &'static str> {
    let last = policy.steps.len().saturating_sub(1);
    let phase = next(&state.phase, event, &cause, last)?;
    let mut to = RolloutState {
        generation: state.generation.next(),
        phase,
        ..state.clone()
    };
    match event {
        Event::Approve => {}
        Event::Resume => {
            // A pause does not count towards a bake.
            let paused = now.duration_since(state.changed_at);
            to.entered_at = state.entered_at.checked_add(paused).unwrap_or(now);
            to.changed_at = now;
        }
        Event::Pause => to.changed_at = now,
        Event::GatesPassed
        | Event::Advance
        | Event::StepBack
        | Event::Promote
        | Event::Confirmed
        | Event::WatchOver
        | Event::RollBack
        | Event::Supersede(_) => {
            to.entered_at = now;
            to.changed_at = now;
            to.stepped_back = *event == Event::StepBack;
            to.treated_at_entry = assessment
                .as_ref()
                .map_or(state.treated_at_entry, |known| known.treated);
        }
    }
    if *event == Event::Promote {
        to.promoted = true;
    }
    let mut effects = effects_of(policy, state, &to);
    effects.extend(notice::of_transition(policy, state, &to));
    Ok(Transition {
        from: state.phase.clone(),
        to,
        cause,
        assessment,
        effects,
    })
}

/// The label moves that entering a phase asks for; every other phase asks for none.
fn effects_of(policy: &Policy, before: &RolloutState, to: &RolloutState) -> Vec<Effect> {
    let label_move = |label: &crate::ids::Label, from, target| {
        Effect::MoveLabel(LabelMove {
            prompt: policy.prompt.clone(),
            label: label.clone(),
            from: Some(from),
            to: target,
            rollout: to.id,
            generation: to.generation,
            parents: Parents::default(),
        })
    };
    if before.phase == to.phase {
        return Vec::new();
    }
    match &to.phase {
        Phase::Promoting => vec![label_move(&policy.labels.control, to.stable, to.candidate)],
        Phase::RollingBack { .. } => {
            // Whoever fetches by the control label is served first.
            let control = to
                .promoted
                .then(|| label_move(&policy.labels.control, to.candidate, to.stable));
            let treatment = label_move(&policy.labels.treatment, to.candidate, to.stable);
            control.into_iter().chain([treatment]).collect()
        }
        Phase::Pending
        | Phase::Ramping { .. }
        | Phase::Paused { .. }
        | Phase::Watching
        | Phase::Promoted
        | Phase::RolledBack { .. }
        | Phase::Superseded { .. } => Vec::new(),
    }
}

impl From<Resumable> for Phase {
    fn from(from: Resumable) -> Self {
        match from {
            Resumable::Pending => Self::Pending,
            Resumable::Ramping { step } => Self::Ramping { step },
            Resumable::Watching => Self::Watching,
        }
    }
}

//! What people may ask of a rollout, and when.

use super::approval::{self, Against, out_of_place};
use super::transition::{self, Event};
use super::{Cause, Command, Decision, Phase, Refusal, RolloutState, StayReason, Verb};
use crate::analysis::Assessment;
use crate::ids::{Actor, Justification};
use crate::policy::Policy;
use jiff::Timestamp;

/// Grants a command or says why it makes no sense here.
pub(super) fn decide(
    policy: &Policy,
    state: &RolloutState,
    command: &Command,
    assessment: &Assessment,
    now: Timestamp,
) -> Decision {
    match grant(policy, state, command, assessment, now) {
        Ok(transition) => Decision::Move(Box::new(transition)),
        Err((objection, why)) => Decision::Stay(StayReason::Refused(Refusal {
            verb: command.verb,
            phase: state.phase.as_str().into(),
            why,
            objection,
        })),
    }
}

/// What a person may ask of a rollout in this phase, as far as the phase alone tells: an approval that
/// is missing, or given by the same person before, is told when it is asked.
pub fn possible(policy: &Policy, phase: &Phase) -> Vec<Verb> {
    let last = policy.steps.len().saturating_sub(1);
    let cause = Cause::Operator {
        actor: Actor::serin(),
        reason: Justification::of_serin("to see what is possible"),
    };
    let is_possible = |verb: &Verb| {
        transition::next(phase, &event_of(*verb), &cause, last).is_ok()
            && (*verb != Verb::Approve || approval::point_of(policy, phase).is_ok())
    };
    Verb::ALL.into_iter().filter(is_possible).collect()
}

fn event_of(verb: Verb) -> Event {
    match verb {
        Verb::Pause => Event::Pause,
        Verb::Resume => Event::Resume,
        Verb::Step => Event::Advance,
        Verb::Promote => Event::Promote,
        Verb::RollBack => Event::RollBack,
        Verb::Approve => Event::Approve,
    }
}

fn grant(
    policy: &Policy,
    state: &RolloutState,
    command: &Command,
    assessment: &Assessment,
    now: Timestamp,
) -> Result<super::Transition, Against> {
    let event = event_of(command.verb);
    let cause = Cause::Operator {
        actor: command.actor.clone(),
        reason: command.reason.clone(),
    };
    let mut transition = transition::apply(policy, state, &event, cause, Some(assessment.clone()), now)
        .map_err(out_of_place)?;
    match command.verb {
        Verb::Approve => {
            let approval = approval::given(policy, state, command)?;
            transition.to.approvals.insert(approval);
        }
        Verb::Step | Verb::Promote => approval::require(policy, state, command.verb)?,
        Verb::Pause | Verb::Resume | Verb::RollBack => {}
    }
    let goes_on = matches!(command.verb, Verb::Resume | Verb::Step | Verb::Promote);
    if goes_on && (state.paused_for_fail().is_some() || assessment.verdict == crate::analysis::Verdict::Fail)
    {
        transition.to.fail_overruled = true;
    }
    Ok(transition)
}

//! What people may ask of a rollout, and when.

use super::transition::{self, Event};
use super::{
    Approval, ApprovalPoint, Cause, Command, Decision, Phase, Refusal, Resumable, RolloutState, StayReason,
    Verb,
};
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
        Err(why) => Decision::Stay(StayReason::Refused(Refusal {
            verb: command.verb,
            phase: state.phase.as_str().into(),
            why: why.into(),
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
            && (*verb != Verb::Approve || approval_point(policy, phase).is_ok())
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
) -> Result<super::Transition, &'static str> {
    let event = event_of(command.verb);
    let cause = Cause::Operator {
        actor: command.actor.clone(),
        reason: command.reason.clone(),
    };
    let mut transition = transition::apply(policy, state, &event, cause, Some(assessment.clone()), now)?;
    match command.verb {
        Verb::Approve => {
            let point = approval_point(policy, &state.phase)?;
            let approval = Approval {
                point,
                actor: command.actor.clone(),
            };
            if !transition.to.approvals.insert(approval) {
                return Err("this actor has approved it already; another person must");
            }
        }
        Verb::Step | Verb::Promote => require_approvals(policy, state, command.verb)?,
        Verb::Pause | Verb::Resume | Verb::RollBack => {}
    }
    let goes_on = matches!(command.verb, Verb::Resume | Verb::Step | Verb::Promote);
    if goes_on && (state.paused_for_fail().is_some() || assessment.verdict == crate::analysis::Verdict::Fail)
    {
        transition.to.fail_overruled = true;
    }
    Ok(transition)
}

/// What an approval would open in this phase.
fn approval_point(policy: &Policy, phase: &Phase) -> Result<ApprovalPoint, &'static str> {
    let step = match phase {
        Phase::Pending
        | Phase::Paused {
            from: Resumable::Pending,
            ..
        } => {
            return if policy.gates.approval.before_start {
                Ok(ApprovalPoint::Start)
            } else {
                Err("its policy asks for no approval before the start")
            };
        }
        Phase::Ramping { .. }
        | Phase::Paused { .. }
        | Phase::Promoting
        | Phase::Watching
        | Phase::Promoted
        | Phase::RollingBack { .. }
        | Phase::RolledBack { .. }
        | Phase::Superseded { .. } => phase.step().ok_or("nothing waits for an approval")?,
    };
    if policy.steps.get(step).is_some_and(|step| step.approval) {
        Ok(ApprovalPoint::Step(step))
    } else {
        Err("its policy asks for no approval in this step")
    }
}

/// Nobody goes round an approval: a step leaves one behind, a promotion all that are left.
fn require_approvals(policy: &Policy, state: &RolloutState, verb: Verb) -> Result<(), &'static str> {
    let Some(current) = state.phase.step() else {
        return Ok(());
    };
    let end = if verb == Verb::Promote {
        policy.steps.len()
    } else {
        current + 1
    };
    let missing = (current..end).any(|index| {
        policy.steps.get(index).is_some_and(|step| step.approval)
            && state.approvals_of(ApprovalPoint::Step(index)) < policy.gates.approval.from
    });
    if missing {
        return Err("a step on the way waits for approvals; approve it first");
    }
    Ok(())
}

//! Approval by people: who may give it, and what is still missing.
//!
//! Nobody counts twice. Whoever wrote the candidate may be one of several who approve it, and is never
//! the only one.

use super::{Command, Objection, Phase, Resumable, RolloutState, StayReason, Verb};
use crate::ids::Actor;
use crate::policy::Policy;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// An approval that was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Approval {
    /// What it opens.
    pub point: ApprovalPoint,
    /// Who gave it.
    pub actor: Actor,
}

/// What an approval opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApprovalPoint {
    /// The first exposure.
    Start,
    /// The way out of a step.
    Step(usize),
}

/// What stands against a command.
pub(super) type Against = (Objection, Cow<'static, str>);

/// Who may still give an approval.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Approvers {
    /// Those whom the policy names, without those who have approved; none where it names nobody.
    pub named: Option<BTreeSet<Actor>>,
    /// Whether only administrators may.
    pub admins_only: bool,
    /// The candidate's author, where one approval is enough and they may therefore not give it.
    pub but: Option<Actor>,
}

impl Approvers {
    /// Those who may still approve `point`.
    fn of(policy: &Policy, state: &RolloutState, point: ApprovalPoint) -> Self {
        let gate = &policy.gates.approval;
        let but = state.author.clone().filter(|_| gate.from <= 1);
        let given = state.approvers(point);
        let named = gate.by.as_ref().map(|by| {
            let left = by.difference(&given).filter(|actor| Some(*actor) != but.as_ref());
            left.cloned().collect()
        });
        Self {
            named,
            admins_only: gate.admins_only,
            but,
        }
    }
}

/// In words: `alice or carol`, `an administrator`, `anybody other than bob, who wrote the candidate`.
impl std::fmt::Display for Approvers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.named {
            Some(named) if named.is_empty() => f.write_str("nobody whom the policy names")?,
            Some(named) => {
                let names: Vec<&str> = named.iter().map(Actor::as_str).collect();
                f.write_str(&names.join(" or "))?;
                if self.admins_only {
                    f.write_str(", as an administrator")?;
                }
            }
            None if self.admins_only => f.write_str("an administrator")?,
            None => f.write_str("anybody")?,
        }
        match &self.but {
            Some(author) => write!(f, " other than {author}, who wrote the candidate"),
            None => Ok(()),
        }
    }
}

impl RolloutState {
    /// The different people who have approved `point`.
    pub fn approvers(&self, point: ApprovalPoint) -> BTreeSet<Actor> {
        let given = self.approvals.iter().filter(|approval| approval.point == point);
        given.map(|approval| approval.actor.clone()).collect()
    }

    /// How many different people have approved `point`.
    pub fn approvals_of(&self, point: ApprovalPoint) -> u32 {
        u32::try_from(self.approvers(point).len()).unwrap_or(u32::MAX)
    }

    /// Whether enough people have approved `point`, the author not alone.
    pub fn is_approved(&self, policy: &Policy, point: ApprovalPoint) -> bool {
        let given = self.approvers(point);
        self.approvals_of(point) >= policy.gates.approval.from
            && given.iter().any(|actor| Some(actor) != self.author.as_ref())
    }

    /// What is missing of the approval of `point`.
    pub(super) fn approval_wait(&self, policy: &Policy, point: ApprovalPoint) -> StayReason {
        StayReason::Approval {
            point,
            given: self.approvers(point),
            needed: policy.gates.approval.from,
            from: Approvers::of(policy, self, point),
        }
    }
}

/// The approval that a command gives, or why it counts for nothing.
pub(super) fn given(policy: &Policy, state: &RolloutState, command: &Command) -> Result<Approval, Against> {
    let point = point_of(policy, &state.phase).map_err(out_of_place)?;
    let (gate, actor) = (&policy.gates.approval, &command.actor);
    if state.approvers(point).contains(actor) {
        return Err(out_of_place(
            "this actor has approved it already; another person must",
        ));
    }
    let from = Approvers::of(policy, state, point);
    let why = if gate.by.as_ref().is_some_and(|by| !by.contains(actor)) {
        "the policy does not name them".to_owned()
    } else if gate.admins_only && !command.is_admin {
        "they are no administrator".to_owned()
    } else if from.but.as_ref() == Some(actor) {
        format!(
            "they wrote version {}, and nobody is the only one to approve their own",
            state.candidate
        )
    } else {
        return Ok(Approval {
            point,
            actor: actor.clone(),
        });
    };
    let why = format!("{actor} may not: {why}; it needs {from}");
    Err((Objection::Approver, why.into()))
}

/// Nobody goes round an approval: a step leaves one behind, a promotion all that are left.
pub(super) fn require(policy: &Policy, state: &RolloutState, verb: Verb) -> Result<(), Against> {
    let Some(current) = state.phase.step() else {
        return Ok(());
    };
    let end = if verb == Verb::Promote {
        policy.steps.len()
    } else {
        current + 1
    };
    let missing = (current..end).find(|index| {
        policy.steps.get(*index).is_some_and(|step| step.approval)
            && !state.is_approved(policy, ApprovalPoint::Step(*index))
    });
    let Some(index) = missing else {
        return Ok(());
    };
    let point = ApprovalPoint::Step(index);
    let why = format!(
        "step {} is left only after approval: {} of {} given, and it needs {}",
        index + 1,
        state.approvals_of(point),
        policy.gates.approval.from,
        Approvers::of(policy, state, point)
    );
    Err((Objection::ApprovalsMissing, why.into()))
}

/// A command that makes no sense where the rollout stands.
pub(super) fn out_of_place(why: &'static str) -> Against {
    (Objection::Phase, why.into())
}

/// What an approval would open in this phase.
pub(super) fn point_of(policy: &Policy, phase: &Phase) -> Result<ApprovalPoint, &'static str> {
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

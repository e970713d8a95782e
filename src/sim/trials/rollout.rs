//! One rollout from its start to its end.

use super::visits::Visits;
use super::{Design, End, Reason, Trial, start};
use crate::ids::{Tick, Version};
use crate::rehearsal::{Approvals, Rehearsal};
use crate::rollout::{Cause, Phase, PolicyCause, Transition, VerdictCause};
use jiff::Timestamp;
use std::sync::Arc;

/// Rehearses rollout `number` of a seed.
pub(super) fn rehearse(design: &Design, seed: u64, number: u32) -> Trial {
    let mut visits = Visits::new(design, seed, number);
    let (stable, candidate) = (Version::FIRST, next_version());
    let policy = Arc::clone(&design.policy);
    let (mut rehearsal, moved) = Rehearsal::start(policy, stable, candidate, Approvals::Given, start());
    let mut story = Story::default();
    story.hear(&moved);
    let last = Tick::of(start().saturating_add(design.horizon).unwrap_or(Timestamp::MAX));
    let mut tick = Tick::of(start());
    while tick < last && story.end.is_none() {
        let count = visits.count();
        // Nobody comes to a tick: whatever time alone decides in it is caught up with the next visit.
        if count > 0 {
            if rehearsal
                .through()
                .is_some_and(|through| through < tick.previous())
            {
                story.hear(&rehearsal.wait_through(tick.previous()));
            }
            let tally = visits.tick(tick, rehearsal.exposure(), count);
            story.hear(&rehearsal.advance(tick, Some(&tally)));
        }
        tick = tick.next();
    }
    if story.end.is_none() {
        story.hear(&rehearsal.wait_through(last.previous()));
    }
    let (end, at) = story.end.unwrap_or((End::OutOfTime, last.begins()));
    let since_start = |at: Timestamp| at.duration_since(start());
    Trial {
        end,
        treated: visits.treated,
        treated_users: visits.treated_users,
        promoted_after: story.promoted.map(since_start),
        ended_after: since_start(at),
    }
}

/// The version after the first one.
fn next_version() -> Version {
    Version::new(2).unwrap_or(Version::FIRST)
}

/// What has happened in a rollout so far.
#[derive(Debug, Default)]
struct Story {
    promoted: Option<Timestamp>,
    end: Option<(End, Timestamp)>,
}

impl Story {
    fn hear(&mut self, moved: &[Transition]) {
        for transition in moved {
            let at = transition.to.changed_at;
            if transition.to.promoted {
                self.promoted.get_or_insert(at);
            }
            if let Some(end) = end(&transition.to.phase) {
                self.end.get_or_insert((end, at));
            }
        }
    }
}

/// Whether a phase is the end of a trial: a pause is one, because a person would act.
fn end(phase: &Phase) -> Option<End> {
    match phase {
        Phase::RollingBack { cause } | Phase::RolledBack { cause } => Some(End::RolledBack(reason(cause))),
        Phase::Paused { cause, .. } => Some(End::Paused(reason(cause))),
        Phase::Promoted => Some(End::Promoted),
        Phase::Pending
        | Phase::Ramping { .. }
        | Phase::Promoting
        | Phase::Watching
        | Phase::Superseded { .. } => None,
    }
}

fn reason(cause: &Cause) -> Reason {
    match cause {
        Cause::Verdict(VerdictCause::Failed { blame }) => Reason::Worse(blame.metric.clone()),
        Cause::Verdict(VerdictCause::SampleRatio(_)) => Reason::SampleRatio,
        Cause::Policy(PolicyCause::Inconclusive { .. }) => Reason::Patience,
        Cause::Policy(PolicyCause::NoData { .. }) => Reason::Silence,
        Cause::Verdict(VerdictCause::Passed)
        | Cause::Policy(PolicyCause::GatesPassed | PolicyCause::Watched | PolicyCause::Removed)
        | Cause::Operator { .. }
        | Cause::Registry(_) => Reason::Other,
    }
}

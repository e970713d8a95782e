//! The audit replays to the state, along legal ways, and verdicts are what they are said to be.

use super::{Ask, Checker, Look, Violation};
use crate::analysis::Verdict;
use crate::ids::Generation;
use crate::rollout::{
    AuditEvent, Cause, Effect, LabelMove, LabelMoveOutcome, Phase, Resumable, RolloutState, Transition,
    VerdictCause,
};
use std::collections::{BTreeMap, BTreeSet};

/// Audit records that are read at once.
const RECORDS_MAX: usize = 1_000;

/// What is known of one rollout from its audit.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// The last record that was read.
    after: Option<u64>,
    /// What the transitions fold to.
    pub(super) state: Option<RolloutState>,
    /// The label moves that were committed, and whether each belongs to a rollback.
    pub(super) asked: BTreeMap<Ask, (LabelMove, bool)>,
    /// The label moves that had an effect.
    pub(super) moved: BTreeSet<Ask>,
    /// The label moves that were read back and found in place.
    pub(super) confirmed: BTreeSet<Ask>,
    /// Those of them that are new since the last look.
    pub(super) confirmed_lately: BTreeSet<Ask>,
    /// Whether it had been rolled back at the last look: within one, a promotion may come before that.
    pub(super) was_rolled_back: bool,
}

impl Checker {
    /// Folds what is new in the audit of a rollout, and compares it with what is stored.
    pub(super) async fn check_history(
        &mut self,
        look: &Look<'_>,
        stored: &RolloutState,
    ) -> Result<(), Violation> {
        let trail = self.trails.entry(stored.id).or_default();
        loop {
            let records = look
                .world
                .store()
                .audit(stored.id, trail.after, RECORDS_MAX)
                .await?;
            let is_last = records.len() < RECORDS_MAX;
            for record in records {
                trail.after = Some(record.sequence);
                match record.event {
                    AuditEvent::Moved(transition) => trail.fold(look, *transition)?,
                    AuditEvent::LabelMove {
                        label_move,
                        outcome: LabelMoveOutcome::Confirmed,
                    } => {
                        let ask = (label_move.generation, label_move.label);
                        trail.confirmed_lately.insert(ask);
                    }
                    AuditEvent::LabelMove { .. }
                    | AuditEvent::Registry { .. }
                    | AuditEvent::Cache { .. }
                    | AuditEvent::Fallback(_)
                    | AuditEvent::Notice { .. }
                    | AuditEvent::Refused { .. } => {}
                }
            }
            if is_last {
                break;
            }
        }
        if trail.state.as_ref() != Some(stored) {
            let detail = format!("the audit gives {:?}, {stored:?} is stored", trail.state);
            return Err(look.broken("the audit replays to the state", detail));
        }
        Ok(())
    }
}

impl Trail {
    fn fold(&mut self, look: &Look<'_>, transition: Transition) -> Result<(), Violation> {
        let Transition {
            from,
            to,
            cause,
            assessment,
            effects,
        } = transition;
        let (before, generation) = match &self.state {
            Some(state) => (state.phase.clone(), state.generation),
            None => (Phase::Pending, Generation::ZERO),
        };
        if from != before || to.generation != generation.next() {
            let detail = format!(
                "from {from:?} to generation {} after {before:?} in generation {generation}",
                to.generation
            );
            return Err(look.broken("every transition begins where the last one ended", detail));
        }
        if !may_follow(&from, &to.phase) {
            return Err(look.broken("phases follow the diagram", format!("{from:?} → {:?}", to.phase)));
        }
        let verdict = assessment.map(|assessment| assessment.verdict);
        let claimed = match &cause {
            Cause::Verdict(VerdictCause::Passed) => Some(Verdict::Pass),
            Cause::Verdict(VerdictCause::Failed { .. }) => Some(Verdict::Fail),
            Cause::Verdict(VerdictCause::SampleRatio(_)) => Some(Verdict::Invalid),
            Cause::Operator { .. } | Cause::Policy(_) | Cause::Registry(_) => None,
        };
        if claimed.is_some() && claimed != verdict {
            let detail = format!("{cause:?} with verdict {verdict:?}");
            return Err(look.broken("a verdict moves a rollout only as it was drawn", detail));
        }
        let goes_back = matches!(to.phase, Phase::RollingBack { .. });
        for effect in effects {
            match effect {
                Effect::MoveLabel(label_move) => {
                    let ask = (label_move.generation, label_move.label.clone());
                    self.asked.insert(ask, (label_move, goes_back));
                }
                Effect::Notify(_) => {}
            }
        }
        self.state = Some(to);
        Ok(())
    }
}

/// The diagram of DESIGN: which phase may come after which.
fn may_follow(from: &Phase, to: &Phase) -> bool {
    match from {
        // The first record of a rollout, an approval, a pause, open gates.
        Phase::Pending => matches!(
            to,
            Phase::Pending
                | Phase::Paused {
                    from: Resumable::Pending,
                    ..
                }
                | Phase::Ramping { step: 0 }
                | Phase::RollingBack { .. }
                | Phase::Superseded { .. }
        ),
        Phase::Ramping { step } => match to {
            Phase::Ramping { step: next } => next.abs_diff(*step) <= 1,
            Phase::Paused {
                from: Resumable::Ramping { step: paused },
                ..
            } => paused == step,
            Phase::Promoting | Phase::RollingBack { .. } | Phase::Superseded { .. } => true,
            Phase::Pending
            | Phase::Paused { .. }
            | Phase::Watching
            | Phase::Promoted
            | Phase::RolledBack { .. } => false,
        },
        Phase::Paused { from: paused, .. } => after_pause(*paused, to),
        Phase::Promoting => matches!(
            to,
            Phase::Watching
                | Phase::RollingBack { .. }
                | Phase::Paused {
                    from: Resumable::Ramping { .. },
                    ..
                }
        ),
        Phase::Watching => matches!(
            to,
            Phase::Promoted
                | Phase::RollingBack { .. }
                | Phase::Superseded { .. }
                | Phase::Paused {
                    from: Resumable::Watching,
                    ..
                }
        ),
        Phase::Promoted => matches!(to, Phase::RollingBack { .. }),
        Phase::RollingBack { cause } => matches!(to, Phase::RolledBack { cause: kept } if kept == cause),
        Phase::RolledBack { .. } | Phase::Superseded { .. } => false,
    }
}

fn after_pause(paused: Resumable, to: &Phase) -> bool {
    match to {
        Phase::Pending => paused == Resumable::Pending,
        Phase::Watching => paused == Resumable::Watching,
        Phase::Ramping { step } => paused == Resumable::Ramping { step: *step },
        // An approval, or a step back that a pause did not hide.
        Phase::Paused { from, .. } => match (paused, from) {
            (Resumable::Ramping { step }, Resumable::Ramping { step: next }) => {
                *next == step || *next + 1 == step
            }
            (before, after) => before == *after,
        },
        Phase::Promoting => matches!(paused, Resumable::Ramping { .. }),
        Phase::RollingBack { .. } | Phase::Superseded { .. } => true,
        Phase::Promoted | Phase::RolledBack { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Version;

    #[test]
    fn the_diagram_has_no_way_back_from_the_end_and_no_way_round_a_confirmation() {
        let cause = Cause::Verdict(VerdictCause::Passed);
        let phases = [
            Phase::Pending,
            Phase::Ramping { step: 0 },
            Phase::Ramping { step: 1 },
            Phase::Ramping { step: 2 },
            Phase::Paused {
                from: Resumable::Ramping { step: 1 },
                cause: cause.clone(),
            },
            Phase::Promoting,
            Phase::Watching,
            Phase::Promoted,
            Phase::RollingBack { cause: cause.clone() },
            Phase::RolledBack { cause },
            Phase::Superseded { by: Version::FIRST },
        ];
        let ways: Vec<String> = phases
            .iter()
            .map(|from| {
                let mark = |to| if may_follow(from, to) { 'x' } else { '.' };
                phases.iter().map(mark).collect()
            })
            .collect();
        insta::assert_snapshot!(ways.join("\n"), @r"
        xx......x.x
        .xx..x..x.x
        .xxxxx..x.x
        ..xx.x..x.x
        ..x.xx..x.x
        ....x.x.x..
        .......xx.x
        ........x..
        .........x.
        ...........
        ...........
        ");
    }
}

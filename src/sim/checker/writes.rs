//! What a Langfuse was made to write: it has no journal and no fences, so that only the order in which
//! Serin asks, and what it waits for, keeps labels from ending elsewhere than Serin's audit says.

use super::{Ask, Checker, Look, Violation};
use crate::ids::{Label, RolloutId, Version};
use crate::rollout::{LabelMove, Phase};
use crate::sim::langfuse::{Model, Writer, Written};
use std::collections::BTreeMap;

/// What was seen of a Langfuse's writes.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Writes that were looked at.
    seen: usize,
    /// Whose the last write of each label was: a move of Serin's, or one that somebody else is to know of.
    last: BTreeMap<Label, Option<Origin>>,
}

/// A rollout, and the move that it asked for.
type Origin = (RolloutId, Ask);

impl Checker {
    /// Every new write was a person's, or was asked for by a committed transition, not twice, and not
    /// after something newer.
    pub(super) fn check_writes(&mut self, look: &Look<'_>, model: &Model) -> Result<(), Violation> {
        let journal = model.journal();
        for written in journal.iter().skip(self.writes.seen) {
            self.explain_write(look, written)?;
        }
        self.writes.seen = journal.len();
        for trail in self.trails.values_mut() {
            let fresh = std::mem::take(&mut trail.confirmed_lately);
            trail.confirmed.extend(fresh);
            let state = trail.state.as_ref();
            trail.was_rolled_back =
                state.is_some_and(|state| matches!(state.phase, Phase::RolledBack { .. }));
        }
        self.check_exposure_of_moves(look)
    }

    fn explain_write(&mut self, look: &Look<'_>, written: &Written) -> Result<(), Violation> {
        let labels = [&self.policy.labels.control, &self.policy.labels.treatment];
        let label = labels.into_iter().find(|label| label.as_str() == written.label);
        let Some(label) = label.cloned() else {
            return Ok(());
        };
        if written.by == Writer::Person {
            self.writes.last.insert(label, None);
            return Ok(());
        }
        let to = written.to.and_then(|to| Version::new(to).ok());
        let Some((origin, from)) = self.asked_by(&label, to) else {
            return Err(look.broken(
                "a label moves only as a committed transition asks",
                format!("{written:?}"),
            ));
        };
        if written.by == Writer::Key {
            let found = written.from.and_then(|from| Version::new(from).ok());
            if from != found {
                let detail = format!("{written:?}, and {from:?} was to be left");
                return Err(look.broken("a label that somebody else moved is left there", detail));
            }
        }
        self.check_repeat(look, written, &label, &origin)?;
        self.check_order(look, written, &label, &origin)?;
        if let Some(trail) = self.trails.get_mut(&origin.0) {
            trail.moved.insert(origin.1.clone());
        }
        let over_somebody = self.writes.last.get(&label).is_some_and(Option::is_none);
        // What was sent before somebody moved the label, and arrives after that, overruns their move, and
        // nothing takes it back: the rollout is paused, and the audit tells of a move without an answer.
        let last = Some(origin).filter(|_| !(written.by == Writer::LateKey && over_somebody));
        self.writes.last.insert(label, last);
        Ok(())
    }

    /// The newest committed move of this label to this version, and where it was to come from.
    fn asked_by(&self, label: &Label, to: Option<Version>) -> Option<(Origin, Option<Version>)> {
        self.trails.iter().rev().find_map(|(rollout, trail)| {
            let fits = |(_, (label_move, _)): &(&Ask, &(LabelMove, bool))| {
                label_move.label == *label && Some(label_move.to) == to
            };
            let (ask, (label_move, _)) = trail.asked.iter().rev().find(fits)?;
            Some(((*rollout, ask.clone()), label_move.from))
        })
    }

    /// A move is made once; again only where its answer was lost and somebody undid it meanwhile, which
    /// nobody can tell from a request that never arrived.
    fn check_repeat(
        &self,
        look: &Look<'_>,
        written: &Written,
        label: &Label,
        (rollout, ask): &Origin,
    ) -> Result<(), Violation> {
        let Some(trail) = self.trails.get(rollout) else {
            return Ok(());
        };
        let by_somebody = self.writes.last.get(label).is_some_and(Option::is_none);
        let again = trail.moved.contains(ask) && written.by == Writer::Key;
        if again && (!by_somebody || trail.confirmed.contains(ask)) {
            let detail = format!("{written:?} for {rollout}, {ask:?}");
            return Err(look.broken("no move is done twice with effect", detail));
        }
        Ok(())
    }

    /// What arrives late undoes nothing that Serin moved, or saw in place, after it.
    fn check_order(
        &self,
        look: &Look<'_>,
        written: &Written,
        label: &Label,
        origin: &Origin,
    ) -> Result<(), Violation> {
        let (rollout, (generation, _)) = origin;
        let newer = self.writes.last.get(label).and_then(Option::as_ref);
        let undoes =
            newer.is_some_and(|(last, (last_generation, _))| (last, last_generation) > (rollout, generation));
        let rolled_back = self.trails.get(rollout).filter(|trail| trail.was_rolled_back);
        let candidate = rolled_back.and_then(|trail| Some(trail.state.as_ref()?.candidate.get()));
        let comes_back = candidate.is_some() && written.to == candidate;
        if undoes || comes_back {
            let detail = format!("{written:?} for {origin:?}, after {newer:?}");
            return Err(look.broken("no move is undone by a stale one", detail));
        }
        Ok(())
    }

    /// At rest, a label that Serin wrote last is where its newest confirmed move brought it.
    pub(super) fn check_rest_of_writes(&self, look: &Look<'_>) -> Result<(), Violation> {
        for (label, last) in &self.writes.last {
            if last.is_none() {
                continue;
            }
            let newest = self.trails.values().rev().find_map(|trail| {
                let (_, (label_move, _)) = trail
                    .asked
                    .iter()
                    .rev()
                    .find(|(ask, _)| ask.1 == *label && trail.confirmed.contains(*ask))?;
                Some(label_move.to)
            });
            let found = look.world.label(&self.policy.prompt, label);
            if newest.is_some() && newest != found {
                let detail =
                    format!("`{label}` is at {found:?}, {newest:?} was confirmed, {last:?} wrote last");
                return Err(look.broken("labels end where the journal says", detail));
            }
        }
        Ok(())
    }
}

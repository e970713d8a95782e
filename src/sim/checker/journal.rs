//! No label anywhere that the registry's journal does not explain, and none moved twice.

use super::{Checker, Look, Violation};
use crate::prompt::LabelChange;

impl Checker {
    /// Every new entry of the journal was somebody else's, or was asked for by a committed transition.
    pub(super) fn check_journal(&mut self, look: &Look<'_>) -> Result<(), Violation> {
        let journal = look.world.registry().journal(&self.policy.prompt);
        for change in journal.iter().skip(self.journal_seen) {
            self.explain(look, change)?;
        }
        self.journal_seen = journal.len();
        for label in [&self.policy.labels.control, &self.policy.labels.treatment] {
            let told = journal
                .iter()
                .rev()
                .find(|change| change.label == *label)
                .and_then(|change| change.to);
            let found = look.world.registry().label(&self.policy.prompt, label);
            if told != found {
                let detail = format!("`{label}` is at {found:?}, the journal says {told:?}");
                return Err(look.broken("the journal explains every label", detail));
            }
        }
        self.check_exposure_of_moves(look)
    }

    fn explain(&mut self, look: &Look<'_>, change: &LabelChange) -> Result<(), Violation> {
        let Some((rollout, generation)) = change.rollout else {
            return Ok(());
        };
        let ask = (generation, change.label.clone());
        let trail = self.trails.get_mut(&rollout);
        let asked = trail.as_ref().and_then(|trail| trail.asked.get(&ask));
        let is_asked =
            asked.is_some_and(|(asked, _)| asked.from == change.from && Some(asked.to) == change.to);
        if !is_asked {
            let detail = format!("{change:?}, and {asked:?} was committed");
            return Err(look.broken("a label moves only as a committed transition asks", detail));
        }
        if trail.is_some_and(|trail| !trail.moved.insert(ask)) {
            return Err(look.broken("a generation moves a label once", format!("{change:?}")));
        }
        Ok(())
    }

    /// Nobody was in treatment when a rollback moved a label.
    pub(super) fn check_exposure_of_moves(&self, look: &Look<'_>) -> Result<(), Violation> {
        for witnessed in look.world.reached().take_moves() {
            let label_move = &witnessed.label_move;
            let ask = (label_move.generation, label_move.label.clone());
            let trail = self.trails.get(&label_move.rollout);
            let goes_back = trail
                .and_then(|trail| trail.asked.get(&ask))
                .is_some_and(|(_, goes_back)| *goes_back);
            if goes_back && witnessed.exposure > crate::ids::Exposure::NOBODY {
                return Err(look.broken(
                    "exposure falls to zero before a label goes back",
                    format!("{witnessed:?}"),
                ));
            }
        }
        Ok(())
    }
}

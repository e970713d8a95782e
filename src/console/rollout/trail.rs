//! The history of a rollout, newest first.

use crate::analysis::Assessment;
use crate::console::numbers::e_value;
use crate::console::words::{Moment, Prose};
use crate::figures;
use crate::ids::{Actor, RolloutId};
use crate::rollout::{AuditEvent, AuditRecord, Cause, RegistryCause, RolloutState, explain};
use crate::store::{Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;

/// Records that are read at once.
const READ_MAX: usize = 500;

/// The history as it is shown.
#[derive(Debug, Default)]
pub(in crate::console) struct Trail {
    pub(super) entries: Vec<Entry>,
    /// How many older ones there are.
    pub(super) older: usize,
    /// Every state that was entered, oldest first.
    pub(in crate::console) entered: Vec<(Timestamp, RolloutState)>,
}

/// A time in one state.
#[derive(Debug)]
pub(super) struct Stay<'t> {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) state: &'t RolloutState,
}

impl Stay<'_> {
    pub(super) fn length(&self) -> SignedDuration {
        self.until.duration_since(self.since)
    }
}

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Moment,
    /// Whose doing it was.
    pub(super) who: String,
    pub(super) text: Prose,
    /// The numbers that it rests on.
    pub(super) numbers: Option<String>,
}

impl Trail {
    /// The history with its newest `entries_max` entries, and the last numbers in it.
    pub(in crate::console) async fn read(
        store: &dyn Store,
        rollout: RolloutId,
        entries_max: usize,
    ) -> Result<(Self, Option<Assessment>), StoreError> {
        let (mut trail, mut last, mut after) = (Self::default(), None, None);
        let mut entries = VecDeque::new();
        loop {
            let records = store.audit(rollout, after, READ_MAX).await?;
            let Some(end) = records.last() else { break };
            after = Some(end.sequence);
            for record in records {
                entries.push_front(Entry::new(&record));
                if entries.len() > entries_max {
                    entries.pop_back();
                    trail.older += 1;
                }
                if let AuditEvent::Moved(transition) = record.event {
                    let transition = *transition;
                    trail.entered.push((record.at, transition.to));
                    last = transition.assessment.or(last);
                }
            }
        }
        trail.entries = entries.into();
        Ok((trail, last))
    }

    /// Every state with the times at which it was entered and left, oldest first; the last one lasts until
    /// `now`, unless the rollout is over.
    pub(super) fn stays(&self, now: Timestamp) -> impl Iterator<Item = Stay<'_>> {
        let left = self.entered.iter().skip(1).map(|(at, _)| Some(*at));
        let pairs = self.entered.iter().zip(left.chain([None]));
        pairs.map(move |((since, state), left)| Stay {
            since: *since,
            until: match left {
                Some(left) => left,
                None if state.phase.is_over() => *since,
                None => now.max(*since),
            },
            state,
        })
    }
}

impl Entry {
    fn new(record: &AuditRecord) -> Self {
        let numbers = match &record.event {
            AuditEvent::Moved(transition) => transition.assessment.as_ref().map(numbers),
            AuditEvent::LabelMove { .. }
            | AuditEvent::Registry { .. }
            | AuditEvent::Cache { .. }
            | AuditEvent::Fallback(_)
            | AuditEvent::Notice { .. }
            | AuditEvent::Refused { .. } => None,
        };
        Self {
            at: Moment::new(record.at),
            who: who(&record.event),
            text: Prose::new(&explain::event(&record.event)),
            numbers,
        }
    }
}

/// Who brought it about: a person, Serin itself, or somebody whom the registry does not name.
fn who(event: &AuditEvent) -> String {
    let serin = Actor::serin();
    let actor = match event {
        AuditEvent::Moved(transition) => match &transition.cause {
            Cause::Operator { actor, .. } => Some(actor),
            Cause::Registry(RegistryCause::CandidateAppeared { by })
            | Cause::Registry(RegistryCause::NewerCandidate { by, .. }) => by.as_ref(),
            Cause::Registry(RegistryCause::ForeignMove(foreign)) => foreign.by.as_ref(),
            Cause::Verdict(_) | Cause::Policy(_) | Cause::Registry(RegistryCause::Confirmed) => Some(&serin),
        },
        AuditEvent::Refused { command, .. } => Some(&command.actor),
        AuditEvent::LabelMove { .. }
        | AuditEvent::Registry { .. }
        | AuditEvent::Cache { .. }
        | AuditEvent::Notice { .. }
        | AuditEvent::Fallback(_) => Some(&serin),
    };
    actor.map_or_else(|| figures::NOTHING.to_owned(), ToString::to_string)
}

fn numbers(assessment: &Assessment) -> String {
    let combined = assessment.log_e_combined.map_or_else(String::new, |log_e| {
        format!(
            ", evidence that it is worse {} of {}",
            e_value(log_e),
            e_value(assessment.threshold)
        )
    });
    let verdict = crate::console::words::verdict_chip(assessment.verdict).word;
    format!(
        "verdict {verdict}, {} treated observations{combined}",
        figures::count(assessment.treated)
    )
}

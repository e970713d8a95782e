//! The history of a rollout, newest first.

use crate::analysis::Assessment;
use crate::console::numbers::e_value;
use crate::console::words::{Moment, Prose};
use crate::ids::RolloutId;
use crate::rollout::{AuditEvent, AuditRecord, RolloutState, explain};
use crate::store::{Store, StoreError};
use jiff::Timestamp;
use std::collections::VecDeque;

/// Records that are read at once.
const READ_MAX: usize = 500;
/// Records that are shown.
const SHOWN_MAX: usize = 200;

/// The history as it is shown.
#[derive(Debug, Default)]
pub(in crate::console) struct Trail {
    pub(super) entries: Vec<Entry>,
    /// How many older ones there are.
    pub(super) older: usize,
    /// Every state that was entered, oldest first.
    pub(in crate::console) entered: Vec<(Timestamp, RolloutState)>,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Moment,
    pub(super) text: Prose,
    /// The numbers that it rests on.
    pub(super) numbers: Option<String>,
}

impl Trail {
    /// The history, and the last numbers in it.
    pub(in crate::console) async fn read(
        store: &dyn Store,
        rollout: RolloutId,
    ) -> Result<(Self, Option<Assessment>), StoreError> {
        let (mut trail, mut last, mut after) = (Self::default(), None, None);
        let mut entries = VecDeque::new();
        loop {
            let records = store.audit(rollout, after, READ_MAX).await?;
            let Some(end) = records.last() else { break };
            after = Some(end.sequence);
            for record in records {
                entries.push_front(Entry::new(&record));
                if entries.len() > SHOWN_MAX {
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
            text: Prose::new(&explain::event(&record.event)),
            numbers,
        }
    }
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
        crate::figures::count(assessment.treated)
    )
}

//! What the crowd has seen and done, as it counts it itself.

use crate::ids::Arm;
use jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Batches of treated observations that are remembered: some minutes of them.
const BATCHES_MAX: usize = 16_384;

/// What the crowd has seen and done so far.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    totals: Totals,
    /// When the last assignment to treatment was answered.
    last_treatment: Option<Timestamp>,
    /// Somebody who was assigned to treatment.
    treated_user: Option<String>,
    /// When batches with treated observations were acknowledged, oldest first.
    acknowledged: Vec<Timestamp>,
}

/// Counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Assignments that were answered.
    pub(super) assigned: u64,
    /// Those of them to treatment.
    pub(super) treated: u64,
    /// Observations that the server has acknowledged.
    pub(super) observed: u64,
    /// Requests that failed.
    pub(super) failed: u64,
}

/// How long a candidate was still handed out, seen from outside.
///
/// Which observation crossed the threshold is not told by anybody; the history tells the second in
/// whose observations the evidence crossed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delay {
    /// From the first acknowledgement in that second, in milliseconds.
    pub(super) from_first_milliseconds: i64,
    /// From the last one, in milliseconds; never more.
    pub(super) from_last_milliseconds: i64,
}

impl Totals {
    /// What was added since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            assigned: self.assigned - before.assigned,
            treated: self.treated - before.treated,
            observed: self.observed - before.observed,
            failed: self.failed - before.failed,
        }
    }
}

impl Ledger {
    /// An assignment of `user` was answered.
    pub(super) fn answered(&self, user: &str, arm: Arm, at: Timestamp) {
        let mut entries = self.entries();
        entries.totals.assigned += 1;
        if arm == Arm::Treatment {
            entries.totals.treated += 1;
            entries.last_treatment = Some(at);
            entries.treated_user = Some(user.to_owned());
        }
    }

    /// An assignment was answered that nobody but the probe asked for.
    pub(super) fn probed(&self, arm: Arm, at: Timestamp) {
        if arm == Arm::Treatment {
            self.entries().last_treatment = Some(at);
        }
    }

    /// A batch of observations was acknowledged, of which some were treated.
    pub(super) fn acknowledged(&self, observations: u64, treated: bool, at: Timestamp) {
        let mut entries = self.entries();
        entries.totals.observed += observations;
        if treated && entries.acknowledged.len() < BATCHES_MAX {
            entries.acknowledged.push(at);
        }
    }

    /// A request failed.
    pub(super) fn failed(&self) {
        self.entries().totals.failed += 1;
    }

    /// Forgets what belongs to the rollout before.
    pub(super) fn turn_page(&self) {
        let mut entries = self.entries();
        *entries = Entries {
            totals: entries.totals,
            ..Entries::default()
        };
    }

    /// The counts so far.
    pub(super) fn totals(&self) -> Totals {
        self.entries().totals
    }

    /// Somebody in treatment, once there is somebody.
    pub(super) fn treated_user(&self) -> Option<String> {
        self.entries().treated_user.clone()
    }

    /// How long the candidate was handed out after its evidence crossed in the second that begins at
    /// `crossing`; none when nothing treated was acknowledged in it.
    pub(super) fn delay(&self, crossing: Timestamp) -> Option<Delay> {
        let entries = self.entries();
        let second = crossing.as_second();
        let mut within = entries.acknowledged.iter().filter(|at| at.as_second() == second);
        let first = *within.next()?;
        let last = within.next_back().copied().unwrap_or(first);
        let end = entries.last_treatment?;
        let milliseconds = |from: Timestamp| (end.as_millisecond() - from.as_millisecond()).max(0);
        Some(Delay {
            from_first_milliseconds: milliseconds(first),
            from_last_milliseconds: milliseconds(last),
        })
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn the_delay_counts_from_the_second_that_crossed() {
        let ledger = Ledger::default();
        for acknowledged in [900, 1_100, 1_500, 1_950, 2_020] {
            ledger.acknowledged(10, true, at(acknowledged));
        }
        assert_eq!(ledger.delay(at(1_000)), None, "nobody was in treatment");
        ledger.answered("anna", Arm::Treatment, at(2_010));
        ledger.answered("bob", Arm::Control, at(2_500));
        let delay = ledger.delay(at(1_000)).unwrap();
        assert_eq!(
            (delay.from_first_milliseconds, delay.from_last_milliseconds),
            (910, 60)
        );
        assert_eq!(ledger.delay(at(5_000)), None, "nothing was acknowledged then");
    }

    #[test]
    fn batches_without_treatment_cannot_have_crossed() {
        let ledger = Ledger::default();
        ledger.acknowledged(10, false, at(100));
        ledger.answered("anna", Arm::Treatment, at(900));
        assert_eq!(ledger.delay(at(0)), None);
        assert_eq!(ledger.totals().observed, 10);
        ledger.turn_page();
        assert_eq!(ledger.treated_user(), None);
        assert_eq!(ledger.totals().assigned, 1);
    }
}

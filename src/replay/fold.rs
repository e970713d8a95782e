//! From the judged lines of a tick to what the engine takes in, as a store adds them up.

use super::seen::{Ids, Met, Users};
use super::{Counts, Planned};
use crate::analysis::{ByShare, Headcount, TickTally};
use crate::ids::{Arm, Exposure, Tick};
use crate::source::ingest::Ingested;
use crate::store::{ExclusionCause, Sight};
use std::collections::BTreeMap;

/// Sets users with something left out apart from all others.
const EXCLUDED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Adds up, and remembers who and what was seen.
#[derive(Debug)]
pub(super) struct Fold {
    planned: Planned,
    users: Users,
    ids: Ids,
}

impl Fold {
    pub(super) fn new(planned: Planned) -> Self {
        Self {
            planned,
            users: Users::default(),
            ids: Ids::default(),
        }
    }

    /// What one tick holds.
    pub(super) fn tally(&mut self, tick: Tick, ingested: &Ingested, counts: &mut Counts) -> TickTally {
        let mut tally = TickTally {
            tick,
            metrics: BTreeMap::new(),
            headcount: Headcount::default(),
        };
        for counted in &ingested.observations {
            if counted.id.is_some_and(|id| !self.ids.note(first_half(id))) {
                counts.duplicates += 1;
                continue;
            }
            counts.used.add(counted.arm);
            for (metric, observation) in &counted.values {
                let arms = tally.metrics.entry(metric.clone()).or_default();
                arms.add(counted.arm, counted.cluster, *observation);
            }
            if let Some(sight) = counted.sight
                && self.meet(sight.user.0, counts)
            {
                counts.users.add(counted.arm);
                self.count(&mut tally.headcount.users, sight, counted.arm);
            }
        }
        for exclusion in &ingested.exclusions {
            match exclusion.cause {
                ExclusionCause::Fallback => tally.headcount.fallback.add(exclusion.arm),
                ExclusionCause::OutOfRange => tally.headcount.out_of_range.add(exclusion.arm),
            }
            if let Some(sight) = exclusion.sight
                && self.meet(sight.user.0 ^ EXCLUDED, counts)
            {
                self.count(&mut tally.headcount.excluded, sight, exclusion.arm);
            }
        }
        tally
    }

    /// Whether a user is new.
    fn meet(&mut self, user: u64, counts: &mut Counts) -> bool {
        match self.users.meet(user) {
            Met::New => true,
            Met::Known => false,
            Met::Crowded => {
                counts.users_beyond_bound += 1;
                false
            }
        }
    }

    /// Counts a new user at the share that was planned, where that is known.
    fn count(&self, by_share: &mut ByShare, sight: Sight, arm: Arm) {
        let share: Option<Exposure> = match self.planned {
            Planned::Nothing => None,
            Planned::Policy => sight.planned,
            Planned::Share(share) => Some(share),
        };
        if let Some(share) = share {
            by_share.entry(share).or_default().add(arm);
        }
    }
}

/// 64 bits of a fingerprint, which are spread evenly.
fn first_half(id: [u8; 16]) -> u64 {
    let mut half = [0; 8];
    half.copy_from_slice(&id[..8]);
    u64::from_le_bytes(half)
}

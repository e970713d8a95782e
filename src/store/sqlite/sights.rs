//! Users at first sight: each counts once for a rollout's sample ratio.
//!
//! The file knows every one of them, by a keyed hash, until the rollout is over. Most observations are of
//! users who were seen a short while ago: those are remembered, so that the file is asked for new ones
//! and few others.

use crate::ids::{Exposure, RolloutId};
use crate::store::rows;
use crate::store::{Sight, StoreError};
use rusqlite::{Connection, OptionalExtension as _, params};

/// Users who are remembered, of all rollouts together: 8 MiB of them, a power of two.
const REMEMBERED_USERS: usize = 1 << 20;

/// Users of rollouts that are over which are forgotten with each group.
const USERS_FORGOTTEN_PER_GROUP: i64 = 1_024;

/// What a user is counted among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// All who were observed.
    Observed,
    /// Those of whom an observation was left out.
    Excluded,
}

/// A user in one rollout, as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    fn of(rollout: RolloutId, among: Among, sight: &Sight) -> Self {
        // The hash of a user may be the same in two rollouts, so both are mixed: SplitMix64 (Steele, Lea
        // & Flood 2014) takes neighbours far apart.
        let place = rollout.get().wrapping_mul(2) + u64::from(among == Among::Excluded);
        let mut mixed = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self(sight.user.0 ^ mixed ^ (mixed >> 27))
    }

    fn place(self) -> usize {
        usize::try_from(self.0 % REMEMBERED_USERS as u64).unwrap_or_default()
    }
}

/// Users who were seen a short while ago; a newer one takes the place of an older one.
#[derive(Debug)]
pub(super) struct Remembered(Box<[u64]>);

impl Remembered {
    pub(super) fn nobody() -> Self {
        Self(vec![0; REMEMBERED_USERS].into())
    }

    /// Never true of somebody who was not remembered.
    fn knows(&self, mark: Mark) -> bool {
        // 0 is an empty place, so whoever has that mark is looked for in the file.
        mark.0 != 0 && self.0.get(mark.place()) == Some(&mark.0)
    }

    /// Remembers somebody whom the file knows.
    pub(super) fn remember(&mut self, mark: Mark) {
        if let Some(place) = self.0.get_mut(mark.place()) {
            *place = mark.0;
        }
    }

    /// Forgets everybody, when the file may not know some of them after all.
    pub(super) fn forget(&mut self) {
        self.0.fill(0);
    }
}

/// What came of looking at a user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looked {
    /// To be remembered once nothing can fail any more; none for somebody who is.
    pub(super) mark: Option<Mark>,
    /// The share at which the user counts, for the first time now.
    pub(super) counts_at: Option<Exposure>,
}

/// Notes a user, and tells whether this is the first sight of them.
pub(super) fn look(
    connection: &Connection,
    remembered: &Remembered,
    rollout: RolloutId,
    among: Among,
    sight: &Sight,
) -> Result<Looked, StoreError> {
    let mark = Mark::of(rollout, among, sight);
    if remembered.knows(mark) {
        return Ok(Looked {
            mark: None,
            counts_at: None,
        });
    }
    let inserted = connection
        .prepare_cached("INSERT OR IGNORE INTO sights (rollout, excluded, user) VALUES (?1, ?2, ?3)")?
        .execute(params![
            rows::integer(rollout.get())?,
            among == Among::Excluded,
            sight.user.0.cast_signed()
        ])?;
    Ok(Looked {
        mark: Some(mark),
        counts_at: sight.planned.filter(|_| inserted > 0),
    })
}

/// Has the users of a rollout that is over forgotten, a part with each group.
pub(super) fn begin_to_forget(connection: &Connection, rollout: RolloutId) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO sights_to_forget (rollout) VALUES (?1)")?
        .execute([rows::integer(rollout.get())?])?;
    Ok(())
}

/// Forgets users of rollouts that are over.
pub(super) fn forget_part(connection: &Connection) -> Result<(), StoreError> {
    let rollout: Option<i64> = connection
        .prepare_cached("SELECT rollout FROM sights_to_forget LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(rollout) = rollout else {
        return Ok(());
    };
    let forgotten = connection
        .prepare_cached(
            "DELETE FROM sights WHERE (rollout, excluded, user) IN
             (SELECT rollout, excluded, user FROM sights WHERE rollout = ?1 LIMIT ?2)",
        )?
        .execute([rollout, USERS_FORGOTTEN_PER_GROUP])?;
    if forgotten == 0 {
        connection
            .prepare_cached("DELETE FROM sights_to_forget WHERE rollout = ?1")?
            .execute([rollout])?;
    }
    Ok(())
}

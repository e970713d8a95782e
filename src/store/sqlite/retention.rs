//! Forgets what was counted long ago, a bounded part at a time.

use super::writer::Group;
use crate::store::StoreError;

/// How long a repeated observation or request is recognised, in seconds: 7 days.
pub(super) const SEEN_KEPT_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Entries that every group may forget.
const FORGOTTEN_PER_GROUP: usize = 256;

/// Entries that a group may forget for each one that it notes: above 1, so that forgetting keeps up.
const FORGOTTEN_PER_NOTED: usize = 2;

/// Deletes the oldest entries beyond [`SEEN_KEPT_SECONDS`].
pub(super) fn forget_old(group: &Group<'_>) -> Result<(), StoreError> {
    let before = group.tick.second().saturating_sub(SEEN_KEPT_SECONDS);
    let most = FORGOTTEN_PER_GROUP + FORGOTTEN_PER_NOTED * group.noted;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    for statement in [
        "DELETE FROM seen_observations WHERE id IN
         (SELECT id FROM seen_observations WHERE tick < ?1 ORDER BY tick LIMIT ?2)",
        "DELETE FROM seen_batches WHERE key IN
         (SELECT key FROM seen_batches WHERE tick < ?1 ORDER BY tick LIMIT ?2)",
    ] {
        group
            .connection
            .prepare_cached(statement)?
            .execute([before, most])?;
    }
    Ok(())
}

//! How far the engine has read each rollout's ticks.

use super::observations;
use super::writer::Group;
use crate::ids::{RolloutId, Tick};
use crate::rollout::Checkpoint;
use crate::store::StoreError;
use crate::store::rows;
use rusqlite::{Connection, OptionalExtension as _, params};

/// Keeps a checkpoint and deletes the ticks that it holds; one older than what is stored changes nothing.
///
/// The rollout must exist.
pub(super) fn save(
    group: &mut Group<'_>,
    rollout: RolloutId,
    checkpoint: &Checkpoint,
) -> Result<(), StoreError> {
    let closed = observations::close_earlier(group)?;
    if checkpoint.through > closed {
        return Err(StoreError::Failed(
            format!(
                "a checkpoint of rollout {rollout} reaches to tick {}, which is not closed",
                checkpoint.through.second()
            )
            .into(),
        ));
    }
    let id = rows::integer(rollout.get())?;
    let through = checkpoint.through.second();
    let changed = group
        .connection
        .prepare_cached(
            "INSERT INTO checkpoints (rollout, through, engine) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET through = excluded.through, engine = excluded.engine
             WHERE excluded.through >= through",
        )?
        .execute(params![id, through, checkpoint.engine])?;
    if changed > 0 {
        for statement in [
            "DELETE FROM tallies WHERE rollout = ?1 AND tick <= ?2",
            "DELETE FROM headcounts WHERE rollout = ?1 AND tick <= ?2",
        ] {
            group
                .connection
                .prepare_cached(statement)?
                .execute([id, through])?;
        }
    }
    Ok(())
}

/// The newest checkpoint of a rollout.
pub(super) fn find(connection: &Connection, rollout: RolloutId) -> Result<Option<Checkpoint>, StoreError> {
    let found = connection
        .prepare_cached("SELECT through, engine FROM checkpoints WHERE rollout = ?1")?
        .query_row([rows::integer(rollout.get())?], |row| {
            Ok(Checkpoint {
                through: Tick::new(row.get(0)?),
                engine: row.get(1)?,
            })
        })
        .optional()?;
    Ok(found)
}

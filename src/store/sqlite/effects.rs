//! Label moves that were committed with a transition, and what came of them.

use super::audit;
use crate::ids::{Generation, RolloutId};
use crate::rollout::{AuditEvent, Effect, LabelMove, LabelMoveOutcome};
use crate::store::rows;
use crate::store::rows::label_move::{OutcomeRow, ParentsRow};
use crate::store::{EffectId, PendingEffect, StoreError};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

/// Adds the effects of a transition, in their order.
pub(super) fn add(
    connection: &Connection,
    rollout: RolloutId,
    effects: &[Effect],
) -> Result<Vec<PendingEffect>, StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO effects
         (rollout, generation, prompt, label, from_version, to_version, attempts, finished, parents)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7)",
    )?;
    let mut pending = Vec::with_capacity(effects.len());
    for effect in effects {
        let label_move = match effect {
            Effect::MoveLabel(label_move) => label_move,
            // Added when their record is in the history.
            Effect::Notify(_) => continue,
        };
        let id = insert.insert(params![
            rows::integer(rollout.get())?,
            rows::integer(label_move.generation.get())?,
            label_move.prompt.as_str(),
            label_move.label.as_str(),
            label_move.from.map(|from| from.get()),
            label_move.to.get(),
            parents(label_move)?
        ])?;
        pending.push(PendingEffect {
            id: EffectId(rows::natural("an effect's number", id)?),
            label_move: label_move.clone(),
            attempts: 0,
        });
    }
    Ok(pending)
}

/// Every effect that is not finished, oldest first.
pub(super) fn unfinished(connection: &Connection) -> Result<Vec<PendingEffect>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, rollout, generation, prompt, label, from_version, to_version, attempts, parents
         FROM effects WHERE finished = 0 ORDER BY id",
    )?;
    let mut found = statement.query([])?;
    let mut pending = Vec::new();
    while let Some(row) = found.next()? {
        pending.push(read(row)?);
    }
    Ok(pending)
}

/// Nothing where nothing else changes, as nearly everywhere.
fn parents(label_move: &LabelMove) -> Result<Option<String>, StoreError> {
    let row = ParentsRow::from(&label_move.parents);
    (!row.is_none()).then(|| rows::encode(&row)).transpose()
}

fn read(row: &Row<'_>) -> Result<PendingEffect, StoreError> {
    let from: Option<i64> = row.get(5)?;
    let parents: Option<ParentsRow> = row
        .get_ref(8)?
        .as_str_or_null()?
        .map(|text| rows::decode("what a label changes", text))
        .transpose()?;
    Ok(PendingEffect {
        id: EffectId(rows::natural("an effect's number", row.get(0)?)?),
        label_move: LabelMove {
            rollout: RolloutId::new(rows::natural("a rollout's number", row.get(1)?)?),
            generation: Generation::new(rows::natural("a generation", row.get(2)?)?),
            prompt: rows::parse("a prompt's name", row.get_ref(3)?.as_str()?)?,
            label: rows::parse("a label", row.get_ref(4)?.as_str()?)?,
            from: from.map(rows::version).transpose()?,
            to: rows::version(row.get(6)?)?,
            parents: parents.unwrap_or_default().into(),
        },
        attempts: row.get(7)?,
    })
}

/// Notes what came of an effect; see [`Store::record_effect`](crate::store::Store::record_effect).
pub(super) fn record(
    connection: &Connection,
    at: Timestamp,
    id: EffectId,
    outcome: &LabelMoveOutcome,
) -> Result<(), StoreError> {
    let Some(before) = find(connection, id)? else {
        return Err(StoreError::UnknownEffect(id));
    };
    let last = rows::encode(&OutcomeRow::from(outcome))?;
    let finishes = match outcome {
        LabelMoveOutcome::Confirmed | LabelMoveOutcome::Foreign { .. } | LabelMoveOutcome::Superseded => true,
        LabelMoveOutcome::Failed { .. } => false,
    };
    if before.finished {
        return Ok(());
    }
    let attempts = before.effect.attempts.saturating_add(1);
    connection
        .prepare_cached("UPDATE effects SET attempts = ?2, finished = ?3, outcome = ?4 WHERE id = ?1")?
        .execute(params![rows::integer(id.0)?, attempts, finishes, last])?;
    let news = finishes || before.outcome.as_ref() != Some(&last) || attempts.is_power_of_two();
    if news {
        let event = AuditEvent::LabelMove {
            label_move: before.effect.label_move.clone(),
            outcome: outcome.clone(),
        };
        audit::append(connection, at, before.effect.label_move.rollout, &event)?;
    }
    Ok(())
}

struct Stored {
    effect: PendingEffect,
    finished: bool,
    /// As it was written last.
    outcome: Option<String>,
}

fn find(connection: &Connection, id: EffectId) -> Result<Option<Stored>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, rollout, generation, prompt, label, from_version, to_version, attempts, parents,
                finished, outcome
         FROM effects WHERE id = ?1",
    )?;
    let mut found = statement.query([rows::integer(id.0)?])?;
    found
        .next()?
        .map(|row| {
            Ok(Stored {
                effect: read(row)?,
                finished: row.get(9)?,
                outcome: row.get(10)?,
            })
        })
        .transpose()
}

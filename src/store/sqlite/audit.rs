//! The history: append-only, in the order of commits.

use crate::ids::RolloutId;
use crate::rollout::{AuditEvent, AuditRecord};
use crate::store::StoreError;
use crate::store::rows::{self, event::EventRow};
use jiff::Timestamp;
use rusqlite::{Connection, params};

/// Appends a record, whose number it returns; the rollout must exist.
pub(super) fn append(
    connection: &Connection,
    at: Timestamp,
    rollout: RolloutId,
    event: &AuditEvent,
) -> Result<u64, StoreError> {
    let sequence = connection
        .prepare_cached("INSERT INTO audit (rollout, at, event) VALUES (?1, ?2, ?3)")?
        .insert(params![
            rows::integer(rollout.get())?,
            at.to_string(),
            rows::encode(&EventRow::from(event))?
        ])?;
    rows::natural("an audit record's number", sequence)
}

/// A rollout's history, oldest first.
pub(super) fn read(
    connection: &Connection,
    rollout: RolloutId,
    after: Option<u64>,
    limit: i64,
) -> Result<Vec<AuditRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT audit.sequence, audit.at, audit.event, rollouts.policy
         FROM audit JOIN rollouts ON rollouts.id = audit.rollout
         WHERE audit.rollout = ?1 AND audit.sequence > ?2 ORDER BY audit.sequence LIMIT ?3",
    )?;
    let after = rows::integer(after.unwrap_or(0))?;
    let mut found = statement.query(params![rows::integer(rollout.get())?, after, limit])?;
    let mut records = Vec::new();
    while let Some(row) = found.next()? {
        let event: EventRow = rows::decode("an audit record", row.get_ref(2)?.as_str()?)?;
        records.push(AuditRecord {
            sequence: rows::natural("an audit record's number", row.get(0)?)?,
            at: rows::parse("the time of an audit record", row.get_ref(1)?.as_str()?)?,
            rollout,
            policy: rows::parse("a policy's name", row.get_ref(3)?.as_str()?)?,
            event: event.try_into()?,
        });
    }
    Ok(records)
}

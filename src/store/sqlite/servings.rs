//! What was served where models were called.

use crate::store::rows;
use crate::store::{ScoreSubject, Serving, StoreError};
use rusqlite::{Connection, params};

/// Servings that are kept; older ones go.
const SERVINGS_KEPT_MAX: i64 = 2_000_000;
/// Servings that are read for one score.
const SERVINGS_READ_MAX: i64 = 200;

/// Notes what was served; the last word counts.
pub(super) fn note(connection: &Connection, servings: &[Serving]) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO served (trace, observation, session, policy, receipt) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET
          session = coalesce(excluded.session, session), receipt = excluded.receipt",
    )?;
    for serving in servings {
        insert.execute(params![
            serving.trace,
            serving.observation,
            serving.session,
            serving.policy.as_str(),
            serving.receipt
        ])?;
    }
    connection
        .prepare_cached("DELETE FROM served WHERE sequence <= (SELECT max(sequence) FROM served) - ?1")?
        .execute([SERVINGS_KEPT_MAX])?;
    Ok(())
}

/// What was served where a score was given.
pub(super) fn of(connection: &Connection, about: &ScoreSubject) -> Result<Vec<Serving>, StoreError> {
    let ScoreSubject {
        trace,
        observation,
        session,
        ..
    } = about;
    let (trace, observation, session) = (trace.as_deref(), observation.as_deref(), session.as_deref());
    for (condition, key, second) in [
        (
            "observation = ?1 AND (?2 IS NULL OR trace = ?2)",
            observation,
            trace,
        ),
        ("trace = ?1 AND ?2 IS NULL", trace, None),
        ("session = ?1 AND ?2 IS NULL", session, None),
    ] {
        let Some(key) = key else { continue };
        let statement = format!(
            "SELECT trace, observation, session, policy, receipt FROM served WHERE {condition}
             ORDER BY sequence LIMIT ?3"
        );
        let mut statement = connection.prepare_cached(&statement)?;
        let mut found = statement.query(params![key, second, SERVINGS_READ_MAX])?;
        let mut servings = Vec::new();
        while let Some(row) = found.next()? {
            servings.push(Serving {
                trace: row.get(0)?,
                observation: row.get(1)?,
                session: row.get(2)?,
                policy: rows::parse("a policy's name", row.get_ref(3)?.as_str()?)?,
                receipt: row.get(4)?,
            });
        }
        if !servings.is_empty() {
            return Ok(servings);
        }
    }
    Ok(Vec::new())
}

//! Rollouts; every change of state is compared with the generation before it.

use super::writer::Group;
use super::{audit, checkpoints, effects, notices, sights};
use crate::ids::{Actor, Generation, PolicyName, Revision, RolloutId};
use crate::rollout::{
    Approval, AuditEvent, Checkpoint, Effect, LabelMove, Notice, Phase, RolloutState, Transition,
};
use crate::store::rows::{
    self,
    phase::{ApprovalRow, PhaseRow},
};
use crate::store::{Begun, Loaded, NewRollout, PendingEffect, StoreError};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::sync::Arc;

/// The columns of a rollout in the order that [`read`] expects.
const COLUMNS: &str = "id, policy, revision, stable, candidate, phase, generation, started_at, entered_at, \
                       changed_at, treated_at_entry, stepped_back, promoted, fail_overruled, approvals, \
                       author";

fn read(row: &Row<'_>) -> Result<RolloutState, StoreError> {
    let phase: PhaseRow = rows::decode("a rollout's phase", row.get_ref(5)?.as_str()?)?;
    let approvals: Vec<ApprovalRow> = rows::decode("a rollout's approvals", row.get_ref(14)?.as_str()?)?;
    Ok(RolloutState {
        id: RolloutId::new(rows::natural("a rollout's number", row.get(0)?)?),
        policy: rows::parse("a policy's name", row.get_ref(1)?.as_str()?)?,
        revision: Revision::from(row.get::<_, [u8; 32]>(2)?),
        stable: rows::version(row.get(3)?)?,
        candidate: rows::version(row.get(4)?)?,
        phase: phase.into(),
        generation: Generation::new(rows::natural("a generation", row.get(6)?)?),
        started_at: rows::parse("the time of a rollout", row.get_ref(7)?.as_str()?)?,
        entered_at: rows::parse("the time of a rollout", row.get_ref(8)?.as_str()?)?,
        changed_at: rows::parse("the time of a rollout", row.get_ref(9)?.as_str()?)?,
        treated_at_entry: rows::natural("a number of observations", row.get(10)?)?,
        stepped_back: row.get(11)?,
        promoted: row.get(12)?,
        fail_overruled: row.get(13)?,
        approvals: approvals.into_iter().map(Approval::from).collect(),
        author: row
            .get_ref(15)?
            .as_str_or_null()?
            .map(|author| rows::parse("an author", author))
            .transpose()?,
    })
}

fn all(
    statement: &str,
    connection: &Connection,
    values: impl rusqlite::Params,
) -> Result<Vec<RolloutState>, StoreError> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut found = statement.query(values)?;
    let mut states = Vec::new();
    while let Some(row) = found.next()? {
        states.push(read(row)?);
    }
    Ok(states)
}

/// One rollout's state.
pub(super) fn find(connection: &Connection, id: RolloutId) -> Result<Option<RolloutState>, StoreError> {
    let statement = format!("SELECT {COLUMNS} FROM rollouts WHERE id = ?1");
    Ok(all(&statement, connection, [rows::integer(id.get())?])?.pop())
}

/// Refuses a rollout that does not exist.
pub(super) fn check_exists(connection: &Connection, id: RolloutId) -> Result<(), StoreError> {
    let exists = connection
        .prepare_cached("SELECT 1 FROM rollouts WHERE id = ?1")?
        .exists([rows::integer(id.get())?])?;
    if exists {
        Ok(())
    } else {
        Err(StoreError::UnknownRollout(id))
    }
}

/// Rollouts, newest first.
pub(super) fn list(
    connection: &Connection,
    policy: Option<&PolicyName>,
    before: Option<RolloutId>,
    limit: i64,
) -> Result<Vec<RolloutState>, StoreError> {
    let before = before.map_or(Ok(i64::MAX), |before| rows::integer(before.get()))?;
    match policy {
        Some(policy) => all(
            &format!(
                "SELECT {COLUMNS} FROM rollouts WHERE policy = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
            ),
            connection,
            params![policy.as_str(), before, limit],
        ),
        None => all(
            &format!("SELECT {COLUMNS} FROM rollouts WHERE id < ?1 ORDER BY id DESC LIMIT ?2"),
            connection,
            params![before, limit],
        ),
    }
}

/// What the controller must know to go on.
pub(super) fn load(connection: &Connection) -> Result<Loaded, StoreError> {
    let statement = format!(
        "SELECT {COLUMNS} FROM rollouts
         WHERE over = 0 OR id IN (SELECT max(id) FROM rollouts WHERE over = 1 GROUP BY policy)
         ORDER BY id"
    );
    Ok(Loaded {
        rollouts: all(&statement, connection, [])?,
        effects: effects::unfinished(connection)?,
    })
}

/// Creates a rollout, with its first audit record and its effects.
pub(super) fn begin(connection: &Connection, start: NewRollout) -> Result<Begun, StoreError> {
    let mut state = start.state;
    let running: Option<i64> = connection
        .prepare_cached("SELECT id FROM rollouts WHERE policy = ?1 AND over = 0")?
        .query_row([state.policy.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(running) = running {
        return Err(StoreError::AlreadyRunning {
            rollout: RolloutId::new(rows::natural("a rollout's number", running)?),
            policy: state.policy,
        });
    }
    connection
        .prepare_cached("INSERT OR IGNORE INTO policy_sources (revision, source) VALUES (?1, ?2)")?
        .execute(params![state.revision.bytes(), start.policy_source])?;
    write(
        connection,
        "INSERT INTO rollouts
         (id, policy, revision, stable, candidate, started_at, phase, over, generation, entered_at,
          changed_at, treated_at_entry, stepped_back, promoted, fail_overruled, approvals, author)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        None,
        &state,
    )?;
    state.id = RolloutId::new(rows::natural(
        "a rollout's number",
        connection.last_insert_rowid(),
    )?);
    let effects: Vec<Effect> = start
        .effects
        .into_iter()
        .map(|effect| match effect {
            Effect::MoveLabel(label_move) => Effect::MoveLabel(LabelMove {
                rollout: state.id,
                ..label_move
            }),
            Effect::Notify(notice) => Effect::Notify(Notice {
                rollout: state.id,
                ..notice
            }),
        })
        .collect();
    let pending = effects::add(connection, state.id, &effects)?;
    let asked = effects.clone();
    let beginning = Transition {
        from: Phase::Pending,
        to: state.clone(),
        cause: start.cause,
        assessment: None,
        effects,
    };
    let event = AuditEvent::Moved(Box::new(beginning));
    let record = audit::append(connection, start.at, state.id, &event)?;
    notices::add(connection, start.at, state.id, record, &asked)?;
    Ok(Begun {
        state,
        effects: pending,
    })
}

/// Commits a transition with all that belongs to it.
pub(super) fn commit(
    group: &mut Group<'_>,
    at: Timestamp,
    transition: Transition,
    checkpoint: Option<&Checkpoint>,
) -> Result<Vec<PendingEffect>, StoreError> {
    let connection = group.connection;
    let (rollout, over) = (transition.to.id, transition.to.phase.is_over());
    update(connection, &transition.to)?;
    let pending = effects::add(connection, rollout, &transition.effects)?;
    let asked = transition.effects.clone();
    let record = audit::append(connection, at, rollout, &AuditEvent::Moved(Box::new(transition)))?;
    notices::add(connection, at, rollout, record, &asked)?;
    if let Some(checkpoint) = checkpoint {
        checkpoints::save(group, rollout, checkpoint)?;
    }
    if over {
        // Nobody reads the tallies of a rollout that is over.
        for statement in [
            "DELETE FROM tallies WHERE rollout = ?1",
            "DELETE FROM headcounts WHERE rollout = ?1",
        ] {
            connection
                .prepare_cached(statement)?
                .execute([rows::integer(rollout.get())?])?;
        }
        sights::begin_to_forget(connection, rollout)?;
        group.open.forget_rollout(rollout);
    }
    Ok(pending)
}

/// Writes what changes in the life of a rollout, if it is at the generation before.
fn update(connection: &Connection, state: &RolloutState) -> Result<(), StoreError> {
    let id = rows::integer(state.id.get())?;
    let changed = write(
        connection,
        "UPDATE rollouts SET phase = ?7, over = ?8, generation = ?9, entered_at = ?10,
         changed_at = ?11, treated_at_entry = ?12, stepped_back = ?13, promoted = ?14,
         fail_overruled = ?15, approvals = ?16, author = ?17
         WHERE id = ?1 AND generation = ?9 - 1",
        Some(id),
        state,
    )?;
    if changed == 1 {
        return Ok(());
    }
    let found: Option<i64> = connection
        .prepare_cached("SELECT generation FROM rollouts WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let found = found.ok_or(StoreError::UnknownRollout(state.id))?;
    Err(StoreError::Stale {
        rollout: state.id,
        expected: Generation::new(state.generation.get().saturating_sub(1)),
        found: Generation::new(rows::natural("a generation", found)?),
    })
}

/// Runs a statement whose parameters are the columns of the table, in order; returns the rows changed.
fn write(
    connection: &Connection,
    statement: &str,
    id: Option<i64>,
    state: &RolloutState,
) -> Result<usize, StoreError> {
    let approvals: Vec<ApprovalRow> = state.approvals.iter().map(ApprovalRow::from).collect();
    let changed = connection.prepare_cached(statement)?.execute(params![
        id,
        state.policy.as_str(),
        state.revision.bytes(),
        state.stable.get(),
        state.candidate.get(),
        state.started_at.to_string(),
        rows::encode(&PhaseRow::from(&state.phase))?,
        state.phase.is_over(),
        rows::integer(state.generation.get())?,
        state.entered_at.to_string(),
        state.changed_at.to_string(),
        rows::integer(state.treated_at_entry)?,
        state.stepped_back,
        state.promoted,
        state.fail_overruled,
        rows::encode(&approvals)?,
        state.author.as_ref().map(Actor::as_str)
    ])?;
    Ok(changed)
}

/// The text of a policy that some rollout ran under.
pub(super) fn policy_source(
    connection: &Connection,
    revision: &Revision,
) -> Result<Option<Arc<str>>, StoreError> {
    let source = connection
        .prepare_cached("SELECT source FROM policy_sources WHERE revision = ?1")?
        .query_row([revision.bytes()], |row| row.get(0))
        .optional()?;
    Ok(source)
}

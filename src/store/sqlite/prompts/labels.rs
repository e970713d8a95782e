//! Labels, their protection, and the journal of their moves.

use super::{versions, withdrawals};
use crate::ids::{Generation, Label, PromptName, RolloutId, Version};
use crate::prompt::labels::{self as rule, ChangeOutcome, LabelFacts};
use crate::prompt::{LabelChange, LabelRequest, PromptError};
use crate::store::StoreError;
use crate::store::rows;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::{BTreeMap, BTreeSet};

/// Where every label of a prompt points.
pub(super) fn all(connection: &Connection, prompt: i64) -> Result<BTreeMap<Label, Version>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT label, version FROM labels WHERE prompt = ?1")?;
    let mut found = statement.query([prompt])?;
    let mut labels = BTreeMap::new();
    while let Some(row) = found.next()? {
        let label = rows::parse("a label", row.get_ref(0)?.as_str()?)?;
        labels.insert(label, rows::version(row.get(1)?)?);
    }
    Ok(labels)
}

/// The protected labels of a prompt.
pub(super) fn protected(connection: &Connection, prompt: i64) -> Result<BTreeSet<Label>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT label FROM protected_labels WHERE prompt = ?1")?;
    let mut found = statement.query([prompt])?;
    let mut labels = BTreeSet::new();
    while let Some(row) = found.next()? {
        labels.insert(rows::parse("a label", row.get_ref(0)?.as_str()?)?);
    }
    Ok(labels)
}

/// Protects a label, or lifts its protection; the label need not exist yet.
pub(super) fn protect(
    connection: &Connection,
    name: &PromptName,
    label: &Label,
    protected: bool,
) -> Result<(), PromptError> {
    rule::check_settable(label)?;
    let prompt = versions::prompt_row(connection, name)?.id;
    let statement = if protected {
        "INSERT OR IGNORE INTO protected_labels (prompt, label) VALUES (?1, ?2)"
    } else {
        "DELETE FROM protected_labels WHERE prompt = ?1 AND label = ?2"
    };
    connection
        .prepare_cached(statement)
        .and_then(|mut statement| statement.execute(params![prompt, label.as_str()]))
        .map_err(StoreError::from)?;
    Ok(())
}

/// Changes a label as asked, or finds that it was done before.
pub(super) fn change(
    connection: &Connection,
    now: Timestamp,
    request: LabelRequest,
) -> Result<LabelChange, PromptError> {
    let prompt = versions::prompt_row(connection, &request.prompt)?.id;
    let facts = facts(connection, prompt, &request)?;
    let change = match rule::change(facts, &request)? {
        ChangeOutcome::InPlace(entry) => entry,
        ChangeOutcome::Write { from } => {
            point(connection, prompt, &request)?;
            append(connection, prompt, now, request.clone(), from)?
        }
    };
    raise_fence(connection, prompt, &request)?;
    Ok(change)
}

/// What the rule must know of the label.
fn facts(connection: &Connection, prompt: i64, request: &LabelRequest) -> Result<LabelFacts, StoreError> {
    let newest = versions::highest(connection, prompt)?
        .ok_or_else(|| rows::corrupt("a prompt", format_args!("`{}` has no version", request.prompt)))?;
    let statement =
        format!("{SELECT} WHERE label_changes.prompt = ?1 AND label = ?2 ORDER BY sequence DESC LIMIT 1");
    let last = many(connection, &statement, params![prompt, request.label.as_str()])?.pop();
    let newest_rollout: Option<i64> = connection
        .prepare_cached("SELECT max(rollout) FROM label_changes WHERE prompt = ?1 AND label = ?2")?
        .query_row(params![prompt, request.label.as_str()], |row| row.get(0))?;
    Ok(LabelFacts {
        newest,
        withdrawn: match request.to {
            Some(version) => withdrawals::is_withdrawn(connection, prompt, version)?,
            None => false,
        },
        protected: protected(connection, prompt)?.contains(&request.label),
        last,
        seen: fence(connection, prompt, request)?,
        newest_rollout: newest_rollout
            .map(|number| rows::natural("a rollout's number", number).map(RolloutId::new))
            .transpose()?,
        done: is_done(connection, prompt, request)?,
    })
}

/// Whether the journal has the same move for the same rollout and generation.
fn is_done(connection: &Connection, prompt: i64, request: &LabelRequest) -> Result<bool, StoreError> {
    let Some((rollout, generation)) = request.rollout else {
        return Ok(false);
    };
    let done = connection
        .prepare_cached(
            "SELECT 1 FROM label_changes
             WHERE prompt = ?1 AND label = ?2 AND rollout = ?3 AND generation = ?4 AND to_version IS ?5",
        )?
        .exists(params![
            prompt,
            request.label.as_str(),
            rows::integer(rollout.get())?,
            rows::integer(generation.get())?,
            request.to.map(Version::get)
        ])?;
    Ok(done)
}

/// The highest generation that asked for a move of one of the prompt's labels, for the same rollout.
fn fence(
    connection: &Connection,
    prompt: i64,
    request: &LabelRequest,
) -> Result<Option<Generation>, StoreError> {
    let Some((rollout, _)) = request.rollout else {
        return Ok(None);
    };
    let generation: Option<i64> = connection
        .prepare_cached("SELECT generation FROM label_fences WHERE prompt = ?1 AND rollout = ?2")?
        .query_row(params![prompt, rows::integer(rollout.get())?], |row| row.get(0))
        .optional()?;
    generation
        .map(|number| rows::natural("a generation", number).map(Generation::new))
        .transpose()
}

/// Keeps out older generations from now on, whether this one had to move anything or not: a label that
/// is in place already is not in the journal, and an older move of it may still be under way.
fn raise_fence(connection: &Connection, prompt: i64, request: &LabelRequest) -> Result<(), StoreError> {
    if let Some((rollout, generation)) = request.rollout {
        connection
            .prepare_cached(
                "INSERT INTO label_fences (prompt, rollout, generation) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET generation = excluded.generation
                 WHERE excluded.generation > generation",
            )?
            .execute(params![
                prompt,
                rows::integer(rollout.get())?,
                rows::integer(generation.get())?
            ])?;
    }
    Ok(())
}

fn point(connection: &Connection, prompt: i64, request: &LabelRequest) -> Result<(), StoreError> {
    match request.to {
        Some(version) => connection
            .prepare_cached(
                "INSERT INTO labels (prompt, label, version) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET version = excluded.version",
            )?
            .execute(params![prompt, request.label.as_str(), version.get()])?,
        None => connection
            .prepare_cached("DELETE FROM labels WHERE prompt = ?1 AND label = ?2")?
            .execute(params![prompt, request.label.as_str()])?,
    };
    Ok(())
}

fn append(
    connection: &Connection,
    prompt: i64,
    now: Timestamp,
    request: LabelRequest,
    from: Option<Version>,
) -> Result<LabelChange, StoreError> {
    let (rollout, generation) = request.rollout.unzip();
    let sequence = connection
        .prepare_cached(
            "INSERT INTO label_changes
             (prompt, label, from_version, to_version, at, actor, reason, rollout, generation)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .insert(params![
            prompt,
            request.label.as_str(),
            from.map(Version::get),
            request.to.map(Version::get),
            now.to_string(),
            request.actor.as_str(),
            request.reason.as_str(),
            rollout.map(|rollout| rows::integer(rollout.get())).transpose()?,
            generation
                .map(|generation| rows::integer(generation.get()))
                .transpose()?
        ])?;
    let sequence = rows::natural("a journal entry's number", sequence)?;
    Ok(request.into_change(sequence, from, now))
}

/// The journal of a prompt, newest first.
pub(super) fn history(
    connection: &Connection,
    name: &PromptName,
    before: Option<u64>,
    limit: i64,
) -> Result<Vec<LabelChange>, PromptError> {
    let prompt = versions::prompt_row(connection, name)?.id;
    let before = before.map_or(Ok(i64::MAX), rows::integer)?;
    let statement =
        format!("{SELECT} WHERE label_changes.prompt = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3");
    Ok(many(connection, &statement, params![prompt, before, limit])?)
}

/// The columns of the journal in the order that [`read`] expects.
const SELECT: &str = "SELECT sequence, prompts.name, label, from_version, to_version, at, actor, reason, \
                      rollout, generation \
                      FROM label_changes JOIN prompts ON prompts.id = label_changes.prompt";

fn many(
    connection: &Connection,
    statement: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<LabelChange>, StoreError> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut found = statement.query(values)?;
    let mut changes = Vec::new();
    while let Some(row) = found.next()? {
        changes.push(read(row)?);
    }
    Ok(changes)
}

fn read(row: &Row<'_>) -> Result<LabelChange, StoreError> {
    let version = |index| row.get::<_, Option<i64>>(index)?.map(rows::version).transpose();
    let rollout: Option<i64> = row.get(8)?;
    let generation: Option<i64> = row.get(9)?;
    let rollout = rollout
        .map(|number| rows::natural("a rollout's number", number).map(RolloutId::new))
        .transpose()?;
    let generation = generation
        .map(|number| rows::natural("a generation", number).map(Generation::new))
        .transpose()?;
    Ok(LabelChange {
        sequence: rows::natural("a journal entry's number", row.get(0)?)?,
        prompt: rows::parse("a prompt's name", row.get_ref(1)?.as_str()?)?,
        label: rows::parse("a label", row.get_ref(2)?.as_str()?)?,
        from: version(3)?,
        to: version(4)?,
        at: rows::parse("the time of a journal entry", row.get_ref(5)?.as_str()?)?,
        actor: rows::parse("the actor of a journal entry", row.get_ref(6)?.as_str()?)?,
        reason: rows::parse("the reason of a journal entry", row.get_ref(7)?.as_str()?)?,
        rollout: rollout.zip(generation),
    })
}

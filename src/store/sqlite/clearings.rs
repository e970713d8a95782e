//! Labels that caches follow, by the journal and by what was seen.

use super::queue::Lane;
use super::{SqliteStore, composed, page};
use crate::ids::{CacheName, Label, PromptName, RegistryName, Version};
use crate::store::rows;
use crate::store::{Clearing, ClearingStore, SeenLabel, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::BTreeSet;

/// Entries of the journal that are followed at once; the rest is for the next call.
const JOURNAL_ENTRIES_MAX: i64 = 10_000;

#[async_trait]
impl ClearingStore for SqliteStore {
    async fn follow_labels(
        &self,
        cache: &CacheName,
        at: Timestamp,
        seen: Vec<SeenLabel>,
        limit: usize,
    ) -> Result<Vec<Clearing>, StoreError> {
        let name = cache.clone();
        // Mostly nothing has moved, and nothing is written.
        let is_behind = !seen.is_empty() || self.read(move |connection| is_behind(connection, &name)).await?;
        if is_behind {
            let name = cache.clone();
            self.write(Lane::Control, move |group| {
                follow(group.connection, &name, at, &seen)
            })
            .await?;
        }
        let name = cache.clone();
        self.read(move |connection| under_way(connection, &name, page(limit)))
            .await
    }

    async fn save_clearings(&self, clearings: Vec<Clearing>) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| save(group.connection, &clearings))
            .await
    }
}

/// The last entry of the journal that a cache has followed; none before its first.
fn cursor(connection: &Connection, cache: &CacheName) -> Result<Option<i64>, StoreError> {
    let found = connection
        .prepare_cached("SELECT sequence FROM cache_cursors WHERE cache = ?1")?
        .query_row([cache.as_str()], |row| row.get(0))
        .optional()?;
    Ok(found)
}

fn head(connection: &Connection) -> Result<i64, StoreError> {
    let head: Option<i64> = connection
        .prepare_cached("SELECT max(sequence) FROM label_changes")?
        .query_row([], |row| row.get(0))?;
    Ok(head.unwrap_or(0))
}

fn is_behind(connection: &Connection, cache: &CacheName) -> Result<bool, StoreError> {
    let head = head(connection)?;
    Ok(cursor(connection, cache)?.is_none_or(|cursor| cursor < head))
}

fn follow(
    connection: &Connection,
    cache: &CacheName,
    at: Timestamp,
    seen: &[SeenLabel],
) -> Result<(), StoreError> {
    let reached = match cursor(connection, cache)? {
        None => head(connection)?,
        Some(cursor) => follow_journal(connection, cache, cursor)?,
    };
    connection
        .prepare_cached(
            "INSERT INTO cache_cursors (cache, sequence) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET sequence = excluded.sequence",
        )?
        .execute(params![cache.as_str(), reached])?;
    // A label that is seen for the first time has not moved, as far as is known.
    let mut insert = connection.prepare_cached(
        "INSERT INTO clearings
         (cache, registry, prompt, label, version, moves, moved_at, passes, failures, over)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, 0, 0, 1)
         ON CONFLICT DO UPDATE SET
          version = excluded.version, moves = moves + 1, moved_at = excluded.moved_at, tried_at = NULL,
          passes = 0, failures = 0, error = NULL, over = 0
         WHERE excluded.version IS NOT version",
    )?;
    for label in seen {
        insert.execute(params![
            cache.as_str(),
            label.registry.as_str(),
            label.prompt.as_str(),
            label.label.as_str(),
            label.version.map(Version::get),
            at.to_string()
        ])?;
    }
    Ok(())
}

/// Notes what the journal has after `cursor`, and how far it was read.
fn follow_journal(connection: &Connection, cache: &CacheName, cursor: i64) -> Result<i64, StoreError> {
    let mut entries = connection.prepare_cached(
        "SELECT sequence, prompts.name, label, to_version, at
         FROM label_changes JOIN prompts ON prompts.id = label_changes.prompt
         WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    // Also where the label came back to its place: applications may have read it meanwhile.
    let mut upsert = connection.prepare_cached(
        "INSERT INTO clearings
         (cache, registry, prompt, label, version, moves, moved_at, passes, failures, over)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, 0, 0, 0)
         ON CONFLICT DO UPDATE SET
          version = excluded.version, moves = moves + 1, moved_at = excluded.moved_at, tried_at = NULL,
          passes = 0, failures = 0, error = NULL, over = 0",
    )?;
    let mut found = entries.query([cursor, JOURNAL_ENTRIES_MAX])?;
    let mut reached = cursor;
    let mut moved = BTreeSet::new();
    let mut at = String::new();
    while let Some(row) = found.next()? {
        reached = row.get(0)?;
        let prompt: PromptName = rows::parse("a prompt's name", row.get_ref(1)?.as_str()?)?;
        let label: Label = rows::parse("a label", row.get_ref(2)?.as_str()?)?;
        moved.insert((prompt, label));
        at = row.get(4)?;
        upsert.execute(params![
            cache.as_str(),
            RegistryName::EMBEDDED,
            row.get_ref(1)?.as_str()?,
            row.get_ref(2)?.as_str()?,
            row.get::<_, Option<i64>>(3)?,
            at
        ])?;
    }
    // A prompt that takes in another by its label has changed with it.
    if !moved.is_empty() {
        for ((prompt, label), version) in composed::all(connection)?.parents(&moved) {
            upsert.execute(params![
                cache.as_str(),
                RegistryName::EMBEDDED,
                prompt.as_str(),
                label.as_str(),
                version.get(),
                at
            ])?;
        }
    }
    Ok(reached)
}

fn under_way(connection: &Connection, cache: &CacheName, limit: i64) -> Result<Vec<Clearing>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT registry, prompt, label, version, moves, moved_at, tried_at, passes, failures, error
         FROM clearings WHERE cache = ?1 AND over = 0 ORDER BY moved_at LIMIT ?2",
    )?;
    let mut found = statement.query(params![cache.as_str(), limit])?;
    let mut clearings = Vec::new();
    while let Some(row) = found.next()? {
        clearings.push(read(cache, row)?);
    }
    Ok(clearings)
}

fn read(cache: &CacheName, row: &Row<'_>) -> Result<Clearing, StoreError> {
    let version: Option<i64> = row.get(3)?;
    let tried_at = row.get_ref(6)?.as_str_or_null()?;
    Ok(Clearing {
        cache: cache.clone(),
        label: SeenLabel {
            registry: rows::parse("a registry's name", row.get_ref(0)?.as_str()?)?,
            prompt: rows::parse("a prompt's name", row.get_ref(1)?.as_str()?)?,
            label: rows::parse("a label", row.get_ref(2)?.as_str()?)?,
            version: version.map(rows::version).transpose()?,
        },
        moves: rows::natural("a number of moves", row.get(4)?)?,
        moved_at: rows::parse("the time of a move", row.get_ref(5)?.as_str()?)?,
        tried_at: tried_at
            .map(|text| rows::parse("the time of a clearing", text))
            .transpose()?,
        passes: row.get(7)?,
        failures: row.get(8)?,
        error: row.get(9)?,
        is_over: false,
    })
}

fn save(connection: &Connection, clearings: &[Clearing]) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE clearings SET tried_at = ?6, passes = ?7, failures = ?8, error = ?9, over = ?10
         WHERE cache = ?1 AND registry = ?2 AND prompt = ?3 AND label = ?4 AND moves = ?5",
    )?;
    for clearing in clearings {
        update.execute(params![
            clearing.cache.as_str(),
            clearing.label.registry.as_str(),
            clearing.label.prompt.as_str(),
            clearing.label.label.as_str(),
            rows::integer(clearing.moves)?,
            clearing.tried_at.map(|at| at.to_string()),
            clearing.passes,
            clearing.failures,
            clearing.error,
            clearing.is_over
        ])?;
    }
    Ok(())
}

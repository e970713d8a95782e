//! Versions, what they were evaluated at, and the list of prompts.

use super::labels;
use crate::ids::{Actor, PromptName, Version};
use crate::prompt::{Draft, Evaluation, PromptError, PromptSummary, PromptVersion, TemplateKind, draft};
use crate::store::StoreError;
use crate::store::rows;
use crate::store::rows::prompt::{DraftRow, ScoresRow};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::BTreeMap;

/// Evaluations that are read of one version; the newest ones.
const EVALUATIONS_READ_MAX: i64 = 1_000;

/// A prompt's row number and kind.
pub(super) struct PromptRow {
    pub(super) id: i64,
    kind: TemplateKind,
}

fn kind(word: &str) -> Result<TemplateKind, StoreError> {
    [TemplateKind::Text, TemplateKind::Chat]
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .ok_or_else(|| rows::corrupt("a prompt's kind", format_args!("`{word}` is not one")))
}

/// The prompt's row; [`PromptError::UnknownPrompt`] when there is none.
pub(super) fn prompt_row(connection: &Connection, name: &PromptName) -> Result<PromptRow, PromptError> {
    find_prompt(connection, name)?.ok_or_else(|| PromptError::UnknownPrompt(name.clone()))
}

fn find_prompt(connection: &Connection, name: &PromptName) -> Result<Option<PromptRow>, StoreError> {
    let found: Option<(i64, String)> = connection
        .prepare_cached("SELECT id, kind FROM prompts WHERE name = ?1")?
        .query_row([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found
        .map(|(id, word)| {
            Ok(PromptRow {
                id,
                kind: kind(&word)?,
            })
        })
        .transpose()
}

/// Checks a draft and makes it the version after the newest one.
pub(super) fn create(
    connection: &Connection,
    now: Timestamp,
    name: &PromptName,
    draft: Draft,
    author: Actor,
) -> Result<PromptVersion, PromptError> {
    draft::check(&draft)?;
    let prompt = match find_prompt(connection, name)? {
        Some(prompt) => prompt,
        None => add_prompt(connection, name, draft.template.kind())?,
    };
    draft::check_kind(name, prompt.kind, &draft)?;
    let version = highest(connection, prompt.id)?.map_or(Ok(Version::FIRST), |highest| {
        let next = highest.get().saturating_add(1);
        Version::new(next).map_err(|error| rows::corrupt("a version number", error))
    })?;
    insert(connection, &prompt, version, now, &author, &draft)?;
    Ok(PromptVersion {
        prompt: name.clone(),
        version,
        created_at: now,
        author,
        draft,
        evaluations: Vec::new(),
    })
}

fn add_prompt(
    connection: &Connection,
    name: &PromptName,
    kind: TemplateKind,
) -> Result<PromptRow, StoreError> {
    let id = connection
        .prepare_cached("INSERT INTO prompts (name, kind) VALUES (?1, ?2)")?
        .insert([name.as_str(), kind.as_str()])?;
    Ok(PromptRow { id, kind })
}

fn insert(
    connection: &Connection,
    prompt: &PromptRow,
    version: Version,
    now: Timestamp,
    author: &Actor,
    draft: &Draft,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO prompt_versions (prompt, version, created_at, author, draft)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            prompt.id,
            version.get(),
            now.to_string(),
            author.as_str(),
            rows::encode(&DraftRow::from(draft.clone()))?
        ])?;
    Ok(())
}

/// The highest number that was ever given to a version.
pub(super) fn highest(connection: &Connection, prompt: i64) -> Result<Option<Version>, StoreError> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT max(version) FROM prompt_versions WHERE prompt = ?1")?
        .query_row([prompt], |row| row.get(0))?;
    found.map(rows::version).transpose()
}

/// The newest version that is offered, and when it was created.
fn newest(connection: &Connection, prompt: i64) -> Result<Option<(Version, Timestamp)>, StoreError> {
    let found: Option<(i64, String)> = connection
        .prepare_cached(
            "SELECT version, created_at FROM offered_versions WHERE prompt = ?1
             ORDER BY version DESC LIMIT 1",
        )?
        .query_row([prompt], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found
        .map(|(version, at)| {
            Ok((
                rows::version(version)?,
                rows::parse("the time of a version", &at)?,
            ))
        })
        .transpose()
}

/// Whether the prompt has that version.
pub(super) fn exists(connection: &Connection, prompt: i64, version: Version) -> Result<bool, StoreError> {
    let exists = connection
        .prepare_cached("SELECT 1 FROM offered_versions WHERE prompt = ?1 AND version = ?2")?
        .exists([prompt, i64::from(version.get())])?;
    Ok(exists)
}

/// One version.
pub(super) fn find(
    connection: &Connection,
    name: &PromptName,
    version: Version,
) -> Result<PromptVersion, PromptError> {
    let prompt = prompt_row(connection, name)?;
    let below = i64::from(version.get()) + 1;
    select(connection, name, &prompt, below, 1)?
        .pop()
        .filter(|found| found.version == version)
        .ok_or_else(|| PromptError::UnknownVersion {
            prompt: name.clone(),
            version,
        })
}

/// Versions, newest first.
pub(super) fn list(
    connection: &Connection,
    name: &PromptName,
    before: Option<Version>,
    limit: i64,
) -> Result<Vec<PromptVersion>, PromptError> {
    let prompt = prompt_row(connection, name)?;
    let below = before.map_or(i64::MAX, |before| i64::from(before.get()));
    Ok(select(connection, name, &prompt, below, limit)?)
}

/// When each version was created.
pub(super) fn times(
    connection: &Connection,
    name: &PromptName,
) -> Result<BTreeMap<Version, Timestamp>, PromptError> {
    let prompt = prompt_row(connection, name)?;
    Ok(times_of(connection, prompt.id)?)
}

fn times_of(connection: &Connection, prompt: i64) -> Result<BTreeMap<Version, Timestamp>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT version, created_at FROM offered_versions WHERE prompt = ?1")?;
    let mut found = statement.query([prompt])?;
    let mut times = BTreeMap::new();
    while let Some(row) = found.next()? {
        let at = rows::parse("the time of a version", row.get_ref(1)?.as_str()?)?;
        times.insert(rows::version(row.get(0)?)?, at);
    }
    Ok(times)
}

fn select(
    connection: &Connection,
    name: &PromptName,
    prompt: &PromptRow,
    below: i64,
    limit: i64,
) -> Result<Vec<PromptVersion>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT version, created_at, author, draft FROM offered_versions
         WHERE prompt = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3",
    )?;
    let mut found = statement.query(params![prompt.id, below, limit])?;
    let mut versions = Vec::new();
    while let Some(row) = found.next()? {
        let version = rows::version(row.get(0)?)?;
        let draft: DraftRow = rows::decode("a prompt's version", row.get_ref(3)?.as_str()?)?;
        versions.push(PromptVersion {
            prompt: name.clone(),
            version,
            created_at: rows::parse("the time of a version", row.get_ref(1)?.as_str()?)?,
            author: rows::parse("the author of a version", row.get_ref(2)?.as_str()?)?,
            draft: draft.into(),
            evaluations: evaluations(connection, prompt.id, version)?,
        });
    }
    Ok(versions)
}

/// Records an evaluation of a version that exists.
pub(super) fn record_evaluation(
    connection: &Connection,
    name: &PromptName,
    version: Version,
    evaluation: Evaluation,
) -> Result<(), PromptError> {
    let prompt = prompt_row(connection, name)?;
    if !exists(connection, prompt.id, version)? {
        return Err(PromptError::UnknownVersion {
            prompt: name.clone(),
            version,
        });
    }
    Ok(insert_evaluation(connection, prompt.id, version, evaluation)?)
}

fn insert_evaluation(
    connection: &Connection,
    prompt: i64,
    version: Version,
    evaluation: Evaluation,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO evaluations (prompt, version, dataset, at, actor, scores)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            prompt,
            version.get(),
            evaluation.dataset,
            evaluation.at.to_string(),
            evaluation.actor.as_str(),
            rows::encode(&ScoresRow::from(evaluation.scores))?
        ])?;
    Ok(())
}

/// What a version was evaluated at, newest last.
fn evaluations(
    connection: &Connection,
    prompt: i64,
    version: Version,
) -> Result<Vec<Evaluation>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT dataset, at, actor, scores FROM evaluations WHERE prompt = ?1 AND version = ?2
         ORDER BY id DESC LIMIT ?3",
    )?;
    let mut found = statement.query(params![prompt, version.get(), EVALUATIONS_READ_MAX])?;
    let mut evaluations = Vec::new();
    while let Some(row) = found.next()? {
        evaluations.push(evaluation(row)?);
    }
    evaluations.reverse();
    Ok(evaluations)
}

fn evaluation(row: &Row<'_>) -> Result<Evaluation, StoreError> {
    let scores: ScoresRow = rows::decode("the scores of an evaluation", row.get_ref(3)?.as_str()?)?;
    Ok(Evaluation {
        dataset: row.get(0)?,
        at: rows::parse("the time of an evaluation", row.get_ref(1)?.as_str()?)?,
        actor: rows::parse("the actor of an evaluation", row.get_ref(2)?.as_str()?)?,
        scores: scores.into(),
    })
}

/// One prompt.
pub(super) fn prompt(connection: &Connection, name: &PromptName) -> Result<PromptSummary, PromptError> {
    let prompt = prompt_row(connection, name)?;
    let summary = summary(connection, name.clone(), &prompt)?;
    summary.ok_or_else(|| PromptError::UnknownPrompt(name.clone()))
}

/// All prompts, by name.
pub(super) fn prompts(
    connection: &Connection,
    after: Option<&PromptName>,
    limit: i64,
) -> Result<Vec<PromptSummary>, PromptError> {
    let names = names(connection, after, limit)?;
    let mut summaries = Vec::with_capacity(names.len());
    for name in names {
        summaries.push(prompt(connection, &name)?);
    }
    Ok(summaries)
}

fn names(
    connection: &Connection,
    after: Option<&PromptName>,
    limit: i64,
) -> Result<Vec<PromptName>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name FROM prompts
         WHERE name > ?1 AND EXISTS (SELECT 1 FROM offered_versions WHERE prompt = prompts.id)
         ORDER BY name LIMIT ?2",
    )?;
    // No name is empty, so every name comes after the empty text.
    let after = after.map_or("", PromptName::as_str);
    let mut found = statement.query(params![after, limit])?;
    let mut names = Vec::new();
    while let Some(row) = found.next()? {
        names.push(rows::parse("a prompt's name", row.get_ref(0)?.as_str()?)?);
    }
    Ok(names)
}

/// The prompt, unless all of its versions were withdrawn.
fn summary(
    connection: &Connection,
    name: PromptName,
    prompt: &PromptRow,
) -> Result<Option<PromptSummary>, StoreError> {
    let Some((newest, updated_at)) = newest(connection, prompt.id)? else {
        return Ok(None);
    };
    Ok(Some(PromptSummary {
        prompt: name,
        kind: prompt.kind,
        newest,
        updated_at,
        labels: labels::all(connection, prompt.id)?,
        protected: labels::protected(connection, prompt.id)?,
    }))
}

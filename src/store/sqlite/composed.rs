//! Prompts whose text takes in other prompts, and changes when a label of those moves.

use crate::ids::{PromptName, Version};
use crate::prompt::composition::DEPTH_MAX;
use crate::prompt::parents::Compositions;
use crate::prompt::{Draft, Template};
use crate::store::StoreError;
use crate::store::rows::{self, prompt::DraftRow};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeSet;

/// What the registry has now, and the journals' newest entry; none when that is still `known`.
///
/// Versions do not change, so what is composed changes with the journals alone.
pub(super) fn since(
    connection: &Connection,
    known: Option<u64>,
) -> Result<Option<(u64, Compositions)>, StoreError> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(sequence) FROM label_changes")?
        .query_row([], |row| row.get(0))?;
    let newest = newest.map_or(Ok(0), |number| rows::natural("a journal entry's number", number))?;
    if known == Some(newest) {
        return Ok(None);
    }
    Ok(Some((newest, all(connection)?)))
}

/// Every text with references that a label points at, and those that such texts take in by number.
pub(super) fn all(connection: &Connection) -> Result<Compositions, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT prompts.name, labels.label, labels.version, draft
         FROM labels
         JOIN prompt_versions USING (prompt, version)
         JOIN prompts ON prompts.id = labels.prompt
         WHERE instr(draft, '@@@langfusePrompt:') > 0",
    )?;
    let mut found = statement.query([])?;
    let mut all = Compositions::default();
    while let Some(row) = found.next()? {
        let prompt: PromptName = rows::parse("a prompt's name", row.get_ref(0)?.as_str()?)?;
        let version = rows::version(row.get(2)?)?;
        all.add_text(&prompt, version, &template(row.get_ref(3)?)?);
        all.add_label(
            &prompt,
            &rows::parse("a label", row.get_ref(1)?.as_str()?)?,
            version,
        );
    }
    let mut read = BTreeSet::new();
    for _ in 0..DEPTH_MAX {
        let mut next = all.numbered_elsewhere();
        next.retain(|numbered| read.insert(numbered.clone()));
        for (prompt, version) in next {
            if let Some(template) = numbered(connection, &prompt, version)? {
                all.add_text(&prompt, version, &template);
            }
        }
    }
    Ok(all)
}

fn numbered(
    connection: &Connection,
    prompt: &PromptName,
    version: Version,
) -> Result<Option<Template>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT draft FROM prompt_versions JOIN prompts ON prompts.id = prompt_versions.prompt
         WHERE prompts.name = ?1 AND version = ?2",
    )?;
    let draft: Option<String> = statement
        .query_row(params![prompt.as_str(), version.get()], |row| row.get(0))
        .optional()?;
    draft
        .map(|draft| template(ValueRef::Text(draft.as_bytes())))
        .transpose()
}

fn template(draft: ValueRef<'_>) -> Result<Template, StoreError> {
    let draft: DraftRow = rows::decode("a prompt's version", draft.as_str()?)?;
    let draft: Draft = draft.into();
    Ok(draft.template)
}

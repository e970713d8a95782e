//! Versions that nobody is offered any more.

use super::{labels, versions};
use crate::ids::{Label, PromptName, Version};
use crate::prompt::composition::{Reference, Which, references};
use crate::prompt::labels::LATEST;
use crate::prompt::{Draft, LabelRequest, PromptError, Withdrawal};
use crate::store::StoreError;
use crate::store::rows;
use crate::store::rows::prompt::DraftRow;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// Whether nobody is offered that version any more.
pub(super) fn is_withdrawn(
    connection: &Connection,
    prompt: i64,
    version: Version,
) -> Result<bool, StoreError> {
    let found = connection
        .prepare_cached("SELECT 1 FROM withdrawn_versions WHERE prompt = ?1 AND version = ?2")?
        .exists([prompt, i64::from(version.get())])?;
    Ok(found)
}

/// Takes versions out of use, and their labels away.
pub(super) fn withdraw(
    connection: &Connection,
    now: Timestamp,
    request: Withdrawal,
) -> Result<(), PromptError> {
    let name = &request.prompt;
    let prompt = versions::prompt_row(connection, name)?.id;
    for version in &request.versions {
        if !versions::exists(connection, prompt, *version)? {
            let (prompt, version) = (name.clone(), *version);
            return Err(PromptError::UnknownVersion { prompt, version });
        }
    }
    let all = labels::all(connection, prompt)?;
    check_references(connection, prompt, &request, &all)?;
    for (label, at) in all.into_iter().filter(|(_, at)| request.versions.contains(at)) {
        if !request.labels.contains(&label) {
            return Err(PromptError::LabelElsewhere {
                prompt: name.clone(),
                label,
                expected: None,
                found: Some(at),
            });
        }
        labels::change(connection, now, removal(&request, label))?;
    }
    let mut insert = connection
        .prepare_cached("INSERT INTO withdrawn_versions (prompt, version, at, actor) VALUES (?1, ?2, ?3, ?4)")
        .map_err(StoreError::from)?;
    for version in &request.versions {
        insert
            .execute(params![
                prompt,
                version.get(),
                now.to_string(),
                request.actor.as_str()
            ])
            .map_err(StoreError::from)?;
    }
    Ok(())
}

fn removal(request: &Withdrawal, label: Label) -> LabelRequest {
    LabelRequest {
        prompt: request.prompt.clone(),
        label,
        expect: None,
        to: None,
        actor: request.actor.clone(),
        reason: request.reason.clone(),
        rollout: None,
        may_move_protected: request.may_move_protected,
    }
}

/// Refuses what versions of other prompts refer to.
fn check_references(
    connection: &Connection,
    prompt: i64,
    request: &Withdrawal,
    labels: &BTreeMap<Label, Version>,
) -> Result<(), PromptError> {
    let newest = versions::prompt(connection, &request.prompt)?.newest;
    let goes = |reference: &Reference| {
        let version = match &reference.which {
            Which::Version(version) => Some(*version),
            Which::Label(label) if label.as_str() == LATEST => Some(newest),
            Which::Label(label) => labels.get(label).copied(),
        };
        reference.prompt == request.prompt
            && version.is_some_and(|version| request.versions.contains(&version))
    };
    for (by, draft) in mentions(connection, prompt, &request.prompt)? {
        if references(&draft.template).iter().any(goes) {
            let prompt = request.prompt.clone();
            return Err(PromptError::Referred { prompt, by });
        }
    }
    Ok(())
}

/// Versions of other prompts in whose text this prompt's name occurs.
fn mentions(
    connection: &Connection,
    prompt: i64,
    name: &PromptName,
) -> Result<Vec<(PromptName, Draft)>, StoreError> {
    // The drafts are kept as JSON, so the name is looked for as JSON writes it.
    let name = rows::encode(&format!("name={name}|"))?;
    let mut statement = connection.prepare_cached(
        "SELECT prompts.name, draft FROM offered_versions JOIN prompts ON prompts.id = prompt
         WHERE prompt <> ?1 AND instr(draft, ?2) > 0",
    )?;
    let mut found = statement.query(params![prompt, name.trim_matches('"')])?;
    let mut mentions = Vec::new();
    while let Some(row) = found.next()? {
        let by = rows::parse("a prompt's name", row.get_ref(0)?.as_str()?)?;
        let draft: DraftRow = rows::decode("a prompt's version", row.get_ref(1)?.as_str()?)?;
        mentions.push((by, draft.into()));
    }
    Ok(mentions)
}

//! Prompts whose text takes in other prompts by a label, and changes when that label moves.

use crate::ids::{Label, PromptName};
use crate::prompt::Draft;
use crate::prompt::composition::{Reference, Which, references};
use crate::store::StoreError;
use crate::store::rows::{self, prompt::DraftRow};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// A label that points at a version whose text refers to other prompts.
#[derive(Debug)]
pub(super) struct Composed {
    pub(super) prompt: PromptName,
    pub(super) label: Label,
    pub(super) version: i64,
    refers: BTreeSet<Reference>,
}

/// The labels whose texts change with those of `moved`, through whatever is between them; not those themselves.
pub(super) fn depending(
    connection: &Connection,
    moved: &BTreeSet<(PromptName, Label)>,
) -> Result<Vec<Composed>, StoreError> {
    if moved.is_empty() {
        return Ok(Vec::new());
    }
    let mut waiting = all(connection)?;
    let mut changed = moved.clone();
    let mut found = Vec::new();
    loop {
        let changes = |composed: &mut Composed| {
            composed.refers.iter().any(|reference| match &reference.which {
                Which::Label(label) => changed.contains(&(reference.prompt.clone(), label.clone())),
                Which::Version(_) => false,
            })
        };
        let next: Vec<Composed> = waiting.extract_if(.., changes).collect();
        if next.is_empty() {
            found.retain(|it: &Composed| !moved.contains(&(it.prompt.clone(), it.label.clone())));
            return Ok(found);
        }
        changed.extend(next.iter().map(|it| (it.prompt.clone(), it.label.clone())));
        found.extend(next);
    }
}

/// Every label that points at a version with references.
fn all(connection: &Connection) -> Result<Vec<Composed>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT prompts.name, labels.label, labels.version, draft
         FROM labels
         JOIN prompt_versions USING (prompt, version)
         JOIN prompts ON prompts.id = labels.prompt
         WHERE instr(draft, '@@@langfusePrompt:') > 0",
    )?;
    let mut rows_found = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows_found.next()? {
        let draft: DraftRow = rows::decode("a prompt's version", row.get_ref(3)?.as_str()?)?;
        let draft: Draft = draft.into();
        all.push(Composed {
            prompt: rows::parse("a prompt's name", row.get_ref(0)?.as_str()?)?,
            label: rows::parse("a label", row.get_ref(1)?.as_str()?)?,
            version: row.get(2)?,
            refers: references(&draft.template),
        });
    }
    Ok(all)
}

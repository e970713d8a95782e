//! What the journals of all prompts have to tell since somebody last looked.

use crate::ids::{Label, PromptName, Version};
use crate::prompt::Moved;
use crate::store::StoreError;
use crate::store::rows;
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

/// Every label of the prompts that have entries behind `after`; none when those are more than `prompts_max`.
pub(super) fn since(
    connection: &Connection,
    after: u64,
    prompts_max: usize,
) -> Result<Option<Moved>, StoreError> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(sequence) FROM label_changes")?
        .query_row([], |row| row.get(0))?;
    let newest = newest.map_or(Ok(0), |number| rows::natural("a journal entry's number", number))?;
    let mut labels: BTreeMap<PromptName, BTreeMap<Label, _>> = BTreeMap::new();
    if newest > after {
        let mut statement = connection.prepare_cached(SELECT)?;
        let limit = i64::try_from(prompts_max).unwrap_or(i64::MAX).saturating_add(1);
        let mut found = statement.query(params![rows::integer(after)?, limit])?;
        while let Some(row) = found.next()? {
            let prompt = rows::parse("a prompt's name", row.get_ref(0)?.as_str()?)?;
            let labels = labels.entry(prompt).or_default();
            if let Some((label, version)) = label(row)? {
                labels.insert(
                    label,
                    (version, rows::parse("an actor", row.get_ref(3)?.as_str()?)?),
                );
            }
        }
    }
    Ok((labels.len() <= prompts_max).then_some(Moved { newest, labels }))
}

/// A label's last entry is the move that led to where it points: one that is in place is not written again.
const SELECT: &str = "
    SELECT prompts.name, labels.label, labels.version,
           (SELECT actor FROM label_changes AS last
            WHERE last.prompt = labels.prompt AND last.label = labels.label
            ORDER BY last.sequence DESC LIMIT 1)
    FROM (SELECT DISTINCT prompt FROM label_changes WHERE sequence > ?1 LIMIT ?2) AS moved
    JOIN prompts ON prompts.id = moved.prompt
    LEFT JOIN labels ON labels.prompt = moved.prompt";

/// None for a prompt whose labels are all gone.
fn label(row: &Row<'_>) -> Result<Option<(Label, Version)>, StoreError> {
    let label = row.get_ref(1)?.as_str_or_null()?;
    label
        .map(|label| Ok((rows::parse("a label", label)?, rows::version(row.get(2)?)?)))
        .transpose()
}

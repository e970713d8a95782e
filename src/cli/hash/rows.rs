//! Rows from standard input, each written back with its answer.

use super::super::report::Hinted;
use super::super::screen;
use super::ROWS_HELD_MAX;
use super::kinds::answer;
use super::row::{Row, RowError};
use crate::ids::Scheme;
use anyhow::Context as _;
use serde_json::{Map, Value};
use std::io::BufRead;

/// Answers every row of `input` by `scheme`, in order; a row that has no answer says why in `error`, and
/// the others are answered all the same.
pub(super) fn run(scheme: Scheme, input: impl BufRead) -> anyhow::Result<()> {
    let (mut rows, mut refused) = (0_u64, 0_u64);
    let mut page = String::new();
    for (at, line) in input.lines().enumerate() {
        let number = at + 1;
        let line = line.with_context(|| format!("cannot read line {number} of standard input"))?;
        if line.trim().is_empty() {
            continue;
        }
        rows += 1;
        let (answered, is_refused) = written_back(scheme, number, &line);
        refused += u64::from(is_refused);
        page.push_str(&format!("{}\n", Value::Object(answered)));
        if rows.is_multiple_of(ROWS_HELD_MAX as u64) {
            screen::print_exactly(&std::mem::take(&mut page))?;
        }
    }
    screen::print_exactly(&page)?;
    if refused > 0 {
        let message = format!("{refused} of {rows} rows have no answer");
        let hint = "the field `error` of each says which line and field, and why";
        return Err(Hinted::new(message, hint).into());
    }
    Ok(())
}

/// The row on `line` with its answer, or with an `error`, and whether it is that.
fn written_back(scheme: Scheme, number: usize, line: &str) -> (Map<String, Value>, bool) {
    let (mut fields, outcome) = match Row::parse(line) {
        Ok(row) => {
            let outcome = answer(scheme, &row);
            (row.0, outcome)
        }
        Err(error) => (Map::new(), Err::<_, RowError>(error)),
    };
    let is_refused = outcome.is_err();
    match outcome {
        Ok(expected) => fields.extend(expected.into_iter().map(|(name, value)| (name.to_owned(), value))),
        Err(error) => {
            fields.insert("error".to_owned(), format!("line {number}: {error}").into());
        }
    }
    (fields, is_refused)
}

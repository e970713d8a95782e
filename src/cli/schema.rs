//! `serin schema`: the JSON Schema of the policy file, for editors.

use super::help::examples;
use crate::policy::document;
use std::io::{self, Write};
use std::process::ExitCode;

/// Print the JSON Schema of policy files (draft 2020-12)
///
/// Editors that know the schema complete keys, show what they mean, and mark mistakes.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = examples!(
    "$ serin schema > policies/policy.schema.json"
    "$ head -1 policies/order-status-answer.yaml"
    "# yaml-language-server: $schema=policy.schema.json"
))]
pub struct SchemaArgs {}

/// Writes the schema to `out`.
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(_: &SchemaArgs, out: &mut dyn Write) -> io::Result<ExitCode> {
    writeln!(out, "{:#}", document::schema())?;
    Ok(ExitCode::SUCCESS)
}

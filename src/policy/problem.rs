//! Mistakes in policy files, as plain values; `cli` renders them, `api` sends them as JSON.

use std::sync::Arc;

/// One mistake, or one thing to think about, in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable code, `SRN…`.
    pub code: &'static str,
    /// Whether the policy is refused.
    pub severity: Severity,
    /// The file as it was named.
    pub file: Arc<str>,
    /// Where in the file.
    pub span: Span,
    /// What is wrong: lower case, no full stop, the thing in backticks.
    pub message: String,
    /// The mend.
    pub help: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The policy is used all the same.
    Warning,
    /// The policy is refused.
    Error,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// From 0, in bytes.
    pub offset: usize,
    /// In bytes.
    pub length: usize,
}

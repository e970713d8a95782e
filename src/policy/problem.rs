//! Mistakes in policy files, as plain values; `cli` renders them, `api` sends them as JSON.

use super::code::Code;
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

/// Most problems of one file that are kept.
pub const PROBLEMS_PER_FILE_MAX: usize = 100;

/// Gathers the problems of one file.
#[derive(Debug, Clone)]
pub(crate) struct Problems {
    file: Arc<str>,
    list: Vec<Problem>,
    dropped: usize,
}

impl Problems {
    /// None yet, for the file that people know as `file`.
    pub(crate) fn of(file: &str) -> Self {
        Self {
            file: file.into(),
            list: Vec::new(),
            dropped: 0,
        }
    }

    /// Adds a problem whose message says it all.
    pub(crate) fn add(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.push(code, span, message.into(), None);
    }

    /// Adds a problem with its mend.
    pub(crate) fn add_with_help(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(code, span, message.into(), Some(help.into()));
    }

    fn push(&mut self, code: Code, span: Span, message: String, help: Option<String>) {
        if self.list.len() >= PROBLEMS_PER_FILE_MAX {
            self.dropped += 1;
            return;
        }
        self.list.push(Problem {
            code: code.as_str(),
            severity: code.severity(),
            file: Arc::clone(&self.file),
            span,
            message,
            help,
        });
    }

    /// All of them in the order of the file; the last one tells of those that were not kept.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.list
            .sort_by_key(|problem| (problem.span.offset, problem.code));
        if self.dropped > 0 {
            let code = Code::TooManyProblems;
            self.list.push(Problem {
                code: code.as_str(),
                severity: code.severity(),
                file: Arc::clone(&self.file),
                span: self.list.last().map(|problem| problem.span).unwrap_or_default(),
                message: format!(
                    "only {PROBLEMS_PER_FILE_MAX} of {} problems are shown",
                    PROBLEMS_PER_FILE_MAX + self.dropped
                ),
                help: Some("mend those that are, and run again".to_owned()),
            });
        }
        self.list
    }
}

//! What applications got instead of the prompt that they asked for.

use crate::ids::{Label, PromptName};
use jiff::Timestamp;

/// Most of the words of a fallback that are kept, in characters.
const WORDS_CHARS_MAX: usize = 300;

/// Requests of applications that were not served as usual, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// The prompt.
    pub prompt: PromptName,
    /// The label that it was asked for by; none where it was asked for by its version.
    pub label: Option<Label>,
    /// What they got instead.
    pub kind: FallbackKind,
    /// What the first of them was told.
    pub words: String,
    /// When the first of them came.
    pub first: Timestamp,
    /// How it ended; none while it goes on.
    pub end: Option<FallbackEnd>,
}

/// What an application got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FallbackKind {
    /// What was read earlier: the registry does not answer.
    Stale,
    /// Nothing: the registry does not answer, and what was read is too old.
    Unavailable,
    /// Nothing: no version has the label, and none takes its place.
    LabelMissing,
    /// Nothing: the variables are not those of the prompt.
    VariablesMismatch,
}

/// How a run of fallbacks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FallbackEnd {
    /// When the last of them came.
    pub last: Timestamp,
    /// How many there were.
    pub count: u64,
}

/// The words of a fallback, as far as they are kept.
pub fn kept_words(words: &str) -> String {
    words
        .chars()
        .filter(|c| !c.is_control())
        .take(WORDS_CHARS_MAX)
        .collect()
}

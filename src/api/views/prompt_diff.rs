//! What changed between two versions of a prompt.

use crate::api::schema::VersionNumber;
use crate::prompt::diff::{Line, VersionDiff};
use serde::Serialize;
use utoipa::ToSchema;

/// What changed between two versions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptDiff)]
pub struct DiffView {
    /// The version before.
    #[schema(value_type = VersionNumber)]
    from: u32,
    /// The version after.
    #[schema(value_type = VersionNumber)]
    to: u32,
    /// The parts that differ.
    parts: Vec<PartView>,
    /// The same as a unified diff.
    unified: String,
}

/// What changed in one part.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PartDiff)]
pub struct PartView {
    /// `template`, `config` or `metadata`.
    part: &'static str,
    /// Every line of both versions, in order.
    lines: Vec<LineView>,
}

/// A line of both versions, or of one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
#[schema(as = DiffLine)]
pub enum LineView {
    /// In both versions.
    Same {
        /// The line.
        text: String,
    },
    /// In the version before only.
    Removed {
        /// The line.
        text: String,
    },
    /// In the version after only.
    Added {
        /// The line.
        text: String,
    },
}

impl From<&VersionDiff> for DiffView {
    fn from(diff: &VersionDiff) -> Self {
        let line = |line: &Line| match line {
            Line::Same(text) => LineView::Same { text: text.clone() },
            Line::Removed(text) => LineView::Removed { text: text.clone() },
            Line::Added(text) => LineView::Added { text: text.clone() },
        };
        let parts = diff.parts.iter();
        Self {
            from: diff.from.get(),
            to: diff.to.get(),
            parts: parts
                .map(|part| PartView {
                    part: part.part.as_str(),
                    lines: part.lines.iter().map(line).collect(),
                })
                .collect(),
            unified: diff.unified(),
        }
    }
}

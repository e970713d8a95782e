//! What changed between two versions, line by line.
//!
//! A version is read as three lists of lines: what the template says, the config, and the metadata
//! that can be compared. Author, time and reason are left out, because every version has its own.

use super::{ChatItem, Draft, PromptVersion, Template};
use crate::ids::Version;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::Range;

/// Largest table for the longest common subsequence, in cells. Where more lines differ than fit,
/// they are shown as replaced altogether.
const TABLE_CELLS_MAX: usize = 1 << 20;

/// Unchanged lines around a change in [`VersionDiff::unified`].
pub const CONTEXT_LINES: usize = 3;

/// What changed from one version to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionDiff {
    /// The version before.
    pub from: Version,
    /// The version after.
    pub to: Version,
    /// The parts that differ; empty when only author, time or reason do.
    pub parts: Vec<PartDiff>,
}

/// What changed in one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDiff {
    /// Which.
    pub part: Part,
    /// Every line of both versions, in order; removed ones stand before those that replace them.
    pub lines: Vec<Line>,
}

/// Part of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The text, or the chat with a line `[role]` before each message.
    Template,
    /// The config as JSON with sorted keys.
    Config,
    /// Semantic version, owner and tags.
    Metadata,
}

impl Part {
    /// The word in headings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Config => "config",
            Self::Metadata => "metadata",
        }
    }
}

/// A line, without its line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// In both versions.
    Same(String),
    /// In the version before only.
    Removed(String),
    /// In the version after only.
    Added(String),
}

/// Compares two versions.
pub fn diff(from: &PromptVersion, to: &PromptVersion) -> VersionDiff {
    let parts = [
        (Part::Template, template_lines as fn(&Draft) -> Vec<String>),
        (Part::Config, config_lines),
        (Part::Metadata, metadata_lines),
    ];
    let parts = parts.into_iter().filter_map(|(part, lines_of)| {
        let lines = compare(&lines_of(&from.draft), &lines_of(&to.draft));
        let differs = lines.iter().any(Line::is_change);
        differs.then_some(PartDiff { part, lines })
    });
    VersionDiff {
        from: from.version,
        to: to.version,
        parts: parts.collect(),
    }
}

fn template_lines(draft: &Draft) -> Vec<String> {
    let mut lines = Vec::new();
    let mut push = |text: &str| lines.extend(text.split('\n').map(str::to_owned));
    match &draft.template {
        Template::Text(text) => push(text),
        Template::Chat(items) => {
            for item in items {
                match item {
                    ChatItem::Message { role, content } => {
                        push(&format!("[{role}]"));
                        push(content);
                    }
                    ChatItem::Placeholder { name } => push(&format!("[placeholder {name}]")),
                }
            }
        }
    }
    lines
}

fn config_lines(draft: &Draft) -> Vec<String> {
    let sorted = sorted(&Value::Object(draft.config.clone()));
    // `{:#}` of a JSON value is its indented form.
    format!("{sorted:#}").split('\n').map(str::to_owned).collect()
}

/// The same value with the keys of every object in order, so that only their values count.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(
                fields
                    .into_iter()
                    .map(|(key, value)| (key.clone(), value))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn metadata_lines(draft: &Draft) -> Vec<String> {
    let version = draft
        .semantic_version
        .map(|version| format!("semantic version: {version}"));
    let owner = draft.owner.as_ref().map(|owner| format!("owner: {owner}"));
    let tags = draft.tags.iter().map(|tag| format!("tag: {tag}"));
    version.into_iter().chain(owner).chain(tags).collect()
}

/// The lines of both lists, with as many in common as there can be.
fn compare(from: &[String], to: &[String]) -> Vec<Line> {
    let prefix = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let (from_rest, to_rest) = (&from[prefix..], &to[prefix..]);
    let suffix = from_rest
        .iter()
        .rev()
        .zip(to_rest.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (from_middle, from_suffix) = from_rest.split_at(from_rest.len() - suffix);
    let to_middle = &to_rest[..to_rest.len() - suffix];

    let mut lines: Vec<Line> = from[..prefix].iter().cloned().map(Line::Same).collect();
    compare_middle(from_middle, to_middle, &mut lines);
    lines.extend(from_suffix.iter().cloned().map(Line::Same));
    lines
}

/// Longest common subsequence by dynamic programming (Wagner and Fischer 1974).
fn compare_middle(from: &[String], to: &[String], lines: &mut Vec<Line>) {
    let width = to.len() + 1;
    let (mut at_from, mut at_to) = (0, 0);
    if (from.len() + 1).saturating_mul(width) <= TABLE_CELLS_MAX {
        // `common[a * width + b]`: how many lines `from[a..]` and `to[b..]` can have in common.
        let mut common = vec![0_u32; (from.len() + 1) * width];
        for a in (0..from.len()).rev() {
            for b in (0..to.len()).rev() {
                common[a * width + b] = if from[a] == to[b] {
                    common[(a + 1) * width + b + 1] + 1
                } else {
                    common[(a + 1) * width + b].max(common[a * width + b + 1])
                };
            }
        }
        while at_from < from.len() && at_to < to.len() {
            if from[at_from] == to[at_to] {
                lines.push(Line::Same(from[at_from].clone()));
                at_from += 1;
                at_to += 1;
            } else if common[(at_from + 1) * width + at_to] >= common[at_from * width + at_to + 1] {
                lines.push(Line::Removed(from[at_from].clone()));
                at_from += 1;
            } else {
                lines.push(Line::Added(to[at_to].clone()));
                at_to += 1;
            }
        }
    }
    lines.extend(from[at_from..].iter().cloned().map(Line::Removed));
    lines.extend(to[at_to..].iter().cloned().map(Line::Added));
}

impl Line {
    fn is_change(&self) -> bool {
        match self {
            Self::Same(_) => false,
            Self::Removed(_) | Self::Added(_) => true,
        }
    }

    fn is_in_from(&self) -> bool {
        match self {
            Self::Same(_) | Self::Removed(_) => true,
            Self::Added(_) => false,
        }
    }

    fn is_in_to(&self) -> bool {
        match self {
            Self::Same(_) | Self::Added(_) => true,
            Self::Removed(_) => false,
        }
    }
}

impl fmt::Display for Line {
    /// The line with its mark, as in a unified diff.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(text) => write!(f, " {text}"),
            Self::Removed(text) => write!(f, "-{text}"),
            Self::Added(text) => write!(f, "+{text}"),
        }
    }
}

impl VersionDiff {
    /// The changes as unified diff with [`CONTEXT_LINES`] lines of context; empty without changes.
    pub fn unified(&self) -> String {
        let mut text = String::new();
        for PartDiff { part, lines } in &self.parts {
            // Writing to a string cannot fail.
            let part = part.as_str();
            let _ = writeln!(
                text,
                "--- version {} {part}\n+++ version {} {part}",
                self.from, self.to
            );
            for hunk in hunks(lines) {
                let before = &lines[..hunk.start];
                let shown = &lines[hunk];
                let from = span(before, shown, Line::is_in_from);
                let to = span(before, shown, Line::is_in_to);
                let _ = writeln!(text, "@@ -{from} +{to} @@");
                for line in shown {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        text
    }
}

/// The ranges of lines to show: changes with their context, joined where they touch.
fn hunks(lines: &[Line]) -> Vec<Range<usize>> {
    let mut hunks: Vec<Range<usize>> = Vec::new();
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| line.is_change()) {
        let start = at.saturating_sub(CONTEXT_LINES);
        let end = (at + 1 + CONTEXT_LINES).min(lines.len());
        match hunks.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => hunks.push(start..end),
        }
    }
    hunks
}

/// `first,count` of the shown lines in one version; an empty span is named by the line before it.
fn span(before: &[Line], shown: &[Line], is_in: fn(&Line) -> bool) -> String {
    let before = before.iter().filter(|line| is_in(line)).count();
    let count = shown.iter().filter(|line| is_in(line)).count();
    let first = if count == 0 { before } else { before + 1 };
    format!("{first},{count}")
}

//! How prompts, versions and their journal look.

use crate::cli::figures::{self, NOTHING};
use crate::cli::screen::{self, BAD, Cell, FAINT, Flush, GOOD, PLAIN, STRONG, Table, paint};
use crate::cli::wire::{ChatItem, Evaluation, LabelChange, PromptSummary, PromptVersion, Template};

/// Prompts in a list.
pub(super) fn prompts(prompts: &[PromptSummary]) -> String {
    let mut table = Table::new(&[
        ("PROMPT", Flush::Left),
        ("TYPE", Flush::Left),
        ("NEWEST", Flush::Right),
        ("UPDATED", Flush::Left),
        ("LABELS", Flush::Left),
    ]);
    for prompt in prompts {
        table.row([
            Cell::new(STRONG, &prompt.name),
            Cell::plain(&prompt.kind),
            Cell::plain(prompt.newest.to_string()),
            Cell::plain(figures::moment(&prompt.updated_at)),
            Cell::plain(labels(prompt)),
        ]);
    }
    if table.is_empty() {
        return "no prompts yet: make one with `serin prompt create`\n".to_owned();
    }
    table.render("")
}

/// `canary → 4, production → 3 (protected)`.
fn labels(prompt: &PromptSummary) -> String {
    let mut shown: Vec<String> = Vec::new();
    for (label, version) in &prompt.labels {
        let guard = if prompt.protected.contains(label) {
            " (protected)"
        } else {
            ""
        };
        shown.push(format!("{label} → {version}{guard}"));
    }
    let unset = prompt
        .protected
        .iter()
        .filter(|label| !prompt.labels.contains_key(*label));
    shown.extend(unset.map(|label| format!("{label} → {NOTHING} (protected)")));
    shown.join(", ")
}

/// A version with everything that is known of it.
pub(super) fn version(version: &PromptVersion) -> String {
    let mut text = paint(STRONG, &format!("{} version {}", version.name, version.version));
    if let Some(semantic) = &version.semantic_version {
        text.push_str(&format!("  {semantic}"));
    }
    text.push_str(&format!("  {}\n", version.kind));
    let author = format!("{} by {}", figures::moment(&version.created_at), version.author);
    let facts = [
        ("labels", version.labels.join(", ")),
        ("made", author),
        ("reason", version.reason.clone()),
        ("owner", version.owner.clone().unwrap_or_default()),
        ("tags", version.tags.join(", ")),
        ("variables", version.variables.join(", ")),
        ("placeholders", version.placeholders.join(", ")),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!(
            "  {}  {}\n",
            paint(FAINT, &format!("{name:<12}")),
            screen::harmless(value)
        ));
    }
    for evaluation in &version.evaluations {
        text.push_str(&format!(
            "  {}  {}\n",
            paint(FAINT, "evaluation  "),
            screen::harmless(&scores(evaluation))
        ));
    }
    text.push('\n');
    text.push_str(&template(&version.prompt));
    if !version.config.is_empty() {
        let config = serde_json::Value::Object(version.config.clone());
        text.push_str(&format!("\n{}\n{config:#}\n", paint(FAINT, "config")));
    }
    text
}

fn scores(evaluation: &Evaluation) -> String {
    let scores = evaluation
        .scores
        .iter()
        .map(|(metric, score)| format!("{metric} {score}"));
    let scores = scores.collect::<Vec<_>>().join(", ");
    let Evaluation {
        dataset, at, actor, ..
    } = evaluation;
    format!("{dataset}: {scores} ({} by {actor})", figures::moment(at))
}

fn template(template: &Template) -> String {
    match template {
        Template::Text(text) => with_line_break(&screen::harmless(text)),
        Template::Chat(items) => items.iter().map(chat_item).collect(),
    }
}

fn chat_item(item: &ChatItem) -> String {
    match item {
        ChatItem::Message { role, content } => {
            let role = paint(FAINT, &format!("[{}]", screen::harmless(role)));
            format!("{role}\n{}", with_line_break(&screen::harmless(content)))
        }
        ChatItem::Placeholder { placeholder } => {
            format!(
                "{}\n",
                paint(FAINT, &format!("[placeholder {}]", screen::harmless(placeholder)))
            )
        }
    }
}

fn with_line_break(text: &str) -> String {
    if text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}\n")
    }
}

/// A unified diff in colours.
pub(super) fn diff(unified: &str) -> String {
    let unified = screen::harmless(unified);
    let mut lines = unified.lines().peekable();
    let mut text = String::new();
    let mut in_heading = false;
    while let Some(line) = lines.next() {
        // Content may begin like a heading, but is not followed by the other half of one.
        let begins = line.starts_with("--- version ")
            && lines.peek().is_some_and(|next| next.starts_with("+++ version "));
        let style = match line.as_bytes().first() {
            _ if begins || in_heading => STRONG,
            Some(b'-') => BAD,
            Some(b'+') => GOOD,
            Some(b'@') => FAINT,
            Some(_) | None => PLAIN,
        };
        in_heading = begins;
        text.push_str(&format!("{}\n", paint(style, line)));
    }
    text
}

/// The journal of a prompt's labels.
pub(super) fn history(changes: &[LabelChange]) -> String {
    let mut table = Table::new(&[
        ("AT", Flush::Left),
        ("LABEL", Flush::Left),
        ("FROM", Flush::Right),
        ("TO", Flush::Right),
        ("BY", Flush::Left),
        ("ROLLOUT", Flush::Left),
        ("REASON", Flush::Left),
    ]);
    for change in changes {
        table.row([
            Cell::new(FAINT, figures::moment(&change.at)),
            Cell::plain(&change.label),
            place(change.from),
            place(change.to),
            Cell::plain(&change.actor),
            Cell::plain(change.rollout.as_deref().unwrap_or_default()),
            Cell::plain(&change.reason),
        ]);
    }
    if table.is_empty() {
        return "no label of this prompt was ever moved\n".to_owned();
    }
    table.render("")
}

fn place(version: Option<u32>) -> Cell {
    version.map_or_else(
        || Cell::new(FAINT, NOTHING),
        |version| Cell::plain(version.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_diff_have_their_colours() {
        let shown = diff(
            "--- version 1 template\n+++ version 2 template\n@@ -1,2 +1,2 @@\n same\n--- version 9\n+new\n",
        );
        let bold = |line: &str| paint(STRONG, line);
        let expected = [
            bold("--- version 1 template"),
            bold("+++ version 2 template"),
            paint(FAINT, "@@ -1,2 +1,2 @@"),
            " same".to_owned(),
            paint(BAD, "--- version 9"),
            paint(GOOD, "+new"),
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    }
}

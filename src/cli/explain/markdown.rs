//! The same as Markdown, to be pasted into an incident report.
//!
//! Tables are those of GitHub Flavored Markdown, section 4.10; what comes from people or models is
//! escaped, so that it shows as it was written and adds nothing to the page.

use super::numbers;
use crate::cli::screen;
use crate::cli::wire::{Assessment, AuditRecord, Evidence, Rollout};
use crate::figures;
use std::fmt::Write as _;

/// Characters that mean something outside of code.
const SPECIAL: [char; 12] = ['\\', '`', '*', '_', '[', ']', '<', '>', '#', '|', '~', '&'];

pub(super) fn render(rollout: &Rollout, records: &[AuditRecord], evidence: &Evidence) -> String {
    let Rollout {
        id,
        policy,
        stable,
        candidate,
        ..
    } = rollout;
    let mut page = format!(
        "# {}, rollout {}: {}\n\n",
        sentence(policy),
        sentence(id),
        sentence(&rollout.phase.code.replace('_', " "))
    );
    let exposure = rollout
        .exposure
        .map_or_else(|| figures::NOTHING.to_owned(), figures::percentage);
    let facts = [
        ("Versions", format!("{stable} → {candidate}")),
        ("Stands", sentence(&rollout.phase.text)),
        ("Users in treatment", exposure),
        ("Began", figures::moment(&rollout.started_at)),
        ("Since", figures::moment(&rollout.changed_at)),
    ];
    page.push_str("| | |\n|---|---|\n");
    for (name, value) in facts {
        row(&mut page, [name.to_owned(), value]);
    }
    if let Some(stay) = rollout.stay.as_ref().filter(|stay| stay.code != "ended") {
        row(&mut page, ["Waits for".to_owned(), sentence(&stay.text)]);
    }
    history(&mut page, records);
    // The last move with numbers is the one that a report is about; else the present ones are.
    let decisive = records.iter().rev().find_map(decision);
    if let Some((record, assessment)) = decisive {
        let when = figures::moment(&record.at);
        table(
            &mut page,
            &format!("Numbers of the last decision, {when}"),
            assessment,
        );
    } else if let Some(assessment) = &evidence.assessment {
        table(&mut page, "Numbers now", assessment);
    }
    page
}

/// A move that rests on numbers, other than one that only notes that labels are in place.
fn decision(record: &AuditRecord) -> Option<(&AuditRecord, &Assessment)> {
    let assessment = record.event.assessment.as_ref()?;
    let cause = record.event.cause.as_ref()?;
    (cause.code != "labels_confirmed" && has_observations(assessment)).then_some((record, assessment))
}

fn has_observations(assessment: &Assessment) -> bool {
    assessment
        .metrics
        .iter()
        .any(|metric| metric.control.count + metric.treatment.count > 0)
}

fn history(page: &mut String, records: &[AuditRecord]) {
    page.push_str("\n## History\n\n| When | What |\n|---|---|\n");
    // A label move that fails is tried again and again, with the same words each time.
    for same in records.chunk_by(|one, next| one.event.code == "label_move" && one.text == next.text) {
        let Some((first, more)) = same.split_first() else {
            continue;
        };
        let mut told = sentence(&first.text);
        if let Some(reason) = &first.event.reason {
            // Writing to a `String` cannot fail.
            write!(told, " (their reason: {})", sentence(reason)).ok();
        }
        if let Some(last) = more.last() {
            let (times, at) = (figures::count(more.len() as u64), figures::moment(&last.at));
            write!(told, "; the same {times} times more, last at {at}").ok();
        }
        row(page, [figures::moment(&first.at), told]);
    }
}

fn table(page: &mut String, heading: &str, assessment: &Assessment) {
    let verdict = sentence(&assessment.verdict);
    write!(page, "\n## {heading}\n\nVerdict: **{verdict}**.\n\n").ok();
    row(page, numbers::COLUMNS.map(str::to_owned));
    row(page, numbers::COLUMNS.map(|_| "---".to_owned()));
    for cells in numbers::rows(assessment) {
        row(page, cells.map(|cell| sentence(&cell)));
    }
    let combined = numbers::combined(assessment);
    write!(
        page,
        "\nEvidence of all guarded metrics together that the candidate is worse: {combined}.\n\n"
    )
    .ok();
    page.push_str(&sentence(&numbers::LEGEND.replace('\n', " ")));
    page.push('\n');
}

fn row<const N: usize>(page: &mut String, cells: [String; N]) {
    for cell in cells {
        write!(page, "| {cell} ").ok();
    }
    page.push_str("|\n");
}

/// Text on one line, in which nothing is markup but code in pairs of backticks.
fn sentence(text: &str) -> String {
    let text = screen::harmless(text).replace(['\n', '\r'], " ");
    let is_paired = text.matches('`').count().is_multiple_of(2);
    if !is_paired {
        return escaped(&text);
    }
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| match at % 2 {
            0 => escaped(part),
            // In a cell a bar ends even code, unless it is escaped.
            _ => format!("`{}`", part.replace('|', "\\|")),
        })
        .collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if SPECIAL.contains(&character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_no_markup() {
        let shown = sentence("see <script>|x|</script> [a](http://b) **now**\nand `c|d`");
        let expected = r"see \<script\>\|x\|\</script\> \[a\](http://b) \*\*now\*\* and `c\|d`";
        assert_eq!(shown, expected);
        assert_eq!(sentence("one ` alone"), r"one \` alone");
    }
}

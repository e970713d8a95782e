//! `serin explain`: why a rollout moved, and why it stands where it stands, with the numbers.

mod markdown;
pub(super) mod numbers;

use super::client::{Client, Connection, view};
use super::figures;
use super::help::examples;
use super::ladder::ladder;
use super::rollouts::{self, Target};
use super::screen::{self, BAD, CAUTION, FAINT, GOOD, PLAIN, STRONG, paint};
use super::wire::{AuditRecord, Evidence, Rollout};
use crate::clock::Clock;
use crate::rollout::explain::span;
use jiff::Timestamp;
use numbers::Numbers;
use serde_json::json;

/// Show why a rollout moved, and why it stands where it stands, with the numbers
///
/// For each move of its history: when, from where to where, why, and the numbers that it rested on;
/// the label moves, what came of them, and commands that were refused. At the end the same for the
/// present moment.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin explain order-status-answer"
    "$ serin explain r17 --json | jq '.audit[].text'"
    "$ serin explain r17 --format markdown > incident.md"
    "$ serin explain r17 --format html > incident.html"
))]
pub(crate) struct Explain {
    /// The rollout's id, such as `r17`, or its policy's name for the running or last one
    #[arg(value_name = "ROLLOUT", value_parser = Target::parse)]
    rollout: Target,
    /// How it is written; `markdown` and `html` are for an incident report, `json` is the same as --json
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text, conflicts_with = "json")]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// How an explanation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
    /// For people elsewhere.
    Markdown,
    /// The same with charts and tables, as one page that loads nothing.
    Html,
}

/// Runs the verb.
pub(crate) async fn run(args: &Explain) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, None)?;
    let id = args.rollout.resolve(&client).await?;
    if args.format == Format::Html {
        let page = client.page(&["v1", "rollouts", &id, "report"]).await?;
        screen::print_exactly(&screen::harmless(&page))?;
        return Ok(());
    }
    let audit = client
        .pages(&["v1", "rollouts", &id, "audit"], "records", "after", usize::MAX)
        .await?;
    let evidence = client.get(&["v1", "rollouts", &id, "evidence"], &[]).await?;
    // Asked last, so that it is not older than its history.
    let rollout = client.get(&["v1", "rollouts", &id], &[]).await?;
    if args.connection.json || args.format == Format::Json {
        screen::print_json(&json!({"rollout": rollout, "audit": audit, "evidence": evidence}))?;
        return Ok(());
    }
    let records = audit
        .iter()
        .map(view)
        .collect::<anyhow::Result<Vec<AuditRecord>>>()?;
    let (rollout, evidence) = (view(&rollout)?, view(&evidence)?);
    if args.format == Format::Markdown {
        screen::print_exactly(&markdown::render(&rollout, &records, &evidence))?;
        return Ok(());
    }
    screen::print(&render(&rollout, &records, &evidence, Clock::System.now()))?;
    Ok(())
}

fn render(rollout: &Rollout, records: &[AuditRecord], evidence: &Evidence, now: Timestamp) -> String {
    let mut text = rollouts::summary(rollout);
    if rollout.ladder.is_some() {
        text.push_str(&format!("  {}\n", ladder(rollout)));
    }
    text.push_str(&format!("\n{}\n", paint(STRONG, "HISTORY")));
    let mut numbers = Numbers::default();
    // A label move that fails is tried again and again, with the same words each time.
    for same in records.chunk_by(|one, next| one.event.code == "label_move" && one.text == next.text) {
        let Some((first, more)) = same.split_first() else {
            continue;
        };
        text.push_str(&entry(first, &mut numbers));
        if let Some(last) = more.last() {
            let (times, at) = (figures::count(more.len() as u64), figures::moment(&last.at));
            text.push_str(&format!("  the same {times} times more, last at {at}\n"));
        }
    }
    text.push_str(&present(rollout, evidence, &mut numbers, now));
    if numbers.were_shown() {
        text.push_str(&format!("\n{}\n", paint(FAINT, numbers::LEGEND)));
    }
    text
}

/// What happened at one moment.
fn entry(record: &AuditRecord, numbers: &mut Numbers) -> String {
    let at = paint(FAINT, &figures::moment(&record.at));
    let event = &record.event;
    let told = screen::harmless(&record.text);
    match event.code.as_str() {
        "moved" => {
            let cause = event
                .cause
                .as_ref()
                .map(|cause| screen::harmless(&cause.text))
                .unwrap_or_default();
            let places = told.strip_suffix(&format!(": {cause}")).unwrap_or(&told);
            let mut text = format!("{at}  {}\n  {cause}\n", paint(STRONG, places));
            if let Some(assessment) = &event.assessment {
                text.push_str(&numbers.show(assessment));
            }
            text
        }
        "label_move" => {
            let style = match event.outcome.as_ref().map(|outcome| outcome.code.as_str()) {
                Some("confirmed") => GOOD,
                Some("foreign" | "failed") => BAD,
                Some(_) | None => PLAIN,
            };
            format!("{at}  {}\n", paint(style, &told))
        }
        _ => {
            let reason = event.reason.as_deref().map(screen::harmless);
            let reason = reason
                .map(|reason| format!("  their reason: {reason}\n"))
                .unwrap_or_default();
            format!("{at}  {}\n{reason}", paint(CAUTION, &told))
        }
    }
}

/// Why it does not move now, with the numbers of the last closed tick.
fn present(rollout: &Rollout, evidence: &Evidence, numbers: &mut Numbers, now: Timestamp) -> String {
    let since = match figures::age(&rollout.changed_at, now) {
        Some(age) => format!("since {} ({})", figures::moment(&rollout.changed_at), span(age)),
        None => format!("since {}", rollout.changed_at),
    };
    let heading = match &rollout.stay {
        Some(stay) if stay.code != "ended" => "NOW",
        Some(_) | None => "AT THE END",
    };
    let mut text = format!("\n{}\n", paint(STRONG, heading));
    text.push_str(&format!(
        "{}  {}\n",
        paint(FAINT, &since),
        screen::harmless(&rollout.phase.text)
    ));
    if let Some(stay) = rollout.stay.as_ref().filter(|stay| stay.code != "ended") {
        text.push_str(&format!("  {}\n", screen::harmless(&stay.text)));
    }
    // What is over was rolled back long ago, or is what users have.
    if let Some(after) = rollout.after_rollback.as_ref().filter(|_| !rollout.is_over()) {
        text.push_str(&format!("  {}\n", screen::harmless(&after.text)));
    }
    match &evidence.assessment {
        Some(assessment) => text.push_str(&numbers.show(assessment)),
        None => text.push_str("  no tick is closed yet: there are no numbers\n"),
    }
    text
}

#[cfg(test)]
mod tests;

//! Labels of prompts: where they point, who may move them, who did.

use super::render;
use crate::cli::client::{Client, Connection, view};
use crate::cli::help::examples;
use crate::cli::rollouts::{Who, Why};
use crate::cli::screen;
use crate::cli::wire::LabelChange;
use crate::ids::{Label, PromptName, Version};
use serde_json::json;

/// Point a label at a version, or remove it
///
/// A label that a policy steers is better moved by its rollout: a move by hand pauses a running
/// rollout, and one of the treatment label starts one.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin prompt label order-status-answer staging 4 --reason 'to be reviewed'"
    "$ serin prompt label order-status-answer production 3 --expect 4 --reason 'back to the last good one'"
    "$ serin prompt label order-status-answer staging --remove --reason 'review is over'"
))]
pub(crate) struct SetLabel {
    /// The prompt
    #[arg(value_name = "NAME")]
    name: PromptName,
    /// The label
    #[arg(value_name = "LABEL")]
    label: Label,
    /// The version that it is to point at
    #[arg(
        value_name = "VERSION",
        value_parser = crate::cli::parse_version,
        required_unless_present = "remove",
        conflicts_with = "remove"
    )]
    version: Option<Version>,
    /// Only if it points at this version now; 0 if there must be no such label
    #[arg(long, value_name = "VERSION", conflicts_with = "remove")]
    expect: Option<u32>,
    /// Remove the label
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    connection: Connection,
}

/// Moves or removes a label.
pub(super) async fn set(args: &SetLabel) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, args.why.who.actor.as_deref())?;
    let path = ["v1", "prompts", args.name.as_str(), "labels", args.label.as_str()];
    let answer = match args.version {
        Some(version) => {
            let mut body = json!({"version": version.get(), "reason": args.why.reason.as_str()});
            if let Some(expect) = args.expect {
                body["expect"] = expect.into();
            }
            client.put(&path, &body).await?
        }
        None => {
            client
                .delete(&path, &[("reason", args.why.reason.as_str())])
                .await?
        }
    };
    if args.connection.json {
        screen::print_json(&answer)?;
        return Ok(());
    }
    let change: LabelChange = view(&answer)?;
    let place = |version: Option<u32>| {
        version.map_or_else(|| "nowhere".to_owned(), |version| format!("version {version}"))
    };
    let told = match change.to {
        to if to == change.from => format!(
            "label {} of {} points at {} already",
            change.label,
            args.name,
            place(to)
        ),
        None => format!(
            "removed label {} of {}; it pointed at {}",
            change.label,
            args.name,
            place(change.from)
        ),
        to => format!(
            "label {} of {} points at {} now; before: {}",
            change.label,
            args.name,
            place(to),
            place(change.from)
        ),
    };
    screen::print(&format!("{told}\n"))?;
    Ok(())
}

/// Protect a label, so that only Serin and administrators move it
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin prompt protect order-status-answer production"
    "$ serin prompt protect order-status-answer production --off"
))]
pub(crate) struct Protect {
    /// The prompt
    #[arg(value_name = "NAME")]
    name: PromptName,
    /// The label
    #[arg(value_name = "LABEL")]
    label: Label,
    /// Lift the protection
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    connection: Connection,
}

/// Protects a label, or lifts its protection.
pub(super) async fn protect(args: &Protect) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, args.who.actor.as_deref())?;
    let path = [
        "v1",
        "prompts",
        args.name.as_str(),
        "labels",
        args.label.as_str(),
        "protection",
    ];
    let answer = client.put(&path, &json!({"protected": !args.off})).await?;
    if args.connection.json {
        screen::print_json(&answer)?;
    } else {
        let now = if args.off {
            "is not protected any more"
        } else {
            "is protected"
        };
        screen::print(&format!("label {} of {} {now}\n", args.label, args.name))?;
    }
    Ok(())
}

/// Show who moved the labels of a prompt, when and why, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin prompt history order-status-answer"
    "$ serin prompt history order-status-answer --last 500 --json"
))]
pub(crate) struct History {
    /// The prompt
    #[arg(value_name = "NAME")]
    name: PromptName,
    /// How many moves to show
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    last: usize,
    #[command(flatten)]
    connection: Connection,
}

/// Shows the journal.
pub(super) async fn history(args: &History) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, None)?;
    let path = ["v1", "prompts", args.name.as_str(), "history"];
    let changes = client.pages(&path, "changes", "before", args.last).await?;
    if args.connection.json {
        screen::print_json(&json!({"changes": changes}))?;
        return Ok(());
    }
    let changes = changes
        .iter()
        .map(view)
        .collect::<anyhow::Result<Vec<LabelChange>>>()?;
    screen::print(&render::history(&changes))?;
    Ok(())
}

//! Prompts, versions, and what changed between them.

use super::render;
use crate::cli::client::{Client, Connection, view};
use crate::cli::help::examples;
use crate::cli::screen;
use crate::cli::wire::{PromptSummary, PromptVersion, Template};
use crate::ids::{Label, PromptName, Version};
use serde_json::{Value, json};

/// List prompts, their newest version and their labels
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin prompt list"
    "$ serin prompt list --json | jq -r '.prompts[].name'"
))]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
}

/// Lists every prompt.
pub(super) async fn list(args: &List) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, None)?;
    let prompts = client
        .pages(&["v1", "prompts"], "prompts", "after", usize::MAX)
        .await?;
    if args.connection.json {
        screen::print_json(&json!({"prompts": prompts}))?;
        return Ok(());
    }
    let prompts = prompts
        .iter()
        .map(view)
        .collect::<anyhow::Result<Vec<PromptSummary>>>()?;
    screen::print(&render::prompts(&prompts))?;
    Ok(())
}

/// Show a version of a prompt
///
/// Without a choice it is the newest version, which need not be the one that anybody is served.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin prompt show order-status-answer --label production"
    "$ serin prompt show order-status-answer --version 3 --raw > prompt.txt"
))]
pub(crate) struct Show {
    /// The prompt
    #[arg(value_name = "NAME")]
    name: PromptName,
    #[command(flatten)]
    which: Which,
    /// Print the text alone, byte by byte, or the messages of a chat as JSON
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Which version of a prompt.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Which {
    /// The version with this number
    #[arg(long, value_name = "VERSION", value_parser = crate::cli::parse_version)]
    version: Option<Version>,
    /// The version that this label points at
    #[arg(long, value_name = "LABEL")]
    label: Option<Label>,
    /// The version that this user is assigned
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

/// Shows a version.
pub(super) async fn show(args: &Show) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, None)?;
    let version = args.which.version.map(|version| version.to_string());
    let choice = match (&version, &args.which.label, &args.which.user) {
        (Some(version), _, _) => ("version", version.as_str()),
        (None, Some(label), _) => ("label", label.as_str()),
        (None, None, Some(user)) => ("user", user.as_str()),
        (None, None, None) => ("label", "latest"),
    };
    let answer = client
        .get(&["v1", "prompts", args.name.as_str()], &[choice])
        .await?;
    if args.connection.json {
        screen::print_json(&answer)?;
        return Ok(());
    }
    let shown: PromptVersion = view(&answer)?;
    if !args.raw {
        screen::print(&render::version(&shown))?;
        return Ok(());
    }
    match &shown.prompt {
        Template::Text(text) => screen::print_exactly(text)?,
        Template::Chat(_) => screen::print_json(&answer["prompt"])?,
    }
    Ok(())
}

/// Show what changed between two versions of a prompt, as a unified diff
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin prompt diff order-status-answer 3 4"
    "$ serin prompt diff order-status-answer production canary"
))]
pub(crate) struct Diff {
    /// The prompt
    #[arg(value_name = "NAME")]
    name: PromptName,
    /// The version before: its number, or a label that points at it
    #[arg(value_name = "FROM", value_parser = parse_place)]
    from: Place,
    /// The version after: its number, or a label that points at it
    #[arg(value_name = "TO", value_parser = parse_place)]
    to: Place,
    #[command(flatten)]
    connection: Connection,
}

/// A version, by its number or by a label.
#[derive(Debug, Clone)]
enum Place {
    Version(Version),
    Label(Label),
}

fn parse_place(text: &str) -> Result<Place, String> {
    if let Ok(version) = crate::cli::parse_version(text) {
        return Ok(Place::Version(version));
    }
    let label =
        Label::new(text).map_err(|refused| format!("give a version's number or a label: {refused}"))?;
    Ok(Place::Label(label))
}

/// Shows what changed.
pub(super) async fn diff(args: &Diff) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, None)?;
    let from = number(&client, &args.name, &args.from).await?;
    let to = number(&client, &args.name, &args.to).await?;
    let path = ["v1", "prompts", args.name.as_str(), "diff"];
    let answer = client.get(&path, &[("from", &from), ("to", &to)]).await?;
    if args.connection.json {
        screen::print_json(&answer)?;
        return Ok(());
    }
    match answer["unified"].as_str() {
        Some("") => screen::print(&format!("versions {from} and {to} say the same\n"))?,
        Some(unified) => screen::print(&render::diff(unified))?,
        None => anyhow::bail!("the server's answer has no unified diff"),
    }
    Ok(())
}

async fn number(client: &Client, name: &PromptName, place: &Place) -> anyhow::Result<String> {
    match place {
        Place::Version(version) => Ok(version.to_string()),
        Place::Label(label) => {
            let answer: Value = client
                .get(&["v1", "prompts", name.as_str()], &[("label", label.as_str())])
                .await?;
            let version: PromptVersion = view(&answer)?;
            Ok(version.version.to_string())
        }
    }
}

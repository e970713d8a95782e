//! New versions, and how they were evaluated.

use crate::cli::client::{Client, Connection, view};
use crate::cli::help::examples;
use crate::cli::report::Usage;
use crate::cli::rollouts::{Who, Why};
use crate::cli::screen;
use crate::cli::wire::PromptVersion;
use crate::ids::{Label, MetricName, PromptName, Version};
use crate::prompt::SemanticVersion;
use anyhow::Context as _;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Make the next version of a prompt, and the prompt with its first version
///
/// Versions are immutable and counted from 1. A text is taken byte by byte, its last line break
/// included. A chat is a JSON array of `{"role": …, "content": …}` and `{"placeholder": …}`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin prompt create order-status-answer --text prompt.txt --reason 'shorter answers' --label canary"
    "$ jq .messages export.json | serin prompt create greeting --chat - --config config.json \\"
    "      --semver 2.1.0 --reason 'greets by name'"
))]
pub(crate) struct Create {
    /// The prompt; `/` makes folders
    #[arg(value_name = "NAME")]
    name: PromptName,
    /// File with the text, with `{{variables}}`; `-` for standard input
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "chat",
        conflicts_with = "chat"
    )]
    text: Option<PathBuf>,
    /// File with the messages as JSON; `-` for standard input
    #[arg(long, value_name = "FILE")]
    chat: Option<PathBuf>,
    /// File with model, temperature, response format, tools, as a JSON object; `-` for standard input
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Label that is to point at the new version; may be given more than once
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<Label>,
    /// Semantic version: MAJOR.MINOR.PATCH
    #[arg(long, value_name = "VERSION")]
    semver: Option<SemanticVersion>,
    /// The team that answers for the prompt
    #[arg(long, value_name = "TEAM")]
    owner: Option<String>,
    /// Word to search by; may be given more than once
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    connection: Connection,
}

/// Makes a version.
pub(super) async fn create(args: &Create) -> anyhow::Result<()> {
    let body = body(args, &mut std::io::stdin().lock())?;
    let client = Client::new(&args.connection, args.why.who.actor.as_deref())?;
    let answer = client.post(&["v1", "prompts"], &body).await?;
    if args.connection.json {
        screen::print_json(&answer)?;
        return Ok(());
    }
    let made: PromptVersion = view(&answer)?;
    let labels = match made.labels.as_slice() {
        [] => String::new(),
        labels => format!(", labelled {}", labels.join(", ")),
    };
    screen::print(&format!("made {} version {}{labels}\n", made.name, made.version))?;
    Ok(())
}

/// What is sent.
fn body(args: &Create, stdin: &mut dyn Read) -> anyhow::Result<Value> {
    let files = [&args.text, &args.chat, &args.config];
    if files
        .iter()
        .filter(|file| file.as_deref().is_some_and(is_stdin))
        .count()
        > 1
    {
        return Err(Usage("`-` can stand for one file only: standard input is read once".into()).into());
    }
    let (kind, prompt) = match (&args.text, &args.chat) {
        (Some(file), _) => ("text", Value::String(read(file, stdin)?)),
        (None, Some(file)) => (
            "chat",
            Value::Array(read_json(file, stdin, "a JSON array of messages")?),
        ),
        (None, None) => return Err(Usage("give `--text` or `--chat`".into()).into()),
    };
    let config: Map<String, Value> = match &args.config {
        Some(file) => read_json(file, stdin, "a JSON object")?,
        None => Map::new(),
    };
    let labels: Vec<&str> = args.labels.iter().map(Label::as_str).collect();
    let mut body = json!({
        "name": args.name.as_str(),
        "type": kind,
        "prompt": prompt,
        "config": config,
        "reason": args.why.reason.as_str(),
        "labels": labels,
        "tags": args.tags,
    });
    if let Some(version) = &args.semver {
        body["semanticVersion"] = version.to_string().into();
    }
    if let Some(owner) = &args.owner {
        body["owner"] = owner.as_str().into();
    }
    Ok(body)
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn read(file: &Path, stdin: &mut dyn Read) -> anyhow::Result<String> {
    let name = if is_stdin(file) {
        "standard input".to_owned()
    } else {
        format!("`{}`", file.display())
    };
    let mut bytes = Vec::new();
    let reading = if is_stdin(file) {
        stdin.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    let length = reading.with_context(|| format!("cannot read {name}"))?;
    anyhow::ensure!(
        u64::try_from(length)? <= FILE_BYTES_MAX,
        "{name} is longer than {FILE_BYTES_MAX} bytes"
    );
    String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))
}

fn read_json<T: serde::de::DeserializeOwned>(
    file: &Path,
    stdin: &mut dyn Read,
    what: &str,
) -> anyhow::Result<T> {
    let text = read(file, stdin)?;
    serde_json::from_str(&text).with_context(|| format!("`{}` must hold {what}", file.display()))
}

/// Record how a version did on a dataset, for the evaluation gate
///
/// A policy's evaluation gate looks for the newest evaluation of the candidate on its dataset.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin prompt evaluate order-status-answer 4 --dataset golden.jsonl --score faithfulness=0.82"
))]
pub(crate) struct Evaluate {
    /// The prompt
    #[arg(value_name = "NAME")]
    name: PromptName,
    /// The version
    #[arg(value_name = "VERSION", value_parser = crate::cli::parse_version)]
    version: Version,
    /// The dataset that it was evaluated on
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Score in a metric; may be given more than once
    #[arg(long = "score", value_name = "METRIC=NUMBER", value_parser = parse_score, required = true)]
    scores: Vec<(MetricName, f64)>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    connection: Connection,
}

fn parse_score(text: &str) -> Result<(MetricName, f64), String> {
    let (metric, score) = text.split_once('=').ok_or("write it like `faithfulness=0.82`")?;
    let metric = MetricName::new(metric).map_err(|refused| refused.to_string())?;
    let score = score.parse::<f64>().ok().filter(|score| score.is_finite());
    Ok((metric, score.ok_or("the score must be a number")?))
}

/// Records an evaluation.
pub(super) async fn evaluate(args: &Evaluate) -> anyhow::Result<()> {
    let mut scores = Map::new();
    for (metric, score) in &args.scores {
        if scores.insert(metric.to_string(), json!(score)).is_some() {
            return Err(Usage(format!("`{metric}` has two scores")).into());
        }
    }
    let client = Client::new(&args.connection, args.who.actor.as_deref())?;
    let version = args.version.to_string();
    let path = [
        "v1",
        "prompts",
        args.name.as_str(),
        "versions",
        &version,
        "evaluations",
    ];
    let answer = client
        .post(&path, &json!({"dataset": args.dataset, "scores": scores}))
        .await?;
    if args.connection.json {
        screen::print_json(&answer)?;
    } else {
        screen::print(&format!(
            "recorded the evaluation of {} version {version} on {}\n",
            args.name, args.dataset
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_pairs_of_a_metric_and_a_number() {
        let (metric, score) = parse_score("faithfulness=0.82").unwrap();
        assert_eq!((metric.as_str(), score), ("faithfulness", 0.82));
        for bad in ["faithfulness", "=1", "a b=1", "a=", "a=x", "a=NaN", "a=inf"] {
            assert!(parse_score(bad).is_err(), "{bad}");
        }
    }
}

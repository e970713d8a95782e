//! `serin why`: which versions held which labels of a prompt, and whether quality changed with them.

mod page;
mod tenure;

use super::client::{Client, Connection, view};
use super::help::examples;
use super::screen;
use super::wire::{Evidence, LabelChange, MetricEvidence, PolicyPrompt, Rollout};
use crate::ids::{PromptName, Version};
use serde_json::{Value, json};
use tenure::{Comparison, Tenure};

/// Tell which version held which label when, who moved it and why, and whether quality changed
///
/// For each stay of a version under a label: since when, who moved it there and why, and what the
/// rollouts that tried the version found: each guarded metric against the version before it, served at
/// the same time to other users, with an interval that holds however often one looks. A version that no
/// rollout tried was never compared, and this says so.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin why order-status-answer"
    "$ serin why order-status-answer --version 14"
    "$ serin why order-status-answer --json | jq '.tenures[] | select(.label == \"production\")'"
))]
pub(crate) struct Why {
    /// The prompt
    #[arg(value_name = "PROMPT")]
    prompt: PromptName,
    /// Only this version
    #[arg(long, value_name = "N", value_parser = crate::cli::parse_version)]
    version: Option<Version>,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the verb.
pub(crate) async fn run(args: &Why) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, None)?;
    let name = args.prompt.as_str();
    let history = client
        .pages(
            &["v1", "prompts", name, "history"],
            "changes",
            "before",
            usize::MAX,
        )
        .await?;
    let changes = history
        .iter()
        .map(view)
        .collect::<anyhow::Result<Vec<LabelChange>>>()?;
    let wanted = args.version.map(Version::get);
    let mut tenures = tenure::tenures(&changes);
    tenures.retain(|tenure| wanted.is_none_or(|wanted| tenure.version == wanted));
    let comparisons = comparisons(&client, name, &tenures).await?;
    for tenure in &mut tenures {
        tenure.comparisons = comparisons
            .iter()
            .filter(|comparison| comparison.concerns(tenure))
            .cloned()
            .collect();
    }
    if args.connection.json {
        let shown: Vec<Value> = tenures.iter().map(Tenure::json).collect();
        screen::print_json(&json!({"prompt": name, "tenures": shown}))?;
        return Ok(());
    }
    screen::print(&page::render(name, wanted, &tenures))?;
    Ok(())
}

/// What the rollouts of the prompt's policies found out about the versions that held a label.
async fn comparisons(client: &Client, prompt: &str, tenures: &[Tenure]) -> anyhow::Result<Vec<Comparison>> {
    let policies: Value = client.get(&["v1", "policies"], &[]).await?;
    let policies: Vec<PolicyPrompt> = view(&policies["policies"])?;
    let mut found = Vec::new();
    for policy in policies.iter().filter(|policy| policy.prompt == prompt) {
        let of_policy = [("policy", policy.policy.as_str())];
        let rollouts = client
            .pages_of(&["v1", "rollouts"], &of_policy, "rollouts", "before")
            .await?;
        for rollout in rollouts {
            let rollout: Rollout = view(&rollout)?;
            if !tenures.iter().any(|tenure| tenure.version == rollout.candidate) {
                continue;
            }
            let evidence = client
                .get(&["v1", "rollouts", &rollout.id, "evidence"], &[])
                .await?;
            let Evidence { assessment } = view(&evidence)?;
            let metrics: Vec<Value> = match assessment {
                Some(_) => view(&evidence["assessment"]["metrics"])?,
                None => Vec::new(),
            };
            found.push(Comparison::new(rollout, metrics)?);
        }
    }
    Ok(found)
}

/// Whether what a metric shows has consequences.
fn is_guarded(metric: &MetricEvidence) -> bool {
    metric.role != "watched"
}

#[cfg(test)]
mod tests;

//! `serin why`: which versions held which labels of a prompt, and whether quality changed with them.

mod journal;
mod page;
mod tenure;

use super::client::{Client, Connection, is_refused_as, view};
use super::help::examples;
use super::screen;
use super::wire::{Evidence, LabelChange, MetricEvidence, PolicyPrompt, Rollout};
use crate::ids::{PromptName, RegistryName, Version};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tenure::{Comparison, Tenure};

/// Tell which version held which label when, who moved it and why, and whether quality changed
///
/// For each stay of a version under a label: since when, who moved it there and why, and what the
/// rollouts that tried the version found: each guarded metric against the version before it, served at
/// the same time to other users, with an interval that holds however often one looks. A version that no
/// rollout tried was never compared, and this says so. Of a prompt in somebody's Langfuse, which keeps no
/// journal, it tells what rollouts saw and did.
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
    let policies = steering(&client, name).await?;
    let wanted = args.version.map(Version::get);
    let mut tenures = Vec::new();
    for registry in registries(&policies) {
        let of_registry = policies.iter().filter(|policy| policy.registry == registry);
        let of_registry: Vec<&PolicyPrompt> = of_registry.collect();
        let is_elsewhere = of_registry.len() < policies.len();
        let changes = changes(&client, name, (registry, is_elsewhere), &of_registry).await?;
        let mut stays = tenure::tenures(registry, &changes);
        stays.retain(|tenure| wanted.is_none_or(|wanted| tenure.version == wanted));
        let comparisons = comparisons(&client, &of_registry, &stays).await?;
        for stay in &mut stays {
            let concern = comparisons.iter().filter(|comparison| comparison.concerns(stay));
            stay.comparisons = concern.cloned().collect();
        }
        tenures.extend(stays);
    }
    if args.connection.json {
        let shown: Vec<Value> = tenures.iter().map(Tenure::json).collect();
        screen::print_json(&json!({"prompt": name, "tenures": shown}))?;
        return Ok(());
    }
    screen::print(&page::render(name, wanted, &tenures))?;
    Ok(())
}

/// The policies that steer the prompt.
async fn steering(client: &Client, prompt: &str) -> anyhow::Result<Vec<PolicyPrompt>> {
    let policies: Value = client.get(&["v1", "policies"], &[]).await?;
    let mut policies: Vec<PolicyPrompt> = view(&policies["policies"])?;
    policies.retain(|policy| policy.prompt == prompt);
    Ok(policies)
}

/// The registries in which policies steer the prompt, by name; Serin's own where none does.
fn registries(policies: &[PolicyPrompt]) -> BTreeSet<&str> {
    match policies {
        [] => BTreeSet::from([RegistryName::EMBEDDED]),
        policies => policies.iter().map(|policy| policy.registry.as_str()).collect(),
    }
}

/// The journal of the embedded registry; of another one, what the rollouts of all its policies saw.
///
/// A prompt that is steered elsewhere, too, may be missing from the embedded one.
async fn changes(
    client: &Client,
    prompt: &str,
    (registry, is_elsewhere): (&str, bool),
    policies: &[&PolicyPrompt],
) -> anyhow::Result<Vec<LabelChange>> {
    if registry != RegistryName::EMBEDDED {
        let mut changes = Vec::new();
        for policy in policies {
            changes.extend(journal::changes(client, policy).await?);
        }
        // Policies do not share labels, so that the order within each label is kept.
        return Ok(changes);
    }
    let path = ["v1", "prompts", prompt, "history"];
    match client.pages(&path, "changes", "before", usize::MAX).await {
        Ok(history) => history.iter().map(view).collect(),
        // A policy may wait for a prompt that another registry has.
        Err(error) if is_elsewhere && is_refused_as(&error, "unknown_prompt") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What the rollouts of the prompt's policies found out about the versions that held a label.
async fn comparisons(
    client: &Client,
    policies: &[&PolicyPrompt],
    tenures: &[Tenure],
) -> anyhow::Result<Vec<Comparison>> {
    let mut found = Vec::new();
    for policy in policies {
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

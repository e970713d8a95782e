//! `DELETE /api/public/v2/prompts/{name}`: versions that nobody is offered any more.
//!
//! As in Langfuse, `label` deletes the whole version that has it, and neither `label` nor `version`
//! deletes all. Refused with 403 is what a policy's labels point at or a rollout compares, whoever
//! asks, because users have it, and what a protected label points at; with 400 what other prompts
//! refer to.

use super::access::Keys;
use super::prompts::missing;
use super::refusal::Refusal;
use super::request::Params;
use crate::api::App;
use crate::api::access::Operate;
use crate::api::prompt_reading::labelled;
use crate::ids::{Justification, Label, PromptName, RegistryName, Version};
use crate::prompt::{PromptSummary, Withdrawal};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the journal says of a label whose version was deleted here.
const DELETED: &str = "its version was deleted through Langfuse's API";

/// Deletes versions.
pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    keys: Keys<Operate>,
    Path(name): Path<String>,
    params: Params,
) -> Result<StatusCode, Refusal> {
    let (number, label) = (params.whole("version")?, params.get("label"));
    let missing = || match (number, label) {
        (None, None) => Refusal::not_found(format!("Prompt not found: '{name}'")),
        (number, label) => missing(&name, number, label.unwrap_or_default()),
    };
    let prompt = PromptName::new(&name).map_err(|_| missing())?;
    let found = app.store.prompt(&prompt).await;
    let summary =
        found.map_err(|error| super::prompts::existing(error).map_or_else(missing, Refusal::from))?;
    let versions = versions(&app, &summary, number, label).await?;
    if versions.is_empty() {
        return Err(missing());
    }
    refuse_in_use(&app, &summary, &versions)?;
    let labels = summary.labels.into_iter();
    let labels = labels.filter(|(_, at)| versions.contains(at));
    let request = Withdrawal {
        prompt,
        labels: labels.map(|(label, _)| label).collect(),
        versions,
        actor: keys.actor,
        reason: Justification::of_serin(DELETED),
        may_move_protected: keys.is_admin,
    };
    app.store.withdraw(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The versions that are meant; none where there are none.
async fn versions(
    app: &App,
    summary: &PromptSummary,
    number: Option<u64>,
    label: Option<&str>,
) -> Result<BTreeSet<Version>, Refusal> {
    let mut versions: BTreeSet<Version> = app
        .store
        .version_times(&summary.prompt)
        .await?
        .into_keys()
        .collect();
    if let Some(number) = number {
        versions.retain(|version| u64::from(version.get()) == number);
    }
    if let Some(label) = label {
        let label = Label::new(label).ok();
        let at = label.and_then(|label| labelled(summary, &label).ok());
        versions.retain(|version| Some(*version) == at);
    }
    Ok(versions)
}

/// Refuses versions that users may have by a policy.
fn refuse_in_use(app: &App, summary: &PromptSummary, versions: &BTreeSet<Version>) -> Result<(), Refusal> {
    let prompt = &summary.prompt;
    let board = app.controller.board();
    for (name, status) in &board.policies {
        let policy = &status.policy;
        if policy.registry.as_str() != RegistryName::EMBEDDED || policy.prompt != *prompt {
            continue;
        }
        let labels = [&policy.labels.control, &policy.labels.treatment];
        let labelled = labels.map(|label| summary.labels.get(label).copied());
        let rollout = status.rollout.iter().map(|rollout| &rollout.state);
        let compared = rollout
            .filter(|state| !state.phase.is_over())
            .flat_map(|state| [Some(state.stable), Some(state.candidate)]);
        if let Some(version) = labelled
            .into_iter()
            .chain(compared)
            .flatten()
            .find(|at| versions.contains(at))
        {
            return Err(Refusal::forbidden(format!(
                "version {version} of '{prompt}' is served by policy `{name}`: it cannot be deleted"
            )));
        }
    }
    Ok(())
}

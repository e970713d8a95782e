//! Prompts of the embedded registry: their versions, where labels point and pointed, what has changed.

use super::Console;
use super::chart::Chart;
use super::frame::{Frame, PageError, Section, not_found, page};
use super::lanes::{Bar, LANES_MAX, Lane, Lanes};
use super::rollout::charts;
use super::rollout::trail::Trail;
use super::visitor::Visitor;
use super::words::{Chip, Moment, phase_chip};
use crate::api::access::Assign;
use crate::api::problem::Problem;
use crate::figures;
use crate::ids::{Label, PromptName, RegistryName, Version};
use crate::policy::Policy;
use crate::prompt::diff::{Line, VersionDiff, diff};
use crate::prompt::template::contract;
use crate::prompt::{ChatItem, LabelChange, PromptSummary, PromptVersion, Template as PromptTemplate};
use crate::rollout::RolloutState;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Prompts on one page.
const PROMPTS_MAX: usize = 100;
/// Versions on one page.
const VERSIONS_MAX: usize = 50;
/// Label changes on one page.
const CHANGES_MAX: usize = 100;
/// Rollouts of one policy that are listed.
const ROLLOUTS_MAX: usize = 10;
/// Rollouts whose exposure is drawn: the last ones.
const ROLLOUTS_DRAWN_MAX: usize = 5;
/// Lines of a difference that are shown.
const DIFF_LINES_MAX: usize = 2_000;

/// A prompt in the list.
#[derive(Debug)]
struct Row {
    name: String,
    address: String,
    kind: &'static str,
    newest: u32,
    updated: Moment,
    labels: Vec<(String, u32)>,
}

impl From<&PromptSummary> for Row {
    fn from(summary: &PromptSummary) -> Self {
        Self {
            name: summary.prompt.to_string(),
            address: address(&summary.prompt),
            kind: summary.kind.as_str(),
            newest: summary.newest.get(),
            updated: Moment::new(summary.updated_at),
            labels: labels(summary),
        }
    }
}

fn labels(summary: &PromptSummary) -> Vec<(String, u32)> {
    let pairs = summary.labels.iter();
    pairs
        .map(|(label, version)| (label.to_string(), version.get()))
        .collect()
}

/// Where a prompt's page is.
pub(super) fn address(prompt: &PromptName) -> String {
    format!("/prompts/{}", super::visitor::encoded(prompt.as_str()))
}

#[derive(Template)]
#[template(path = "prompts.html", config = "src/console/askama.toml")]
struct PromptsPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
}

/// Where a page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct After {
    after: Option<String>,
}

/// The list.
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    visitor: Visitor<Assign>,
    Query(from): Query<After>,
) -> Result<Response, PageError> {
    let after = from.after.as_deref().map(PromptName::new).transpose();
    let after = after.map_err(|_| not_found("such prompt"))?;
    let mut found = console
        .app
        .store()
        .prompts(after.as_ref(), PROMPTS_MAX + 1)
        .await?;
    let has_more = found.len() > PROMPTS_MAX;
    found.truncate(PROMPTS_MAX);
    let last = found.last().filter(|_| has_more);
    let next = last.map(|last| format!("/prompts?after={}", super::visitor::encoded(last.prompt.as_str())));
    let list = PromptsPage {
        frame: Frame::new(&console, &visitor, Section::Prompts, "Prompts"),
        rows: found.iter().map(Into::into).collect(),
        next,
    };
    page(&console, &visitor, &list)
}

/// A version, with its metadata.
#[derive(Debug)]
struct VersionRow {
    number: u32,
    semantic: Option<String>,
    created: Moment,
    author: String,
    reason: String,
    labels: Vec<String>,
    model: Option<String>,
    config: Option<String>,
    owner: Option<String>,
    tags: Vec<String>,
    variables: Vec<String>,
    evaluations: Vec<String>,
    messages: Vec<(String, String)>,
}

impl VersionRow {
    fn new(version: &PromptVersion, summary: &PromptSummary) -> Self {
        let draft = &version.draft;
        let held = summary.labels.iter().filter(|(_, at)| **at == version.version);
        let evaluations = version.evaluations.iter().rev().map(|evaluation| {
            let scores: Vec<String> = evaluation
                .scores
                .iter()
                .map(|(metric, score)| format!("{metric} {}", figures::shortest(*score, 4)))
                .collect();
            format!("{}: {}", evaluation.dataset, scores.join(", "))
        });
        Self {
            number: version.version.get(),
            semantic: draft.semantic_version.map(|semantic| semantic.to_string()),
            created: Moment::new(version.created_at),
            author: version.author.to_string(),
            reason: draft.reason.to_string(),
            labels: held.map(|(label, _)| label.to_string()).collect(),
            model: draft
                .config
                .get("model")
                .and_then(|model| model.as_str())
                .map(str::to_owned),
            config: (!draft.config.is_empty())
                .then(|| format!("{:#}", serde_json::Value::Object(draft.config.clone()))),
            owner: draft.owner.as_ref().map(ToString::to_string),
            tags: draft.tags.iter().map(ToString::to_string).collect(),
            variables: contract(&draft.template)
                .variables
                .iter()
                .map(ToString::to_string)
                .collect(),
            evaluations: evaluations.collect(),
            messages: messages(&draft.template),
        }
    }
}

/// Role and content of each message; a text has no role.
fn messages(template: &PromptTemplate) -> Vec<(String, String)> {
    match template {
        PromptTemplate::Text(text) => vec![(String::new(), text.to_string())],
        PromptTemplate::Chat(items) => items
            .iter()
            .map(|item| match item {
                ChatItem::Message { role, content } => (role.to_string(), content.to_string()),
                ChatItem::Placeholder { name } => (format!("placeholder {name}"), String::new()),
            })
            .collect(),
    }
}

/// A label change.
#[derive(Debug)]
struct ChangeRow {
    at: Moment,
    label: String,
    from: String,
    to: String,
    actor: String,
    reason: String,
    rollout: Option<String>,
}

impl From<&LabelChange> for ChangeRow {
    fn from(change: &LabelChange) -> Self {
        let version = |version: Option<Version>| {
            version.map_or_else(|| figures::NOTHING.to_owned(), |version| version.to_string())
        };
        Self {
            at: Moment::new(change.at),
            label: change.label.to_string(),
            from: version(change.from),
            to: version(change.to),
            actor: change.actor.to_string(),
            reason: change.reason.to_string(),
            rollout: change.rollout.as_ref().map(|(rollout, _)| rollout.to_string()),
        }
    }
}

/// What changed in one part of a version.
#[derive(Debug)]
struct PartRows {
    part: &'static str,
    /// The sign of each line, and its text.
    lines: Vec<(&'static str, String)>,
}

/// A rollout that tried a version.
#[derive(Debug)]
struct RolloutRow {
    id: String,
    policy: String,
    versions: String,
    phase: Chip,
    began: Moment,
}

#[derive(Template)]
#[template(path = "prompt.html", config = "src/console/askama.toml")]
struct PromptPage {
    frame: Frame,
    name: String,
    address: String,
    labels: Vec<(String, u32)>,
    versions: Vec<VersionRow>,
    older: Option<String>,
    numbers: Vec<u32>,
    from: u32,
    to: u32,
    parts: Option<Vec<PartRows>>,
    changes: Vec<ChangeRow>,
    rollouts: Vec<RolloutRow>,
    lanes: Option<Chart>,
}

/// What is to be compared, and where the page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    from: String,
    to: String,
    before: String,
}

fn version(text: &str) -> Option<Version> {
    text.parse().ok().and_then(|number| Version::new(number).ok())
}

/// One prompt.
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor<Assign>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let name = PromptName::new(&name).map_err(|_| not_found("such prompt"))?;
    let store = console.app.store();
    let summary = store.prompt(&name).await?;
    let mut versions = store
        .versions(&name, version(&asked.before), VERSIONS_MAX + 1)
        .await?;
    let has_more = versions.len() > VERSIONS_MAX;
    versions.truncate(VERSIONS_MAX);
    let oldest = versions.last().filter(|_| has_more).map(|last| last.version);
    let to = version(&asked.to).unwrap_or(summary.newest);
    let before = Version::new(to.get().saturating_sub(1).max(1)).unwrap_or(to);
    let from = version(&asked.from).unwrap_or(before);
    let parts = if from == to {
        None
    } else {
        let (from, to) = (store.version(&name, from).await?, store.version(&name, to).await?);
        let compared = tokio::task::spawn_blocking(move || parts(&diff(&from, &to))).await;
        Some(compared.map_err(|error| Problem::internal(&error))?)
    };
    let changes = store.history(&name, None, CHANGES_MAX).await?;
    let (rollouts, exposures) = tried(&console, &name).await?;
    let lanes = lanes(&changes, exposures, console.now()).draw();
    let shown = PromptPage {
        frame: Frame::new(&console, &visitor, Section::Prompts, name.as_str()),
        name: name.to_string(),
        address: address(&name),
        labels: labels(&summary),
        numbers: versions.iter().map(|version| version.version.get()).collect(),
        versions: versions
            .iter()
            .map(|version| VersionRow::new(version, &summary))
            .collect(),
        older: oldest.map(|oldest| format!("{}?before={oldest}", address(&name))),
        from: from.get(),
        to: to.get(),
        parts,
        changes: changes.iter().map(Into::into).collect(),
        rollouts,
        lanes,
    };
    page(&console, &visitor, &shown)
}

fn parts(diff: &VersionDiff) -> Vec<PartRows> {
    let line = |line: &Line| match line {
        Line::Same(text) => (" ", text.clone()),
        Line::Removed(text) => ("-", text.clone()),
        Line::Added(text) => ("+", text.clone()),
    };
    let part = |part: &crate::prompt::diff::PartDiff| PartRows {
        part: part.part.as_str(),
        lines: part.lines.iter().take(DIFF_LINES_MAX).map(line).collect(),
    };
    diff.parts.iter().map(part).collect()
}

/// Share of users in treatment of one rollout, from each moment on.
type Exposure = Vec<(Timestamp, f64)>;

/// The rollouts that tried versions of a prompt, newest first, and the exposure over time of the last ones.
async fn tried(
    console: &Console,
    prompt: &PromptName,
) -> Result<(Vec<RolloutRow>, Vec<Exposure>), PageError> {
    let (board, store, now) = (console.board(), console.app.store(), console.now());
    let steers = board.policies.values().filter(|status| {
        status.policy.prompt == *prompt && status.policy.registry.as_str() == RegistryName::EMBEDDED
    });
    let mut states: Vec<(RolloutState, Arc<Policy>)> = Vec::new();
    for status in steers {
        let of_policy = store
            .rollouts(Some(&status.policy.name), None, ROLLOUTS_MAX)
            .await?;
        let policy = &status.policy;
        states.extend(of_policy.into_iter().map(|state| (state, Arc::clone(policy))));
    }
    states.sort_by_key(|(state, _)| Reverse(state.id));
    states.truncate(ROLLOUTS_MAX);
    let mut exposures = Vec::new();
    for (state, policy) in states.iter().take(ROLLOUTS_DRAWN_MAX) {
        let (trail, _) = Trail::read(store, state.id, 0).await?;
        exposures.push(charts::shares(&trail, policy, now));
    }
    let row = |(state, _): &(RolloutState, Arc<Policy>)| RolloutRow {
        id: state.id.to_string(),
        policy: state.policy.to_string(),
        versions: format!("{} → {}", state.stable, state.candidate),
        phase: phase_chip(&state.phase),
        began: Moment::new(state.started_at),
    };
    Ok((states.iter().map(row).collect(), exposures))
}

/// Where labels pointed, by what is known of their changes, newest first.
fn lanes(changes: &[LabelChange], exposures: Vec<Exposure>, now: Timestamp) -> Lanes {
    let from = changes.last().map_or(now, |oldest| oldest.at);
    let mut bars: BTreeMap<&Label, Vec<Bar>> = BTreeMap::new();
    let mut held: BTreeMap<&Label, (Timestamp, Version)> = BTreeMap::new();
    for change in changes.iter().rev() {
        let of_label = bars.entry(&change.label).or_default();
        // Of what was before the first change that is known, its own words are left.
        let before = held
            .remove(&change.label)
            .or_else(|| change.from.map(|version| (from, version)));
        of_label.extend(before.map(|(since, version)| Bar {
            from: since,
            until: change.at,
            version: version.get(),
        }));
        if let Some(to) = change.to {
            held.insert(&change.label, (change.at, to));
        }
    }
    for (label, (since, version)) in held {
        bars.entry(label).or_default().push(Bar {
            from: since,
            until: now,
            version: version.get(),
        });
    }
    let mut latest: Vec<&Label> = Vec::new();
    for change in changes {
        if latest.len() < LANES_MAX && !latest.contains(&&change.label) {
            latest.push(&change.label);
        }
    }
    let shown = bars.into_iter().filter(|(label, _)| latest.contains(label));
    Lanes {
        lanes: shown
            .map(|(label, bars)| Lane {
                label: label.to_string(),
                bars,
            })
            .collect(),
        exposures,
        from,
        until: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Actor, Justification};

    fn change(second: i64, label: &str, from: Option<u32>, to: Option<u32>) -> LabelChange {
        let version = |number| Version::new(number).unwrap();
        LabelChange {
            sequence: u64::try_from(second).unwrap(),
            prompt: PromptName::new("team/greeting").unwrap(),
            label: Label::new(label).unwrap(),
            from: from.map(version),
            to: to.map(version),
            at: Timestamp::from_second(second).unwrap(),
            actor: Actor::serin(),
            reason: Justification::new("to see").unwrap(),
            rollout: None,
        }
    }

    #[test]
    fn bars_lead_from_change_to_change() {
        let changes = [
            change(40, "canary", Some(2), None),
            change(30, "production", Some(1), Some(2)),
            change(10, "canary", None, Some(2)),
        ];
        let drawn = lanes(&changes, Vec::new(), Timestamp::from_second(50).unwrap());
        let shown = |lane: &Lane| {
            let bars = lane.bars.iter();
            bars.map(|bar| (bar.from.as_second(), bar.until.as_second(), bar.version))
                .collect::<Vec<_>>()
        };
        let labels: Vec<&str> = drawn.lanes.iter().map(|lane| lane.label.as_str()).collect();
        assert_eq!(labels, ["canary", "production"]);
        assert_eq!(shown(&drawn.lanes[0]), [(10, 40, 2)]);
        assert_eq!(shown(&drawn.lanes[1]), [(10, 30, 1), (30, 50, 2)]);
        assert!(lanes(&[], Vec::new(), Timestamp::UNIX_EPOCH).draw().is_none());
    }
}

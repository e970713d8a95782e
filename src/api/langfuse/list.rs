//! `GET /api/public/v2/prompts`: prompts with their versions, in pages.

use super::access::Keys;
use super::prompt_view::{MetaView, PageView, labels, texts};
use super::refusal::Refusal;
use super::request::Params;
use crate::api::App;
use crate::api::access::Assign;
use crate::api::prompt_reading::labelled;
use crate::ids::{Label, PromptName, Version};
use crate::prompt::{PromptError, PromptSummary};
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Prompts that are read at once.
const PROMPTS_READ: usize = 500;
/// Prompts that are looked at for one list; further ones are not listed.
const PROMPTS_LISTED_MAX: usize = 20_000;

/// What versions must be like to be listed.
struct Filter<'p> {
    name: Option<&'p str>,
    label: Option<&'p str>,
    tag: Option<&'p str>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// A prompt, and those of its versions that pass.
struct Listed {
    summary: PromptSummary,
    versions: BTreeMap<Version, Timestamp>,
}

/// `GET /api/public/v2/prompts?name&label&tag&fromUpdatedAt&toUpdatedAt&page&limit`, by name.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: Keys<Assign>,
    params: Params,
) -> Result<Json<PageView<MetaView>>, Refusal> {
    let (page, limit) = (params.page()?, params.limit()?);
    let filter = Filter {
        name: params.get("name"),
        label: params.get("label"),
        tag: params.get("tag"),
        from: params.moment("fromUpdatedAt")?,
        to: params.moment("toUpdatedAt")?,
    };
    let mut passed = Vec::new();
    for summary in summaries(&app, filter.name).await? {
        if let Some(listed) = pass(&app, &filter, summary).await? {
            passed.push(listed);
        }
    }
    let total = passed.len();
    let first = limit.saturating_mul(page - 1);
    let mut data = Vec::new();
    for listed in passed.into_iter().skip(first).take(limit) {
        data.push(view(&app, listed).await?);
    }
    Ok(Json(PageView::new(data, page, limit, total)))
}

async fn summaries(app: &App, name: Option<&str>) -> Result<Vec<PromptSummary>, Refusal> {
    if let Some(name) = name {
        let Ok(name) = PromptName::new(name) else {
            return Ok(Vec::new());
        };
        return match app.store.prompt(&name).await {
            Ok(summary) => Ok(vec![summary]),
            Err(PromptError::UnknownPrompt(_)) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        };
    }
    let mut all: Vec<PromptSummary> = Vec::new();
    while all.len() < PROMPTS_LISTED_MAX {
        let after = all.last().map(|summary| summary.prompt.clone());
        let page = app.store.prompts(after.as_ref(), PROMPTS_READ).await?;
        let is_last = page.len() < PROMPTS_READ;
        all.extend(page);
        if is_last {
            break;
        }
    }
    Ok(all)
}

/// The prompt with those of its versions that pass; none where none does.
async fn pass(app: &App, filter: &Filter<'_>, summary: PromptSummary) -> Result<Option<Listed>, Refusal> {
    let labelled = match filter.label {
        None => None,
        Some(text) => match Label::new(text)
            .ok()
            .and_then(|label| labelled(&summary, &label).ok())
        {
            Some(version) => Some(version),
            None => return Ok(None),
        },
    };
    if let Some(tag) = filter.tag {
        let newest = app.store.version(&summary.prompt, summary.newest).await?;
        if !newest.draft.tags.contains(tag) {
            return Ok(None);
        }
    }
    let mut versions = app.store.version_times(&summary.prompt).await?;
    versions.retain(|version, at| {
        labelled.is_none_or(|labelled| labelled == *version)
            && filter.from.is_none_or(|from| *at >= from)
            && filter.to.is_none_or(|to| *at < to)
    });
    Ok((!versions.is_empty()).then_some(Listed { summary, versions }))
}

async fn view(app: &App, Listed { summary, versions }: Listed) -> Result<MetaView, Refusal> {
    let last = versions.keys().next_back().copied().unwrap_or(summary.newest);
    let newest = app.store.version(&summary.prompt, summary.newest).await?;
    let tags = texts(&newest.draft.tags);
    let last_config = if last == summary.newest {
        newest.draft.config
    } else {
        app.store.version(&summary.prompt, last).await?.draft.config
    };
    Ok(MetaView {
        name: summary.prompt.to_string(),
        kind: summary.kind.as_str(),
        labels: versions
            .keys()
            .flat_map(|version| labels(&summary, *version))
            .collect(),
        tags,
        last_updated_at: versions.values().max().unwrap_or(&summary.updated_at).to_string(),
        last_config,
        versions: versions.keys().map(|version| version.get()).collect(),
    })
}

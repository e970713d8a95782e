//! `/api/public/v2/prompts`: fetch, create, label.

use super::access::Keys;
use super::composition::{circular, compose};
use super::prompt_body::{CreateBody, NewVersion, labels_of};
use super::prompt_view::PromptView;
use super::refusal::Refusal;
use super::request::{Body, Params};
use crate::api::App;
use crate::api::access::{Assign, Needs, Operate};
use crate::api::fallbacks::Wanted;
use crate::api::problem::Code;
use crate::api::prompt_labels::refuse_guarded;
use crate::api::prompt_reading::labelled;
use crate::ids::{Justification, Label, PromptName, RegistryName, Version};
use crate::prompt::composition::{Which, references};
use crate::prompt::labels::LATEST;
use crate::prompt::{LabelRequest, PromptError, PromptSummary, PromptVersion};
use crate::registry::ReadFrom;
use crate::rollout::fallback::FallbackKind;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The label of a prompt that is fetched without saying which.
pub(super) const LABEL_DEFAULT: &str = "production";
/// What the journal says of a label that was moved here.
const MOVED: &str = "moved through Langfuse's API";

/// `GET /api/public/v2/prompts/{name}?label=|version=&resolve=`.
pub(super) async fn fetch(
    State(app): State<Arc<App>>,
    _: Keys<Assign>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<PromptView>, Refusal> {
    let number = params.whole("version")?.filter(|number| *number > 0);
    let label = params.get("label");
    if number.is_some() && label.is_some() {
        return Err(Refusal::invalid("Cannot specify both version and label"));
    }
    let missing = || missing(&name, number, label.unwrap_or(LABEL_DEFAULT));
    let prompt = PromptName::new(&name).map_err(|_| missing())?;
    let found = find(&app, &prompt, number, label.unwrap_or(LABEL_DEFAULT)).await;
    let registry = RegistryName::embedded();
    let (version, summary) = found.map_err(|error| match error {
        Some(error) => error.into(),
        None => {
            let code = number.map_or(Code::UnknownLabel, |_| Code::UnknownVersion);
            app.telemetry.prompt_refused(&registry, code.as_str());
            note_missing(&app, &registry, &prompt, number, label.unwrap_or(LABEL_DEFAULT));
            missing()
        }
    })?;
    app.telemetry.prompt_read(&registry, ReadFrom::Registry.as_str());
    let composed = if params.get("resolve") == Some("false") {
        None
    } else {
        let root = (prompt, version.version);
        compose(app.store.as_ref(), root, &version.draft.template).await?
    };
    let tags = tags(&app, &version, &summary).await?;
    Ok(Json(PromptView::new(version, &summary, tags, composed)))
}

/// Notes that a label is missing which a policy steers.
fn note_missing(app: &App, registry: &RegistryName, prompt: &PromptName, number: Option<u64>, label: &str) {
    if let (None, Ok(label)) = (number, Label::new(label)) {
        let wanted = Wanted {
            registry,
            prompt,
            label: Some(&label),
            policy: None,
        };
        let words = format!("prompt `{prompt}` has no label `{label}`");
        wanted.note(app, FallbackKind::LabelMissing, &words);
    }
}

/// The refusal of a version that does not exist.
pub(super) fn missing(name: &str, number: Option<u64>, label: &str) -> Refusal {
    Refusal::not_found(match number {
        Some(number) => format!("Prompt not found: '{name}' with version {number}"),
        None => format!("Prompt not found: '{name}' with label '{label}'"),
    })
}

/// The version that is meant; no error where there is none.
async fn find(
    app: &App,
    prompt: &PromptName,
    number: Option<u64>,
    label: &str,
) -> Result<(PromptVersion, PromptSummary), Option<PromptError>> {
    let summary = app.store.prompt(prompt).await.map_err(existing)?;
    let version = match number {
        Some(number) => u32::try_from(number)
            .ok()
            .and_then(|number| Version::new(number).ok())
            .ok_or(None)?,
        None => {
            let label = Label::new(label).map_err(|_| None)?;
            labelled(&summary, &label).map_err(existing)?
        }
    };
    let version = app.store.version(prompt, version).await.map_err(existing)?;
    Ok((version, summary))
}

/// The error, unless it says that something does not exist.
pub(super) fn existing(error: PromptError) -> Option<PromptError> {
    let is_absence = matches!(
        error,
        PromptError::UnknownPrompt(_) | PromptError::UnknownVersion { .. } | PromptError::UnknownLabel { .. }
    );
    (!is_absence).then_some(error)
}

/// The tags of a prompt, which Langfuse keeps the same across its versions: those of the newest.
async fn tags(
    app: &App,
    version: &PromptVersion,
    summary: &PromptSummary,
) -> Result<BTreeSet<Arc<str>>, Refusal> {
    if version.version == summary.newest {
        return Ok(version.draft.tags.clone());
    }
    let newest = app.store.version(&summary.prompt, summary.newest).await?;
    Ok(newest.draft.tags)
}

/// `POST /api/public/v2/prompts`: the next version of a prompt, and the prompt with its first.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    keys: Keys<Operate>,
    Body(body): Body<CreateBody>,
) -> Result<(StatusCode, Json<PromptView>), Refusal> {
    let NewVersion {
        prompt,
        mut draft,
        labels,
        keeps_tags,
    } = body.checked()?;
    let before = match app.store.prompt(&prompt).await {
        Ok(summary) => Some(summary),
        Err(PromptError::UnknownPrompt(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(before) = &before {
        if before.kind != draft.template.kind() {
            return Err(Refusal::invalid(
                "Previous versions have different prompt type. Create a new prompt with a different name.",
            ));
        }
        if keeps_tags {
            let newest = app.store.version(&prompt, before.newest).await?;
            draft.tags = newest.draft.tags;
        }
    }
    let next = before.map_or(Version::FIRST, |before| before.newest.next());
    for reference in references(&draft.template) {
        let leads_back = match &reference.which {
            Which::Label(label) => labels.contains(label) || label.as_str() == LATEST,
            Which::Version(version) => *version == next,
        };
        if reference.prompt == prompt && leads_back {
            return Err(circular(&reference));
        }
    }
    // What cannot be fetched later is refused now.
    compose(app.store.as_ref(), (prompt.clone(), next), &draft.template).await?;
    let requests = requests(&app, &prompt, labels, None, &keys).await?;
    let version = app
        .store
        .create_version(&prompt, draft, keys.actor, requests)
        .await?;
    let summary = app.store.prompt(&prompt).await?;
    let tags = version.draft.tags.clone();
    Ok((
        StatusCode::CREATED,
        Json(PromptView::new(version, &summary, tags, None)),
    ))
}

/// Requests to point labels at a version; refuses those that the caller may not move.
async fn requests<N: Needs>(
    app: &App,
    prompt: &PromptName,
    labels: BTreeSet<Label>,
    to: Option<Version>,
    keys: &Keys<N>,
) -> Result<Vec<LabelRequest>, Refusal> {
    let mut requests = Vec::with_capacity(labels.len());
    for label in labels {
        let request = LabelRequest {
            prompt: prompt.clone(),
            label,
            expect: None,
            to,
            actor: keys.actor.clone(),
            reason: Justification::of_serin(MOVED),
            rollout: None,
            may_move_protected: keys.is_admin,
        };
        refuse_guarded(app, &request).await?;
        requests.push(request);
    }
    Ok(requests)
}

/// The body of `PATCH`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LabelsBody {
    new_labels: Vec<String>,
}

/// `PATCH /api/public/v2/prompts/{name}/versions/{version}`: adds labels to a version, and takes them
/// from every other; those that it has already stay.
pub(super) async fn label(
    State(app): State<Arc<App>>,
    keys: Keys<Operate>,
    Path(path): Path<String>,
    Body(body): Body<LabelsBody>,
) -> Result<Json<PromptView>, Refusal> {
    let unknown = || Refusal::not_found(format!("Serin has no `{path}` to be changed"));
    let (name, number) = path.rsplit_once("/versions/").ok_or_else(unknown)?;
    let missing = || Refusal::not_found(format!("Prompt '{name}' version {number} not found in project"));
    if body.new_labels.iter().any(|label| label == LATEST) {
        return Err(Refusal::data(
            "newLabels",
            "Label 'latest' is always assigned to the newest version",
        ));
    }
    let labels = labels_of("newLabels", body.new_labels.into_iter())?;
    let prompt = PromptName::new(name).map_err(|_| missing())?;
    let to = crate::api::extract::version(number).ok_or_else(missing)?;
    let found = app.store.version(&prompt, to).await;
    let version = found.map_err(|error| existing(error).map_or_else(missing, Refusal::from))?;
    let requests = requests(&app, &prompt, labels, Some(to), &keys).await?;
    app.store.change_labels(requests).await?;
    let summary = app.store.prompt(&prompt).await?;
    let tags = tags(&app, &version, &summary).await?;
    Ok(Json(PromptView::new(version, &summary, tags, None)))
}

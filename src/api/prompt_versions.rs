//! Versions of a prompt, what changed between them, and how they were evaluated.

use super::App;
use super::access::{Allowed, MayAssign, Operate};
use super::extract::{JsonBody, Path, Path2, version};
use super::page::Page;
use super::problem::{Code, Problem};
use super::query::{Query, required};
use super::rollouts::field;
use super::schema::{PromptNameText, VersionNumber};
use super::views::prompt::{EvaluationView, VersionView, VersionsView};
use super::views::prompt_body::EvaluationBody;
use super::views::prompt_diff::DiffView;
use crate::ids::{MetricName, PromptName, Version};
use crate::prompt::diff::diff;
use crate::prompt::template::contract;
use crate::prompt::{Evaluation, PromptError};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Longest name of a dataset, in characters.
const DATASET_CHARS_MAX: usize = 256;
/// Most scores in one evaluation.
const SCORES_MAX: usize = 64;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(changes))
        .routes(routes!(evaluate))
}

/// Versions of a prompt, newest first.
///
/// Needs the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/prompts/{prompt}/versions",
    tag = "prompts",
    params(
        ("prompt" = inline(PromptNameText), Path),
        ("before" = inline(Option<VersionNumber>), Query),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "a page", body = VersionsView),
        (status = 404, description = "no such prompt"),
    )
)]
async fn list(
    State(app): State<Arc<App>>,
    _: MayAssign,
    Path(prompt): Path<PromptName>,
    query: Query,
) -> Result<Json<VersionsView>, Problem> {
    let [before, limit] = query.fields(["before", "limit"])?;
    let before = before.map(|text| number("before", &text)).transpose()?;
    let page = Page::parse(limit)?;
    let summary = app.store.prompt(&prompt).await?;
    let mut versions = app.store.versions(&prompt, before, page.rows_read()).await?;
    let next = page.cut(&mut versions).map(|version| version.version.get());
    let view = |version| VersionView::new(version, &contract(&version.draft.template), &summary);
    Ok(Json(VersionsView {
        versions: versions.iter().map(view).collect(),
        next,
    }))
}

fn number(name: &str, text: &str) -> Result<Version, Problem> {
    let refused = || Problem::new(Code::BadQuery, format!("`{name}` must be a whole number from 1"));
    version(text).ok_or_else(refused)
}

/// A version of a prompt.
///
/// Needs the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/prompts/{prompt}/versions/{version}",
    tag = "prompts",
    params(("prompt" = inline(PromptNameText), Path), ("version" = inline(VersionNumber), Path)),
    responses(
        (status = 200, description = "the version", body = VersionView),
        (status = 404, description = "no such prompt or version"),
    )
)]
async fn show(
    State(app): State<Arc<App>>,
    _: MayAssign,
    Path2(prompt, version): Path2<PromptName, Version>,
    query: Query,
) -> Result<Json<VersionView>, Problem> {
    let [] = query.fields([])?;
    let summary = app.store.prompt(&prompt).await?;
    let version = app.store.version(&prompt, version).await?;
    Ok(Json(VersionView::new(
        &version,
        &contract(&version.draft.template),
        &summary,
    )))
}

/// What changed from one version to another.
///
/// Needs the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/prompts/{prompt}/diff",
    tag = "prompts",
    params(
        ("prompt" = inline(PromptNameText), Path),
        ("from" = inline(VersionNumber), Query),
        ("to" = inline(VersionNumber), Query),
    ),
    responses(
        (status = 200, description = "the changes", body = DiffView),
        (status = 404, description = "no such prompt or version"),
    )
)]
async fn changes(
    State(app): State<Arc<App>>,
    _: MayAssign,
    Path(prompt): Path<PromptName>,
    query: Query,
) -> Result<Json<DiffView>, Problem> {
    let [from, to] = query.fields(["from", "to"])?;
    let from = number("from", &required("from", from)?)?;
    let to = number("to", &required("to", to)?)?;
    app.store.prompt(&prompt).await?;
    let from = app.store.version(&prompt, from).await?;
    let to = app.store.version(&prompt, to).await?;
    let compared = tokio::task::spawn_blocking(move || DiffView::from(&diff(&from, &to))).await;
    compared.map(Json).map_err(|failed| Problem::internal(&failed))
}

/// Records how a version did on a dataset; the evaluation gate reads it.
///
/// Needs the scope `operate`.
#[utoipa::path(
    post,
    path = "/v1/prompts/{prompt}/versions/{version}/evaluations",
    tag = "prompts",
    params(("prompt" = inline(PromptNameText), Path), ("version" = inline(VersionNumber), Path)),
    request_body = EvaluationBody,
    responses(
        (status = 201, description = "the evaluation", body = EvaluationView),
        (status = 404, description = "no such prompt or version"),
    )
)]
async fn evaluate(
    State(app): State<Arc<App>>,
    caller: Allowed<Operate>,
    Path2(prompt, version): Path2<PromptName, Version>,
    JsonBody(body): JsonBody<EvaluationBody>,
) -> Result<(StatusCode, Json<EvaluationView>), Problem> {
    let evaluation = Evaluation {
        dataset: dataset(&body.dataset)?.into(),
        at: app.clock.now(),
        actor: caller.actor,
        scores: scores(&body.scores)?,
    };
    let view = EvaluationView::from(&evaluation);
    app.store.prompt(&prompt).await?;
    let recorded: Result<(), PromptError> = app.store.record_evaluation(&prompt, version, evaluation).await;
    recorded?;
    Ok((StatusCode::CREATED, Json(view)))
}

fn dataset(name: &str) -> Result<&str, Problem> {
    let fits = (1..=DATASET_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    fits.then_some(name).ok_or_else(|| {
        let detail =
            format!("`dataset` must be 1 to {DATASET_CHARS_MAX} characters without control characters");
        Problem::new(Code::BadField, detail)
    })
}

fn scores(scores: &BTreeMap<String, f64>) -> Result<BTreeMap<MetricName, f64>, Problem> {
    if !(1..=SCORES_MAX).contains(&scores.len()) {
        return Err(Problem::new(
            Code::BadField,
            format!("`scores` must have 1 to {SCORES_MAX} entries"),
        ));
    }
    let score = |(name, score): (&String, &f64)| Ok((field("scores", MetricName::new(name))?, *score));
    scores.iter().map(score).collect()
}

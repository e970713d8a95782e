//! Labels of a prompt: where they point, who moved them, who may.

use super::App;
use super::access::{Admin, Allowed, MayAssign, Operate};
use super::extract::{JsonBody, Path, Path2};
use super::page::Page;
use super::problem::Problem;
use super::query::{Query, SEQUENCE_MAX, required_as, whole};
use super::rollouts::field;
use super::schema::{LabelText, PromptNameText, ReasonText};
use super::views::prompt::{HistoryView, LabelChangeView};
use super::views::prompt_body::{LabelBody, ProtectionBody};
use crate::ids::{Justification, Label, PromptName, RegistryName, Version};
use crate::prompt::{LabelRequest, PromptError};
use axum::Json;
use axum::extract::State;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(point, remove))
        .routes(routes!(protect))
        .routes(routes!(history))
}

/// Refuses to move a label that a policy steers: what users are served by it changes by promotion,
/// and by promotion alone. Administrators may, and anybody may set it where it is not set yet.
pub(super) async fn refuse_guarded(app: &App, request: &LabelRequest) -> Result<(), PromptError> {
    if request.may_move_protected {
        return Ok(());
    }
    let board = app.controller.board();
    let is_steered = board.policies.values().any(|status| {
        let policy = &status.policy;
        policy.registry.as_str() == RegistryName::EMBEDDED
            && policy.prompt == request.prompt
            && policy.labels.control == request.label
    });
    // The board may not have heard yet of a label that was set a moment ago.
    let is_set = is_steered
        && match app.store.prompt(&request.prompt).await {
            Ok(summary) => summary.labels.contains_key(&request.label),
            Err(PromptError::UnknownPrompt(_)) => false,
            Err(error) => return Err(error),
        };
    if is_set {
        let (prompt, label) = (request.prompt.clone(), request.label.clone());
        return Err(PromptError::Protected { prompt, label });
    }
    Ok(())
}

/// Points a label at a version.
///
/// With `expect` only if it points there now; 0 expects that there is no such label. Needs the scope
/// `operate`, and `admin` where the label is protected or a policy's control label.
#[utoipa::path(
    put,
    path = "/v1/prompts/{prompt}/labels/{label}",
    tag = "prompts",
    params(("prompt" = inline(PromptNameText), Path), ("label" = inline(LabelText), Path)),
    request_body = LabelBody,
    responses(
        (status = 200, description = "the change", body = LabelChangeView),
        (status = 403, description = "the label is protected"),
        (status = 404, description = "no such prompt or version"),
        (status = 409, description = "the label points elsewhere"),
        (status = 422, description = "`latest` is computed and cannot be set"),
    )
)]
async fn point(
    State(app): State<Arc<App>>,
    caller: Allowed<Operate>,
    Path2(prompt, label): Path2<PromptName, Label>,
    JsonBody(body): JsonBody<LabelBody>,
) -> Result<Json<LabelChangeView>, Problem> {
    let request = LabelRequest {
        prompt,
        label,
        expect: body.expect.map(|number| Version::new(number.0).ok()),
        to: Some(field("version", Version::new(body.version.0))?),
        actor: caller.actor,
        reason: field("reason", Justification::new(&body.reason))?,
        rollout: None,
        may_move_protected: caller.is_admin,
    };
    refuse_guarded(&app, &request).await?;
    let change = app.store.change_label(request).await?;
    Ok(Json(LabelChangeView::from(&change)))
}

/// Removes a label.
///
/// Needs the scope `operate`, and `admin` where the label is protected or a policy's control label.
#[utoipa::path(
    delete,
    path = "/v1/prompts/{prompt}/labels/{label}",
    tag = "prompts",
    params(
        ("prompt" = inline(PromptNameText), Path),
        ("label" = inline(LabelText), Path),
        ("reason" = inline(ReasonText), Query),
    ),
    responses(
        (status = 200, description = "the change", body = LabelChangeView),
        (status = 403, description = "the label is protected"),
        (status = 404, description = "no such prompt or label"),
        (status = 409, description = "somebody else was faster"),
        (status = 422, description = "`latest` is computed and cannot be removed"),
    )
)]
async fn remove(
    State(app): State<Arc<App>>,
    caller: Allowed<Operate>,
    Path2(prompt, label): Path2<PromptName, Label>,
    query: Query,
) -> Result<Json<LabelChangeView>, Problem> {
    let [reason] = query.fields(["reason"])?;
    let reason: Justification = required_as("reason", reason)?;
    let request = LabelRequest {
        prompt,
        label,
        expect: None,
        to: None,
        actor: caller.actor,
        reason,
        rollout: None,
        may_move_protected: caller.is_admin,
    };
    refuse_guarded(&app, &request).await?;
    let change = app.store.change_label(request).await?;
    Ok(Json(LabelChangeView::from(&change)))
}

/// Protects a label, so that only Serin and administrators move it, or lifts the protection.
///
/// Needs the scope `admin`.
#[utoipa::path(
    put,
    path = "/v1/prompts/{prompt}/labels/{label}/protection",
    tag = "prompts",
    params(("prompt" = inline(PromptNameText), Path), ("label" = inline(LabelText), Path)),
    request_body = ProtectionBody,
    responses(
        (status = 200, description = "as it is now", body = ProtectionBody),
        (status = 404, description = "no such prompt or label"),
        (status = 422, description = "`latest` is computed and cannot be protected"),
    )
)]
async fn protect(
    State(app): State<Arc<App>>,
    _: Allowed<Admin>,
    Path2(prompt, label): Path2<PromptName, Label>,
    JsonBody(body): JsonBody<ProtectionBody>,
) -> Result<Json<ProtectionBody>, Problem> {
    app.store.protect_label(&prompt, &label, body.protected).await?;
    Ok(Json(body))
}

/// Every label change of a prompt, newest first.
///
/// Needs the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/prompts/{prompt}/history",
    tag = "prompts",
    params(
        ("prompt" = inline(PromptNameText), Path),
        ("before" = Option<u64>, Query, minimum = 1, maximum = 9007199254740991u64),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "a page", body = HistoryView),
        (status = 404, description = "no such prompt"),
    )
)]
async fn history(
    State(app): State<Arc<App>>,
    _: MayAssign,
    Path(prompt): Path<PromptName>,
    query: Query,
) -> Result<Json<HistoryView>, Problem> {
    let [before, limit] = query.fields(["before", "limit"])?;
    let before = whole("before", before, 1, SEQUENCE_MAX)?;
    let page = Page::parse(limit)?;
    app.store.prompt(&prompt).await?;
    let mut changes = app.store.history(&prompt, before, page.rows_read()).await?;
    let next = page.cut(&mut changes).map(|change| change.sequence);
    Ok(Json(HistoryView {
        changes: changes.iter().map(LabelChangeView::from).collect(),
        next,
    }))
}

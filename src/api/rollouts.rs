//! Rollouts: what they are, why they stand where they stand, and what people ask of them.

use super::App;
use super::access::{Allowed, Operate, Read};
use super::extract::{JsonBody, Path, Path2};
use super::page::Page;
use super::problem::{Code, Problem};
use super::query::{Query, parsed, whole};
use super::schema::{DnsLabel, RolloutIdText};
use super::views::Whole;
use super::views::audit::AuditView;
use super::views::evidence::{AssessmentView, EvidenceView};
use super::views::rollout::{CommandBody, RolloutView, RolloutsView, StartBody};
use crate::controller::{RolloutStatus, StartRequest};
use crate::ids::{Justification, PolicyName, RolloutId, Version};
use crate::rollout::{AuditEvent, Command, RolloutState, Verb};
use crate::store::StoreError;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Records that are read at once when a rollout's last numbers are looked for.
const AUDIT_READ_MAX: usize = 500;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(evidence))
        .routes(routes!(audit))
        .routes(routes!(command))
}

/// Rollouts, newest first.
///
/// Needs any token.
#[utoipa::path(
    get,
    path = "/v1/rollouts",
    tag = "rollouts",
    params(
        ("policy" = inline(Option<DnsLabel>), Query),
        ("before" = inline(Option<RolloutIdText>), Query),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "a page", body = RolloutsView))
)]
async fn list(
    State(app): State<Arc<App>>,
    _: Allowed<Read>,
    query: Query,
) -> Result<Json<RolloutsView>, Problem> {
    let [policy, before, limit] = query.fields(["policy", "before", "limit"])?;
    let policy: Option<PolicyName> = parsed("policy", policy)?;
    let before: Option<RolloutId> = parsed("before", before)?;
    let page = Page::parse(limit)?;
    let mut states = app
        .store
        .rollouts(policy.as_ref(), before, page.rows_read())
        .await?;
    let next = page.cut(&mut states).map(|state| state.id.to_string());
    let rollouts = states.iter().map(|state| view(&app, state)).collect();
    Ok(Json(RolloutsView { rollouts, next }))
}

/// The rollout as the board has it, where the board is as new; else as it is stored.
fn view(app: &App, state: &RolloutState) -> RolloutView {
    let board = app.controller.board();
    let status = board
        .policies
        .get(&state.policy)
        .and_then(|status| status.rollout.clone());
    match status.filter(|status| status.state.id == state.id && status.state.generation >= state.generation) {
        Some(status) => RolloutView::on_board(&status, app.clock.now()),
        None => RolloutView::stored(state),
    }
}

async fn stored(app: &App, rollout: RolloutId) -> Result<RolloutState, Problem> {
    let state = app.store.rollout(rollout).await?;
    state.ok_or_else(|| StoreError::UnknownRollout(rollout).into())
}

/// A rollout.
///
/// Needs any token.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{rollout}",
    tag = "rollouts",
    params(("rollout" = inline(RolloutIdText), Path)),
    responses(
        (status = 200, description = "the rollout", body = RolloutView),
        (status = 404, description = "no such rollout"),
    )
)]
async fn show(
    State(app): State<Arc<App>>,
    _: Allowed<Read>,
    Path(rollout): Path<RolloutId>,
    query: Query,
) -> Result<Json<RolloutView>, Problem> {
    let [] = query.fields([])?;
    let state = stored(&app, rollout).await?;
    Ok(Json(view(&app, &state)))
}

/// The numbers of a rollout: of the last closed tick, or the last ones when it is over.
///
/// Needs any token.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{rollout}/evidence",
    tag = "rollouts",
    params(("rollout" = inline(RolloutIdText), Path)),
    responses(
        (status = 200, description = "the numbers", body = EvidenceView),
        (status = 404, description = "no such rollout"),
    )
)]
async fn evidence(
    State(app): State<Arc<App>>,
    _: Allowed<Read>,
    Path(rollout): Path<RolloutId>,
    query: Query,
) -> Result<Json<EvidenceView>, Problem> {
    let [] = query.fields([])?;
    let state = stored(&app, rollout).await?;
    let board = app.controller.board();
    let status = board
        .policies
        .get(&state.policy)
        .and_then(|status| status.rollout.clone());
    let live = status.filter(|status| status.state.id == rollout);
    let assessment = match live
        .as_deref()
        .and_then(|status: &RolloutStatus| status.assessment.as_deref())
    {
        Some(assessment) => Some(assessment.into()),
        None => last_assessment(&app, rollout).await?,
    };
    let (rollout, policy) = (rollout.to_string(), state.policy.to_string());
    Ok(Json(EvidenceView {
        rollout,
        policy,
        assessment,
    }))
}

/// The numbers of the last transition that rested on numbers.
async fn last_assessment(app: &App, rollout: RolloutId) -> Result<Option<AssessmentView>, Problem> {
    let (mut last, mut after) = (None, None);
    loop {
        let records = app.store.audit(rollout, after, AUDIT_READ_MAX).await?;
        let Some(end) = records.last() else {
            return Ok(last);
        };
        after = Some(end.sequence);
        for record in &records {
            match &record.event {
                AuditEvent::Moved(transition) => {
                    last = transition.assessment.as_ref().map(Into::into).or(last);
                }
                AuditEvent::LabelMove { .. }
                | AuditEvent::Registry { .. }
                | AuditEvent::Cache { .. }
                | AuditEvent::Fallback(_)
                | AuditEvent::Notice { .. }
                | AuditEvent::Refused { .. } => {}
            }
        }
    }
}

/// The history of a rollout, oldest first.
///
/// Needs any token.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{rollout}/audit",
    tag = "rollouts",
    params(
        ("rollout" = inline(RolloutIdText), Path),
        ("after" = Option<u64>, Query, minimum = 0, maximum = 9007199254740991u64),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "a page", body = AuditView),
        (status = 404, description = "no such rollout"),
    )
)]
async fn audit(
    State(app): State<Arc<App>>,
    _: Allowed<Read>,
    Path(rollout): Path<RolloutId>,
    query: Query,
) -> Result<Json<AuditView>, Problem> {
    let [after, limit] = query.fields(["after", "limit"])?;
    let after = whole("after", after, 0, super::query::SEQUENCE_MAX)?;
    let page = Page::parse(limit)?;
    stored(&app, rollout).await?;
    let mut records = app.store.audit(rollout, after, page.rows_read()).await?;
    let next = page.cut(&mut records).map(|record| record.sequence);
    Ok(Json(AuditView {
        records: records.iter().map(Into::into).collect(),
        next,
    }))
}

/// Starts a rollout.
///
/// Needs the scope `operate`.
#[utoipa::path(
    post,
    path = "/v1/rollouts",
    tag = "rollouts",
    request_body = StartBody,
    responses(
        (status = 201, description = "the new rollout", body = RolloutView, headers(("Location" = String))),
        (status = 404, description = "no such policy"),
        (status = 409, description = "it cannot start, and why"),
    )
)]
async fn start(
    State(app): State<Arc<App>>,
    caller: Allowed<Operate>,
    JsonBody(body): JsonBody<StartBody>,
) -> Result<Response, Problem> {
    let start = StartRequest {
        policy: field("policy", PolicyName::new(&body.policy))?,
        candidate: body
            .candidate
            .map(|Whole(number)| field("candidate", Version::new(number)))
            .transpose()?,
        actor: caller.actor,
        reason: field("reason", Justification::new(&body.reason))?,
    };
    let state = app.controller.start(start).await?;
    let location = format!("/v1/rollouts/{}", state.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(view(&app, &state)),
    )
        .into_response())
}

/// A field of a body as what it must be.
pub(super) fn field<T>(name: &str, value: Result<T, crate::ids::InvalidId>) -> Result<T, Problem> {
    value.map_err(|refused| Problem::new(Code::BadField, format!("`{name}`: {refused}")))
}

/// Asks something of a rollout: `pause`, `resume`, `step`, `promote`, `rollback` or `approve`.
///
/// Needs the scope `operate`.
#[utoipa::path(
    post,
    path = "/v1/rollouts/{rollout}/{verb}",
    tag = "rollouts",
    params(
        ("rollout" = inline(RolloutIdText), Path),
        ("verb" = inline(super::schema::VerbText), Path),
    ),
    request_body = CommandBody,
    responses(
        (status = 200, description = "the rollout after the command", body = RolloutView),
        (status = 403, description = "others must approve"),
        (status = 404, description = "no such rollout"),
        (status = 409, description = "it makes no sense now, and why"),
    )
)]
async fn command(
    State(app): State<Arc<App>>,
    caller: Allowed<Operate>,
    Path2(rollout, verb): Path2<RolloutId, Verb>,
    JsonBody(body): JsonBody<CommandBody>,
) -> Result<Json<RolloutView>, Problem> {
    let command = Command {
        verb,
        actor: caller.actor,
        reason: field("reason", Justification::new(&body.reason))?,
        is_admin: caller.is_admin,
    };
    let state = app.controller.command(rollout, command).await?;
    Ok(Json(view(&app, &state)))
}

//! Prompts of the embedded registry: lists, versions to fetch, versions compiled.

use super::App;
use super::access::{Allowed, MayAssign, Operate};
use super::extract::{JsonBody, Path, version};
use super::page::Page;
use super::problem::{Code, LineError, Problem};
use super::prompt_labels::refuse_guarded;
use super::query::{Query, parsed};
use super::rollouts::field;
use super::schema::{DnsLabel, LabelText, PromptNameText, UserKeyText, VersionNumber};
use super::views::assignment::AssignmentView;
use super::views::prompt::{CompiledView, KindView, ResolvedView, SummariesView, SummaryView, VersionView};
use super::views::prompt_body::{CompileBody, NewVersionBody};
use super::views::span::SpanAttributesView;
use crate::ids::{Justification, Label, PolicyName, PromptName, RegistryName, UserKey, Version};
use crate::policy::Policy;
use crate::prompt::labels::LATEST;
use crate::prompt::template::{CompileError, compile, contract};
use crate::prompt::{Draft, LabelRequest, PromptError, PromptSummary, PromptVersion, Template};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The label of a prompt that is fetched without saying which.
const LABEL_DEFAULT: &str = "production";
/// Most labels that a new version is given at once.
const LABELS_MAX: usize = 20;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(fetch))
        .routes(routes!(compiled))
}

/// Prompts by name.
///
/// Needs the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/prompts",
    tag = "prompts",
    params(
        ("after" = inline(Option<PromptNameText>), Query),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "a page", body = SummariesView))
)]
async fn list(
    State(app): State<Arc<App>>,
    _: MayAssign,
    query: Query,
) -> Result<Json<SummariesView>, Problem> {
    let [after, limit] = query.fields(["after", "limit"])?;
    let after: Option<PromptName> = parsed("after", after)?;
    let page = Page::parse(limit)?;
    let mut prompts = app.store.prompts(after.as_ref(), page.rows_read()).await?;
    let next = page.cut(&mut prompts).map(|summary| summary.prompt.to_string());
    Ok(Json(SummariesView {
        prompts: prompts.iter().map(SummaryView::from).collect(),
        next,
    }))
}

/// Makes the next version of a prompt, and the prompt with its first version.
///
/// Needs the scope `operate`, and `admin` where one of the labels is protected.
#[utoipa::path(
    post,
    path = "/v1/prompts",
    tag = "prompts",
    request_body = NewVersionBody,
    responses(
        (status = 201, description = "the version", body = VersionView, headers(("Location" = String))),
        (status = 403, description = "a label is protected"),
        (status = 409, description = "somebody else was faster"),
        (status = 422, description = "the prompt breaks a rule"),
    )
)]
async fn create(
    State(app): State<Arc<App>>,
    caller: Allowed<Operate>,
    JsonBody(body): JsonBody<NewVersionBody>,
) -> Result<Response, Problem> {
    let prompt = field("name", PromptName::new(&body.name))?;
    let labels = labels(&prompt, &body, &caller)?;
    for request in &labels {
        refuse_guarded(&app, request).await?;
    }
    let draft = draft(body)?;
    let version = app
        .store
        .create_version(&prompt, draft, caller.actor, labels)
        .await?;
    let summary = app.store.prompt(&prompt).await?;
    let view = VersionView::new(&version, &contract(&version.draft.template), &summary);
    let location = format!("/v1/prompts/{}/versions/{}", encoded(&prompt), version.version);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// The name as one part of a path (RFC 3986 section 2.1).
fn encoded(prompt: &PromptName) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let shown = |byte: u8| {
        if plain(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    prompt.as_str().bytes().map(shown).collect()
}

fn labels(
    prompt: &PromptName,
    body: &NewVersionBody,
    caller: &Allowed<Operate>,
) -> Result<Vec<LabelRequest>, Problem> {
    if body.labels.len() > LABELS_MAX {
        return Err(Problem::new(
            Code::BadField,
            format!("`labels` must have at most {LABELS_MAX} entries"),
        ));
    }
    let reason = field("reason", Justification::new(&body.reason))?;
    let request = |label: &String| {
        Ok(LabelRequest {
            prompt: prompt.clone(),
            label: field("labels", Label::new(label))?,
            expect: None,
            // The store puts the new version's number here.
            to: None,
            actor: caller.actor.clone(),
            reason: reason.clone(),
            rollout: None,
            may_move_protected: caller.is_admin,
        })
    };
    body.labels.iter().map(request).collect()
}

fn draft(body: NewVersionBody) -> Result<Draft, Problem> {
    let template: Template = body.prompt.into();
    if KindView::from(template.kind()) != body.kind {
        let detail = "`type` and `prompt` disagree: `text` takes a string, `chat` a list of items";
        return Err(Problem::new(Code::InvalidPrompt, detail));
    }
    let semantic_version = body
        .semantic_version
        .map(|text| text.parse())
        .transpose()
        .map_err(|refused: crate::prompt::draft::InvalidSemanticVersion| {
            Problem::new(Code::BadField, format!("`semanticVersion`: {refused}"))
        })?;
    Ok(Draft {
        template,
        semantic_version,
        reason: field("reason", Justification::new(&body.reason))?,
        config: body.config,
        owner: body.owner.map(Into::into),
        tags: body.tags.into_iter().map(Into::into).collect(),
    })
}

/// A version of a prompt: by label, by number, or the one that a user is assigned.
///
/// Without `label`, `version` and `user` the label is `production`. A label that does not exist is 404;
/// there is no falling back to another. With `user` the policy that steers the prompt decides. Needs
/// the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/prompts/{prompt}",
    tag = "prompts",
    params(
        ("prompt" = inline(PromptNameText), Path),
        ("label" = inline(Option<LabelText>), Query),
        ("version" = inline(Option<VersionNumber>), Query),
        ("user" = inline(Option<UserKeyText>), Query),
        ("policy" = inline(Option<DnsLabel>), Query),
    ),
    responses(
        (status = 200, description = "the version", body = ResolvedView),
        (status = 404, description = "no such prompt, version or label, or no policy steers it"),
        (status = 409, description = "several policies steer the prompt: name one"),
        (status = 422, description = "more than one of label, version and user is given"),
    )
)]
async fn fetch(
    State(app): State<Arc<App>>,
    _: MayAssign,
    Path(prompt): Path<PromptName>,
    query: Query,
) -> Result<Json<ResolvedView>, Problem> {
    let [label, number, user, policy] = query.fields(["label", "version", "user", "policy"])?;
    let bad = || Problem::new(Code::BadQuery, "`version` must be a whole number from 1");
    let which = Which {
        label: parsed("label", label)?,
        version: number.map(|text| version(&text).ok_or_else(bad)).transpose()?,
        user: user.as_deref(),
        policy: parsed("policy", policy)?,
        refusal: Code::BadQuery,
    };
    let Resolved {
        version,
        summary,
        assignment,
        span_attributes,
    } = resolve(&app, &prompt, which).await?;
    let version = VersionView::new(&version, &contract(&version.draft.template), &summary);
    Ok(Json(ResolvedView {
        version,
        assignment,
        span_attributes,
    }))
}

/// A version with its variables filled in.
///
/// A variable that is missing, or that the prompt does not have, is 422, each named. Needs the scope
/// `assign`.
#[utoipa::path(
    post,
    path = "/v1/prompts/{prompt}/compile",
    tag = "prompts",
    params(("prompt" = inline(PromptNameText), Path)),
    request_body = CompileBody,
    responses(
        (status = 200, description = "the compiled prompt", body = CompiledView),
        (status = 404, description = "no such prompt, version or label, or no policy steers it"),
        (status = 409, description = "several policies steer the prompt: name one"),
        (status = 422, description = "the variables are not those of the prompt, or it is not clear which version is meant"),
    )
)]
async fn compiled(
    State(app): State<Arc<App>>,
    _: MayAssign,
    Path(prompt): Path<PromptName>,
    JsonBody(body): JsonBody<CompileBody>,
) -> Result<Json<CompiledView>, Problem> {
    let which = Which {
        label: body
            .label
            .as_deref()
            .map(|label| field("label", Label::new(label)))
            .transpose()?,
        version: body
            .version
            .map(|number| field("version", Version::new(number.0)))
            .transpose()?,
        user: body.user.as_deref(),
        policy: body
            .policy
            .as_deref()
            .map(|policy| field("policy", PolicyName::new(policy)))
            .transpose()?,
        refusal: Code::BadField,
    };
    let Resolved {
        version,
        assignment,
        span_attributes,
        ..
    } = resolve(&app, &prompt, which).await?;
    let filled = compile(&version.draft.template, &body.variables, &body.placeholders).map_err(mismatch)?;
    Ok(Json(CompiledView {
        name: prompt.to_string(),
        version: version.version.get(),
        prompt: filled.into(),
        config: version.draft.config,
        assignment,
        span_attributes,
    }))
}

fn mismatch(error: CompileError) -> Problem {
    let problem = Problem::new(Code::VariablesMismatch, error.to_string());
    let CompileError::Mismatch(mismatches) = error else {
        return problem;
    };
    let errors = mismatches.iter().enumerate().map(|(index, mismatch)| LineError {
        line: index + 1,
        code: "variables_mismatch",
        detail: mismatch.to_string(),
    });
    problem.with_errors(errors.collect())
}

/// Which version is meant, as the request says it.
struct Which<'r> {
    label: Option<Label>,
    version: Option<Version>,
    user: Option<&'r str>,
    policy: Option<PolicyName>,
    refusal: Code,
}

/// The version that is meant.
struct Resolved {
    version: PromptVersion,
    summary: PromptSummary,
    assignment: Option<AssignmentView<'static>>,
    span_attributes: SpanAttributesView,
}

async fn resolve(app: &App, prompt: &PromptName, which: Which<'_>) -> Result<Resolved, Problem> {
    let said = [
        which.label.is_some(),
        which.version.is_some(),
        which.user.is_some(),
    ];
    if said.into_iter().filter(|said| *said).count() > 1 {
        let detail = "give one of `label`, `version` and `user`";
        return Err(Problem::new(Code::UnclearVersion, detail));
    }
    if which.policy.is_some() && which.user.is_none() {
        return Err(Problem::new(Code::UnclearVersion, "`policy` goes with `user`"));
    }
    let summary = app.store.prompt(prompt).await?;
    let (mut assignment, mut by_label) = (None, None);
    let number = match (which.version, which.user) {
        (Some(version), _) => version,
        (None, Some(user)) => {
            let user = UserKey::new(user)
                .map_err(|refused| Problem::new(which.refusal, format!("`user` {}", refused.rule())))?;
            let assigned = assigned(app, prompt, which.policy.as_ref(), user)?;
            let (version, label) = (assigned.version, field("label", Label::new(&assigned.label))?);
            assignment = Some(assigned);
            let label = by_label.insert(label);
            match version.and_then(|number| Version::new(number).ok()) {
                Some(version) => version,
                None => labelled(&summary, label)?,
            }
        }
        (None, None) => {
            let label = match which.label {
                Some(label) => label,
                None => field("label", Label::new(LABEL_DEFAULT))?,
            };
            labelled(&summary, by_label.insert(label))?
        }
    };
    let version = app.store.version(prompt, number).await?;
    Ok(Resolved {
        span_attributes: SpanAttributesView::new(prompt, number, by_label.as_ref()),
        version,
        summary,
        assignment,
    })
}

/// Where a label points; `latest` is computed, and only for those who ask for it by name.
pub(super) fn labelled(summary: &PromptSummary, label: &Label) -> Result<Version, PromptError> {
    match summary.labels.get(label) {
        Some(version) => Ok(*version),
        None if label.as_str() == LATEST => Ok(summary.newest),
        None => Err(PromptError::UnknownLabel {
            prompt: summary.prompt.clone(),
            label: label.clone(),
        }),
    }
}

fn assigned(
    app: &App,
    prompt: &PromptName,
    policy: Option<&PolicyName>,
    user: UserKey<'_>,
) -> Result<AssignmentView<'static>, Problem> {
    let board = app.controller.board();
    let steers =
        |policy: &Policy| policy.prompt == *prompt && policy.registry.as_str() == RegistryName::EMBEDDED;
    let mut names = BTreeSet::new();
    for (name, status) in &board.policies {
        if steers(&status.policy) && policy.is_none_or(|asked| asked == name) {
            names.insert(name);
        }
    }
    let mut names = names.into_iter();
    match (names.next(), names.next()) {
        (Some(name), None) => {
            let snapshot = app.controller.snapshot();
            super::assignments::view(app, &snapshot, name.as_str(), user).map(AssignmentView::into_owned)
        }
        (Some(first), Some(second)) => Err(Problem::new(
            Code::SeveralPolicies,
            format!("policies `{first}` and `{second}` steer prompt `{prompt}`: name one with `policy`"),
        )),
        (None, _) => Err(Problem::new(
            Code::NoPolicyForPrompt,
            match policy {
                Some(policy) => format!("no policy `{policy}` steers prompt `{prompt}`"),
                None => format!("no policy steers prompt `{prompt}`: fetch it by `label` or `version`"),
            },
        )),
    }
}

//! Prompts: lists and new versions of the embedded registry; versions to fetch and versions compiled,
//! of any.

use super::App;
use super::access::{Allowed, MayAssign, Operate};
use super::assignments::attributes;
use super::extract::{JsonBody, Path, version};
use super::page::Page;
use super::problem::{Code, LineError, Problem};
use super::prompt_labels::refuse_guarded;
use super::prompt_reading::{Asked, resolve};
use super::query::{Query, parsed};
use super::rollouts::field;
use super::schema::{DnsLabel, LabelText, PromptNameText, UserKeyText, VersionNumber};
use super::views::compiled::CompiledView;
use super::views::prompt::{KindView, ResolvedView, SummariesView, SummaryView, VersionView};
use super::views::prompt_body::{CompileBody, NewVersionBody};
use crate::ids::{InvalidId, Justification, Label, PolicyName, PromptName, RegistryName, Version};
use crate::prompt::template::{CompileError, compile, contract};
use crate::prompt::{Draft, LabelRequest, Template};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The label of a prompt that is fetched without saying which.
pub(super) const LABEL_DEFAULT: &str = "production";
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
/// there is no falling back to another. With `user` the policy that steers the prompt decides, and the
/// prompt is read in that policy's registry; else in `registry`, or in Serin's own. The key that the user had
/// before they signed in goes along as `anonymous`, and what is known about them as `attribute.region=eu`.
/// References to other prompts are replaced by their texts. Needs the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/prompts/{prompt}",
    tag = "prompts",
    params(
        ("prompt" = inline(PromptNameText), Path),
        ("label" = inline(Option<LabelText>), Query),
        ("version" = inline(Option<VersionNumber>), Query),
        ("user" = inline(Option<UserKeyText>), Query),
        ("anonymous" = inline(Option<UserKeyText>), Query),
        ("policy" = inline(Option<DnsLabel>), Query),
        ("registry" = inline(Option<DnsLabel>), Query),
    ),
    responses(
        (status = 200, description = "the version", body = ResolvedView, headers(
            ("X-Serin-Prompt-Source" = String, description = "`registry`, `cache` or `stale`"),
            ("Age" = u64, description = "seconds since it was read in its registry"),
        )),
        (status = 404, description = "no such prompt, version, label or registry, or no policy steers it"),
        (status = 409, description = "several policies steer the prompt: name one"),
        (status = 422, description = "more than one of label, version and user is given, or a part of the prompt is missing"),
        (status = 503, description = "the registry does not answer, and what was read of it is too old"),
    )
)]
async fn fetch(
    State(app): State<Arc<App>>,
    _: MayAssign,
    Path(prompt): Path<PromptName>,
    query: Query,
) -> Result<(HeaderMap, Json<ResolvedView>), Problem> {
    let ([label, number, user, anonymous, policy, registry], attributes) =
        query.fields_and_attributes(["label", "version", "user", "anonymous", "policy", "registry"])?;
    let bad = || Problem::new(Code::BadQuery, "`version` must be a whole number from 1");
    let asked = Asked {
        label: parsed("label", label)?,
        version: number.map(|text| version(&text).ok_or_else(bad)).transpose()?,
        user: user.as_deref(),
        anonymous: anonymous.as_deref(),
        attributes: &attributes,
        policy: parsed("policy", policy)?,
        registry: parsed("registry", registry)?,
        refusal: Code::BadQuery,
    };
    let resolved = resolve(&app, &prompt, asked).await?;
    let headers = resolved.headers();
    let view = ResolvedView {
        version: resolved.view(),
        reading: resolved.reading(),
        assignment: resolved.assignment,
        span_attributes: resolved.span_attributes,
    };
    Ok((headers, Json(view)))
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
        (status = 200, description = "the compiled prompt", body = CompiledView, headers(
            ("X-Serin-Prompt-Source" = String, description = "`registry`, `cache` or `stale`"),
            ("Age" = u64, description = "seconds since it was read in its registry"),
        )),
        (status = 404, description = "no such prompt, version, label or registry, or no policy steers it"),
        (status = 409, description = "several policies steer the prompt: name one"),
        (status = 422, description = "the variables are not those of the prompt, it is not clear which version is meant, or a part of the prompt is missing"),
        (status = 503, description = "the registry does not answer, and what was read of it is too old"),
    )
)]
async fn compiled(
    State(app): State<Arc<App>>,
    _: MayAssign,
    Path(prompt): Path<PromptName>,
    JsonBody(body): JsonBody<CompileBody>,
) -> Result<(HeaderMap, Json<CompiledView>), Problem> {
    let attributes = attributes(&body.attributes)?;
    let asked = Asked {
        label: named("label", body.label.as_deref(), Label::new)?,
        version: body
            .version
            .map(|number| field("version", Version::new(number.0)))
            .transpose()?,
        user: body.user.as_deref(),
        anonymous: body.anonymous.as_deref(),
        attributes: &attributes,
        policy: named("policy", body.policy.as_deref(), PolicyName::new)?,
        registry: named("registry", body.registry.as_deref(), RegistryName::new)?,
        refusal: Code::BadField,
    };
    let resolved = resolve(&app, &prompt, asked).await?;
    let (headers, reading) = (resolved.headers(), resolved.reading());
    let template = &resolved.version.draft.template;
    let filled = compile(template, &body.variables, &body.placeholders)
        .map_err(mismatch)
        .inspect_err(|problem| resolved.refused(&app, problem))?;
    let draft = resolved.version.draft;
    let view = CompiledView {
        name: prompt.to_string(),
        version: resolved.version.version.get(),
        prompt: filled.into(),
        config: draft.config,
        reading,
        assignment: resolved.assignment,
        span_attributes: resolved.span_attributes,
    };
    Ok((headers, Json(view)))
}

fn named<T>(
    name: &'static str,
    text: Option<&str>,
    read: impl Fn(&str) -> Result<T, InvalidId>,
) -> Result<Option<T>, Problem> {
    text.map(|text| field(name, read(text))).transpose()
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

//! What changes with the labels of a prompt besides the prompt itself.

use super::App;
use super::access::MayAssign;
use super::extract::Path;
use super::problem::{Code, Problem};
use super::query::{Query, parsed};
use super::rollouts::field;
use super::schema::{DnsLabel, PromptNameText};
use super::views::parents::PromptParentsView;
use crate::ids::{PromptName, RegistryName};
use crate::prompt::parents::Compositions;
use axum::Json;
use axum::extract::State;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(parents))
}

/// The prompts that take in a label of this one, and change when it moves.
///
/// A Langfuse is looked through by and by, because nothing there tells of it: `gap` says what is not known
/// yet. A prompt that nobody takes in, or that is not there, has no labels here. Needs the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/prompts/{prompt}/parents",
    tag = "prompts",
    params(
        ("prompt" = inline(PromptNameText), Path),
        ("registry" = inline(Option<DnsLabel>), Query),
    ),
    responses(
        (status = 200, description = "what takes it in", body = PromptParentsView),
        (status = 404, description = "no such registry"),
    )
)]
async fn parents(
    State(app): State<Arc<App>>,
    _: MayAssign,
    Path(prompt): Path<PromptName>,
    query: Query,
) -> Result<Json<PromptParentsView>, Problem> {
    let [registry] = query.fields(["registry"])?;
    let registry = match parsed("registry", registry)? {
        Some(registry) => registry,
        None => field("registry", RegistryName::new(RegistryName::EMBEDDED))?,
    };
    let all = compositions(&app, &registry).await?;
    Ok(Json(PromptParentsView::new(&registry, &prompt, &all)))
}

async fn compositions(app: &App, registry: &RegistryName) -> Result<Arc<Compositions>, Problem> {
    let found = app.registries.get(registry).ok_or_else(|| {
        let detail = format!("the server has no registry `{registry}` in its settings");
        Problem::new(Code::UnknownRegistry, detail)
    })?;
    found.compositions().await.map_err(|error| {
        Problem::new(
            Code::RegistryUnavailable,
            format!("registry `{registry}`: {error}"),
        )
    })
}

//! Webhooks of registries: whoever signed them may say that a label has moved, and nothing else.

use super::App;
use super::body::{self, Decoded};
use super::extract::Path;
use super::problem::{Code, Problem};
use super::query::Query;
use super::schema::DnsLabel;
use crate::config::Limits;
use crate::ids::RegistryName;
use crate::registry::HookRefused;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Largest webhook that is read, in bytes: it holds a whole prompt.
const HOOK_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The header that carries Langfuse's signature.
const SIGNATURE: &str = "x-langfuse-signature";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(langfuse))
}

/// A webhook of a Langfuse: the labels of its prompt are read anew within a second.
///
/// Nothing that the body says is believed, so it may come twice, late or never. Needs no token, but the
/// signature of the registry's `webhookSecret`, not older than five minutes.
#[utoipa::path(
    post,
    path = "/v1/hooks/langfuse/{registry}",
    tag = "server",
    security(()),
    params(
        ("registry" = inline(DnsLabel), Path),
        ("x-langfuse-signature" = String, Header, description = "`t=<seconds>,v1=<hexadecimal digits>`"),
    ),
    request_body(content = serde_json::Value, description = "the event, as Langfuse sends it"),
    responses(
        (status = 202, description = "it will be looked at"),
        (status = 400, description = "the path, the query or the body is wrong"),
        (status = 401, description = "the signature is missing, wrong or too old"),
        (status = 404, description = "no registry of that name takes webhooks"),
    )
)]
async fn langfuse(
    State(app): State<Arc<App>>,
    Path(registry): Path<RegistryName>,
    query: Query,
    request: Request,
) -> Result<StatusCode, Problem> {
    let [] = query.fields([])?;
    let secret = app.hooks.get(&registry).ok_or_else(|| {
        let detail = format!("no registry `{registry}` has a `webhookSecret` in the server's settings");
        Problem::new(Code::UnknownHook, detail)
    })?;
    let signature = request.headers().get(SIGNATURE).cloned();
    let signature = signature.as_ref().and_then(|value| value.to_str().ok());
    let limits = Limits {
        body_bytes_max: app.limits.body_bytes_max.min(HOOK_BYTES_MAX),
        ..app.limits
    };
    let Decoded { bytes } = body::read(request, &limits).await?;
    let prompt = secret
        .prompt_of(signature.unwrap_or_default(), &bytes, app.clock.now())
        .map_err(refused)?;
    if let Some(prompt) = prompt {
        app.controller.look(registry, prompt)?;
    }
    Ok(StatusCode::ACCEPTED)
}

fn refused(refused: HookRefused) -> Problem {
    let code = match refused {
        HookRefused::Malformed | HookRefused::Untimely | HookRefused::Forged => Code::SignatureRefused,
        HookRefused::Incomprehensible => Code::BadField,
    };
    Problem::new(code, refused.to_string())
}

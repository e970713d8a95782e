//! `/openapi.json` and `/docs`, made from the same declarations as the router.

use super::problem::{CONTENT_TYPE, Code, ProblemView};
use super::{
    App, assignments, events, gateway, health, hooks, observations, ofrep, policies, prompt_labels,
    prompt_parents, prompt_versions, prompts, rollouts, route_table, tokens,
};
use axum::Extension;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use std::fmt::Write as _;
use std::sync::Arc;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr, Response as ResponseDocument,
    ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The name of the security scheme.
const BEARER: &str = "token";
/// The name of the other one, which OFREP has too.
const API_KEY: &str = "key";

/// Both documents, made once.
#[derive(Debug, Clone)]
struct Documents {
    json: Arc<str>,
    html: Arc<str>,
}

/// Every route with its documentation, and `more` with theirs.
pub(super) fn routes(more: OpenApiRouter<Arc<App>>) -> OpenApiRouter<Arc<App>> {
    let (router, mut document) = OpenApiRouter::with_openapi(skeleton())
        .merge(assignments::routes())
        .merge(gateway::routes())
        .merge(observations::routes())
        .merge(policies::routes())
        .merge(route_table::routes())
        .merge(rollouts::routes())
        .merge(events::routes())
        .merge(prompts::routes())
        .merge(prompt_versions::routes())
        .merge(prompt_labels::routes())
        .merge(prompt_parents::routes())
        .merge(tokens::routes())
        .merge(hooks::routes())
        .merge(health::routes())
        .merge(ofrep::routes())
        .merge(more)
        .routes(routes!(openapi))
        .routes(routes!(docs))
        .split_for_parts();
    complete(&mut document);
    let documents = Documents {
        // A document of strings, numbers and lists can always be written.
        json: document.to_pretty_json().unwrap_or_default().into(),
        html: page(&document).into(),
    };
    let mut routes = OpenApiRouter::from(router.layer(Extension(documents)));
    *routes.get_openapi_mut() = document;
    routes
}

/// The OpenAPI document of every route of this room.
pub fn document() -> OpenApi {
    routes(OpenApiRouter::new()).split_for_parts().1
}

fn skeleton() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token of `serin token create`. A local server without tokens needs none.",
        ))
        .build();
    let key = "The same token, as OFREP's clients may send it.";
    let key = ApiKey::Header(ApiKeyValue::with_description("X-API-Key", key));
    let components = utoipa::openapi::ComponentsBuilder::new()
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .security_scheme(API_KEY, SecurityScheme::ApiKey(key))
        .schema(ProblemView::name(), ProblemView::schema())
        .schema_from::<super::problem::LineError>()
        .schema_from::<super::schema::CodeText>()
        .build();
    let info = InfoBuilder::new()
        .title("Serin")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Progressive rollouts of prompts. Every refusal is a problem (RFC 9457) with a stable `code`. \
             Scopes: `operate` includes `assign` and `observe`, `admin` includes everything. The protocols of \
             other systems (Langfuse's under `/api/public`) are described by those.",
        ))
        .license(Some(License::new("Apache-2.0")))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([
            SecurityRequirement::default(),
            SecurityRequirement::new(BEARER, [""; 0]),
        ]))
        .build()
}

/// Adds to every operation what every operation can answer.
fn complete(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item).filter(|operation| !speaks_otherwise(operation)) {
            for (code, description) in common(operation) {
                let response = ResponseBuilder::new().description(description).build();
                operation
                    .responses
                    .responses
                    .entry(code.to_owned())
                    .or_insert(RefOr::T(response));
            }
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && status.as_str() >= "400"
                {
                    add_problem(response);
                }
            }
        }
    }
}

/// Whether an operation is of another system's protocol, whose refusals it declares itself.
fn speaks_otherwise(operation: &Operation) -> bool {
    let tags = operation.tags.iter().flatten();
    tags.into_iter().any(|tag| tag == ofrep::TAG)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// Statuses that follow from what the operation takes.
fn common(operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let mut common = vec![
        ("500", "Serin failed; its log tells more"),
        (
            "503",
            "overloaded, stopping, or the store or registry is away; try again",
        ),
    ];
    let is_public = operation.security.as_ref().is_some_and(|security| {
        security
            .iter()
            .all(|requirement| *requirement == SecurityRequirement::default())
    });
    if is_public {
        common.push((
            "403",
            "a local server without tokens was asked under a foreign host name",
        ));
    } else {
        common.push(("400", "a part of the path, query, headers or body is wrong"));
        common.push(("401", "a token is needed"));
        common.push((
            "403",
            "the token lacks the scope, or the host name is foreign to a local server",
        ));
    }
    if operation.request_body.is_some() {
        common.push(("408", "the body took too long"));
        common.push(("413", "the body is too large, as it is sent or decompressed"));
        common.push(("415", "the media type or encoding is not supported"));
    }
    common
}

fn add_problem(response: &mut ResponseDocument) {
    let reference = Ref::from_schema_name(ProblemView::name());
    let content = ContentBuilder::new().schema(Some(reference)).build();
    response
        .content
        .entry(CONTENT_TYPE.to_owned())
        .or_insert(content.into());
}

/// This document.
///
/// Needs no token.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "server",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = std::collections::BTreeMap<String, serde_json::Value>))
)]
async fn openapi(Extension(documents): Extension<Documents>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        documents.json.to_string(),
    )
        .into_response()
}

/// Every route and every code of a problem, for people.
///
/// Needs no token.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "server",
    security(()),
    responses((status = 200, description = "a page", body = String, content_type = "text/html"))
)]
async fn docs(Extension(documents): Extension<Documents>) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    (
        [(header::CONTENT_SECURITY_POLICY, policy)],
        Html(documents.html.to_string()),
    )
        .into_response()
}

/// The page at `/docs`.
fn page(document: &OpenApi) -> String {
    let mut rows = String::new();
    for (path, item) in &document.paths.paths {
        let mut item = item.clone();
        let methods = [
            ("GET", &mut item.get),
            ("PUT", &mut item.put),
            ("POST", &mut item.post),
            ("DELETE", &mut item.delete),
        ]
        .map(|(method, operation)| (method, operation.take()));
        for (method, operation) in methods {
            let Some(operation) = operation else { continue };
            let summary = operation.summary.unwrap_or_default();
            let description = operation.description.unwrap_or_default();
            let (path, summary, description) = (escape(path), escape(&summary), escape(&description));
            // Writing to a string cannot fail.
            write!(
                rows,
                "<tr><td>{method}<td><code>{path}</code><td>{summary}<br><small>{description}</small>"
            )
            .ok();
        }
    }
    let mut codes = String::new();
    for code in Code::ALL {
        let (word, status, title) = (code.as_str(), code.status().as_u16(), escape(code.title()));
        write!(
            codes,
            "<tr id=\"{word}\"><td>{status}<td><code>{word}</code><td>{title}"
        )
        .ok();
    }
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Serin {version}: HTTP API</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}}\
         table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;vertical-align:top;padding:.3rem .6rem;\
         border-bottom:1px solid #ddd}}small{{color:#555}}:target{{background:#ffc}}</style>\
         <h1>Serin {version}: HTTP API</h1><p>The same for programs: <a href=\"/openapi.json\">OpenAPI 3.1</a>.</p>\
         <h2>Routes</h2><table><tr><th>Method<th>Path<th>What it does{rows}</table>\
         <h2>Codes of problems</h2><table><tr><th>Status<th>Code<th>What it says{codes}</table></html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

//! Tokens: who may do what.

use super::App;
use super::access::{Admin, Allowed, new_token};
use super::extract::{JsonBody, Path, TokenName};
use super::problem::{Code, Problem};
use super::query::Query;
use super::schema::TokenNameText;
use super::views::server::{NewTokenBody, NewTokenView, TokenView, TokensView};
use crate::store::{Scope, TokenRecord};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(revoke))
}

/// Every token, without its secret part.
///
/// Needs the scope `admin`.
#[utoipa::path(
    get,
    path = "/v1/tokens",
    tag = "tokens",
    responses((status = 200, description = "the tokens", body = TokensView))
)]
async fn list(
    State(app): State<Arc<App>>,
    _: Allowed<Admin>,
    query: Query,
) -> Result<Json<TokensView>, Problem> {
    let [] = query.fields([])?;
    let tokens = app.store.tokens().await?;
    Ok(Json(TokensView {
        tokens: tokens.iter().map(TokenView::from).collect(),
    }))
}

/// Makes a token; its secret part is shown this once.
///
/// The first token must have the scope `admin`: from then on the server asks everybody for one. Needs
/// the scope `admin`.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "tokens",
    request_body = NewTokenBody,
    responses(
        (status = 201, description = "the token", body = NewTokenView),
        (status = 409, description = "the name is taken, or the first token is no administrator's"),
    )
)]
async fn add(
    State(app): State<Arc<App>>,
    _: Allowed<Admin>,
    JsonBody(body): JsonBody<NewTokenBody>,
) -> Result<Response, Problem> {
    let bad = |name: &str, why: String| Problem::new(Code::BadField, format!("`{name}` {why}"));
    let name = TokenName::new(&body.name).map_err(|why| bad("name", why))?.0;
    let scopes: BTreeSet<Scope> = body.scopes.iter().map(|scope| (*scope).into()).collect();
    if !(1..=Scope::ALL.len()).contains(&body.scopes.len()) {
        return Err(bad(
            "scopes",
            format!("must name 1 to {} scopes", Scope::ALL.len()),
        ));
    }
    if !scopes.contains(&Scope::Admin) && app.store.tokens().await?.is_empty() {
        let detail = "the first token must have the scope `admin`: without it nobody could make another";
        return Err(Problem::new(Code::LastAdmin, detail));
    }
    let (token, hash) = new_token().map_err(|error| Problem::internal(&error))?;
    let created_at = app.clock.now();
    let record = TokenRecord {
        name,
        hash,
        scopes: scopes.into_iter().collect(),
        created_at,
    };
    app.store.add_token(record.clone()).await?;
    app.access.refresh(app.store.as_ref()).await?;
    let body = Json(NewTokenView {
        record: (&record).into(),
        token,
    });
    let no_store = HeaderValue::from_static("no-store");
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, no_store)], body).into_response())
}

/// Revokes a token at once.
///
/// Needs the scope `admin`.
#[utoipa::path(
    delete,
    path = "/v1/tokens/{name}",
    tag = "tokens",
    params(("name" = inline(TokenNameText), Path)),
    responses(
        (status = 204, description = "it is revoked"),
        (status = 404, description = "no such token"),
        (status = 409, description = "nobody could administer the server"),
    )
)]
async fn revoke(
    State(app): State<Arc<App>>,
    _: Allowed<Admin>,
    Path(TokenName(name)): Path<TokenName>,
    query: Query,
) -> Result<StatusCode, Problem> {
    let [] = query.fields([])?;
    let tokens = app.store.tokens().await?;
    let others = tokens.iter().filter(|token| token.name != name);
    let admin_stays = others.clone().any(|token| token.scopes.contains(&Scope::Admin));
    let opens_again = others.count() == 0 && app.access.may_be_without_tokens();
    if tokens.iter().any(|token| token.name == name) && !admin_stays && !opens_again {
        let detail = format!("`{name}` is the last token with the scope `admin`: make another first");
        return Err(Problem::new(Code::LastAdmin, detail));
    }
    let revoked = app.store.revoke_token(&name).await?;
    app.access.refresh(app.store.as_ref()).await?;
    if revoked {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(
            Code::UnknownToken,
            format!("there is no token `{name}`"),
        ))
    }
}

//! Who gets what.

use super::App;
use super::access::MayAssign;
use super::extract::{JsonBody, not_utf8, segment};
use super::gateway::{self, KeyPlaces, Places};
use super::problem::{Code, Problem};
use super::query::{Query, fields_and_attributes, required};
use super::schema::{DnsLabel, UserKeyText};
use super::views::assignment::{
    AssignmentOutcomeView, AssignmentOutcomesView, AssignmentRequest, AssignmentView, AssignmentsRequest,
    AttributeBody, ItemProblem,
};
use crate::assignment::snapshot::Snapshot;
use crate::assignment::{Assignment, Route, Who};
use crate::ids::{PolicyName, UserKey};
use crate::targeting::Attributes;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Most assignments in one request.
const REQUESTS_MAX: usize = 1_000;

/// The route of one assignment.
pub(super) const ROUTE: &str = "/v1/assignments/{policy}";
/// What its path begins with.
pub(super) const PREFIX: &str = "/v1/assignments/";

const POLICY: HeaderName = HeaderName::from_static("x-serin-policy");
const ARM: HeaderName = HeaderName::from_static("x-serin-arm");
const LABEL: HeaderName = HeaderName::from_static("x-serin-label");
const VERSION: HeaderName = HeaderName::from_static("x-serin-version");
const EXPOSURE: HeaderName = HeaderName::from_static("x-serin-exposure");
const REASON: HeaderName = HeaderName::from_static("x-serin-reason");
const ROLLOUT: HeaderName = HeaderName::from_static("x-serin-rollout");
const RECEIPT: HeaderName = HeaderName::from_static("x-serin-receipt");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Most headers of an answer, those for pages of other origins apart.
const HEADERS_MAX: usize = 10;
/// Room for the body of an answer, in bytes; it grows where names are long.
const BODY_BYTES_USUAL: usize = 384;
/// Room for the values of an answer's headers, likewise.
const VALUES_BYTES_USUAL: usize = 192;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(assign))
        .routes(routes!(assign_many))
}

/// What a user gets under a policy.
///
/// The same is in the headers `X-Serin-*`, so that a proxy can route by it. A gateway sends
/// `user-from=header:x-user-id` or `user-from=cookie:uid` instead of `user`, and then a request without a
/// user is answered with 204 and the control arm in the headers; `anonymous-from` says likewise where the key is
/// that they had before they signed in. What is known about the user, for policies
/// with targeting, goes along as `attribute.region=eu`; the key that the user had before they signed in, as
/// `anonymous`, by which they keep the arm that they had. Needs the scope `assign`.
#[utoipa::path(
    get,
    path = "/v1/assignments/{policy}",
    tag = "assignments",
    params(("policy" = inline(DnsLabel), Path), ("user" = inline(UserKeyText), Query), ("anonymous" = inline(Option<UserKeyText>), Query)),
    responses(
        (status = 200, description = "the assignment", body = AssignmentView, headers(
            ("X-Serin-Policy" = String),
            ("X-Serin-Arm" = String),
            ("X-Serin-Label" = String),
            ("X-Serin-Version" = i64, description = "absent while the registry has not told"),
            ("X-Serin-Exposure" = f64),
            ("X-Serin-Reason" = String),
            ("X-Serin-Rollout" = String, description = "absent while none exposes a candidate"),
            ("X-Serin-Receipt" = String, description = "absent where observations would not count"),
        )),
        (status = 204, description = "no user was found where `user-from` says", headers(
            ("X-Serin-Policy" = String),
            ("X-Serin-Arm" = String),
            ("X-Serin-Label" = String),
            ("X-Serin-Reason" = String, description = "`no_user`"),
        )),
        (status = 404, description = "no such policy"),
    )
)]
async fn assign(
    State(app): State<Arc<App>>,
    _: MayAssign,
    params: Result<RawPathParams, RawPathParamsRejection>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    let params = params.map_err(|_| not_utf8())?;
    let (_, policy) = params.iter().next().unwrap_or_default();
    answer(&app, policy, &headers, query.text())
}

/// The same without the route: what `query` asks for under `policy`, by whoever may ask.
pub(super) fn answer(
    app: &App,
    policy: &str,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let snapshot = app.controller.snapshot();
    // The names of policies that are there need no check.
    if snapshot.route(policy).is_none() {
        segment::<PolicyName>("policy", policy)?;
    }
    let names = ["user", "anonymous", "user-from", "anonymous-from"];
    let ([user, anonymous, from, anonymous_from], attributes) =
        fields_and_attributes(query.unwrap_or_default(), names)?;
    let bad = |detail: &'static str| Err(Problem::new(Code::BadQuery, detail));
    let user = match (user, from) {
        (None, Some(_)) if anonymous.is_some() => {
            return bad("`anonymous` goes with `user`, not with `user-from`: send `anonymous-from`");
        }
        (None, Some(from)) => {
            let places = KeyPlaces {
                user: places("user-from", &from)?,
                anonymous: anonymous_from
                    .map(|from| places("anonymous-from", &from))
                    .transpose()?,
            };
            return gateway::answer(app, policy, &places, headers, &attributes);
        }
        (Some(_), Some(_)) => {
            return bad("`user` and `user-from` are one too many: send one of them");
        }
        (_, None) if anonymous_from.is_some() => {
            return bad("`anonymous-from` goes with `user-from`");
        }
        (user, None) => required("user", user)?,
    };
    let user = UserKey::new(&user).map_err(|refused| bad_user(Code::BadQuery, refused.rule()))?;
    let anonymous = anonymous.as_deref().map(|key| anonymous_key(Code::BadQuery, key));
    let who = Who {
        user,
        anonymous: anonymous.transpose()?,
        attributes: &attributes,
    };
    shown(&view(app, &snapshot, policy, who)?)
}

fn places(name: &str, text: &str) -> Result<Places, Problem> {
    Places::parse(text).map_err(|why| Problem::new(Code::BadQuery, format!("`{name}` {why}")))
}

/// An assignment in the body and in the headers.
pub(super) fn shown(view: &AssignmentView<'_>) -> Result<Response, Problem> {
    let mut body = Vec::with_capacity(BODY_BYTES_USUAL);
    serde_json::to_writer(&mut body, view).map_err(|error| Problem::internal(&error))?;
    let mut response = Response::new(Body::from(body));
    let mut headers = HeaderMap::with_capacity(HEADERS_MAX);
    headers.insert(header::CONTENT_TYPE, APPLICATION_JSON);
    add_headers(&mut headers, view);
    *response.headers_mut() = headers;
    Ok(response)
}

/// The key that a user had before they were known.
pub(super) fn anonymous_key(code: Code, key: &str) -> Result<UserKey<'_>, Problem> {
    UserKey::new(key).map_err(|refused| Problem::new(code, format!("`anonymous` {}", refused.rule())))
}

fn bad_user(code: Code, rule: &str) -> Problem {
    Problem::new(code, format!("`user` {rule}"))
}

/// The route of a policy, which must be there.
pub(super) fn route<'s>(snapshot: &'s Snapshot, policy: &str) -> Result<&'s Route, Problem> {
    snapshot.route(policy).ok_or_else(|| {
        let detail = format!("there is no policy `{}`", policy.escape_debug());
        Problem::new(Code::UnknownPolicy, detail)
    })
}

/// Assigns and counts.
pub(super) fn view<'s>(
    app: &App,
    snapshot: &'s Snapshot,
    policy: &str,
    who: Who<'_>,
) -> Result<AssignmentView<'s>, Problem> {
    let route = route(snapshot, policy)?;
    let assignment: Assignment<'s> = crate::assignment::assign::assign(route, who);
    let receipt = route
        .receipt(&assignment, who)
        .map(|receipt| app.receipts.issue(&receipt));
    let view = AssignmentView::new(&assignment, receipt);
    app.telemetry
        .assigned(assignment.policy, assignment.arm, view.reason);
    Ok(view)
}

pub(super) fn add_headers(headers: &mut HeaderMap, view: &AssignmentView<'_>) {
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    let mut values = Values(BytesMut::with_capacity(VALUES_BYTES_USUAL));
    let mut add = |name, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    add(POLICY, values.text(&view.policy));
    add(ARM, Some(HeaderValue::from_static(view.arm)));
    add(LABEL, values.text(&view.label));
    add(EXPOSURE, values.shown(&view.exposure));
    add(REASON, Some(HeaderValue::from_static(view.reason)));
    add(VERSION, view.version.map(HeaderValue::from));
    add(ROLLOUT, view.rollout.and_then(|rollout| values.shown(&rollout)));
    let receipt = view.receipt.as_ref();
    add(RECEIPT, receipt.and_then(|receipt| values.text(receipt.as_str())));
}

/// Makes the values of one answer's headers in one piece of memory.
///
/// Names, labels and receipts are ASCII by their rules, so every one is a header value.
struct Values(BytesMut);

impl Values {
    fn text(&mut self, text: &str) -> Option<HeaderValue> {
        self.0.extend_from_slice(text.as_bytes());
        HeaderValue::from_maybe_shared(self.0.split().freeze()).ok()
    }

    fn shown(&mut self, value: &dyn Display) -> Option<HeaderValue> {
        write!(self.0, "{value}").ok()?;
        HeaderValue::from_maybe_shared(self.0.split().freeze()).ok()
    }
}

/// What many users get, or one user under many policies.
///
/// Answers in the order of the request, each with its assignment or its problem. Needs the scope
/// `assign`.
#[utoipa::path(
    post,
    path = "/v1/assignments",
    tag = "assignments",
    request_body = AssignmentsRequest,
    responses((status = 200, description = "one outcome for each request", body = AssignmentOutcomesView))
)]
async fn assign_many(
    State(app): State<Arc<App>>,
    _: MayAssign,
    JsonBody(AssignmentsRequest { requests }): JsonBody<AssignmentsRequest>,
) -> Result<Response, Problem> {
    if requests.len() > REQUESTS_MAX {
        let detail = format!("`requests` must have at most {REQUESTS_MAX} entries");
        return Err(Problem::new(Code::BadField, detail));
    }
    let snapshot = app.controller.snapshot();
    let assignments = requests
        .iter()
        .map(|request| outcome(&app, &snapshot, request))
        .collect();
    let body = Json(AssignmentOutcomesView { assignments });
    Ok(([(header::CACHE_CONTROL, NO_STORE)], body).into_response())
}

/// What a body says of a user.
pub(super) fn attributes(body: &BTreeMap<String, AttributeBody>) -> Result<Attributes<'_>, Problem> {
    let mut attributes = Attributes::default();
    for (name, attribute) in body {
        attributes
            .add(Cow::Borrowed(name), attribute.attribute())
            .map_err(|refused| Problem::new(Code::BadField, format!("`attributes`: {refused}")))?;
    }
    Ok(attributes)
}

fn assigned<'s>(
    app: &App,
    snapshot: &'s Snapshot,
    request: &AssignmentRequest,
) -> Result<AssignmentView<'s>, Problem> {
    let user = UserKey::new(&request.user).map_err(|refused| bad_user(Code::BadField, refused.rule()))?;
    let attributes = attributes(&request.attributes)?;
    let anonymous = request
        .anonymous
        .as_deref()
        .map(|key| anonymous_key(Code::BadField, key));
    let who = Who {
        user,
        anonymous: anonymous.transpose()?,
        attributes: &attributes,
    };
    view(app, snapshot, &request.policy, who)
}

fn outcome<'s>(app: &App, snapshot: &'s Snapshot, request: &AssignmentRequest) -> AssignmentOutcomeView<'s> {
    match assigned(app, snapshot, request) {
        Ok(assignment) => AssignmentOutcomeView::Assigned { assignment },
        Err(problem) => AssignmentOutcomeView::Refused {
            problem: ItemProblem {
                code: problem.code().as_str(),
                detail: problem.detail().to_owned(),
            },
        },
    }
}

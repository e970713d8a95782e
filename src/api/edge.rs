//! What every request goes through: the host check, the bounds, the clock, the counters, and a net
//! for panics. One layer, because assignments are asked for more often than anything else.

use super::App;
use super::assignments;
use super::cors;
use super::langfuse;
use super::ofrep;
use super::problem::{Code, Problem, incident};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{self, HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clock::Stopwatch;

/// How many times as many assignments may be worked on at once as other requests.
const ASSIGNMENTS_IN_FLIGHT_FACTOR: usize = 16;
/// What the routes of assignments begin with, which other work must not keep waiting.
const ASSIGNMENT_ROUTES: [&str; 2] = ["/v1/assignments/{policy}", ofrep::EVALUATION_PREFIX];
/// Shown as the route of a request that matches none.
const NO_ROUTE: &str = "none";

/// How many requests are worked on.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    assignments: AtomicUsize,
    others: AtomicUsize,
}

/// A place among the requests that are worked on; given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InFlight {
    fn enter(&self, is_assignment: bool, others_max: usize) -> Option<Place<'_>> {
        let (count, max) = if is_assignment {
            (
                &self.assignments,
                others_max.saturating_mul(ASSIGNMENTS_IN_FLIGHT_FACTOR),
            )
        } else {
            (&self.others, others_max)
        };
        let place = Place(count);
        (count.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

/// The layer around every route.
pub(super) async fn edge(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let method = method_word(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let reader = app.reader(&request);
    let mut response = match &reader {
        Some(reader) if cors::is_preflight(&request) => reader.preflight(),
        _ => {
            let answered = answer(&app, route, request, next).await;
            answered.unwrap_or_else(|problem| refused(route, problem))
        }
    };
    if let Some(reader) = reader {
        reader.sign(response.headers_mut());
    }
    app.telemetry
        .answered(method, route, response.status().as_u16(), watch.elapsed());
    response
}

/// The same for an assignment, which waits for nothing, so that no time can run out.
pub(super) fn assignment<B>(
    app: &App,
    request: &http::Request<B>,
    work: impl FnOnce() -> Result<Response, Problem>,
) -> Response {
    let (watch, route) = (Stopwatch::start(), assignments::ROUTE);
    let answered = enter(app, route, request.uri(), request.headers()).and_then(|_place| {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
    });
    let mut response = answered.unwrap_or_else(|problem| refused(route, problem));
    if let Some(reader) = app.reader(request) {
        reader.sign(response.headers_mut());
    }
    let method = method_word(request.method());
    if response.status() == StatusCode::OK {
        let answers = || app.telemetry.answers(method, route, StatusCode::OK.as_u16());
        app.assigned.get_or_init(answers).add(watch.elapsed());
    } else {
        let status = response.status().as_u16();
        app.telemetry.answered(method, route, status, watch.elapsed());
    }
    response
}

/// A problem in the words of the protocol that was spoken.
fn refused(route: &str, problem: Problem) -> Response {
    if route.starts_with(langfuse::PREFIX) {
        langfuse::refused(problem)
    } else if route.starts_with(ofrep::PREFIX) {
        ofrep::refused(problem)
    } else {
        problem.into_response()
    }
}

/// A place among the requests that are worked on, for one that came under a name of this server's.
fn enter<'a>(app: &'a App, route: &str, uri: &Uri, headers: &HeaderMap) -> Result<Place<'a>, Problem> {
    app.access.check_host(uri, headers)?;
    let is_assignment = ASSIGNMENT_ROUTES
        .iter()
        .any(|beginning| route.starts_with(beginning));
    app.in_flight
        .enter(is_assignment, app.limits.requests_in_flight_max)
        .ok_or_else(|| Problem::new(Code::Overloaded, "too many requests are worked on: try again"))
}

async fn answer(app: &App, route: &str, request: Request, next: Next) -> Result<Response, Problem> {
    let _place = enter(app, route, request.uri(), request.headers())?;
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    // A body has its own time to arrive in, and the answer as much again.
    let allowed = app.limits.request_timeout.saturating_mul(2);
    match tokio::time::timeout(allowed, work).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(panic)) => Err(panicked(panic.as_ref())),
        Err(_) => Err(Problem::new(
            Code::TimedOut,
            "the answer took too long: try again",
        )),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Problem {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("?");
    let id = incident();
    tracing::error!(incident = %id, message, "a request panicked");
    Problem::new(
        Code::Internal,
        format!("the server's log tells more under incident {id}"),
    )
}

/// The method as a label: any other than these is one label, because clients make methods up.
fn method_word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Answers what matches no route.
pub(super) async fn no_route(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(128).collect();
    Problem::new(
        Code::UnknownRoute,
        format!("there is no `{path}`: `/docs` lists what there is"),
    )
    .into_response()
}

/// Answers a route with another method; the router adds `Allow`.
pub(super) async fn no_method(request: Request) -> Response {
    let method = method_word(request.method());
    Problem::new(
        Code::MethodNotAllowed,
        format!("this route does not answer {method}"),
    )
    .into_response()
}

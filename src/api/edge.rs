//! What every request goes through: the host check, the bounds, the clock, the counters, and a net
//! for panics. One layer, because assignments are asked for more often than anything else.

use super::App;
use super::assignments;
use super::cors::{self, Reader};
use super::langfuse;
use super::ofrep;
use super::problem::{Code, Problem, incident};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{self, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clock::Stopwatch;
use crate::telemetry::traces::{Head, Requested};

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
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let visit = Visit::begin(&app, route, &request);
    let response = match &visit.reader {
        Some(reader) if cors::is_preflight(&request) => reader.preflight(),
        _ => {
            let place = visit.enter(&request);
            visit.wait(place, next.run(request)).await
        }
    };
    visit.end(response)
}

/// The same around an evaluation of OFREP that did not go through the router.
pub(super) async fn evaluation(app: &App, key: &str, request: Request) -> Response {
    let visit = Visit::begin(app, ofrep::EVALUATION_ROUTE, &request);
    let place = visit.enter(&request);
    let response = visit.wait(place, ofrep::evaluate_key(app, key, request)).await;
    visit.end(response)
}

/// The same around an assignment, which waits for nothing, so that no time can run out.
pub(super) fn assignment<B>(
    app: &App,
    request: &http::Request<B>,
    work: impl FnOnce() -> Result<Response, Problem>,
) -> Response {
    let mut visit = Visit::begin(app, assignments::ROUTE, request);
    let answered = visit.enter(request).and_then(|_place| {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
    });
    let mut response = answered.unwrap_or_else(|problem| refused(visit.route, problem));
    if response.status() != StatusCode::OK {
        return visit.end(response);
    }
    visit.sign(&mut response);
    visit.tell(StatusCode::OK);
    let answers = || {
        app.telemetry
            .answers(visit.method, visit.route, StatusCode::OK.as_u16())
    };
    app.assigned.get_or_init(answers).add(visit.watch.elapsed());
    response
}

/// A request between its arrival and its answer.
struct Visit<'a> {
    app: &'a App,
    route: &'a str,
    method: &'static str,
    reader: Option<Reader>,
    watch: Stopwatch,
    /// What is told of it, if anything is.
    traced: Option<Requested>,
}

impl<'a> Visit<'a> {
    fn begin<B>(app: &'a App, route: &'a str, request: &http::Request<B>) -> Self {
        let method = method_word(request.method());
        let head = Head {
            method,
            route: (route != NO_ROUTE).then_some(route),
            path: request.uri().path(),
            headers: request.headers(),
        };
        Self {
            app,
            route,
            method,
            reader: app.reader(request),
            watch: Stopwatch::start(),
            traced: app.telemetry.tracer().request(&head),
        }
    }

    /// A place among the requests that are worked on, for one that came under a name of this server's.
    fn enter<B>(&self, request: &http::Request<B>) -> Result<Place<'a>, Problem> {
        self.app.access.check_host(request.uri(), request.headers())?;
        let is_assignment = ASSIGNMENT_ROUTES
            .iter()
            .any(|beginning| self.route.starts_with(beginning));
        let (in_flight, max) = (&self.app.in_flight, self.app.limits.requests_in_flight_max);
        in_flight.enter(is_assignment, max).ok_or_else(|| {
            let detail = "too many requests are worked on: try again";
            Problem::new(Code::Overloaded, detail)
        })
    }

    /// What comes of the work, in its place and within its time.
    async fn wait(
        &self,
        place: Result<Place<'_>, Problem>,
        work: impl Future<Output = Response>,
    ) -> Response {
        let _place = match place {
            Ok(place) => place,
            Err(problem) => return refused(self.route, problem),
        };
        // A body has its own time to arrive in, and the answer as much again.
        let allowed = self.app.limits.request_timeout.saturating_mul(2);
        let work = AssertUnwindSafe(work).catch_unwind();
        match tokio::time::timeout(allowed, work).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => refused(self.route, panicked(panic.as_ref())),
            Err(_) => {
                let problem = Problem::new(Code::TimedOut, "the answer took too long: try again");
                refused(self.route, problem)
            }
        }
    }

    /// Lets pages of other origins read the answer, where the settings allow it.
    fn sign(&self, response: &mut Response) {
        if let Some(reader) = &self.reader {
            reader.sign(response.headers_mut());
        }
    }

    /// Tells how it was answered.
    fn tell(&mut self, status: StatusCode) {
        if let Some(traced) = self.traced.take() {
            traced.answered(status.as_u16());
        }
    }

    /// The answer as it is sent, counted.
    fn end(mut self, mut response: Response) -> Response {
        self.sign(&mut response);
        self.tell(response.status());
        let status = response.status().as_u16();
        self.app
            .telemetry
            .answered(self.method, self.route, status, self.watch.elapsed());
        response
    }
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

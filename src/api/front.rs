//! What stands before the router: assignments are answered here, and everything else goes on to it.
//!
//! Applications ask for assignments more often than for anything else. The front knows their plain forms,
//! `GET /v1/assignments/{policy}?…` and `POST /ofrep/v1/evaluate/flags/{key}`, and answers what the routes of the
//! same names would answer, by the same functions; the router takes every other form, such as `HEAD` or a
//! name with percent-encoding.

use super::access::MayAssign;
use super::{App, assignments, edge, ofrep};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{Method, Request};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{BoxError, Service};

/// Every route of a server, the one that is asked most first.
#[derive(Debug, Clone)]
pub struct Front {
    app: Arc<App>,
    router: Router,
}

impl Front {
    pub(super) fn new(app: Arc<App>, router: Router) -> Self {
        Self { app, router }
    }
}

/// What follows `prefix` in a path, where it is one part in plain letters.
fn plain<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let part = path.strip_prefix(prefix)?;
    let is_plain = !part.is_empty() && !part.bytes().any(|byte| matches!(byte, b'/' | b'%'));
    is_plain.then_some(part)
}

type Answer = Result<Response, Infallible>;

impl<B> Service<Request<B>> for Front
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future =
        Either<Either<Ready<Answer>, BoxFuture<'static, Answer>>, <Router as Service<Request<B>>>::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        match *request.method() {
            Method::GET => {
                if let Some(policy) = plain(path, assignments::PREFIX) {
                    let answer = assign(&self.app, policy, &request);
                    return Either::Left(Either::Left(ready(Ok(answer))));
                }
            }
            Method::POST => {
                if let Some(key) = plain(path, ofrep::FLAG_PREFIX) {
                    let (app, key) = (Arc::clone(&self.app), key.to_owned());
                    let request = request.map(Body::new);
                    let answer = async move { Ok(edge::evaluation(&app, &key, request).await) };
                    return Either::Left(Either::Right(Box::pin(answer)));
                }
            }
            _ => {}
        }
        Either::Right(self.router.call(request))
    }
}

fn assign<B>(app: &App, policy: &str, request: &Request<B>) -> Response {
    edge::assignment(app, request, || {
        let _: MayAssign = app.access.may_assign(request.headers())?;
        assignments::answer(app, policy, request.headers(), request.uri().query())
    })
}

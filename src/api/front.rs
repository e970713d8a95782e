//! What stands before the router: assignments are answered here, and everything else goes on to it.
//!
//! Applications ask for assignments more often than for anything else, and answering waits for nothing.
//! The front knows their plain form, `GET /v1/assignments/{policy}?…`, and answers in place what the
//! route of the same name would answer, by the same function; the router takes every other form, such as
//! `HEAD` or a name with percent-encoding.

use super::access::MayAssign;
use super::{App, assignments, edge};
use axum::Router;
use axum::body::HttpBody;
use axum::http::{Method, Request};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::{Either, Ready, ready};
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

/// The policy of an assignment that is asked for in its plain form.
fn policy<B>(request: &Request<B>) -> Option<&str> {
    if request.method() != Method::GET {
        return None;
    }
    let policy = request.uri().path().strip_prefix(assignments::PREFIX)?;
    let is_plain = !policy.is_empty() && !policy.bytes().any(|byte| matches!(byte, b'/' | b'%'));
    is_plain.then_some(policy)
}

impl<B> Service<Request<B>> for Front
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, <Router as Service<Request<B>>>::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(policy) = policy(&request) else {
            return Either::Right(self.router.call(request));
        };
        let app = self.app.as_ref();
        let answer = edge::assignment(app, &request, || {
            let _: MayAssign = app.access.may_assign(request.headers())?;
            assignments::answer(app, policy, request.headers(), request.uri().query())
        });
        Either::Left(ready(Ok(answer)))
    }
}

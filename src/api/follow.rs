//! Clients that wait for new snapshots, in whatever protocol they are told of them.
//!
//! Whatever happened between two looks is one change, so a slow client costs no memory.

use super::App;
use super::access::Permit;
use super::problem::{Code, Problem};
use crate::store::Scope;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::Stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// How often a silent stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The answer that a stream of events is.
pub(crate) fn kept_alive(stream: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

/// A client that follows the snapshots; its place is free again when it is dropped.
pub(super) struct Follower {
    app: Arc<App>,
    permit: Permit,
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    told: Option<u64>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// A client that knows no snapshot yet.
    ///
    /// # Errors
    ///
    /// When as many clients follow already as the limits allow.
    pub(super) fn new(app: Arc<App>, permit: Permit) -> Result<Self, Problem> {
        let place = Arc::clone(&app.followers).try_acquire_owned().map_err(|_| {
            let max = app.limits.assignment_subscribers_max;
            Problem::new(
                Code::Overloaded,
                format!("{max} clients follow the assignments already"),
            )
        })?;
        let mut changes = app.controller.changes();
        changes.mark_changed();
        Ok(Self {
            stopping: app.stopping.subscribe(),
            app,
            permit,
            changes,
            told: None,
            _place: place,
        })
    }

    /// Waits for a snapshot that the client does not know, and gives its number; the first comes at once.
    ///
    /// None when the server stops, the controller has ended, or the client's token was revoked.
    pub(super) async fn next(&mut self) -> Option<u64> {
        loop {
            tokio::select! {
                stopped = self.stopping.wait_for(|stopping| *stopping) => {
                    drop(stopped);
                    return None;
                }
                changed = self.changes.changed() => changed.ok()?,
            }
            if !self.app.access.holds(self.permit, Scope::Assign) {
                return None;
            }
            let number = self.app.controller.snapshot().number();
            if self.told.replace(number) != Some(number) {
                return Some(number);
            }
        }
    }
}

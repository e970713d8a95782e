//! Changes as they happen, as server-sent events (WHATWG HTML section 9.2).
//!
//! A subscriber holds the last board it was told of and waits for the next; whatever happened between
//! is one event for each rollout, so a slow client costs no memory.

use super::App;
use super::access::{Allowed, Read};
use super::follow::kept_alive;
use super::problem::{Code, Problem};
use super::query::Query;
use super::views::rollout::RolloutView;
use crate::controller::{Board, PolicyStatus, RolloutStatus};
use crate::ids::PolicyName;
use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Changes as they happen: first everything as it is, then what changes.
///
/// The event `rollout` has a rollout as data, and comes when its phase, its exposure or the reason why
/// it stays has changed; the event `snapshot` has `{"number": …}`, and comes when assignments are
/// answered from a new snapshot. Needs any token.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "rollouts",
    responses((status = 200, description = "the stream", body = String, content_type = "text/event-stream"))
)]
async fn events(State(app): State<Arc<App>>, _: Allowed<Read>, query: Query) -> Result<Response, Problem> {
    let [] = query.fields([])?;
    let following = Following::begin(&app)?;
    let subscription = Subscription {
        app,
        following,
        told: Told::default(),
        waiting: VecDeque::new(),
    };
    Ok(kept_alive(subscription.into_stream()))
}

/// A place among those who are told of changes; given back when dropped.
#[derive(Debug)]
pub(crate) struct Following {
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Following {
    /// Takes a place; what is there already counts as the first change.
    ///
    /// # Errors
    ///
    /// Every place is taken.
    pub(crate) fn begin(app: &App) -> Result<Self, Problem> {
        let place = Arc::clone(&app.subscribers).try_acquire_owned().map_err(|_| {
            let max = app.limits.event_subscribers_max;
            Problem::new(
                Code::Overloaded,
                format!("{max} clients follow the events already"),
            )
        })?;
        let mut changes = app.controller.changes();
        changes.mark_changed();
        Ok(Self {
            changes,
            stopping: app.stopping.subscribe(),
            _place: place,
        })
    }

    /// Waits for the next change; none when the server stops or the controller has ended.
    pub(crate) async fn changed(&mut self) -> Option<()> {
        tokio::select! {
            stopped = self.stopping.wait_for(|stopping| *stopping) => {
                drop(stopped);
                None
            }
            changed = self.changes.changed() => changed.ok(),
        }
    }
}

/// A client that follows the events.
struct Subscription {
    app: Arc<App>,
    following: Following,
    told: Told,
    waiting: VecDeque<Event>,
}

/// What the client knows.
#[derive(Default)]
struct Told {
    rollouts: BTreeMap<PolicyName, Arc<RolloutStatus>>,
    snapshot: Option<u64>,
}

#[derive(Serialize)]
struct SnapshotNumber {
    number: u64,
}

impl Subscription {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut subscription| async move {
            let event = subscription.next().await?;
            Some((Ok(event), subscription))
        })
    }

    /// The next event; none when the server stops or the controller has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            self.following.changed().await?;
            self.look();
        }
    }

    /// Queues an event for everything that the client does not know yet.
    fn look(&mut self) {
        let board = self.app.controller.board();
        for rollout in self.told.changed(&board) {
            let view = RolloutView::on_board(&rollout, self.app.clock.now());
            self.waiting.extend(event("rollout", &view));
        }
        let number = self.app.controller.snapshot().number();
        if self.told.snapshot.replace(number) != Some(number) {
            self.waiting.extend(event("snapshot", &SnapshotNumber { number }));
        }
    }
}

fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}

impl Told {
    /// The rollouts that are not as the client knows them; from now on it does.
    fn changed(&mut self, board: &Board) -> Vec<Arc<RolloutStatus>> {
        let rollout = |status: &Arc<PolicyStatus>| status.rollout.clone();
        let mut changed = Vec::new();
        for (policy, rollout) in board
            .policies
            .iter()
            .filter_map(|(name, status)| Some((name, rollout(status)?)))
        {
            if self
                .rollouts
                .get(policy)
                .is_some_and(|known| is_same(known, &rollout))
            {
                continue;
            }
            self.rollouts.insert(policy.clone(), Arc::clone(&rollout));
            changed.push(rollout);
        }
        self.rollouts
            .retain(|policy, _| board.policies.contains_key(policy));
        changed
    }
}

/// Whether both show the same; the numbers, which change with every tick, are asked for by themselves.
fn is_same(known: &Arc<RolloutStatus>, now: &Arc<RolloutStatus>) -> bool {
    Arc::ptr_eq(known, now)
        || (known.state == now.state && known.exposure == now.exposure && known.stay == now.stay)
}

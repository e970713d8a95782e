//! Tells an open page that what it shows has changed; it then asks for itself again.
//!
//! Nothing but the fact is sent: what may be seen is decided where the page is.

use super::Console;
use super::frame::PageError;
use super::visitor::Visitor;
use crate::api::access::Read;
use crate::api::{Following, kept_alive};
use crate::controller::{Board, PolicyStatus, RolloutStatus};
use crate::ids::PolicyName;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Least time between two events of a stream: a page takes some milliseconds to draw.
const EVENTS_APART_MIN: Duration = Duration::from_millis(1_000);

/// The data of every event: browsers throw away an event without any (WHATWG HTML section 9.2.6).
const CHANGED: &str = "ask again";

/// What is followed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Follow {
    policy: Option<String>,
}

/// The stream of events of one page.
struct Page {
    console: Arc<Console>,
    following: Following,
    policy: Option<PolicyName>,
    /// What the page has drawn, or is about to.
    shown: Option<Arc<Board>>,
}

/// Follows one policy, or all.
pub(super) async fn follow(
    State(console): State<Arc<Console>>,
    _: Visitor<Read>,
    Query(follow): Query<Follow>,
) -> Result<Response, PageError> {
    let policy = follow.policy.as_deref().map(PolicyName::new).transpose();
    let policy = policy.map_err(|_| super::frame::not_found("such policy"))?;
    let page = Page {
        following: Following::begin(&console.app)?,
        console,
        policy,
        shown: None,
    };
    let events = stream::unfold(page, |mut page| async move {
        page.next().await?;
        Some((
            Ok::<_, Infallible>(Event::default().event("changed").data(CHANGED)),
            page,
        ))
    });
    Ok(kept_alive(events))
}

impl Page {
    /// Waits until something is different from what the page shows; what is there at first is.
    async fn next(&mut self) -> Option<()> {
        loop {
            self.following.changed().await?;
            let board = self.console.board();
            let known = self.shown.as_deref();
            if known.is_some_and(|known| looks_same(known, &board, self.policy.as_ref())) {
                continue;
            }
            let is_first = self.shown.replace(board).is_none();
            if !is_first {
                tokio::time::sleep(EVENTS_APART_MIN).await;
                return Some(());
            }
        }
    }
}

/// Whether a page of one policy, or of all, looks the same.
fn looks_same(known: &Board, now: &Board, policy: Option<&PolicyName>) -> bool {
    if let Some(policy) = policy {
        return match (known.policies.get(policy), now.policies.get(policy)) {
            (Some(known), Some(now)) => is_same(known, now, true),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
    }
    let mut pairs = known.policies.values().zip(now.policies.values());
    known.policies.len() == now.policies.len()
        && known.troubles == now.troubles
        && known.problems == now.problems
        && pairs.all(|(known, now)| is_same(known, now, false))
}

/// Whether a page looks the same; the numbers of one policy are shown, those of all are not.
fn is_same(known: &Arc<PolicyStatus>, now: &Arc<PolicyStatus>, with_numbers: bool) -> bool {
    if Arc::ptr_eq(known, now) {
        return true;
    }
    let is_same_rollout = match (known.rollout.as_deref(), now.rollout.as_deref()) {
        (Some(known), Some(now)) => {
            known.state == now.state
                && known.stay == now.stay
                && (!with_numbers || has_same_numbers(known, now))
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    is_same_rollout
        && known.policy.name == now.policy.name
        && known.policy.revision == now.policy.revision
        && known.removed == now.removed
        && known.registry_error == now.registry_error
}

/// Whether nothing was observed between two looks; that time has passed alone changes no number.
fn has_same_numbers(known: &RolloutStatus, now: &RolloutStatus) -> bool {
    match (known.assessment.as_deref(), now.assessment.as_deref()) {
        (Some(known), Some(now)) => {
            known.verdict == now.verdict && known.metrics == now.metrics && known.data == now.data
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

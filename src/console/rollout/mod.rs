//! One rollout: why it stands where it stands, its numbers, its history, and what may be asked of it.

mod panel;
mod standing;

pub(super) mod charts;
pub(super) mod command;
pub(super) mod report;
pub(super) mod trail;

use self::charts::Course;
use self::panel::Measured;
use self::standing::{Standing, Steps};
use self::trail::Trail;
use super::Console;
use super::chart::Chart;
use super::frame::{Frame, PageError, Section, not_found, page};
use super::visitor::Visitor;
use super::words::{Chip, Moment, capital, phase_chip};
use crate::analysis::Assessment;
use crate::api::App;
use crate::api::access::Read;
use crate::controller::RolloutStatus;
use crate::ids::RolloutId;
use crate::policy::{Policy, check};
use crate::rollout::{Phase, RolloutState, Verb, explain, possible};
use crate::store::{Point, StoreError};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;

/// Entries of the history that the page shows: the newest.
const TRAIL_SHOWN_MAX: usize = 200;
/// Other rollouts of the policy that are listed.
const OTHERS_MAX: usize = 10;

/// A rollout, as much as is known of it.
#[derive(Debug)]
struct Known {
    state: RolloutState,
    /// None where its text is not understood any more.
    policy: Option<Arc<Policy>>,
    /// None for one that is neither running nor its policy's last.
    status: Option<Arc<RolloutStatus>>,
}

impl Known {
    async fn find(app: &App, id: RolloutId) -> Result<Self, StoreError> {
        let state = app.store().rollout(id).await?;
        let state = state.ok_or(StoreError::UnknownRollout(id))?;
        let board = app.controller().board();
        let on_board = board.policies.get(&state.policy);
        let status = on_board
            .and_then(|status| status.rollout.clone())
            .filter(|status| status.state.id == id && status.state.generation >= state.generation);
        if let Some(status) = status {
            return Ok(Self {
                state: status.state.clone(),
                policy: Some(Arc::clone(&status.policy)),
                status: Some(status),
            });
        }
        let source = app.store().policy_source(&state.revision).await?;
        let checked = source.and_then(|source| check::check(state.policy.as_str(), &source).ok());
        Ok(Self {
            policy: checked.map(|sound| Arc::new(sound.policy)),
            state,
            status: None,
        })
    }
}

/// The rollout that an address names.
fn parsed(id: &str) -> Result<RolloutId, PageError> {
    id.parse().map_err(|_| not_found("such rollout"))
}

/// A rollout with everything that was written down of it.
#[derive(Debug)]
struct History {
    known: Known,
    trail: Trail,
    /// The numbers of the last closed tick, or the last ones where it is over.
    assessment: Option<Arc<Assessment>>,
    points: Vec<Point>,
}

impl History {
    /// Reads it, with the newest `entries_max` entries of its trail.
    async fn read(app: &App, id: RolloutId, entries_max: usize) -> Result<Self, StoreError> {
        let known = Known::find(app, id).await?;
        let (trail, last) = Trail::read(app.store(), id, entries_max).await?;
        let live = known
            .status
            .as_deref()
            .and_then(|status| status.assessment.clone());
        Ok(Self {
            assessment: live.or(last.map(Arc::new)),
            points: app.store().points(id).await?,
            known,
            trail,
        })
    }

    fn standing(&self, now: Timestamp) -> Standing {
        Standing::new(&self.known, self.assessment.as_deref(), now)
    }

    fn exposure_chart(&self, now: Timestamp) -> Option<Chart> {
        let policy = self.known.policy.as_deref()?;
        charts::exposure(&self.trail, policy, now)
    }

    fn measured(&self) -> Measured {
        let course = Course::new(&self.points, self.known.state.started_at);
        Measured::new(self.known.policy.as_deref(), self.assessment.as_deref(), &course)
    }
}

/// Something that may be asked.
#[derive(Debug)]
pub(super) struct Action {
    word: &'static str,
    title: &'static str,
    is_danger: bool,
}

impl Action {
    pub(super) fn of(verb: Verb) -> Self {
        let (title, is_danger) = match verb {
            Verb::Pause => ("Pause", false),
            Verb::Resume => ("Resume", false),
            Verb::Step => ("Next step", false),
            Verb::Promote => ("Promote", false),
            Verb::RollBack => ("Roll back", true),
            Verb::Approve => ("Approve", false),
        };
        Self {
            word: verb.as_str(),
            title,
            is_danger,
        }
    }
}

/// Another rollout of the same policy.
#[derive(Debug)]
struct Other {
    id: String,
    versions: String,
    phase: Chip,
    began: Moment,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "rollout.html", config = "src/console/askama.toml")]
struct RolloutPage {
    frame: Frame,
    standing: Standing,
    steps: Option<Steps>,
    actions: Vec<Action>,
    may_operate: bool,
    done: Option<&'static str>,
    exposure_chart: Option<Chart>,
    numbers: Measured,
    trail: Trail,
    others: Vec<Other>,
}

/// What has just been done.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
}

/// The page.
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor<Read>,
    Path(id): Path<String>,
    Query(done): Query<Done>,
) -> Result<Response, PageError> {
    let history = History::read(&console.app, parsed(&id)?, TRAIL_SHOWN_MAX).await?;
    let (known, now) = (&history.known, console.now());
    let state = &known.state;
    let others = console
        .app
        .store()
        .rollouts(Some(&state.policy), None, OTHERS_MAX)
        .await?;
    let title = format!("{} {}", state.policy, state.id);
    let done = Verb::ALL.into_iter().find(|verb| verb.as_str() == done.done);
    let policy = known.policy.as_deref();
    let actions = policy.map_or_else(Vec::new, |policy| possible(policy, &state.phase));
    let shown = RolloutPage {
        frame: Frame::new(&console, &visitor, Section::Overview, title).live(Some(state.policy.as_str())),
        standing: history.standing(now),
        steps: policy.map(|policy| Steps::new(policy, &state.phase, &history.trail, now)),
        actions: actions.into_iter().map(Action::of).collect(),
        may_operate: visitor.seat.may_operate,
        done: done.map(|verb| Action::of(verb).title),
        exposure_chart: history.exposure_chart(now),
        numbers: history.measured(),
        others: others.iter().map(|other| Other::new(other, state.id)).collect(),
        trail: history.trail,
    };
    page(&console, &visitor, &shown)
}

impl Other {
    fn new(state: &RolloutState, this: RolloutId) -> Self {
        Self {
            id: state.id.to_string(),
            versions: format!("{} → {}", state.stable, state.candidate),
            phase: phase_chip(&state.phase),
            began: Moment::new(state.started_at),
            is_this: state.id == this,
        }
    }
}

/// `Rolled back` for `rolled_back`.
pub(super) fn title_of(phase: &Phase) -> String {
    capital(&explain::place(phase))
}

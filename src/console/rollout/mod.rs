//! One rollout: why it stands where it stands, its numbers, its history, and what may be asked of it.

mod panel;

pub(super) mod charts;
pub(super) mod command;
pub(super) mod trail;

use self::charts::Course;
use self::panel::{Gauge, Panel, SampleRatio};
use self::trail::Trail;
use super::Console;
use super::chart::Chart;
use super::frame::{Frame, PageError, Section, not_found, page};
use super::numbers;
use super::visitor::Visitor;
use super::words::{
    Chip, Ladder, Moment, Prose, Tone, capital, ladder, phase_chip, rollout_standing, verdict_chip,
};
use crate::analysis::Assessment;
use crate::api::access::Read;
use crate::controller::RolloutStatus;
use crate::figures;
use crate::ids::RolloutId;
use crate::policy::quantity::show_duration;
use crate::policy::{Policy, check};
use crate::rollout::{Phase, RolloutState, Verb, explain, possible};
use crate::store::StoreError;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;

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
    async fn find(console: &Console, id: &str) -> Result<Self, PageError> {
        let id: RolloutId = id.parse().map_err(|_| not_found("such rollout"))?;
        let state = console.app.store().rollout(id).await?;
        let state = state.ok_or(StoreError::UnknownRollout(id))?;
        let board = console.board();
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
        let source = console.app.store().policy_source(&state.revision).await?;
        let checked = source.and_then(|source| check::check(state.policy.as_str(), &source).ok());
        Ok(Self {
            policy: checked.map(|sound| Arc::new(sound.policy)),
            state,
            status: None,
        })
    }
}

/// A step, with what it asks for.
#[derive(Debug)]
struct StepRow {
    number: usize,
    exposure: String,
    state: &'static str,
    said: &'static str,
    bake: String,
    samples: String,
    approval: bool,
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
    id: String,
    policy: String,
    stable: u32,
    candidate: u32,
    phase: Chip,
    verdict: Option<Chip>,
    exposure: String,
    ladder: Option<Ladder>,
    /// Why it stands where it stands, with its numbers where numbers decide.
    standing: Prose,
    because: Option<Prose>,
    began: Moment,
    since: String,
    since_moment: Moment,
    overruled: bool,
    steps: Vec<StepRow>,
    actions: Vec<Action>,
    may_operate: bool,
    done: Option<&'static str>,
    exposure_chart: Option<Chart>,
    panels: Vec<Panel>,
    ratio: Option<SampleRatio>,
    combined: Option<Gauge>,
    /// What users may still meet after a rollback.
    aftermath: Option<Prose>,
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
    let known = Known::find(&console, &id).await?;
    let state = &known.state;
    let (trail, last) = Trail::read(console.app.store(), state.id).await?;
    let live = known
        .status
        .as_deref()
        .and_then(|status| status.assessment.clone());
    let assessment = live.or(last.map(Arc::new));
    let others = console
        .app
        .store()
        .rollouts(Some(&state.policy), None, OTHERS_MAX)
        .await?;
    let title = format!("{} {}", state.policy, state.id);
    let frame = Frame::new(&console, &visitor, Section::Overview, title).live(Some(state.policy.as_str()));
    let done = Verb::ALL.into_iter().find(|verb| verb.as_str() == done.done);
    let points = console.app.store().points(state.id).await?;
    let course = Course::new(&points, state.started_at);
    let now = console.now();
    let policy = known.policy.as_deref();
    let exposure_chart = policy.and_then(|policy| charts::exposure(&trail.entered, policy, now));
    let shown = RolloutPage {
        exposure_chart,
        may_operate: visitor.seat.may_operate,
        done: done.map(|verb| Action::of(verb).title),
        others: others.iter().map(|other| Other::new(other, state.id)).collect(),
        trail,
        ..RolloutPage::new(frame, &known, assessment.as_deref(), &course, now)
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

impl RolloutPage {
    fn new(
        frame: Frame,
        known: &Known,
        assessment: Option<&Assessment>,
        course: &Course<'_>,
        now: Timestamp,
    ) -> Self {
        let Known {
            state,
            policy,
            status,
        } = known;
        let policy = policy.as_deref();
        let since = state.changed_at.max(state.entered_at);
        let standing = match status.as_deref() {
            Some(status) => rollout_standing(status, now),
            None => explain::phase(&state.phase),
        };
        let exposure = match (status.as_deref(), policy) {
            (Some(status), _) => figures::percentage(status.exposure.ratio()),
            (None, Some(policy)) => figures::percentage(state.exposure(policy).ratio()),
            (None, None) => figures::NOTHING.to_owned(),
        };
        let read = policy.zip(assessment);
        Self {
            id: state.id.to_string(),
            policy: state.policy.to_string(),
            stable: state.stable.get(),
            candidate: state.candidate.get(),
            phase: phase_chip(&state.phase),
            verdict: assessment.map(|assessment| verdict_chip(assessment.verdict)),
            exposure,
            ladder: policy.map(|policy| ladder(policy, Some(&state.phase))),
            standing: Prose::new(&standing),
            because: read.and_then(|(policy, assessment)| because(policy, assessment)),
            began: Moment::new(state.started_at),
            since: explain::span(now.duration_since(since)),
            since_moment: Moment::new(since),
            overruled: state.fail_overruled,
            steps: policy.map_or_else(Vec::new, |policy| steps(policy, &state.phase)),
            actions: policy.map_or_else(Vec::new, |policy| {
                possible(policy, &state.phase)
                    .into_iter()
                    .map(Action::of)
                    .collect()
            }),
            may_operate: false,
            done: None,
            exposure_chart: None,
            panels: read.map_or_else(Vec::new, |(policy, assessment)| {
                Panel::all(policy, assessment, course)
            }),
            ratio: assessment.and_then(|assessment| SampleRatio::new(&assessment.data, course)),
            combined: assessment.and_then(combined),
            aftermath: status
                .as_deref()
                .map(|status| Prose::new(&status.aftermath.sentence())),
            trail: Trail::default(),
            others: Vec::new(),
            frame,
        }
    }
}

/// The numbers of what is to blame, in a sentence.
fn because(policy: &Policy, assessment: &Assessment) -> Option<Prose> {
    let blame = assessment.blame.as_ref()?;
    let metric = policy.metrics.iter().find(|metric| metric.name == blame.metric)?;
    let evidence = assessment
        .metrics
        .iter()
        .find(|evidence| evidence.metric == blame.metric)?;
    let numbers = numbers::sentence(metric, evidence, assessment, policy.analysis.alpha);
    Some(Prose::new(&format!("`{}`: {}", blame.metric, numbers.text())))
}

/// What all guarded metrics together say.
fn combined(assessment: &Assessment) -> Option<Gauge> {
    Some(Gauge::new(
        "The candidate is worse",
        "all guarded metrics together; at the threshold, it is taken back",
        Tone::Bad,
        assessment.log_e_combined?,
        assessment.threshold,
    ))
}

fn steps(policy: &Policy, phase: &Phase) -> Vec<StepRow> {
    let drawn = ladder(policy, Some(phase)).rungs;
    let rows = policy.steps.iter().zip(drawn).enumerate();
    rows.map(|(index, (step, rung))| StepRow {
        number: index + 1,
        exposure: rung.exposure,
        state: rung.state,
        said: rung.said,
        bake: show_duration(step.bake),
        samples: figures::count(step.samples),
        approval: step.approval,
    })
    .collect()
}

/// `Rolled back` for `rolled_back`.
pub(super) fn title_of(phase: &Phase) -> String {
    capital(&explain::place(phase))
}

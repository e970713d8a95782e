//! How a rollout stands, and how it came there: its card, its ladder, its exposure over time.

use super::Known;
use super::trail::{Stay, Trail};
use crate::analysis::Assessment;
use crate::console::numbers;
use crate::console::words::{
    Chip, Ladder, Moment, Prose, ladder, phase_chip, rollout_standing, verdict_chip,
};
use crate::figures;
use crate::policy::Policy;
use crate::policy::quantity::show_duration;
use crate::rollout::{Phase, explain};
use askama::Template;
use askama::filters::HtmlSafe;
use jiff::{SignedDuration, Timestamp};

/// Rows of exposure over time: the newest.
const STAYS_MAX: usize = 100;

/// How a rollout stands.
#[derive(Debug, Template)]
#[template(path = "standing.html", config = "src/console/askama.toml")]
pub(super) struct Standing {
    pub(super) id: String,
    pub(super) policy: String,
    pub(super) stable: u32,
    pub(super) candidate: u32,
    pub(super) phase: Chip,
    verdict: Option<Chip>,
    exposure: String,
    ladder: Option<Ladder>,
    /// Why it stands where it stands.
    sentence: Prose,
    /// The numbers, where numbers decide.
    because: Option<Prose>,
    began: Moment,
    since: String,
    since_moment: Moment,
    overruled: bool,
    /// What users may still meet after a rollback.
    pub(super) aftermath: Option<Prose>,
}

/// Its template has escaped it.
impl HtmlSafe for Standing {}

impl Standing {
    pub(super) fn new(known: &Known, assessment: Option<&Assessment>, now: Timestamp) -> Self {
        let Known {
            state,
            policy,
            status,
        } = known;
        let (policy, status) = (policy.as_deref(), status.as_deref());
        let since = state.changed_at.max(state.entered_at);
        let sentence = match status {
            Some(status) => rollout_standing(status, now),
            None => explain::phase(&state.phase),
        };
        let exposure = match (status, policy) {
            (Some(status), _) => figures::percentage(status.exposure.ratio()),
            (None, Some(policy)) => figures::percentage(state.exposure(policy).ratio()),
            (None, None) => figures::NOTHING.to_owned(),
        };
        Self {
            id: state.id.to_string(),
            policy: state.policy.to_string(),
            stable: state.stable.get(),
            candidate: state.candidate.get(),
            phase: phase_chip(&state.phase),
            verdict: assessment.map(|assessment| verdict_chip(assessment.verdict)),
            exposure,
            ladder: policy.map(|policy| ladder(policy, Some(&state.phase))),
            sentence: Prose::new(&sentence),
            because: policy
                .zip(assessment)
                .and_then(|(policy, assessment)| because(policy, assessment)),
            began: Moment::new(state.started_at),
            since: explain::span(now.duration_since(since)),
            since_moment: Moment::new(since),
            overruled: state.fail_overruled,
            aftermath: status.map(|status| Prose::new(&status.aftermath.sentence())),
        }
    }

    /// The same for those who hear the page change.
    pub(super) fn told(&self) -> String {
        let (phase, exposure, sentence) = (self.phase.word, &self.exposure, self.sentence.text());
        format!("{phase}, {exposure} in treatment: {sentence}")
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

/// The ladder with what each step asks for, and when users were there.
#[derive(Debug, Template)]
#[template(path = "steps.html", config = "src/console/askama.toml")]
pub(super) struct Steps {
    rows: Vec<StepRow>,
}

/// Its template has escaped it.
impl HtmlSafe for Steps {}

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
    /// When it was entered first.
    entered: Option<Moment>,
    /// How long the rollout was in it, pauses and returns included.
    spent: String,
}

impl Steps {
    pub(super) fn new(policy: &Policy, phase: &Phase, trail: &Trail, now: Timestamp) -> Self {
        let drawn = ladder(policy, Some(phase)).rungs;
        let rows = policy.steps.iter().zip(drawn).enumerate();
        let row = |(index, (step, rung)): (usize, (&crate::policy::Step, crate::console::words::Rung))| {
            let mut there = trail
                .stays(now)
                .filter(|stay| stay.state.phase.step() == Some(index))
                .peekable();
            let entered = there.peek().map(|stay| stay.since);
            let spent = there.map(|stay| stay.length()).sum::<SignedDuration>();
            StepRow {
                number: index + 1,
                exposure: rung.exposure,
                state: rung.state,
                said: rung.said,
                bake: show_duration(step.bake),
                samples: figures::count(step.samples),
                approval: step.approval,
                entered: entered.map(Moment::new),
                spent: entered.map_or_else(|| figures::NOTHING.to_owned(), |_| explain::span(spent)),
            }
        };
        Self {
            rows: rows.map(row).collect(),
        }
    }
}

/// A time in one place with one exposure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StayRow {
    pub(super) since: Moment,
    pub(super) place: String,
    pub(super) exposure: String,
    pub(super) length: String,
}

/// Exposure over time, newest first, and how many older rows there are.
pub(super) fn stays(trail: &Trail, policy: &Policy, now: Timestamp) -> (Vec<StayRow>, usize) {
    let shown = |stay: &Stay<'_>| {
        let exposure = figures::percentage(stay.state.exposure(policy).ratio());
        (explain::place(&stay.state.phase), exposure)
    };
    let all: Vec<Stay<'_>> = trail.stays(now).collect();
    let same: Vec<&[Stay<'_>]> = all.chunk_by(|one, next| shown(one) == shown(next)).collect();
    let row = |stays: &[Stay<'_>]| {
        let first = stays.first()?;
        let (place, exposure) = shown(first);
        Some(StayRow {
            since: Moment::new(first.since),
            place,
            exposure,
            length: explain::span(stays.iter().map(Stay::length).sum()),
        })
    };
    let rows = same.iter().rev().take(STAYS_MAX);
    (
        rows.filter_map(|stays| row(stays)).collect(),
        same.len().saturating_sub(STAYS_MAX),
    )
}

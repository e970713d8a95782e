//! Every policy at a glance, the failing ones first.

use super::Console;
use super::frame::{Frame, PageError, Section, page};
use super::visitor::{Visitor, encoded};
use super::words::{Chip, Ladder, Moment, Prose, ladder, phase_chip, standing, verdict_chip};
use crate::analysis::Verdict;
use crate::api::access::Read;
use crate::controller::{Board, PolicyStatus, RolloutStatus, Trouble};
use crate::figures;
use crate::policy::problem::Severity;
use crate::rollout::{Phase, StayReason, explain};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;

/// Policies on one page.
const ROWS_MAX: usize = 100;

/// What is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    show: String,
    q: String,
    page: String,
}

/// How urgent a policy is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Worse, and not back yet.
    Failing,
    /// Waits for a person, for data, or for a registry.
    HeldUp,
    /// Was taken back.
    TakenBack,
    /// On its way.
    Running,
    /// Over, or not begun.
    Quiet,
}

impl Rank {
    const ALL: [Self; 5] = [
        Self::Failing,
        Self::HeldUp,
        Self::TakenBack,
        Self::Running,
        Self::Quiet,
    ];

    /// The word in the address, which is that of the CSS class, too.
    fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::HeldUp => "held-up",
            Self::TakenBack => "taken-back",
            Self::Running => "running",
            Self::Quiet => "quiet",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::HeldUp => "held up",
            Self::TakenBack => "rolled back",
            Self::Running => "on their way",
            Self::Quiet => "at rest",
        }
    }

    fn of(status: &PolicyStatus) -> Self {
        if status.removed || status.registry_error.is_some() {
            return Self::HeldUp;
        }
        status.rollout.as_deref().map_or(Self::Quiet, Self::of_rollout)
    }

    fn of_rollout(rollout: &RolloutStatus) -> Self {
        let verdict = rollout.assessment.as_deref().map(|assessment| assessment.verdict);
        match &rollout.state.phase {
            Phase::RollingBack { .. } => Self::Failing,
            Phase::RolledBack { .. } => Self::TakenBack,
            Phase::Promoted | Phase::Superseded { .. } => Self::Quiet,
            Phase::Paused { .. } if verdict == Some(Verdict::Fail) => Self::Failing,
            Phase::Paused { .. } => Self::HeldUp,
            Phase::Pending | Phase::Ramping { .. } | Phase::Promoting | Phase::Watching
                if verdict == Some(Verdict::Fail) =>
            {
                Self::Failing
            }
            Phase::Pending | Phase::Ramping { .. } | Phase::Promoting | Phase::Watching
                if is_held_up(&rollout.stay) =>
            {
                Self::HeldUp
            }
            Phase::Pending | Phase::Ramping { .. } | Phase::Promoting | Phase::Watching => Self::Running,
        }
    }
}

/// Whether a rollout stays for a reason that somebody should look at.
fn is_held_up(stay: &StayReason) -> bool {
    match stay {
        StayReason::Evaluation(_)
        | StayReason::Approval { .. }
        | StayReason::NoData { .. }
        | StayReason::SampleRatio(_)
        | StayReason::Paused { .. }
        | StayReason::RegistryAway
        | StayReason::SteppedBack { .. }
        | StayReason::Overruled { .. } => true,
        StayReason::Baking { .. }
        | StayReason::Samples { .. }
        | StayReason::Undecided { .. }
        | StayReason::AwaitingLabel { .. }
        | StayReason::Watching { .. }
        | StayReason::Ended
        | StayReason::Refused(_) => false,
    }
}

/// A policy in the table.
#[derive(Debug)]
struct Row {
    rank: Rank,
    policy: String,
    owner: Option<String>,
    prompt: String,
    rollout: Option<RolloutCells>,
    ladder: Ladder,
    standing: Prose,
    /// What else is wrong.
    trouble: Option<Prose>,
}

/// What a rollout adds to its policy.
#[derive(Debug)]
struct RolloutCells {
    id: String,
    versions: String,
    phase: Chip,
    exposure: String,
    verdict: Option<Chip>,
    /// How long it has been where it is.
    since: String,
    since_moment: Moment,
}

impl Row {
    fn new(status: &PolicyStatus, now: Timestamp) -> Self {
        let rollout = status.rollout.as_deref();
        let trouble = match &status.registry_error {
            Some(error) => Some(format!("the labels cannot be read: {error}")),
            None if status.removed => Some("the policy's file is gone".to_owned()),
            None => None,
        };
        Self {
            rank: Rank::of(status),
            policy: status.policy.name.to_string(),
            owner: status.policy.owner.as_ref().map(ToString::to_string),
            prompt: status.policy.prompt.to_string(),
            ladder: ladder(&status.policy, rollout.map(|rollout| &rollout.state.phase)),
            rollout: rollout.map(|rollout| RolloutCells::new(rollout, now)),
            standing: standing(status, now),
            trouble: trouble.as_deref().map(Prose::new),
        }
    }

    /// Whether it has a text in its names.
    fn is_about(&self, text: &str) -> bool {
        let names = [Some(&self.policy), self.owner.as_ref(), Some(&self.prompt)];
        names
            .into_iter()
            .flatten()
            .any(|name| name.to_lowercase().contains(text))
    }
}

impl RolloutCells {
    fn new(rollout: &RolloutStatus, now: Timestamp) -> Self {
        let state = &rollout.state;
        let since = state.changed_at.max(state.entered_at);
        Self {
            id: state.id.to_string(),
            versions: format!("{} → {}", state.stable, state.candidate),
            phase: phase_chip(&state.phase),
            exposure: figures::percentage(rollout.exposure.ratio()),
            verdict: rollout
                .assessment
                .as_deref()
                .map(|assessment| verdict_chip(assessment.verdict)),
            since: explain::span(now.duration_since(since)),
            since_moment: Moment::new(since),
        }
    }
}

/// How many policies there are of a rank.
#[derive(Debug)]
struct Tally {
    count: usize,
    title: &'static str,
    word: &'static str,
    address: String,
    is_shown: bool,
}

#[derive(Template)]
#[template(path = "overview.html", config = "src/console/askama.toml")]
struct OverviewPage {
    frame: Frame,
    tallies: Vec<Tally>,
    rows: Vec<Row>,
    q: String,
    show: String,
    found: usize,
    policies: usize,
    first: usize,
    last: usize,
    before: Option<String>,
    after: Option<String>,
    troubles: Vec<Prose>,
    refused_files: usize,
    warnings: usize,
    ticked: Option<String>,
}

/// The page.
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor<Read>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let frame = Frame::new(&console, &visitor, Section::Overview, "Overview").live(None);
    let overview = OverviewPage::new(frame, &console.board(), &asked, console.now());
    page(&console, &visitor, &overview)
}

impl OverviewPage {
    fn new(frame: Frame, board: &Board, asked: &Asked, now: Timestamp) -> Self {
        let text = asked.q.trim().to_lowercase();
        let mut rows: Vec<Row> = board
            .policies
            .values()
            .map(|status| Row::new(status, now))
            .collect();
        rows.retain(|row| row.is_about(&text));
        let shown = Rank::ALL.into_iter().find(|rank| rank.word() == asked.show);
        let tally = |rank: Rank| Tally {
            count: rows.iter().filter(|row| row.rank == rank).count(),
            title: rank.title(),
            word: rank.word(),
            address: address(rank.word(), &asked.q, 1),
            is_shown: shown == Some(rank),
        };
        let tallies = Rank::ALL.into_iter().map(tally).collect();
        rows.retain(|row| shown.is_none_or(|rank| row.rank == rank));
        // Names are in order already, and a stable sort leaves them so.
        rows.sort_by_key(|row| row.rank);
        let found = rows.len();
        let pages = found.div_ceil(ROWS_MAX).max(1);
        let number = asked.page.parse::<usize>().unwrap_or(1).clamp(1, pages);
        let first = (number - 1) * ROWS_MAX;
        let rows: Vec<Row> = rows.into_iter().skip(first).take(ROWS_MAX).collect();
        let at = |number: usize| address(&asked.show, &asked.q, number);
        let refused_files = problems(board, Severity::Error);
        Self {
            frame,
            tallies,
            first: first + 1,
            last: first + rows.len(),
            rows,
            q: asked.q.clone(),
            show: shown.map_or("", Rank::word).to_owned(),
            found,
            policies: board.policies.len(),
            before: (number > 1).then(|| at(number - 1)),
            after: (number < pages).then(|| at(number + 1)),
            troubles: board.troubles.iter().map(trouble).collect(),
            refused_files,
            warnings: problems(board, Severity::Warning),
            ticked: board.ticked_at.map(|at| explain::span(now.duration_since(at))),
        }
    }
}

fn problems(board: &Board, severity: Severity) -> usize {
    let of_severity = board
        .problems
        .iter()
        .filter(|problem| problem.severity == severity);
    of_severity.count()
}

fn trouble(trouble: &Trouble) -> Prose {
    Prose::new(&match trouble {
        Trouble::Registry { registry, error } => {
            format!("registry `{registry}` does not answer, and nothing advances without it: {error}")
        }
        Trouble::Cache { cache, error } => format!(
            "cache `{cache}` does not answer, and applications may get from it what labels pointed at before: {error}"
        ),
        Trouble::Store { error } => format!("the store does not answer, and nothing advances: {error}"),
        Trouble::Notices {
            policy,
            waiting,
            error,
        } => format!("notifications of `{policy}` are not taken, {waiting} wait: {error}"),
    })
}

/// The address of a part of the table.
fn address(show: &str, q: &str, page: usize) -> String {
    let mut parameters = Vec::new();
    for (name, value) in [("show", show), ("q", q)] {
        if !value.is_empty() {
            parameters.push(format!("{name}={}", encoded(value)));
        }
    }
    if page > 1 {
        parameters.push(format!("page={page}"));
    }
    if parameters.is_empty() {
        "/".to_owned()
    } else {
        format!("/?{}", parameters.join("&"))
    }
}

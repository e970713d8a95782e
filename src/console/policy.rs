//! Policies as they are in force: their files, what is wrong with them, and what to expect of a rollout.

use super::Console;
use super::frame::{Frame, PageError, Section, not_found, page};
use super::visitor::Visitor;
use super::words::{Chip, Ladder, Moment, Prose, ladder, phase_chip, standing};
use crate::analysis::power::{
    Conditions, Forecast, Outcome, RegressionForecast, StepForecast, Visits, WaitsFor, forecast,
    regressions_in_margins,
};
use crate::api::access::Read;
use crate::api::problem::Problem as ApiProblem;
use crate::api::views::policy::warnings;
use crate::controller::{Board, PolicyStatus, RolloutStatus};
use crate::figures;
use crate::ids::PolicyName;
use crate::policy::problem::{Problem, Severity};
use crate::policy::{Metric, Policy};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Policies that one page lists.
const LISTED_MAX: usize = 1_000;
/// Problems that one page lists.
const PROBLEMS_MAX: usize = 200;
const SECONDS_PER_HOUR: f64 = 3_600.0;

/// A policy in the list.
#[derive(Debug)]
struct Row {
    name: String,
    owner: Option<String>,
    prompt: String,
    steps: usize,
    metrics: usize,
}

/// A mistake in a file, or something to think about.
#[derive(Debug)]
struct ProblemRow {
    place: String,
    is_error: bool,
    code: &'static str,
    message: Prose,
    help: Option<Prose>,
}

impl From<&Problem> for ProblemRow {
    fn from(problem: &Problem) -> Self {
        let name = problem.file.rsplit(['/', '\\']).next().unwrap_or(&problem.file);
        let place = match problem.span.line {
            0 => name.to_owned(),
            line => format!("{name}:{line}:{}", problem.span.column),
        };
        Self {
            place,
            is_error: problem.severity == Severity::Error,
            code: problem.code,
            message: Prose::new(&problem.message),
            help: problem.help.as_deref().map(Prose::new),
        }
    }
}

#[derive(Template)]
#[template(path = "policies.html", config = "src/console/askama.toml")]
struct PoliciesPage {
    frame: Frame,
    rows: Vec<Row>,
    more: usize,
    problems: Vec<ProblemRow>,
    more_problems: usize,
    loaded: Option<Moment>,
}

/// The list.
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    visitor: Visitor<Read>,
) -> Result<Response, PageError> {
    let board = console.board();
    let row = |status: &Arc<PolicyStatus>| Row {
        name: status.policy.name.to_string(),
        owner: status.policy.owner.as_ref().map(ToString::to_string),
        prompt: status.policy.prompt.to_string(),
        steps: status.policy.steps.len(),
        metrics: status.policy.metrics.len(),
    };
    let list = PoliciesPage {
        frame: Frame::new(&console, &visitor, Section::Policies, "Policies"),
        rows: board.policies.values().take(LISTED_MAX).map(row).collect(),
        more: board.policies.len().saturating_sub(LISTED_MAX),
        problems: board.problems.iter().take(PROBLEMS_MAX).map(Into::into).collect(),
        more_problems: board.problems.len().saturating_sub(PROBLEMS_MAX),
        loaded: board.loaded_at.map(Moment::new),
    };
    page(&console, &visitor, &list)
}

/// What is known of the traffic.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Traffic {
    per_hour: String,
    per_user: String,
}

/// A metric of the policy.
#[derive(Debug)]
struct MetricRow {
    name: String,
    kind: &'static str,
    role: String,
    margin: String,
    limit: String,
}

/// What to expect.
#[derive(Debug)]
struct Plan {
    steps: Vec<PlanStep>,
    total: String,
    regressions: Vec<PlanRegression>,
}

#[derive(Debug)]
struct PlanStep {
    number: usize,
    exposure: String,
    waits_for: String,
    takes: String,
    users: String,
}

#[derive(Debug)]
struct PlanRegression {
    what: String,
    outcome: String,
}

#[derive(Template)]
#[template(path = "policy.html", config = "src/console/askama.toml")]
struct PolicyPage {
    frame: Frame,
    name: String,
    owner: Option<String>,
    prompt: String,
    prompt_address: String,
    is_embedded: bool,
    registry: String,
    revision: String,
    control: String,
    treatment: String,
    removed: bool,
    ladder: Ladder,
    standing: Prose,
    rollout: Option<(String, Chip)>,
    metrics: Vec<MetricRow>,
    /// What is wrong with its file.
    problems: Vec<ProblemRow>,
    /// Lines of the file, for those who may see it.
    source: Option<Vec<String>>,
    per_hour: String,
    per_user: String,
    is_measured: bool,
    plan: Option<Plan>,
    refused: Option<String>,
}

/// One policy.
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor<Read>,
    Path(name): Path<String>,
    Query(traffic): Query<Traffic>,
) -> Result<Response, PageError> {
    let name = PolicyName::new(&name).map_err(|_| not_found("such policy"))?;
    let board = console.board();
    let status = board
        .policies
        .get(&name)
        .ok_or_else(|| not_found("such policy"))?;
    let now = console.now();
    let measured = status
        .rollout
        .as_deref()
        .and_then(|rollout| measured(rollout, now));
    let asked = conditions(&traffic, measured);
    let policy = Arc::clone(&status.policy);
    let planned = match asked.clone() {
        Some(asked) => tokio::task::spawn_blocking(move || plan(&policy, &asked))
            .await
            .map_err(|error| ApiProblem::internal(&error))?
            .map(Some),
        None => Ok(None),
    };
    let frame = Frame::new(&console, &visitor, Section::Policies, name.as_str()).live(Some(name.as_str()));
    let (plan, refused) = match planned {
        Ok(plan) => (plan, None),
        Err(refused) => (None, Some(refused)),
    };
    let shown = PolicyPage {
        problems: problems(&board, status),
        source: visitor
            .seat
            .may_operate
            .then(|| status.policy.source.lines().map(str::to_owned).collect()),
        per_hour: match (&asked, traffic.per_hour.is_empty()) {
            (Some(asked), true) => figures::shortest(asked.observations_per_hour, 3),
            (_, _) => traffic.per_hour.clone(),
        },
        per_user: if traffic.per_user.is_empty() {
            "1".to_owned()
        } else {
            traffic.per_user.clone()
        },
        is_measured: traffic.per_hour.is_empty() && measured.is_some(),
        plan,
        refused,
        ..PolicyPage::new(frame, status, now)
    };
    page(&console, &visitor, &shown)
}

/// What is wrong with a policy: warnings about the text that is in force, and whatever stands against a
/// newer text of the file that has its name.
fn problems(board: &Board, status: &PolicyStatus) -> Vec<ProblemRow> {
    let (policy, warnings) = (&status.policy, warnings(status));
    let is_of = |problem: &&Problem| {
        let file = std::path::Path::new(&*problem.file);
        problem.severity == Severity::Error
            && file.file_stem().is_some_and(|stem| stem == policy.name.as_str())
    };
    let refused = board.problems.iter().filter(is_of);
    refused
        .chain(&warnings)
        .take(PROBLEMS_MAX)
        .map(Into::into)
        .collect()
}

/// Observations an hour of the metric that has most, so far in this rollout.
fn measured(rollout: &RolloutStatus, now: Timestamp) -> Option<f64> {
    let assessment = rollout.assessment.as_deref()?;
    let hours = assessment
        .at
        .min(now)
        .duration_since(rollout.state.started_at)
        .as_secs_f64()
        / SECONDS_PER_HOUR;
    let most = assessment
        .metrics
        .iter()
        .map(|evidence| evidence.control.count + evidence.treatment.count)
        .max()?;
    #[expect(clippy::cast_precision_loss, reason = "a forecast needs three digits")]
    let per_hour = most as f64 / hours;
    (hours > 0.0 && most > 0).then_some(per_hour)
}

/// What the form says, or was measured; none where nothing is known.
fn conditions(traffic: &Traffic, measured: Option<f64>) -> Option<Conditions> {
    let observations_per_hour = match traffic.per_hour.trim() {
        "" => measured?,
        text => text.parse().unwrap_or(f64::NAN),
    };
    let per_user = match traffic.per_user.trim() {
        "" => 1.0,
        text => text.parse().unwrap_or(f64::NAN),
    };
    Some(Conditions {
        observations_per_hour,
        visits: Visits {
            per_user,
            ..Visits::ONCE
        },
        baselines: BTreeMap::new(),
    })
}

fn plan(policy: &Policy, conditions: &Conditions) -> Result<Plan, String> {
    let regressions = regressions_in_margins(policy, conditions);
    let forecast = forecast(policy, conditions, &regressions).map_err(|error| error.to_string())?;
    let steps = forecast.steps.iter().zip(1..);
    Ok(Plan {
        steps: steps
            .map(|(step, number)| plan_step(step, number, conditions.visits.per_user))
            .collect(),
        total: total(policy, &forecast),
        regressions: forecast.regressions.iter().map(plan_regression).collect(),
    })
}

fn total(policy: &Policy, forecast: &Forecast) -> String {
    match forecast.hours {
        Some(hours) => format!(
            "{} until promotion, and {} of watching after it",
            figures::hours(hours),
            figures::hours(policy.watch.as_secs_f64() / SECONDS_PER_HOUR)
        ),
        None => "it is never promoted with this traffic".to_owned(),
    }
}

fn plan_step(step: &StepForecast, number: usize, per_user: f64) -> PlanStep {
    let waits_for = match &step.waits_for {
        WaitsFor::Bake => "its bake".to_owned(),
        WaitsFor::Samples => format!("{} samples", figures::count(step.samples)),
        WaitsFor::Evidence(metric) => format!("proof that {metric} is healthy"),
        WaitsFor::Patience => "the end of the policy's patience".to_owned(),
    };
    let users = step.hours.map(|_| step.treated / per_user);
    PlanStep {
        number,
        exposure: figures::percentage(step.exposure.ratio()),
        waits_for,
        takes: step.hours.map_or_else(|| "never left".to_owned(), figures::hours),
        users: users.map_or_else(|| figures::NOTHING.to_owned(), people),
    }
}

/// A forecast of users, as a whole number.
fn people(users: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count that is rounded; what is beyond u64 stays at its end"
    )]
    let whole = users.round() as u64;
    figures::count(whole)
}

fn plan_regression(regression: &RegressionForecast) -> PlanRegression {
    let size = regression.margins.map_or_else(String::new, |margins| {
        let plural = if margins > 1.0 { "s" } else { "" };
        format!(" by {} margin{plural}", figures::shortest(margins, 3))
    });
    let outcome = match regression.outcome {
        Outcome::Caught { median, .. } => format!(
            "taken back after {}, when {} users have met it, in half of all rollouts",
            figures::hours(median.hours),
            people(median.users)
        ),
        Outcome::Tolerated { hours } => format!("proved to be tolerable after {}", figures::hours(hours)),
        Outcome::Unnoticed => "not proved while the rollout runs".to_owned(),
    };
    PlanRegression {
        what: format!("{} worse{size}", regression.metric),
        outcome,
    }
}

impl PolicyPage {
    fn new(frame: Frame, status: &PolicyStatus, now: Timestamp) -> Self {
        let policy = &status.policy;
        let version = |found: Option<Option<crate::ids::Version>>| match found {
            Some(Some(version)) => format!("version {version}"),
            Some(None) => "no version".to_owned(),
            None => "not read yet".to_owned(),
        };
        let labels = status.labels.as_ref();
        let rollout = status.rollout.as_deref();
        Self {
            name: policy.name.to_string(),
            owner: policy.owner.as_ref().map(ToString::to_string),
            prompt: policy.prompt.to_string(),
            prompt_address: super::prompt::address(&policy.prompt),
            is_embedded: policy.registry.as_str() == crate::ids::RegistryName::EMBEDDED,
            registry: policy.registry.to_string(),
            revision: policy.revision.to_string(),
            control: format!(
                "{} → {}",
                policy.labels.control,
                version(labels.map(|labels| labels.control.version))
            ),
            treatment: format!(
                "{} → {}",
                policy.labels.treatment,
                version(labels.map(|labels| labels.treatment.version))
            ),
            removed: status.removed,
            ladder: ladder(policy, rollout.map(|rollout| &rollout.state.phase)),
            standing: standing(status, now),
            rollout: rollout.map(|rollout| (rollout.state.id.to_string(), phase_chip(&rollout.state.phase))),
            metrics: policy.metrics.iter().map(metric_row).collect(),
            problems: Vec::new(),
            source: None,
            per_hour: String::new(),
            per_user: String::new(),
            is_measured: false,
            plan: None,
            refused: None,
            frame,
        }
    }
}

fn metric_row(metric: &Metric) -> MetricRow {
    use crate::policy::{Better, Margin, Role};
    let scale = super::numbers::Scale::of(metric);
    let margin = match metric.margin {
        Margin::Absolute(margin) => scale.margin(Some(margin), false),
        Margin::Relative(margin) => format!("{} of control's", figures::percentage(margin)),
        Margin::Exceedance(margin) => format!(
            "{} pp above control's quantile",
            figures::shortest(margin * 100.0, 3)
        ),
    };
    let limit = match (metric.limit, metric.better) {
        (None, _) => figures::NOTHING.to_owned(),
        (limit, Better::Higher) => format!("at least {}", scale.value(limit)),
        (limit, Better::Lower) => format!("at most {}", scale.value(limit)),
    };
    let role = match metric.role {
        Role::Guardrail => "guardrail",
        Role::Goal => "goal",
        Role::Watched => "watched",
    };
    let critical = if metric.critical { ", critical" } else { "" };
    MetricRow {
        name: metric.name.to_string(),
        kind: metric.kind.as_str(),
        role: format!("{role}{critical}"),
        margin,
        limit,
    }
}

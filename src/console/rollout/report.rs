//! A rollout as one page to keep, to send or to print: no script, nothing loaded, its style inside.
//!
//! It is what `serin explain` tells, with the charts and tables of the rollout's page. The page itself
//! holds the policy under which browsers show it (Content Security Policy Level 3, section 3.3), so that a
//! copy on disk is held to it as well: nothing but its own style sheet, known by its hash (section 8.4).

use super::History;
use super::panel::Measured;
use super::standing::{Standing, StayRow, Steps, stays};
use super::trail::Trail;
use crate::analysis::{Assessment, Evidence, PerArm};
use crate::api::access::{Allowed, Read};
use crate::api::problem::Problem;
use crate::api::schema::RolloutIdText;
use crate::api::{App, Path, Query};
use crate::console::Console;
use crate::console::assets::REPORT_STYLE;
use crate::console::chart::Chart;
use crate::console::frame::PageError;
use crate::console::visitor::Visitor;
use crate::console::words::Moment;
use crate::figures;
use crate::ids::RolloutId;
use crate::store::Scope;
use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::{Arc, LazyLock};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Entries of the history that a report holds: the newest.
const TRAIL_KEPT_MAX: usize = 2_000;

/// What a browser may do with a report.
static ALLOWED: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(REPORT_STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
});

/// The style sheet, as it stands in the page: text of ours, in which nothing is escaped.
#[derive(Debug)]
struct Style;

impl HtmlSafe for Style {}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REPORT_STYLE)
    }
}

/// The policy's file, for those who may see it.
#[derive(Debug)]
enum PolicyText {
    Shown(Arc<str>),
    Hidden,
    Gone,
}

/// What was counted and left out, in one row for both arms.
#[derive(Debug)]
struct CountRow {
    what: &'static str,
    control: String,
    treatment: String,
}

impl CountRow {
    fn new(what: &'static str, counts: PerArm) -> Self {
        Self {
            what,
            control: figures::count(counts.control),
            treatment: figures::count(counts.treatment),
        }
    }
}

/// When a metric was observed last.
#[derive(Debug)]
struct FreshnessRow {
    metric: String,
    is_silent: bool,
    control: String,
    treatment: String,
    cut: String,
}

impl From<&Evidence> for FreshnessRow {
    fn from(evidence: &Evidence) -> Self {
        let last = |arm: &crate::analysis::ArmEvidence| {
            let seen = arm.last_seen.map(|tick| Moment::new(tick.begins()).text);
            seen.unwrap_or_else(|| figures::NOTHING.to_owned())
        };
        Self {
            metric: evidence.metric.to_string(),
            is_silent: evidence.silent_since.is_some(),
            control: last(&evidence.control),
            treatment: last(&evidence.treatment),
            cut: figures::count(evidence.control.clipped + evidence.treatment.clipped),
        }
    }
}

/// Whether the data can carry a verdict.
#[derive(Debug)]
struct Quality {
    through: Moment,
    counts: Vec<CountRow>,
    metrics: Vec<FreshnessRow>,
}

impl From<&Assessment> for Quality {
    fn from(assessment: &Assessment) -> Self {
        let data = &assessment.data;
        Self {
            through: Moment::new(assessment.through.next().begins()),
            counts: vec![
                CountRow::new("Users", data.split.users),
                CountRow::new("Users of whom an observation was left out", data.excluded.users),
                CountRow::new("Left out: the application served a fallback", data.fallback),
                CountRow::new("Left out: a value was out of range", data.out_of_range),
            ],
            metrics: assessment.metrics.iter().map(Into::into).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "report.html", config = "src/console/askama.toml")]
struct Report {
    allowed: &'static str,
    style: Style,
    standing: Standing,
    prompt: String,
    registry: String,
    owner: Option<String>,
    revision: String,
    ended: Option<Moment>,
    steps: Option<Steps>,
    exposure_chart: Option<Chart>,
    stays: Vec<StayRow>,
    stays_older: usize,
    numbers: Measured,
    quality: Option<Quality>,
    trail: Trail,
    file: PolicyText,
    version: &'static str,
    made: Moment,
}

impl Report {
    fn new(history: History, file: PolicyText, now: Timestamp) -> Self {
        let known = &history.known;
        let (state, policy) = (&known.state, known.policy.as_deref());
        let of_policy = |text: fn(&crate::policy::Policy) -> String| {
            policy.map_or_else(|| figures::NOTHING.to_owned(), text)
        };
        let (stays, stays_older) =
            policy.map_or_else(Default::default, |policy| stays(&history.trail, policy, now));
        Self {
            allowed: &ALLOWED,
            style: Style,
            standing: history.standing(now),
            prompt: of_policy(|policy| policy.prompt.to_string()),
            registry: of_policy(|policy| policy.registry.to_string()),
            owner: policy.and_then(|policy| policy.owner.as_ref().map(ToString::to_string)),
            revision: state.revision.to_string(),
            ended: state.phase.is_over().then(|| Moment::new(state.changed_at)),
            steps: policy.map(|policy| Steps::new(policy, &state.phase, &history.trail, now)),
            exposure_chart: history.exposure_chart(now),
            stays,
            stays_older,
            numbers: history.measured().kept(),
            quality: history.assessment.as_deref().map(Into::into),
            trail: history.trail,
            file,
            version: env!("CARGO_PKG_VERSION"),
            made: Moment::new(now),
        }
    }
}

/// The report of a rollout; the policy's file is in it for those who may see it.
async fn report(app: &App, id: RolloutId, sees_file: bool) -> Result<Response, Problem> {
    let history = History::read(app, id, TRAIL_KEPT_MAX).await?;
    let state = &history.known.state;
    let file = if sees_file {
        let source = app.store().policy_source(&state.revision).await?;
        source.map_or(PolicyText::Gone, PolicyText::Shown)
    } else {
        PolicyText::Hidden
    };
    let name = format!("inline; filename=\"{}-{}.html\"", state.policy, state.id);
    let report = Report::new(history, file, app.now());
    let html = report.render().map_err(|error| Problem::internal(&error))?;
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            format!("{}; frame-ancestors 'none'", *ALLOWED),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Html(html)).into_response())
}

/// The report, for somebody at the console.
pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor<Read>,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<Response, PageError> {
    Ok(report(&console.app, super::parsed(&id)?, visitor.seat.may_operate).await?)
}

/// The route that is described with the API's.
pub(in crate::console) fn described() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(answer))
}

/// A rollout as one self-contained HTML page, to keep, to send or to print.
///
/// It holds why the rollout moved and why it stands where it stands, the numbers with their charts, and the
/// history. Needs any token; the policy's file is in it with the scope `operate`, because it may name
/// webhooks.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{rollout}/report",
    operation_id = "report",
    tag = "rollouts",
    params(("rollout" = inline(RolloutIdText), Path)),
    responses(
        (status = 200, description = "the page", body = String, content_type = "text/html"),
        (status = 404, description = "no such rollout"),
    )
)]
async fn answer(
    State(app): State<Arc<App>>,
    _: Allowed<Read>,
    Path(rollout): Path<RolloutId>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [] = query.fields([])?;
    let sees_file = app.access().may(&headers, Scope::Operate);
    report(&app, rollout, sees_file).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_ends_where_its_element_does_and_reaches_nowhere() {
        for blocked in ["</", "@import", "url(", "\r"] {
            assert!(!REPORT_STYLE.contains(blocked), "{blocked}");
        }
    }
}

//! Asking something of a rollout: a page that says what would happen and asks for the reason, and the form
//! that it sends.

use super::{Action, Known, parsed, title_of};
use crate::analysis::Verdict;
use crate::api::access::{Operate, local_actor};
use crate::api::problem::{Code, Problem};
use crate::console::Console;
use crate::console::form::one_line;
use crate::console::frame::{Frame, PageError, Section, not_found, seated};
use crate::console::visitor::{Posted, Visitor};
use crate::console::words::{Prose, capital};
use crate::figures;
use crate::ids::{Actor, Justification};
use crate::policy::Policy;
use crate::rollout::{Command, Phase, RolloutState, Verb};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "command.html", config = "src/console/askama.toml")]
struct CommandPage {
    frame: Frame,
    rollout: String,
    policy: String,
    word: &'static str,
    title: &'static str,
    is_danger: bool,
    stands: String,
    follows: Prose,
    warning: Option<Prose>,
    aftermath: Option<Prose>,
    asks_name: bool,
    name: String,
    reason: String,
    reason_chars_max: usize,
    refused: Option<Prose>,
}

fn verb(word: &str) -> Result<Verb, PageError> {
    let known = Verb::ALL.into_iter().find(|verb| verb.as_str() == word);
    known.ok_or_else(|| not_found("such command"))
}

/// The page that asks for the reason.
pub(in crate::console) async fn ask(
    State(console): State<Arc<Console>>,
    visitor: Visitor<Operate>,
    Path((id, word)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let verb = verb(&word)?;
    let known = Known::find(&console.app, parsed(&id)?).await?;
    let page = CommandPage::new(&console, &visitor, &known, verb);
    seated(&console, &visitor.seat, StatusCode::OK, &page)
}

/// Does it, or says why not on the page that asked.
pub(in crate::console) async fn carry_out(
    State(console): State<Arc<Console>>,
    Path((id, word)): Path<(String, String)>,
    posted: Posted<Operate>,
) -> Result<Response, PageError> {
    let Posted { visitor, fields } = posted;
    let verb = verb(&word)?;
    let known = Known::find(&console.app, parsed(&id)?).await?;
    let name = fields.get("actor").unwrap_or_default().trim();
    let reason = fields.get("reason").unwrap_or_default();
    let reason = one_line(reason);
    let asked = async {
        let actor = actor(visitor.seat.actor.as_ref(), name)?;
        let reason = Justification::new(&reason)
            .map_err(|refused| Problem::new(Code::BadField, format!("the reason {}", refused.rule())))?;
        let command = Command {
            verb,
            actor,
            reason,
            is_admin: visitor.seat.is_admin,
        };
        let done = console.app.controller().command(known.state.id, command).await;
        done.map_err(Problem::from)
    };
    match asked.await {
        Ok(state) => {
            let target = format!("/rollouts/{}?done={}", state.id, verb.as_str());
            let response = Redirect::to(&target).into_response();
            visitor.seat.remembered(&console, name, response)
        }
        Err(problem) => {
            let page = CommandPage {
                name: name.to_owned(),
                reason,
                refused: Some(Prose::new(problem.detail())),
                ..CommandPage::new(&console, &visitor, &known, verb)
            };
            seated(&console, &visitor.seat, problem.code().status(), &page)
        }
    }
}

/// Who asks: by token or session, else by the name that the form asks for on an open server.
pub(in crate::console) fn actor(known: Option<&Actor>, name: &str) -> Result<Actor, Problem> {
    let named = known.cloned().or_else(|| local_actor(name));
    named.ok_or_else(|| {
        Problem::new(
            Code::BadField,
            "a name has 1 to 100 bytes, and no control characters",
        )
    })
}

impl CommandPage {
    fn new(console: &Console, visitor: &Visitor<Operate>, known: &Known, verb: Verb) -> Self {
        let Action {
            word,
            title,
            is_danger,
        } = Action::of(verb);
        let state = &known.state;
        let frame_title = format!("{title} {}", state.policy);
        let policy = known.policy.as_deref();
        let verdict = known
            .status
            .as_deref()
            .and_then(|status| status.assessment.as_deref())
            .map(|assessment| assessment.verdict);
        let goes_on = matches!(verb, Verb::Resume | Verb::Step | Verb::Promote);
        let warning = (goes_on && verdict == Some(Verdict::Fail)).then_some(
            "the candidate is proved to be worse; going on overrules that, and no verdict takes it back any more",
        );
        Self {
            frame: Frame::new(console, visitor, Section::Overview, frame_title),
            rollout: state.id.to_string(),
            policy: state.policy.to_string(),
            word,
            title,
            is_danger,
            stands: title_of(&state.phase),
            follows: Prose::new(&follows(verb, state, policy)),
            warning: warning.map(Prose::new),
            aftermath: known
                .status
                .as_deref()
                .filter(|_| verb == Verb::RollBack)
                .map(|status| Prose::new(&status.aftermath.sentence())),
            asks_name: visitor.seat.actor.is_none(),
            name: String::new(),
            reason: String::new(),
            reason_chars_max: Justification::CHARS_MAX,
            refused: None,
        }
    }
}

/// What would happen.
fn follows(verb: Verb, state: &RolloutState, policy: Option<&Policy>) -> String {
    let exposure = |step: usize| {
        policy.map_or_else(
            || "its exposure".to_owned(),
            |policy| figures::percentage(policy.exposure_of(step).ratio()),
        )
    };
    let (stable, candidate) = (state.stable, state.candidate);
    let here = state
        .phase
        .step()
        .map_or_else(|| "its exposure".to_owned(), exposure);
    match verb {
        Verb::Pause => format!(
            "users keep what they have ({here} in treatment), and nothing advances until somebody resumes it; \
             a regression is acted on all the same"
        ),
        Verb::Resume => format!(
            "it goes on where it was paused, with {here} in treatment; the pause does not count as baking"
        ),
        Verb::Step => {
            let next = state.phase.step().map_or(0, |step| step + 1);
            format!(
                "exposure goes from {here} to {} now, whatever bake and samples are left",
                exposure(next)
            )
        }
        Verb::Promote => {
            format!("everybody gets version {candidate}: the control label moves to it, and it is watched on")
        }
        Verb::RollBack => {
            let labels = if state.promoted || state.phase == Phase::Promoted {
                "both labels go"
            } else {
                "the treatment label goes"
            };
            format!(
                "nobody is assigned version {candidate} any more from this moment on, and {labels} back to version {stable}"
            )
        }
        Verb::Approve => capital("the gate that it waits for counts one approval more, under your name"),
    }
}

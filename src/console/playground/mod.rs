//! A place to try a version: fill its variables, see the messages, ask a model, keep the result.
//!
//! Nothing that happens here is kept but a version that is saved, and nothing here counts for approval:
//! what users get is decided by labels, evaluations and rollouts. Values, messages and answers are
//! neither stored nor logged.

mod model;
mod sheet;

pub use self::model::{Model, ModelError};

use self::model::Answer;
use self::sheet::{Item, Sheet, messages, no_messages};
use super::Console;
use super::frame::{Frame, PageError, Section, not_found, seated};
use super::rollout::command::actor;
use super::visitor::{Posted, Visitor};
use super::words::Prose;
use crate::api::access::Operate;
use crate::api::problem::Problem;
use crate::ids::{Justification, PromptName, Version};
use crate::prompt::composition::references;
use crate::prompt::draft::ROLE_CHARS_MAX;
use crate::prompt::{PromptVersion, TemplateKind};
use crate::rollout::explain;
use askama::Template;
use askama::filters::HtmlSafe;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::Value;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

/// Versions that may be chosen.
const VERSIONS_MAX: usize = 100;
/// Stands in a rendered page where the model's answer comes; no text of a visitor can be the same, because
/// `<` is escaped.
const SLOT: &str = "<!--answer-->";

/// Where the answer comes, on a page that asked for one.
#[derive(Debug)]
struct Slot;

impl HtmlSafe for Slot {}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SLOT)
    }
}

/// A message as it is shown.
#[derive(Debug)]
struct Shown {
    role: String,
    content: String,
}

/// What is asked of whoever fills the form in.
#[derive(Debug)]
struct Blank {
    name: String,
    value: String,
}

#[derive(Template)]
#[template(path = "playground.html", config = "src/console/askama.toml")]
struct PlaygroundPage {
    frame: Frame,
    name: String,
    address: String,
    numbers: Vec<u32>,
    base: u32,
    items: Vec<Item>,
    is_chat: bool,
    role_chars_max: usize,
    variables: Vec<Blank>,
    placeholders: Vec<Blank>,
    unclear: Vec<String>,
    has_references: bool,
    config: String,
    semantic: String,
    reason: String,
    reason_chars_max: usize,
    actor: String,
    asks_name: bool,
    /// The model that would be called, and where; none where the server has none.
    model: Option<(String, String)>,
    compiled: Option<Vec<Shown>>,
    answer: Option<Slot>,
    refused: Option<Prose>,
    is_saved: bool,
}

#[derive(Template)]
#[template(path = "answer.html", config = "src/console/askama.toml")]
struct AnswerPart {
    answer: Option<Answer>,
    took: String,
    refused: Option<Prose>,
}

/// Which version, and whether it was just saved.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    version: String,
    done: String,
}

fn number(text: &str) -> Option<Version> {
    text.parse().ok().and_then(|number| Version::new(number).ok())
}

fn prompt(name: &str) -> Result<PromptName, PageError> {
    PromptName::new(name).map_err(|_| not_found("such prompt"))
}

/// The page with a version, the newest where none is named.
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor<Operate>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let prompt = prompt(&name)?;
    let store = console.app.store();
    let version = match number(&asked.version) {
        Some(version) => version,
        None => store.prompt(&prompt).await?.newest,
    };
    let version = store.version(&prompt, version).await?;
    let page = PlaygroundPage {
        is_saved: asked.done == "saved",
        ..PlaygroundPage::new(&console, &visitor, &version, Sheet::of_version(&version)).await?
    };
    seated(&console, &visitor.seat, StatusCode::OK, &page)
}

/// Compiles, asks the model, or saves, as the button says that was pressed.
pub(super) async fn work(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    posted: Posted<Operate>,
) -> Result<Response, PageError> {
    let Posted { visitor, fields } = posted;
    let prompt = prompt(&name)?;
    let base = number(fields.get("version").unwrap_or_default()).ok_or_else(|| not_found("such version"))?;
    let base = console.app.store().version(&prompt, base).await?;
    let sheet = Sheet::of_fields(base.version, base.draft.template.kind(), &fields);
    match fields.get("do") {
        Some("save") => save(&console, &visitor, &base, sheet).await,
        Some("call") => call(&console, &visitor, &base, sheet).await,
        Some(_) | None => {
            let page = PlaygroundPage::new(&console, &visitor, &base, sheet.clone()).await?;
            let (status, page) = page.compiled(&sheet);
            seated(&console, &visitor.seat, status, &page)
        }
    }
}

/// Saves what stands in the form as a new version, on which no label is set.
async fn save(
    console: &Console,
    visitor: &Visitor<Operate>,
    base: &PromptVersion,
    sheet: Sheet,
) -> Result<Response, PageError> {
    let known = visitor.seat.actor.as_ref();
    let drafted = sheet.draft(&base.draft).map_err(bad_field);
    let saved = async {
        let author = actor(known, &sheet.name)?;
        let store = console.app.store();
        let version = store
            .create_version(&base.prompt, drafted?, author, Vec::new())
            .await;
        version.map_err(Problem::from)
    };
    match saved.await {
        Ok(version) => {
            let address = super::prompt::address(&base.prompt);
            let target = format!("{address}/playground?version={}&done=saved", version.version);
            let response = Redirect::to(&target).into_response();
            visitor.seat.remembered(console, &sheet.name, response)
        }
        Err(problem) => {
            let page = PlaygroundPage {
                refused: Some(Prose::new(problem.detail())),
                ..PlaygroundPage::new(console, visitor, base, sheet).await?
            };
            seated(console, &visitor.seat, problem.code().status(), &page)
        }
    }
}

fn bad_field(why: String) -> Problem {
    Problem::new(crate::api::problem::Code::BadField, why)
}

/// Sends the messages to the model. The page goes out at once, and the answer when it has come: browsers
/// show what they have.
async fn call(
    console: &Arc<Console>,
    visitor: &Visitor<Operate>,
    base: &PromptVersion,
    sheet: Sheet,
) -> Result<Response, PageError> {
    let page = PlaygroundPage::new(console, visitor, base, sheet.clone()).await?;
    let (status, page) = page.compiled(&sheet);
    let sent = sheet
        .compiled()
        .and_then(|compiled| Ok((messages(compiled), sheet.parameters()?)));
    let (Ok((messages, config)), Some(model)) = (sent, console.model.clone()) else {
        return seated(console, &visitor.seat, status, &page);
    };
    let page = PlaygroundPage {
        answer: Some(Slot),
        ..page
    };
    let html = page.render().map_err(|error| Problem::internal(&error))?;
    let (before, after) = html.split_once(SLOT).unwrap_or((&html, ""));
    let (before, after) = (Bytes::from(before.to_owned()), Bytes::from(after.to_owned()));
    let console = Arc::clone(console);
    let answered = async move {
        let asked_at = console.now();
        let answer = model.call(messages, &config).await;
        AnswerPart::rendered(answer, explain::span(console.now().duration_since(asked_at)))
    };
    let ready = |part: Bytes| stream::once(async move { Ok::<_, Infallible>(part) });
    let parts = ready(before)
        .chain(stream::once(async move { Ok(answered.await) }))
        .chain(ready(after));
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok((kind, Body::from_stream(parts)).into_response())
}

impl AnswerPart {
    /// The part of the page, rendered.
    fn rendered(answer: Result<Answer, String>, took: String) -> Bytes {
        let (answer, refused) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(why) => (None, Some(Prose::new(&why))),
        };
        let part = Self {
            answer,
            took,
            refused,
        };
        // The page is on its way; without this part it is whole all the same.
        part.render().unwrap_or_default().into()
    }
}

impl PlaygroundPage {
    async fn new(
        console: &Console,
        visitor: &Visitor<Operate>,
        base: &PromptVersion,
        sheet: Sheet,
    ) -> Result<Self, PageError> {
        let store = console.app.store();
        let newest = store.versions(&base.prompt, None, VERSIONS_MAX).await?;
        let contract = sheet.contract();
        let blank = |name: &Arc<str>, value: Option<&String>, otherwise: String| Blank {
            name: name.to_string(),
            value: value.cloned().unwrap_or(otherwise),
        };
        let config = sheet.parameters().unwrap_or_default();
        let model = console.model.as_ref().map(|model| {
            let name = model.name_for(&config).unwrap_or("a model that is not named");
            (name.to_owned(), model.host())
        });
        let mut numbers: Vec<u32> = newest.iter().map(|version| version.version.get()).collect();
        if !numbers.contains(&base.version.get()) {
            numbers.push(base.version.get());
        }
        let variables = contract.variables.iter();
        let placeholders = contract.placeholders.iter();
        let title = format!("Playground of {}", base.prompt);
        Ok(Self {
            frame: Frame::new(console, visitor, Section::Prompts, title),
            name: base.prompt.to_string(),
            address: super::prompt::address(&base.prompt),
            numbers,
            base: sheet.base.get(),
            is_chat: base.draft.template.kind() == TemplateKind::Chat,
            role_chars_max: ROLE_CHARS_MAX,
            variables: variables
                .map(|name| blank(name, sheet.values.get(&**name), String::new()))
                .collect(),
            placeholders: placeholders
                .map(|name| blank(name, sheet.fillings.get(&**name), no_messages()))
                .collect(),
            unclear: contract.unclear.iter().map(ToString::to_string).collect(),
            has_references: !references(&sheet.template()).is_empty(),
            items: sheet.items,
            config: sheet.config,
            semantic: sheet.semantic,
            reason: sheet.reason,
            reason_chars_max: Justification::CHARS_MAX,
            actor: sheet.name,
            asks_name: visitor.seat.actor.is_none(),
            model,
            compiled: None,
            answer: None,
            refused: None,
            is_saved: false,
        })
    }

    /// The same with the compiled messages, or with what stands against them.
    fn compiled(self, sheet: &Sheet) -> (StatusCode, Self) {
        let checked = sheet.parameters().and_then(|_| sheet.compiled());
        match checked {
            Ok(compiled) => {
                let shown = messages(compiled).into_iter().map(shown).collect();
                let page = Self {
                    compiled: Some(shown),
                    ..self
                };
                (StatusCode::OK, page)
            }
            Err(why) => {
                let page = Self {
                    refused: Some(Prose::new(&why)),
                    ..self
                };
                (StatusCode::BAD_REQUEST, page)
            }
        }
    }
}

/// A message; what is more than a role and a text is shown as JSON.
fn shown(message: Value) -> Shown {
    let role = message["role"].as_str().unwrap_or_default().to_owned();
    let is_plain = message.as_object().is_some_and(|fields| fields.len() == 2);
    match message["content"].as_str().filter(|_| is_plain) {
        Some(content) => Shown {
            content: content.to_owned(),
            role,
        },
        None => Shown {
            content: format!("{message:#}"),
            role,
        },
    }
}

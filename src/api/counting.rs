//! What becomes of scores, events and spans: kept, matched with what was served, counted.
//!
//! Scores are kept before anything is looked for, and what was served is noted before the scores that
//! wait for it are looked for; so of two requests at once, one finds what the other brings. A score that
//! is sent again, or matched twice, is counted once by its id.

use super::App;
use super::langfuse::Sent;
use super::observations::count_refusals;
use super::problem::{Code, Problem};
use crate::source::ingest::{Format, Ingested, World, ingest};
use crate::source::otlp::held::Settled;
use crate::source::otlp::judged::judge;
use crate::source::scored::{Scored, is_usable, scored};
use crate::source::served::{Said, Servings};
use crate::source::traces::Told;
use crate::store::{Batch, BatchReceipt, Score, Serving};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

/// Scores that wait for the same traces and are matched at once; further ones wait for the next event.
const WAITING_MATCHED_MAX: usize = 5_000;

/// What one request brings.
#[derive(Debug, Default)]
pub(super) struct Delivery<'d> {
    /// Scores.
    pub(super) scores: Vec<Sent>,
    /// What is told of traces.
    pub(super) told: Vec<Told>,
    /// Calls of traces that are settled; they stay the caller's, who keeps them where this fails.
    pub(super) settled: &'d [Settled],
}

/// Keeps what is delivered and counts what can be counted; durable when it returns.
pub(super) async fn deliver(app: &App, delivery: Delivery<'_>) -> Result<(), Problem> {
    let Delivery {
        mut scores,
        told,
        settled,
    } = delivery;
    for sent in &mut scores {
        sent.score.waiting = is_usable(&sent.score);
    }
    if !scores.is_empty() {
        let kept = scores.iter().map(|sent| sent.score.clone());
        app.store.keep_scores(kept.collect()).await?;
    }
    let mut servings = served(app, told);
    let judged = in_world(app, |world| judge(settled, world));
    servings.extend(judged.servings);
    let mut matches = Matches::default();
    if !servings.is_empty() {
        app.store.note_servings(servings.clone()).await?;
        waiting(app, &servings, &mut matches).await?;
    }
    fresh(app, scores, &mut matches).await?;
    let of_scores: Vec<String> = matches.lines.into_values().flatten().collect();
    count(app, &of_scores, Origin::Scores).await?;
    count(app, &judged.lines, Origin::Spans).await?;
    if !matches.settled.is_empty() {
        app.store.settle_scores(matches.settled).await?;
    }
    let outcomes = judged.outcomes.into_iter();
    app.telemetry
        .spans(outcomes.map(|(outcome, spans)| (outcome.as_str(), spans)));
    Ok(())
}

/// What was found out about scores.
#[derive(Debug, Default)]
struct Matches {
    /// Lines of observations by the score's id: each score once, whoever found it.
    lines: BTreeMap<String, Vec<String>>,
    /// Scores that wait no more.
    settled: Vec<String>,
}

impl Matches {
    fn note(&mut self, id: String, found: Scored) {
        match found {
            Scored::Unmatched => {}
            Scored::Kept | Scored::Ambiguous | Scored::NoMetric => self.settled.push(id),
            Scored::Lines(lines) => {
                self.settled.push(id.clone());
                self.lines.insert(id, lines);
            }
        }
    }
}

/// What was served, by what is told now and was told a while ago.
fn served(app: &App, told: Vec<Told>) -> Vec<Serving> {
    if told.is_empty() {
        return Vec::new();
    }
    let now = app.clock.now();
    let touched: BTreeSet<String> = told.iter().map(|told| told.trace.clone()).collect();
    in_world(app, |world| {
        let mut traces = app.traces.lock().unwrap_or_else(PoisonError::into_inner);
        told.into_iter().for_each(|told| traces.tell(told, now));
        let servings = Servings::new(world);
        touched
            .iter()
            .flat_map(|trace| traces.servings(trace, &servings, world.receipts))
            .collect()
    })
}

/// Matches scores that came earlier than what was served.
async fn waiting(app: &App, servings: &[Serving], matches: &mut Matches) -> Result<(), Problem> {
    let traces = servings.iter().map(|serving| serving.trace.clone()).collect();
    let sessions = servings.iter().filter_map(|serving| serving.session.clone());
    let waiting = app
        .store
        .waiting_scores(traces, sessions.collect(), WAITING_MATCHED_MAX)
        .await?;
    let subjects = waiting.iter().map(|score| score.about.clone()).collect();
    let found = app.store.servings(subjects).await?;
    in_world(app, |world| {
        for (score, servings) in waiting.into_iter().zip(&found) {
            let found = scored(&score, servings, world);
            matches.note(score.id, found);
        }
    });
    Ok(())
}

/// Matches the scores of this request.
async fn fresh(app: &App, scores: Vec<Sent>, matches: &mut Matches) -> Result<(), Problem> {
    if scores.is_empty() {
        return Ok(());
    }
    let subjects = scores.iter().map(|sent| sent.score.about.clone()).collect();
    let stored = app.store.servings(subjects).await?;
    in_world(app, |world| {
        let own = Servings::new(world);
        for (sent, stored) in scores.into_iter().zip(stored) {
            let said = said_itself(app, &sent, &own, world);
            let servings = if said.is_empty() { stored } else { said };
            let found = scored(&sent.score, &servings, world);
            app.telemetry.scored(found.as_str());
            matches.note(sent.score.id, found);
        }
    });
    Ok(())
}

/// What was served by what the score says itself, in its metadata.
fn said_itself(app: &App, sent: &Sent, servings: &Servings<'_>, world: &World<'_>) -> Vec<Serving> {
    let Sent { score, identity } = sent;
    if identity.prompt.is_none() && identity.receipt.is_none() {
        return Vec::new();
    }
    let Score { about, .. } = score;
    let traces = app.traces.lock().unwrap_or_else(PoisonError::into_inner);
    let (user, session) = traces.context(about.trace.as_deref().unwrap_or_default());
    let whole = [session, about.session.as_deref(), about.trace.as_deref()];
    let said = Said {
        receipt: identity.receipt.as_deref(),
        prompt: identity.prompt.as_deref(),
        version: identity.version,
        label: identity.label.as_deref(),
        tags: &[],
        user: identity.user.as_deref().or(user),
        stranger: whole.into_iter().flatten().next().unwrap_or(&score.id),
    };
    let served = servings.of(said).into_iter();
    served
        .map(|(policy, receipt)| Serving {
            trace: about.trace.clone().unwrap_or_default(),
            observation: about.observation.clone().unwrap_or_default(),
            session: about.session.clone(),
            policy,
            receipt: world.receipts.issue(&receipt).as_str().to_owned(),
        })
        .collect()
}

/// What lines of observations are made from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    Scores,
    Spans,
}

/// Counts lines of observations as if they had been pushed.
async fn count(app: &App, lines: &[String], origin: Origin) -> Result<(), Problem> {
    for portion in lines.chunks(app.limits.observations_max.max(1)) {
        let body = portion.join("\n");
        let judged = in_world(app, |world| {
            ingest(world, body.as_bytes(), Format::Ndjson, portion.len())
        });
        let ingested = judged.map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        count_refusals(app, &ingested);
        commit(app, ingested, origin).await?;
    }
    Ok(())
}

async fn commit(app: &App, mut ingested: Ingested, origin: Origin) -> Result<(), Problem> {
    let batch = Batch {
        key: None,
        observations: std::mem::take(&mut ingested.observations),
        exclusions: std::mem::take(&mut ingested.exclusions),
    };
    if batch.observations.is_empty() && batch.exclusions.is_empty() {
        return Ok(());
    }
    if let BatchReceipt::Counted { duplicates } = app.store.ingest(batch).await? {
        for ((policy, metric, arm), values) in ingested.values_without(&duplicates) {
            app.telemetry.observed(&policy, &metric, arm, values);
            match origin {
                Origin::Scores => {}
                Origin::Spans => app.telemetry.observed_by_spans(&policy, &metric, arm, values),
            }
        }
    }
    Ok(())
}

/// Does something with the world as it is at this moment.
fn in_world<T>(app: &App, work: impl FnOnce(&World<'_>) -> T) -> T {
    let (board, snapshot) = (app.controller.board(), app.controller.snapshot());
    work(&World {
        board: &board,
        snapshot: &snapshot,
        receipts: &app.receipts,
    })
}

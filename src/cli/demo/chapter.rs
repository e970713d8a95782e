//! One rollout of the demo, from its start to its end.

use super::NAME;
use super::crowd::Crowd;
use super::ledger::{Delay, Totals};
use super::scene::{Row, Scene};
use super::stage::Stage;
use crate::cli::client::{Client, view};
use crate::cli::screen::{BAD, FAINT, GOOD, PLAIN, STRONG};
use crate::cli::wire::{Evidence, Rollout};
use crate::clock::Stopwatch;
use crate::policy::Policy;
use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Time between two looks at the rollout.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// Time in which a rollout must come to its end.
const SECONDS_MAX: u64 = 60;

/// One of the rollouts.
#[derive(Debug)]
pub(super) struct Chapter {
    pub(super) candidate: u32,
    pub(super) headline: &'static str,
    /// The phase that it should come to.
    pub(super) expected: &'static str,
}

/// What happens, in this order.
pub(super) const CHAPTERS: [Chapter; 2] = [
    Chapter {
        candidate: 2,
        headline: "Version 2 answers in one cheerful sentence; its faithfulness is 0.81, not 0.86.",
        expected: "rolled_back",
    },
    Chapter {
        candidate: 3,
        headline: "Version 3 quotes the order's record; its faithfulness is 0.88.",
        expected: "promoted",
    },
];

/// How a rollout went.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) chapter: &'static Chapter,
    pub(super) rollout: String,
    /// The phase in which it ended.
    pub(super) phase: String,
    /// The same as a sentence, with the reason.
    pub(super) text: String,
    pub(super) seconds: f64,
    /// What the crowd did in this time.
    pub(super) totals: Totals,
    /// How long a candidate that was taken back was still handed out.
    pub(super) delay: Option<Delay>,
    /// Its history.
    pub(super) records: Vec<Value>,
}

impl Outcome {
    pub(super) fn is_as_expected(&self) -> bool {
        self.phase == self.chapter.expected
    }
}

/// Starts a rollout and watches it to its end.
pub(super) async fn watch(
    stage: &mut Stage,
    client: &Client,
    crowd: &Crowd,
    policy: &Policy,
    chapter: &'static Chapter,
) -> anyhow::Result<Outcome> {
    let ledger = crowd.ledger();
    ledger.turn_page();
    let before = ledger.totals();
    let body = json!({"policy": NAME, "candidate": chapter.candidate, "reason": "to see how it does"});
    let started: Rollout = view(&client.post(&["v1", "rollouts"], &body).await?)?;
    let stopwatch = Stopwatch::start();
    let ladder: Vec<f64> = policy.steps.iter().map(|step| step.exposure.ratio()).collect();
    let mut records: Vec<Value> = Vec::new();
    loop {
        tell_news(stage, client, &started.id, &mut records).await?;
        let rollout: Rollout = view(&client.get(&["v1", "rollouts", &started.id], &[]).await?)?;
        let evidence: Evidence = view(
            &client
                .get(&["v1", "rollouts", &started.id, "evidence"], &[])
                .await?,
        )?;
        let elapsed = stopwatch.elapsed();
        stage.show(&Scene {
            rollout: &rollout,
            assessment: evidence.assessment.as_ref(),
            ladder: &ladder,
            seconds: elapsed.as_secs(),
            totals: ledger.totals().since(before),
        })?;
        if rollout.is_over() {
            tell_news(stage, client, &started.id, &mut records).await?;
            stage.leave();
            return Ok(Outcome {
                chapter,
                delay: crossing(&records).and_then(|second| ledger.delay(second)),
                phase: rollout.phase.code,
                text: rollout.phase.text,
                rollout: started.id,
                seconds: elapsed.as_secs_f64(),
                totals: ledger.totals().since(before),
                records,
            });
        }
        anyhow::ensure!(
            elapsed.as_secs() < SECONDS_MAX,
            "rollout {} is {} after {SECONDS_MAX} s; the machine may be too busy for this demo",
            started.id,
            rollout.phase.code
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells what is new in the history.
async fn tell_news(
    stage: &mut Stage,
    client: &Client,
    rollout: &str,
    records: &mut Vec<Value>,
) -> anyhow::Result<()> {
    let last = records.last().and_then(|record| record["sequence"].as_u64());
    let after = last.map(|sequence| sequence.to_string());
    let query: Vec<(&str, &str)> = after.iter().map(|after| ("after", after.as_str())).collect();
    let answer = client.get(&["v1", "rollouts", rollout, "audit"], &query).await?;
    for record in answer["records"]
        .as_array()
        .context("the history has no records")?
    {
        stage.tell(&told(record))?;
        records.push(record.clone());
    }
    Ok(())
}

/// An entry of the history: when, and what.
pub(super) fn told(record: &Value) -> Row {
    let clock = record["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let clock = clock.map_or_else(String::new, |at| at.strftime("%H:%M:%S").to_string());
    let style = match record["event"]["to"]["code"].as_str() {
        Some("rolling_back" | "rolled_back") => BAD,
        Some("promoted" | "watching") => GOOD,
        Some("ramping") => STRONG,
        Some(_) | None => PLAIN,
    };
    let text = record["text"].as_str().unwrap_or_default();
    Row::default().with(FAINT, format!("{clock}  ")).with(style, text)
}

/// The second whose observations made the evidence cross its threshold, as the history tells it.
fn crossing(records: &[Value]) -> Option<Timestamp> {
    let back = records
        .iter()
        .find(|record| record["event"]["to"]["code"] == "rolling_back")?;
    back["event"]["assessment"]["through"].as_str()?.parse().ok()
}

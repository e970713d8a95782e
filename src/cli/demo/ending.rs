//! What the demo says at its end.

use super::chapter::{Outcome, told};
use super::ledger::Delay;
use super::scene::Row;
use super::stage::Stage;
use super::{Demo, NAME};
use crate::cli::figures;
use crate::cli::screen::{self, BAD, FAINT, GOOD, PLAIN, STRONG};
use crate::policy::Policy;
use reqwest::Url;
use serde_json::{Value, json};

/// How long after the end of the deciding interval nobody may be in treatment any more, in milliseconds.
const AFTER_INTERVAL_MILLISECONDS: i64 = 100;

/// Says how both rollouts went, with what was measured, and shows their histories.
pub(super) fn conclude(
    stage: &mut Stage,
    args: &Demo,
    policy: &Policy,
    outcomes: &[Outcome],
) -> anyhow::Result<()> {
    let every = i64::try_from(policy.analysis.every.as_millis())?;
    let bound = every + AFTER_INTERVAL_MILLISECONDS;
    if args.json {
        let rollouts: Vec<Value> = outcomes
            .iter()
            .map(|outcome| outcome_json(outcome, bound))
            .collect();
        let as_expected = outcomes.iter().all(Outcome::is_as_expected);
        screen::print_json(&json!({"seed": args.seed, "asExpected": as_expected, "rollouts": rollouts}))?;
        return Ok(());
    }
    for outcome in outcomes {
        stage.tell(&Row::default())?;
        let heading = format!(
            "History of {}, version 1 → {}",
            outcome.rollout, outcome.chapter.candidate
        );
        stage.tell(&Row::default().with(STRONG, heading))?;
        for record in &outcome.records {
            stage.tell(&told(record))?;
        }
    }
    stage.tell(&Row::default())?;
    for outcome in outcomes {
        tell_outcome(stage, outcome)?;
        if let Some(delay) = outcome.delay {
            tell_delay(stage, delay, bound)?;
        }
    }
    Ok(())
}

fn tell_outcome(stage: &mut Stage, outcome: &Outcome) -> anyhow::Result<()> {
    let (style, mark) = if outcome.is_as_expected() {
        (GOOD, "✓")
    } else {
        (BAD, "✗")
    };
    let row = Row::default()
        .with(style, format!("{mark} {} ", outcome.rollout))
        .with(PLAIN, format!("after {:.1} s: {}", outcome.seconds, outcome.text));
    stage.tell(&row)?;
    let counts = format!(
        "     {} assignments, {} of them to treatment; {} observations counted",
        figures::count(outcome.totals.assigned),
        figures::count(outcome.totals.treated),
        figures::count(outcome.totals.observed)
    );
    stage.tell(&Row::default().with(FAINT, counts))?;
    Ok(())
}

/// Says what is known: the second in which the evidence crossed, not the observation.
fn tell_delay(stage: &mut Stage, delay: Delay, bound: i64) -> anyhow::Result<()> {
    let Delay {
        from_first_milliseconds: first,
        from_last_milliseconds: last,
    } = delay;
    let (style, word) = if first <= bound {
        (GOOD, "within")
    } else {
        (BAD, "beyond")
    };
    for line in [
        "     The history tells in which second the evidence crossed its threshold, but".to_owned(),
        "     not with which observation. The last assignment to treatment was answered".to_owned(),
        format!("     {first:>6} ms after the first acknowledgement in that second, and"),
        format!("     {last:>6} ms after the last one:"),
    ] {
        stage.tell(&Row::plain(line))?;
    }
    let rest = format!(" the bound of {bound} ms (one interval of the policy, and 100 ms).");
    stage.tell(&Row::plain("     ").with(style, word).with(PLAIN, rest))?;
    Ok(())
}

fn outcome_json(outcome: &Outcome, bound: i64) -> Value {
    json!({
        "rollout": outcome.rollout,
        "candidate": outcome.chapter.candidate,
        "phase": outcome.phase,
        "expected": outcome.chapter.expected,
        "text": outcome.text,
        "seconds": outcome.seconds,
        "assignments": outcome.totals.assigned,
        "treated": outcome.totals.treated,
        "observations": outcome.totals.observed,
        "failedRequests": outcome.totals.failed,
        "delay": outcome.delay.map(|delay| json!({
            "fromFirstAcknowledgementMilliseconds": delay.from_first_milliseconds,
            "fromLastAcknowledgementMilliseconds": delay.from_last_milliseconds,
            "boundMilliseconds": bound,
        })),
        "records": outcome.records,
    })
}

/// Names what there is to look at while the server goes on.
pub(super) fn invite(stage: &mut Stage, url: &Url) -> anyhow::Result<()> {
    stage.tell(&Row::default())?;
    stage.tell(&Row::default().with(STRONG, "The server goes on, and so does the crowd. Look around:"))?;
    let server = url.as_str().trim_end_matches('/');
    for line in [
        format!("{server}/docs"),
        format!("{server}/v1/status"),
        format!("{server}/metrics"),
        format!("SERIN_SERVER={server} serin status"),
        format!("SERIN_SERVER={server} serin explain {NAME}"),
        format!("SERIN_SERVER={server} serin rollback {NAME} --reason 'to see it go back'"),
    ] {
        stage.tell(&Row::plain(format!("  {line}")))?;
    }
    stage.tell(&Row::plain("Ctrl-C ends it."))?;
    Ok(())
}

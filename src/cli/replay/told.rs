//! What a replay tells to people.

use crate::analysis::Assessment;
use crate::api::views::evidence::AssessmentView;
use crate::cli::client::view;
use crate::cli::explain::numbers;
use crate::cli::figures;
use crate::cli::screen::{self, CAUTION, FAINT, STRONG, paint};
use crate::policy::Policy;
use crate::rehearsal::Approvals;
use crate::replay::{BadLine, Counts, Move, Planned, Replay, Settings, USERS_MAX};
use crate::rollout::explain;
use crate::source::refusal::Ignored;
use anyhow::Context as _;

pub(super) use crate::cli::explain::numbers::Numbers;

/// What is replayed.
pub(super) fn heading(settings: &Settings) -> String {
    let policy = &settings.policy;
    let versions = settings
        .versions
        .map(|(stable, candidate)| format!("  version {stable} → {candidate}"));
    let steps = policy
        .steps
        .iter()
        .map(|step| figures::percentage(step.exposure.ratio()));
    format!(
        "{}{}\n  {}\n",
        paint(STRONG, policy.name.as_str()),
        versions.unwrap_or_default(),
        steps.collect::<Vec<_>>().join(" ")
    )
}

/// What stands above the first move.
pub(super) fn heading_of_moves() -> String {
    format!("\n{}\n", paint(STRONG, "MOVES"))
}

/// A line that is wrong.
pub(super) fn bad_line(bad: &BadLine) -> String {
    let place = paint(CAUTION, &format!("line {}:", figures::count(bad.line)));
    format!(
        "{place} {} [{}]",
        screen::harmless(&bad.fault.detail),
        bad.fault.code.as_str()
    )
}

/// A transition with the line that it rests on, why, and the numbers.
pub(super) fn moved(moved: &Move, numbers: &mut Numbers) -> anyhow::Result<String> {
    let Move { line, transition } = moved;
    let at = transition.assessment.as_ref().map(|assessment| assessment.at);
    let at = figures::moment(&at.unwrap_or(transition.to.changed_at).to_string());
    let (from, to) = (
        explain::place(&transition.from),
        explain::place(&transition.to.phase),
    );
    let way = if from == to {
        to
    } else {
        format!("{from} → {to}")
    };
    let line = match line {
        0 => "before the first line".to_owned(),
        line => format!("line {}", figures::count(*line)),
    };
    let mut text = format!(
        "{}  {}  {}\n  {}\n",
        paint(FAINT, &at),
        paint(STRONG, &way),
        paint(FAINT, &line),
        screen::harmless(&explain::cause(&transition.cause))
    );
    if let Some(assessment) = &transition.assessment {
        text.push_str(&shown(assessment, numbers)?);
    }
    Ok(text)
}

/// Where it stands after the last line, where the lines went, and what to think about.
pub(super) fn end(
    replay: &Replay,
    numbers: &mut Numbers,
    bad_told: usize,
    remarks: &[String],
) -> anyhow::Result<String> {
    let mut text = String::new();
    if let Some(rehearsal) = replay.rehearsal() {
        let at = rehearsal
            .through()
            .map(|through| through.next().begins())
            .unwrap_or_default();
        let state = rehearsal.state();
        text.push_str(&format!(
            "\n{}\n{}  {}  {}\n",
            paint(STRONG, "AT THE END"),
            paint(FAINT, &figures::moment(&at.to_string())),
            explain::phase(&state.phase),
            paint(FAINT, &format!("line {}", figures::count(replay.line())))
        ));
        if !rehearsal.is_over() {
            text.push_str(&format!(
                "  {}\n",
                screen::harmless(&explain::stay(rehearsal.stay(), at))
            ));
        }
        text.push_str(&shown(&rehearsal.assessment(), numbers)?);
    }
    text.push_str(&format!("\n{}\n", paint(STRONG, "LINES")));
    for line in counts(replay.counts(), bad_told) {
        text.push_str(&format!("  {line}\n"));
    }
    if !remarks.is_empty() {
        text.push_str(&format!("\n{}\n", paint(STRONG, "REMARKS")));
        for remark in remarks {
            text.push_str(&format!("  {remark}\n"));
        }
    }
    if numbers.were_shown() {
        text.push_str(&format!("\n{}\n", paint(FAINT, numbers::LEGEND)));
    }
    Ok(text)
}

/// The numbers, as `serin explain` shows those of a server.
fn shown(assessment: &Assessment, numbers: &mut Numbers) -> anyhow::Result<String> {
    let wire = serde_json::to_value(AssessmentView::from(assessment)).context("cannot show the numbers")?;
    Ok(numbers.show(&view(&wire)?))
}

fn counts(counts: &Counts, bad_told: usize) -> Vec<String> {
    let number = figures::count;
    let mut lines = vec![
        format!("{} read", number(counts.read)),
        format!(
            "{} counted: {} of control and {} of treatment, of {} users while both were served",
            number(counts.observations()),
            number(counts.used.control),
            number(counts.used.treatment),
            number(counts.users.total())
        ),
    ];
    let others = [
        (counts.other_policies, "of other policies".to_owned()),
        (counts.outside, "before `--from` or after `--until`".to_owned()),
        (counts.late, "too late".to_owned()),
        (counts.duplicates, "with an id that was counted before".to_owned()),
    ];
    let ignored = counts
        .ignored
        .iter()
        .map(|(reason, count)| (*count, why_ignored(*reason).to_owned()));
    let passed_over = others.into_iter().chain(ignored).filter(|(count, _)| *count > 0);
    lines.extend(passed_over.map(|(count, why)| format!("{} passed over: {why}", number(count))));
    let bad: u64 = counts.bad.values().sum();
    if bad > 0 {
        let by_code: Vec<String> = counts
            .bad
            .iter()
            .map(|(code, count)| format!("{} {}", number(*count), code.as_str()))
            .collect();
        let told = u64::try_from(bad_told).unwrap_or(u64::MAX);
        let shown = if bad > told {
            format!("; the first {} are shown", number(told))
        } else {
            String::new()
        };
        lines.push(format!("{} wrong: {}{shown}", number(bad), by_code.join(", ")));
    }
    lines
}

fn why_ignored(reason: Ignored) -> &'static str {
    match reason {
        Ignored::NoRollout => "nobody was in treatment",
        Ignored::RolloutEnded => "receipts of another rollout",
        Ignored::ForcedUser => "users whose arm the policy fixes",
        Ignored::OutsideRollout => "users outside of the rollout",
        Ignored::ReceiptNeeded => "no receipt, which a policy with conditions on attributes needs",
        Ignored::VersionNotInRollout => "other versions",
        Ignored::LabelNotInRollout => "other labels",
        Ignored::MetricsNotInRollout => "metrics that the policy does not have",
    }
}

/// What was assumed, and what to look at.
pub(super) fn remarks(replay: &Replay, settings: &Settings) -> Vec<String> {
    let (policy, counts) = (&settings.policy, replay.counts());
    let mut remarks = Vec::new();
    let mut remark = |holds: bool, text: String| {
        if holds {
            remarks.push(text);
        }
    };
    let is_given = settings.approvals == Approvals::Given;
    remark(
        is_given && asks_for_approval(policy),
        "approvals were taken to be given at once".to_owned(),
    );
    remark(
        policy.gates.evaluation.is_some(),
        "the evaluation gate was taken to be open".to_owned(),
    );
    remark(
        settings.planned == Planned::Nothing,
        "whether users came to the arms as planned was not looked at: `--planned` says what was planned"
            .to_owned(),
    );
    remark(
        counts.split_by_hash > 0,
        format!(
            "{} lines name a user alone: their arm is what the hash says at the exposure of that moment",
            figures::count(counts.split_by_hash)
        ),
    );
    remark(
        counts.ignored.contains_key(&Ignored::RolloutEnded),
        "receipts are of another rollout: `--rollout` says which one to replay".to_owned(),
    );
    remark(
        counts.late > 0,
        "lines came too late: `--disorder` says how long to wait for them".to_owned(),
    );
    remark(
        counts.users_beyond_bound > 0,
        format!(
            "new users beyond {} were not told apart",
            figures::count(USERS_MAX as u64)
        ),
    );
    let is_over = replay.rehearsal().is_some_and(|rehearsal| rehearsal.is_over());
    remark(
        is_over,
        "the rollout is over: what comes later in the record was not looked at".to_owned(),
    );
    remarks
}

fn asks_for_approval(policy: &Policy) -> bool {
    policy.gates.approval.before_start || policy.steps.iter().any(|step| step.approval)
}

//! What a replay tells to programs.

use crate::api::views::cause::{CauseView, PhaseView};
use crate::api::views::evidence::AssessmentView;
use crate::api::views::stay::StayView;
use crate::replay::{BadLine, Counts, Move, Replay};
use crate::rollout::{AuditEvent, explain};
use serde::Serialize;
use std::collections::BTreeMap;

/// A whole replay.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayView {
    pub(super) policy: String,
    /// Fingerprint of the policy's text.
    pub(super) revision: String,
    pub(super) stable: Option<u32>,
    pub(super) candidate: Option<u32>,
    /// What moved, in order.
    pub(super) moves: Vec<MoveView>,
    /// Where it stands after the last line; none when no line counted.
    pub(super) end: Option<EndView>,
    pub(super) lines: LinesView,
    /// Users at first sight, while both arms were served.
    pub(super) users: PerArmView,
    /// The first wrong lines.
    pub(super) bad: Vec<BadLineView>,
    /// What was assumed, and what to look at.
    pub(super) remarks: Vec<String>,
}

/// A transition.
#[derive(Debug, Serialize)]
pub(super) struct MoveView {
    /// The last line that it rests on, from 1; none before the first.
    pub(super) line: Option<u64>,
    pub(super) at: String,
    from: PhaseView,
    to: PhaseView,
    cause: CauseView,
    assessment: Option<AssessmentView>,
    /// What happened, as an English sentence.
    pub(super) text: String,
}

/// Where it stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndView {
    /// The last line that was taken in.
    line: u64,
    /// The end of the last tick.
    at: String,
    pub(super) phase: PhaseView,
    /// Share of users in treatment.
    exposure: f64,
    /// Why it does not move.
    stay: StayView,
    /// The numbers of that moment, or of the end of the rollout.
    assessment: AssessmentView,
}

/// How many lines went where.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LinesView {
    read: u64,
    /// Those that the verdicts rest on.
    used: PerArmView,
    outside: u64,
    other_policies: u64,
    late: u64,
    duplicates: u64,
    /// Those that belong to no running comparison, by reason.
    ignored: BTreeMap<&'static str, u64>,
    /// Those that are wrong, by kind of mistake.
    bad: BTreeMap<&'static str, u64>,
}

/// A number for each arm.
#[derive(Debug, Serialize)]
pub(super) struct PerArmView {
    control: u64,
    treatment: u64,
}

/// A line that is wrong.
#[derive(Debug, Serialize)]
pub(super) struct BadLineView {
    line: u64,
    code: &'static str,
    detail: String,
}

impl From<crate::analysis::PerArm> for PerArmView {
    fn from(counts: crate::analysis::PerArm) -> Self {
        let crate::analysis::PerArm { control, treatment } = counts;
        Self { control, treatment }
    }
}

impl From<&Move> for MoveView {
    fn from(moved: &Move) -> Self {
        let Move { line, transition } = moved;
        let at = transition.assessment.as_ref().map(|assessment| assessment.at);
        Self {
            line: Some(*line).filter(|line| *line > 0),
            at: at.unwrap_or(transition.to.changed_at).to_string(),
            from: (&transition.from).into(),
            to: (&transition.to.phase).into(),
            cause: (&transition.cause).into(),
            assessment: transition.assessment.as_ref().map(Into::into),
            text: explain::event(&AuditEvent::Moved(Box::new(transition.clone()))),
        }
    }
}

impl EndView {
    /// None when no line counted.
    pub(super) fn of(replay: &Replay) -> Option<Self> {
        let rehearsal = replay.rehearsal()?;
        let at = rehearsal.through()?.next().begins();
        Some(Self {
            line: replay.line(),
            at: at.to_string(),
            phase: (&rehearsal.state().phase).into(),
            exposure: rehearsal.exposure().ratio(),
            stay: StayView::new(rehearsal.stay(), at),
            assessment: (&rehearsal.assessment()).into(),
        })
    }
}

impl From<&Counts> for LinesView {
    fn from(counts: &Counts) -> Self {
        let ignored = counts
            .ignored
            .iter()
            .map(|(reason, count)| (reason.as_str(), *count));
        let bad = counts.bad.iter().map(|(code, count)| (code.as_str(), *count));
        Self {
            read: counts.read,
            used: counts.used.into(),
            outside: counts.outside,
            other_policies: counts.other_policies,
            late: counts.late,
            duplicates: counts.duplicates,
            ignored: ignored.collect(),
            bad: bad.collect(),
        }
    }
}

impl From<&BadLine> for BadLineView {
    fn from(bad: &BadLine) -> Self {
        Self {
            line: bad.line,
            code: bad.fault.code.as_str(),
            detail: bad.fault.detail.clone(),
        }
    }
}

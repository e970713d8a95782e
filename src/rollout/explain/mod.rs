//! What phases, causes and reasons to stay mean, as one stable word and one English sentence each.
//!
//! The CLI, the console, the API and the telemetry all show these, so that the same state reads the
//! same everywhere. Sentences begin in lower case and have no full stop: they stand after a colon.

use super::{
    ApprovalPoint, Approvers, AuditEvent, CacheOutcome, Cause, Effect, EvaluationState, ForeignMove,
    LabelMove, LabelMoveOutcome, NoticeOutcome, Phase, PolicyCause, RegistryCause, Resumable, StayReason,
    VerdictCause,
};
use crate::analysis::{Blame, Mismatch, MismatchOf, Versus};
use crate::ids::{Actor, Version};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::collections::BTreeSet;

/// The phase that a pause interrupted, as a word of [`Phase::WORDS`].
pub fn resumable_word(from: Resumable) -> &'static str {
    match from {
        Resumable::Pending => "pending",
        Resumable::Ramping { .. } => "ramping",
        Resumable::Watching => "watching",
    }
}

/// Every word that [`cause_word`] gives.
pub const CAUSE_WORDS: [&str; 4] = ["verdict", "operator", "policy", "registry"];

/// Who or what moved a rollout, as a word of [`CAUSE_WORDS`].
pub fn cause_word(cause: &Cause) -> &'static str {
    match cause {
        Cause::Verdict(_) => "verdict",
        Cause::Operator { .. } => "operator",
        Cause::Policy(_) => "policy",
        Cause::Registry(_) => "registry",
    }
}

/// Where a rollout stands: "in step 2", "paused in step 2: …".
pub fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Pending => "waiting for its gates, nobody is in treatment".to_owned(),
        Phase::Ramping { step } => format!("in step {}", step + 1),
        Phase::Paused { from, cause: why } => format!("paused {}: {}", resumable(*from), cause(why)),
        Phase::Promoting => "the control label is on its way to the candidate".to_owned(),
        Phase::Watching => "promoted, and watched on".to_owned(),
        Phase::Promoted => "the candidate is the stable version".to_owned(),
        Phase::RollingBack { cause: why } => format!("being rolled back: {}", cause(why)),
        Phase::RolledBack { cause: why } => format!("rolled back: {}", cause(why)),
        Phase::Superseded { by } => format!("superseded by version {by}"),
    }
}

fn resumable(from: Resumable) -> String {
    match from {
        Resumable::Pending => "before its start".to_owned(),
        Resumable::Ramping { step } => format!("in step {}", step + 1),
        Resumable::Watching => "while it was watched".to_owned(),
    }
}

/// Why a rollout moved.
pub fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Verdict(VerdictCause::Passed) => {
            "every guardrail passed, and bake and samples were met".to_owned()
        }
        Cause::Verdict(VerdictCause::Failed { blame }) => self::blame(blame),
        Cause::Verdict(VerdictCause::SampleRatio(mismatch)) => self::mismatch(mismatch),
        Cause::Operator { actor, reason } => format!("{actor} asked for it: {reason}"),
        Cause::Policy(cause) => policy_cause(cause),
        Cause::Registry(cause) => registry_cause(cause),
    }
}

/// What a candidate is worse in, and than what.
fn blame(Blame { metric, versus }: &Blame) -> String {
    match versus {
        Versus::Control => format!("the candidate is worse in `{metric}`"),
        Versus::Limit => format!("the candidate is beyond the limit of `{metric}`"),
        Versus::Past => format!(
            "the candidate is worse in `{metric}` than control was before everybody had it; this compares \
             with the past, where a change that is common to everybody looks the same"
        ),
    }
}

/// Users who did not come to the arms as planned, and where to look for the reason.
fn mismatch(mismatch: &Mismatch) -> String {
    let Mismatch {
        of,
        treatment,
        users,
        expected,
        since: _,
    } = mismatch;
    let (who, look) = match of {
        MismatchOf::Users => (
            "users",
            "look for lost observations, bots, and services that serve another version than they were told",
        ),
        MismatchOf::Exclusions => (
            "users with observations that were left out",
            "look for fallbacks and values out of range in one arm",
        ),
    };
    format!("{treatment} of {users} {who} are in treatment, where about {expected} were planned; {look}")
}

fn policy_cause(cause: &PolicyCause) -> String {
    match cause {
        PolicyCause::GatesPassed => "every gate before the start is open".to_owned(),
        PolicyCause::NoData { metric, since } => {
            format!("no observations of `{metric}` since {}", full_moment(*since))
        }
        PolicyCause::Inconclusive { since } => format!("undecided since {}", full_moment(*since)),
        PolicyCause::Watched => "it was watched long enough after its promotion".to_owned(),
        PolicyCause::Removed => "the policy's file is gone".to_owned(),
    }
}

fn registry_cause(cause: &RegistryCause) -> String {
    match cause {
        RegistryCause::CandidateAppeared { by } => {
            format!(
                "the treatment label came to point at the candidate{}",
                moved_by(by.as_ref())
            )
        }
        RegistryCause::NewerCandidate { version, by } => {
            format!("version {version} became the candidate{}", moved_by(by.as_ref()))
        }
        RegistryCause::ForeignMove(foreign) => foreign_move(foreign),
        RegistryCause::Confirmed => "the labels are where they should be".to_owned(),
    }
}

fn foreign_move(foreign: &ForeignMove) -> String {
    let ForeignMove {
        label,
        expected,
        found,
        by,
    } = foreign;
    format!(
        "label `{label}` points at {} instead of version {expected}{}",
        version(*found),
        moved_by(by.as_ref())
    )
}

fn moved_by(by: Option<&Actor>) -> String {
    by.map_or_else(String::new, |actor| format!(", moved by {actor}"))
}

fn version(version: Option<Version>) -> String {
    version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"))
}

/// Every word that [`stay_word`] gives.
pub const STAY_WORDS: [&str; 15] = [
    "evaluation",
    "approval",
    "baking",
    "samples",
    "undecided",
    "no_data",
    "sample_ratio",
    "paused",
    "awaiting_label",
    "registry_away",
    "stepped_back",
    "overruled",
    "watching",
    "ended",
    "refused",
];

/// The reason to stay as a word of [`STAY_WORDS`].
pub fn stay_word(stay: &StayReason) -> &'static str {
    match stay {
        StayReason::Evaluation(_) => "evaluation",
        StayReason::Approval { .. } => "approval",
        StayReason::Baking { .. } => "baking",
        StayReason::Samples { .. } => "samples",
        StayReason::Undecided { .. } => "undecided",
        StayReason::NoData { .. } => "no_data",
        StayReason::SampleRatio(_) => "sample_ratio",
        StayReason::Paused { .. } => "paused",
        StayReason::AwaitingLabel { .. } => "awaiting_label",
        StayReason::RegistryAway => "registry_away",
        StayReason::SteppedBack { .. } => "stepped_back",
        StayReason::Overruled { .. } => "overruled",
        StayReason::Watching { .. } => "watching",
        StayReason::Ended => "ended",
        StayReason::Refused(_) => "refused",
    }
}

/// Why a rollout does not move, seen at `now`.
pub fn stay(stay: &StayReason, now: Timestamp) -> String {
    match stay {
        StayReason::Evaluation(state) => evaluation(state),
        StayReason::Approval {
            point,
            given,
            needed,
            from,
        } => approval(*point, given, *needed, from),
        StayReason::Baking { until } => format!("baking until {}", moment(*until, now)),
        StayReason::Samples { have, need } => {
            format!("{have} of {need} treated observations in this step")
        }
        StayReason::Undecided {
            metric,
            needs: Some(needs),
            ..
        } => {
            format!("needs about {needs} more treated observations of `{metric}`")
        }
        StayReason::Undecided {
            metric,
            needs: None,
            until,
        } => {
            format!(
                "`{metric}` is undecided, for {} more at most",
                span(until.duration_since(now))
            )
        }
        StayReason::NoData { metric, since } => {
            format!(
                "no observations of `{metric}` for {}",
                span(now.duration_since(*since))
            )
        }
        StayReason::SampleRatio(mismatch) => {
            format!(
                "holding, because the split is not as planned: {}",
                self::mismatch(mismatch)
            )
        }
        StayReason::Paused { cause: why } => format!("paused until somebody resumes it: {}", cause(why)),
        StayReason::AwaitingLabel { label, to, found } => {
            format!(
                "waiting for label `{label}` to point at version {to}; it points at {}",
                version(*found)
            )
        }
        StayReason::RegistryAway => {
            "the registry does not answer, and nothing advances without it".to_owned()
        }
        StayReason::SteppedBack { blame, until } => format!(
            "stepped back because the candidate is worse in `{blame}`; again at {}, down to a rollback",
            moment(*until, now)
        ),
        StayReason::Overruled { blame } => {
            format!("holding: the candidate is worse in `{blame}`, and a person overruled the rollback")
        }
        StayReason::Watching { until } => format!("promoted, and watched until {}", moment(*until, now)),
        StayReason::Ended => "the rollout is over".to_owned(),
        StayReason::Refused(refusal) => refusal.to_string(),
    }
}

fn evaluation(state: &EvaluationState) -> String {
    match state {
        EvaluationState::Open => "the evaluation gate is open".to_owned(),
        EvaluationState::Unknown => "the evaluation cannot be read: the registry does not answer".to_owned(),
        EvaluationState::Missing { version } => format!("no evaluation of version {version} is recorded"),
        EvaluationState::Below { metric, score, least } => {
            format!("the evaluation of `{metric}` is {score}, below {least}")
        }
    }
}

/// "waiting for approval to start: 1 of 2 given, by bob; 1 more from alice or carol".
fn approval(point: ApprovalPoint, given: &BTreeSet<Actor>, needed: u32, from: &Approvers) -> String {
    let count = u32::try_from(given.len()).unwrap_or(u32::MAX);
    let mut text = format!(
        "waiting for approval {}: {count} of {needed} given",
        approval_point(point)
    );
    if !given.is_empty() {
        let names: Vec<&str> = given.iter().map(Actor::as_str).collect();
        text.push_str(&format!(", by {}", names.join(" and ")));
    }
    if *from != Approvers::default() {
        text.push_str(&format!("; {} more from {from}", needed.saturating_sub(count)));
    }
    text
}

fn approval_point(point: ApprovalPoint) -> String {
    match point {
        ApprovalPoint::Start => "to start".to_owned(),
        ApprovalPoint::Step(step) => format!("to leave step {}", step + 1),
    }
}

/// What an entry of the history tells.
pub fn event(event: &AuditEvent) -> String {
    match event {
        AuditEvent::Moved(transition) => {
            let (from, to) = (place(&transition.from), place(&transition.to.phase));
            // A rollout begins, and is approved, without leaving its place.
            let way = if from == to {
                to
            } else {
                format!("{from} → {to}")
            };
            let mut text = format!("{way}: {}", cause(&transition.cause));
            for effect in &transition.effects {
                if let Effect::MoveLabel(label_move) = effect {
                    text.push_str(&parents::clause(label_move));
                }
            }
            text
        }
        AuditEvent::LabelMove { label_move, outcome } => {
            let LabelMove { label, from, to, .. } = label_move;
            let moved = format!("label `{label}` from {} to version {to}", version(*from));
            let too = parents::clause(label_move);
            format!("{moved}: {}{too}", self::outcome(outcome))
        }
        AuditEvent::Registry {
            registry,
            since,
            error,
        } => {
            let since = full_moment(*since);
            match error {
                Some(error) => format!(
                    "registry `{registry}` has not answered since {since}; what it was last known to hold is \
                     used, as long as the settings let it: {error}"
                ),
                None => format!("registry `{registry}` answers again, for the first time since {since}"),
            }
        }
        AuditEvent::Cache {
            cache,
            label,
            version: to,
            outcome,
        } => {
            let moved = format!("cache `{cache}` after label `{label}` came to {}", version(*to));
            format!("{moved}: {}", cleared(outcome))
        }
        AuditEvent::Fallback(told) => fallback::sentence(told),
        AuditEvent::Notice { notice, outcome } => {
            let (on, format, number) = (notice.on.as_str(), notice.format.as_str(), notice.place + 1);
            let told = format!("notification {number} (`{on}`, {format})");
            match outcome {
                NoticeOutcome::Delivered => format!("{told}: delivered"),
                NoticeOutcome::Failed { error } => format!("{told}: failed, and is tried again: {error}"),
                NoticeOutcome::GivenUp { error } => format!("{told}: given up: {error}"),
            }
        }
        AuditEvent::Refused { command, refusal } => format!("{} asked: {refusal}", command.actor),
    }
}

fn cleared(outcome: &CacheOutcome) -> String {
    match outcome {
        CacheOutcome::Cleared => "cleared".to_owned(),
        CacheOutcome::Failed { error } => format!("failed, and is tried again: {error}"),
    }
}

/// The phase in two or three words: "step 2", "rolling back".
pub fn place(phase: &Phase) -> String {
    match phase {
        Phase::Ramping { step } => format!("step {}", step + 1),
        Phase::Paused {
            from: Resumable::Ramping { step },
            ..
        } => format!("paused in step {}", step + 1),
        Phase::Pending
        | Phase::Paused { .. }
        | Phase::Promoting
        | Phase::Watching
        | Phase::Promoted
        | Phase::RollingBack { .. }
        | Phase::RolledBack { .. }
        | Phase::Superseded { .. } => phase.as_str().replace('_', " "),
    }
}

fn outcome(outcome: &LabelMoveOutcome) -> String {
    match outcome {
        LabelMoveOutcome::Confirmed => "read back and confirmed".to_owned(),
        LabelMoveOutcome::Foreign { found } => {
            format!("left alone, because it points at {}", version(*found))
        }
        LabelMoveOutcome::Failed { error } => format!("failed, and is tried again: {error}"),
        LabelMoveOutcome::Superseded => "void, because a later transition took its place".to_owned(),
    }
}

/// `14:02:10 UTC` on the day of `now`, with the date on other days.
fn moment(at: Timestamp, now: Timestamp) -> String {
    let (at_date, now_date) = (
        at.to_zoned(TimeZone::UTC).date(),
        now.to_zoned(TimeZone::UTC).date(),
    );
    if at_date == now_date {
        at.strftime("%H:%M:%S UTC").to_string()
    } else {
        full_moment(at)
    }
}

fn full_moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A length of time with its two largest units: `31 min`, `2 h 5 min`, `3 d`; nothing below zero.
pub fn span(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let first = units
        .iter()
        .position(|(_, size)| seconds >= *size)
        .unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let mut shown = Vec::new();
    for (unit, size) in &units[first..units.len().min(first + 2)] {
        let count = rest / size;
        rest %= size;
        if count > 0 || shown.is_empty() {
            shown.push(format!("{count} {unit}"));
        }
    }
    shown.join(" ")
}

mod fallback;
pub mod parents;
#[cfg(test)]
mod tests;

//! One run of a policy, from pending to promoted or rolled back, as pure functions.
//!
//! [`decide`](decide::decide) is the only place where a [`Phase`] changes. It is handed the policy,
//! the state, one [`Input`] and the time, and returns a [`Decision`]; it does nothing else. The
//! controller commits the [`Transition`] with its effects, and only then runs them.

use crate::analysis::{Assessment, Blame, Mismatch};
use crate::ids::{
    Actor, Generation, Justification, Label, MetricName, PolicyName, Revision, RolloutId, Version,
};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::BTreeSet;

pub mod aftermath;
mod approval;
mod audit;
mod command;
pub mod course;
pub mod decide;
pub mod explain;
pub mod fallback;
mod label_move;
pub mod notice;
pub mod route;
pub mod state;
#[cfg(test)]
mod tests;
mod transition;

pub use approval::{Approval, ApprovalPoint, Approvers};
pub use audit::{AuditEvent, AuditRecord, CacheOutcome, Checkpoint, LabelMoveOutcome};
pub use command::possible;
pub use label_move::{LabelMove, Parents};
pub use notice::{Notice, NoticeOutcome};

/// What is known of one rollout; the store keeps it whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutState {
    /// The rollout.
    pub id: RolloutId,
    /// Its policy.
    pub policy: PolicyName,
    /// The policy's revision when it started, under which it goes on.
    pub revision: Revision,
    /// The version that users have.
    pub stable: Version,
    /// The version on trial.
    pub candidate: Version,
    /// Where it stands.
    pub phase: Phase,
    /// Fence: one more with each transition.
    pub generation: Generation,
    /// When it began.
    pub started_at: Timestamp,
    /// When the present phase (or step) began; moved forward by the length of each pause.
    pub entered_at: Timestamp,
    /// When the present phase began, pauses included.
    pub changed_at: Timestamp,
    /// Treated observations at the beginning of the present step.
    pub treated_at_entry: u64,
    /// Whether the present step was entered from above, after a verdict `Fail`.
    pub stepped_back: bool,
    /// Whether Serin has asked for the control label to point at the candidate.
    pub promoted: bool,
    /// Whether a person went on in spite of a verdict `Fail`; it then holds, but acts no more.
    pub fail_overruled: bool,
    /// Who approved what so far.
    pub approvals: BTreeSet<Approval>,
    /// Who wrote the candidate, where the policy asks for approval and the registry tells.
    pub author: Option<Actor>,
}

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Its gates are not passed yet; nobody is in treatment.
    Pending,
    /// Users are in treatment at the step's exposure.
    Ramping {
        /// Index into the policy's steps.
        step: usize,
    },
    /// It waits for a person; exposure stays as it was.
    Paused {
        /// Where it goes on.
        from: Resumable,
        /// Why it waits.
        cause: Cause,
    },
    /// The control label is on its way to the candidate.
    Promoting,
    /// Everybody has the candidate, and it is watched on.
    Watching,
    /// The candidate is the stable version. The end.
    Promoted,
    /// Nobody is in treatment; labels are on their way back.
    RollingBack {
        /// Why it was taken back.
        cause: Cause,
    },
    /// Labels are back. The end.
    RolledBack {
        /// Why it was taken back.
        cause: Cause,
    },
    /// A newer candidate took its place. The end.
    Superseded {
        /// The newer candidate.
        by: Version,
    },
}

/// A phase that a pause interrupts and a resume returns to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resumable {
    /// Waiting for gates.
    Pending,
    /// In a step.
    Ramping {
        /// Index into the policy's steps.
        step: usize,
    },
    /// After promotion.
    Watching,
}

/// Why a rollout moved.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// The data said so.
    Verdict(VerdictCause),
    /// A person said so.
    Operator {
        /// Who.
        actor: Actor,
        /// Why, in their words.
        reason: Justification,
    },
    /// The policy's rules said so.
    Policy(PolicyCause),
    /// The registry said so.
    Registry(RegistryCause),
}

/// A verdict that moved a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum VerdictCause {
    /// Every guardrail passed, and bake and samples were met.
    Passed,
    /// The candidate is proved to be worse.
    Failed {
        /// What to blame.
        blame: Blame,
    },
    /// Users are proved not to have come to the arms as planned, so that no comparison holds.
    SampleRatio(Mismatch),
}

/// A rule of the policy that moved a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyCause {
    /// Every gate before the start is open.
    GatesPassed,
    /// A guardrail got no observations for too long.
    NoData {
        /// The metric.
        metric: MetricName,
        /// The last observation, or the beginning of the step.
        since: Timestamp,
    },
    /// The step stayed undecided for too long.
    Inconclusive {
        /// When the step began.
        since: Timestamp,
    },
    /// The promoted version was watched long enough.
    Watched,
    /// The policy's file is gone.
    Removed,
}

/// An event in the registry that moved a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum RegistryCause {
    /// The treatment label came to point at a version other than the stable one.
    CandidateAppeared {
        /// Who moved it, where the registry tells.
        by: Option<Actor>,
    },
    /// A newer candidate took its place.
    NewerCandidate {
        /// The newer one.
        version: Version,
        /// Who moved the label, where the registry tells.
        by: Option<Actor>,
    },
    /// Somebody else moved a label of a running rollout.
    ForeignMove(ForeignMove),
    /// All label moves of the transition are confirmed by read-back.
    Confirmed,
}

/// A label that somebody else moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignMove {
    /// The label.
    pub label: Label,
    /// Where Serin expects it.
    pub expected: Version,
    /// Where it is; none when the label is gone.
    pub found: Option<Version>,
    /// Who moved it, where the registry tells.
    pub by: Option<Actor>,
}

/// What `decide` is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Time has passed; this is what the world looks like.
    Tick(Box<Observed>),
    /// A person asks for something; the numbers go into the audit.
    Command {
        /// What is asked, by whom and why.
        command: Command,
        /// The numbers at that moment.
        assessment: Box<Assessment>,
    },
}

/// What the world looks like at a tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The conclusion from all closed ticks.
    pub assessment: Assessment,
    /// How the evaluation gate stands.
    pub evaluation: EvaluationState,
    /// Where the labels point; none while the registry does not answer, and then nothing advances.
    pub labels: Option<ObservedLabels>,
    /// Whether a label move of this rollout is not finished: what is elsewhere may still be on its way.
    pub moves_pending: bool,
    /// Whether the policy's file is gone.
    pub policy_removed: bool,
}

/// Where both labels point, as the registry shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedLabels {
    /// The control label.
    pub control: ObservedLabel,
    /// The treatment label.
    pub treatment: ObservedLabel,
}

/// Where one label points, and who moved it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedLabel {
    /// None when the registry has no such label.
    pub version: Option<Version>,
    /// Who moved it last, where the registry tells.
    pub by: Option<Actor>,
}

/// How the evaluation gate stands.
#[derive(Debug, Clone, PartialEq)]
pub enum EvaluationState {
    /// The policy has no such gate, or the recorded scores satisfy it.
    Open,
    /// The registry does not answer.
    Unknown,
    /// No evaluation on the dataset is recorded for the candidate (or the stable version).
    Missing {
        /// The version without one.
        version: Version,
    },
    /// A recorded score is too low.
    Below {
        /// The metric.
        metric: MetricName,
        /// The candidate's score.
        score: f64,
        /// What it must reach.
        least: f64,
    },
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// What.
    pub verb: Verb,
    /// Who.
    pub actor: Actor,
    /// Why, in their words.
    pub reason: Justification,
    /// Whether they are an administrator.
    pub is_admin: bool,
}

/// What a person can ask of a running rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Stay at the present exposure.
    Pause,
    /// Go on.
    Resume,
    /// Go to the next step now.
    Step,
    /// Make the candidate stable now.
    Promote,
    /// Take the candidate back now.
    RollBack,
    /// Open the gate that it waits for.
    Approve,
}

/// What to do.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing, and why.
    Stay(StayReason),
    /// Commit this, then run its effects.
    Move(Box<Transition>),
}

/// Why nothing moves.
#[derive(Debug, Clone, PartialEq)]
pub enum StayReason {
    /// The evaluation gate is closed.
    Evaluation(EvaluationState),
    /// Approvals are missing.
    Approval {
        /// What waits.
        point: ApprovalPoint,
        /// Who has approved.
        given: BTreeSet<Actor>,
        /// How many people must.
        needed: u32,
        /// Who may still.
        from: Approvers,
    },
    /// The step's bake is not over.
    Baking {
        /// When it will be.
        until: Timestamp,
    },
    /// Too few treated observations in the step.
    Samples {
        /// How many there are.
        have: u64,
        /// How many must be.
        need: u64,
    },
    /// A guardrail is not decided.
    Undecided {
        /// The metric.
        metric: MetricName,
        /// About how many more treated observations it needs, where that can be told.
        needs: Option<u64>,
        /// When the policy's patience ends.
        until: Timestamp,
    },
    /// A guardrail has no observations.
    NoData {
        /// The metric.
        metric: MetricName,
        /// Since when; none when there never was one.
        since: Timestamp,
    },
    /// Users are proved not to have come to the arms as planned, and a person went on all the same:
    /// nothing advances by itself any more.
    SampleRatio(Mismatch),
    /// A person must act.
    Paused {
        /// Why it was paused.
        cause: Cause,
    },
    /// A label is not where it should be yet.
    AwaitingLabel {
        /// The label.
        label: Label,
        /// Where it must come to point.
        to: Version,
        /// Where it points; none when it is gone, or the registry does not answer.
        found: Option<Version>,
    },
    /// The registry does not answer, and nothing advances without it.
    RegistryAway,
    /// The candidate is proved to be worse, and the policy steps back one bake at a time.
    SteppedBack {
        /// The metric to blame.
        blame: MetricName,
        /// When it steps back again; a failure stays one.
        until: Timestamp,
    },
    /// The candidate is proved to be worse, and a person overruled that.
    Overruled {
        /// The metric to blame.
        blame: MetricName,
    },
    /// The promoted version is watched.
    Watching {
        /// When the watch is over.
        until: Timestamp,
    },
    /// The rollout is over.
    Ended,
    /// A person asked for something that makes no sense here.
    Refused(Refusal),
}

/// Why a person's command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} a rollout that is {phase}: {why}", verb.as_str())]
pub struct Refusal {
    /// What was asked.
    pub verb: Verb,
    /// The phase, in words.
    pub phase: Cow<'static, str>,
    /// What stands against it, and what would be possible.
    pub why: Cow<'static, str>,
    /// What kind of objection it is.
    pub objection: Objection,
}

/// What kind of objection stands against a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// It makes no sense where the rollout stands.
    Phase,
    /// Whoever asks may not approve this.
    Approver,
    /// Others must approve first.
    ApprovalsMissing,
}

/// A change of state, with what caused it and what must be done about it.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The phase before.
    pub from: Phase,
    /// The state after; its generation is one more than before.
    pub to: RolloutState,
    /// Why.
    pub cause: Cause,
    /// The numbers that it rests on, where it rests on numbers.
    pub assessment: Option<Assessment>,
    /// What to do, in this order, after the commit.
    pub effects: Vec<Effect>,
}

/// Something to do in the world; committed before it is run, harmless to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Move a label.
    MoveLabel(LabelMove),
    /// Tell people.
    Notify(Notice),
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Pause,
        Self::Resume,
        Self::Step,
        Self::Promote,
        Self::RollBack,
        Self::Approve,
    ];

    /// The word in the CLI and in URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Step => "step",
            Self::Promote => "promote",
            Self::RollBack => "rollback",
            Self::Approve => "approve",
        }
    }
}

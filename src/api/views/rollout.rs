//! Rollouts, and what is asked of them.

use super::cause::PhaseView;
use super::evidence::VerdictView;
use super::stay::StayView;
use super::{Whole, moment};
use crate::api::schema::{
    ActorText, DnsLabel, Moment, ReasonText, RevisionText, RolloutIdText, VersionNumber,
};
use crate::controller::RolloutStatus;
use crate::ids::Exposure;
use crate::policy::Policy;
use crate::rollout::aftermath::Aftermath;
use crate::rollout::{Approval, ApprovalPoint, RolloutState, StayReason};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One run of a policy.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Rollout)]
pub struct RolloutView {
    /// The rollout.
    #[schema(value_type = RolloutIdText)]
    id: String,
    /// Its policy.
    #[schema(value_type = DnsLabel)]
    policy: String,
    /// The policy's revision under which it runs.
    #[schema(value_type = RevisionText)]
    revision: String,
    /// The version that users have.
    #[schema(value_type = VersionNumber)]
    stable: u32,
    /// The version on trial.
    #[schema(value_type = VersionNumber)]
    candidate: u32,
    /// Where it stands.
    phase: PhaseView,
    /// Share of users in treatment; null for a rollout that is neither running nor its policy's last.
    #[schema(minimum = 0, maximum = 1)]
    exposure: Option<f64>,
    /// Share of users in treatment at each step of the ladder; null like `exposure`.
    ladder: Option<Vec<f64>>,
    /// What the numbers say about the candidate; null like `exposure`, and before the first closed tick.
    verdict: Option<VerdictView>,
    /// Why it does not move; null like `exposure`, and after a move until it is looked at again.
    stay: Option<StayView>,
    /// Grows by one with each transition.
    generation: u64,
    /// When it began.
    #[schema(value_type = Moment)]
    started_at: String,
    /// When the present phase or step began, moved forward by the length of each pause.
    #[schema(value_type = Moment)]
    entered_at: String,
    /// When the present phase began.
    #[schema(value_type = Moment)]
    changed_at: String,
    /// Whether Serin has asked for the control label to point at the candidate.
    promoted: bool,
    /// Whether a person went on in spite of a verdict that failed.
    fail_overruled: bool,
    /// Who approved what so far.
    approvals: Vec<ApprovalView>,
    /// Who wrote the candidate; null where no approval is asked for or the registry does not tell.
    #[schema(value_type = Option<ActorText>)]
    author: Option<String>,
    /// What applications may serve after a rollback; null like `exposure`.
    after_rollback: Option<AftermathView>,
}

/// What applications may serve after a rollback, by what the policy says of their caches.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AfterRollback)]
pub struct AftermathView {
    /// How long a process keeps what it fetched, in seconds.
    #[schema(minimum = 0)]
    cache_ttl_seconds: i64,
    /// How long a Redis that processes share keeps it, in seconds; null where they share none.
    #[schema(minimum = 0)]
    redis_ttl_seconds: Option<i64>,
    /// Whether Serin clears that Redis with the move of the label.
    redis_is_cleared: bool,
    /// Time from the move of the label until no cache holds the candidate as fresh, in seconds.
    #[schema(minimum = 0)]
    at_most_seconds: i64,
    /// The same, and what follows it, as an English sentence.
    text: String,
}

impl From<&Aftermath> for AftermathView {
    fn from(aftermath: &Aftermath) -> Self {
        Self {
            cache_ttl_seconds: aftermath.cache_ttl.as_secs(),
            redis_ttl_seconds: aftermath.redis_ttl.map(|ttl| ttl.as_secs()),
            redis_is_cleared: aftermath.is_cleared,
            at_most_seconds: aftermath.at_most().as_secs(),
            text: aftermath.sentence(),
        }
    }
}

/// An approval that was given.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Approval)]
pub struct ApprovalView {
    /// The step that it opens the way out of, from 1; null for the start.
    #[schema(minimum = 1)]
    step: Option<usize>,
    /// Who gave it.
    #[schema(value_type = ActorText)]
    actor: String,
}

impl From<&Approval> for ApprovalView {
    fn from(approval: &Approval) -> Self {
        let step = match approval.point {
            ApprovalPoint::Start => None,
            ApprovalPoint::Step(step) => Some(step + 1),
        };
        Self {
            step,
            actor: approval.actor.to_string(),
        }
    }
}

/// Share of users in treatment at each step.
fn ladder(policy: &Policy) -> Vec<f64> {
    (0..policy.steps.len())
        .map(|step| policy.exposure_of(step).ratio())
        .collect()
}

impl RolloutView {
    /// Shows a rollout as the board has it.
    pub fn on_board(status: &RolloutStatus, now: Timestamp) -> Self {
        let has_just_moved = status.stay == StayReason::Ended && !status.state.phase.is_over();
        Self {
            exposure: Some(status.exposure.ratio()),
            ladder: Some(ladder(&status.policy)),
            verdict: status
                .assessment
                .as_deref()
                .map(|assessment| assessment.verdict.into()),
            after_rollback: Some((&status.aftermath).into()),
            stay: (!has_just_moved).then(|| StayView::new(&status.stay, now)),
            ..Self::stored(&status.state)
        }
    }

    /// Shows a rollout of which only the state is known.
    pub fn stored(state: &RolloutState) -> Self {
        let over = state.phase.is_over() && !state.promoted;
        Self {
            id: state.id.to_string(),
            policy: state.policy.to_string(),
            revision: state.revision.to_string(),
            stable: state.stable.get(),
            candidate: state.candidate.get(),
            phase: (&state.phase).into(),
            exposure: over.then(|| Exposure::NOBODY.ratio()),
            ladder: None,
            verdict: None,
            stay: None,
            generation: state.generation.get(),
            started_at: moment(state.started_at),
            entered_at: moment(state.entered_at),
            changed_at: moment(state.changed_at),
            promoted: state.promoted,
            fail_overruled: state.fail_overruled,
            approvals: state.approvals.iter().map(Into::into).collect(),
            author: state.author.as_ref().map(ToString::to_string),
            after_rollback: None,
        }
    }
}

/// Rollouts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloutsView {
    /// The page.
    pub rollouts: Vec<RolloutView>,
    /// What to send as `before` for the next page; null on the last one.
    #[schema(value_type = Option<RolloutIdText>)]
    pub next: Option<String>,
}

/// A rollout that a person asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartBody {
    /// The policy.
    #[schema(value_type = DnsLabel)]
    pub policy: String,
    /// The candidate; the version that the treatment label points at when it is left out.
    #[schema(value_type = Option<VersionNumber>)]
    pub candidate: Option<Whole>,
    /// Why.
    #[schema(value_type = ReasonText)]
    pub reason: String,
}

/// Why a person asks for something.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandBody {
    /// Why.
    #[schema(value_type = ReasonText)]
    pub reason: String,
}

//! What a notification says, in whatever form.

use crate::ids::{Exposure, Version};
use crate::policy::{NotifyOn, Policy};
use crate::rollout::{AuditEvent, Cause, Phase, RolloutState, explain};
use crate::store::PendingNotice;
use jiff::Timestamp;

/// A transition, as people are told of it.
#[derive(Debug)]
pub(super) struct Told<'a> {
    /// The same for every attempt.
    pub(super) id: String,
    pub(super) on: NotifyOn,
    pub(super) at: Timestamp,
    pub(super) policy: &'a Policy,
    pub(super) state: &'a RolloutState,
    pub(super) cause: &'a Cause,
    pub(super) exposure: Exposure,
}

impl<'a> Told<'a> {
    /// None when the record is not that of a transition.
    pub(super) fn new(pending: &'a PendingNotice, policy: &'a Policy) -> Option<Self> {
        let transition = match &pending.record.event {
            AuditEvent::Moved(transition) => transition,
            AuditEvent::LabelMove { .. }
            | AuditEvent::Registry { .. }
            | AuditEvent::Cache { .. }
            | AuditEvent::Fallback(_)
            | AuditEvent::Notice { .. }
            | AuditEvent::Refused { .. } => {
                return None;
            }
        };
        let (at, state) = (pending.record.at, &transition.to);
        Some(Self {
            // The time tells servers apart that number their rollouts alike.
            id: format!(
                "serin-{}-{}-{}-{}",
                at.as_microsecond(),
                state.id,
                state.generation,
                pending.notice.place
            ),
            on: pending.notice.on,
            at,
            policy,
            state,
            cause: &transition.cause,
            exposure: state.exposure(policy),
        })
    }

    /// The version that the rollout began with.
    pub(super) fn candidate(&self) -> Version {
        self.state.candidate
    }

    /// What happened, as one sentence without a full stop.
    pub(super) fn sentence(&self) -> String {
        let Self { state, policy, .. } = self;
        let (candidate, stable, prompt) = (state.candidate, state.stable, &policy.prompt);
        let why = explain::cause(self.cause);
        match self.on {
            NotifyOn::Started => {
                format!(
                    "a rollout of version {candidate} of `{prompt}` began, against version {stable}: {why}"
                )
            }
            NotifyOn::Advanced => {
                let place = match state.phase {
                    Phase::Ramping { step } => format!(", in step {} of {}", step + 1, policy.steps.len()),
                    Phase::Pending
                    | Phase::Paused { .. }
                    | Phase::Promoting
                    | Phase::Watching
                    | Phase::Promoted
                    | Phase::RollingBack { .. }
                    | Phase::RolledBack { .. }
                    | Phase::Superseded { .. } => String::new(),
                };
                format!(
                    "{} of users have version {candidate} of `{prompt}` now{place}: {why}",
                    self.exposure
                )
            }
            NotifyOn::Paused => format!(
                "the rollout of version {candidate} of `{prompt}` waits for a person, with {} of users: {why}",
                self.exposure
            ),
            NotifyOn::RolledBack => format!(
                "version {candidate} of `{prompt}` is taken back, and everybody gets version {stable}: {why}"
            ),
            NotifyOn::Promoted => format!(
                "version {candidate} of `{prompt}` is the stable version, in place of version {stable}: {why}"
            ),
        }
    }
}

//! Whether people were told.

use super::{Telemetry, counter, forget};
use crate::controller::{Board, PolicyStatus, Trouble};
use crate::ids::PolicyName;
use prometheus::core::Collector;
use prometheus::{Error, IntCounterVec, IntGaugeVec, Opts};
use std::collections::BTreeSet;

/// How an attempt at a notification ended, for [`Telemetry::told`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeResult {
    /// The other side has taken it.
    Delivered,
    /// It is tried again.
    Failed,
    /// It is not tried again.
    GivenUp,
}

impl NoticeResult {
    const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// What became of notifications, and those that wait behind a failure.
#[derive(Debug)]
pub(super) struct Counters {
    tried: IntCounterVec,
    waiting: IntGaugeVec,
}

impl Counters {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            tried: counter(
                "serin_notices_total",
                "Attempts to tell people what a policy says; there from 0 on.",
                &["policy", "outcome"],
            )?,
            waiting: IntGaugeVec::new(
                Opts::new(
                    "serin_notices_waiting",
                    "Notifications that wait because they, or one before them, were not taken.",
                ),
                &["policy"],
            )?,
        })
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 2] {
        [Box::new(self.tried.clone()), Box::new(self.waiting.clone())]
    }

    pub(super) fn forget(&self, gone: &BTreeSet<&str>) {
        forget(&self.tried, gone);
    }

    pub(super) fn show(&self, board: &Board) {
        self.waiting.reset();
        // Many policies have neither anybody to tell nor anything to tell of.
        let told = |status: &PolicyStatus| status.rollout.is_some() || !status.policy.notify.is_empty();
        for (policy, _) in board.policies.iter().filter(|(_, status)| told(status)) {
            self.waiting.with_label_values(&[policy.as_str()]);
            for result in NoticeResult::ALL {
                self.tried.with_label_values(&[policy.as_str(), result.as_str()]);
            }
        }
        for trouble in &board.troubles {
            match trouble {
                Trouble::Notices { policy, waiting, .. } => {
                    let waiting = i64::try_from(*waiting).unwrap_or(i64::MAX);
                    self.waiting.with_label_values(&[policy.as_str()]).set(waiting);
                }
                Trouble::Registry { .. } | Trouble::Cache { .. } | Trouble::Store { .. } => {}
            }
        }
    }
}

impl Telemetry {
    /// Counts an attempt to tell people what `policy` says.
    pub fn told(&self, policy: &PolicyName, result: NoticeResult) {
        let labels = [policy.as_str(), result.as_str()];
        self.notices.tried.with_label_values(&labels).inc();
    }
}

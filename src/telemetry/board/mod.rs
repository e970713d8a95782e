//! What the board says, as gauges.

mod caches;
mod data;
pub(super) mod evidence;
mod gauge;
mod rollouts;
mod yardsticks;

use self::gauge::{GaugeVec, IntGaugeVec};
use crate::controller::{Board, RolloutStatus, Trouble};
use crate::ids::{PolicyName, RegistryName};
use crate::policy::problem::Severity;
use prometheus::Error;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Gauges {
    rollouts: rollouts::Gauges,
    evidence: evidence::Gauges,
    yardsticks: yardsticks::Gauges,
    data: data::Gauges,
    caches: caches::Gauges,
    registry_up: IntGaugeVec,
    store_up: IntGaugeVec,
    leader: IntGaugeVec,
    ticked: IntGaugeVec,
    problems: IntGaugeVec,
}

fn whole(name: &'static str, help: &'static str, labels: &[&'static str]) -> Result<IntGaugeVec, Error> {
    IntGaugeVec::new(name, help, labels)
}

fn real(name: &'static str, help: &'static str, labels: &[&'static str]) -> Result<GaugeVec, Error> {
    GaugeVec::new(name, help, labels)
}

/// The gauges of one file here: those that count, and those that measure.
type Families<'g> = (Vec<&'g IntGaugeVec>, Vec<&'g GaugeVec>);

impl Gauges {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            rollouts: rollouts::Gauges::new()?,
            evidence: evidence::Gauges::new()?,
            yardsticks: yardsticks::Gauges::new()?,
            data: data::Gauges::new()?,
            caches: caches::Gauges::new()?,
            registry_up: whole(
                "serin_registry_up",
                "Whether the registry answered last.",
                &["registry"],
            )?,
            store_up: whole(
                "serin_store_up",
                "Whether the store did its part in the last tick; observations cannot be kept without it.",
                &[],
            )?,
            leader: whole("serin_leader", "Whether this process runs the rollouts.", &[])?,
            ticked: whole(
                "serin_last_tick_timestamp_seconds",
                "When the controller last looked at everything.",
                &[],
            )?,
            problems: whole(
                "serin_policy_problems",
                "Problems in the files of the policy folder.",
                &["severity"],
            )?,
        })
    }

    fn own(&self) -> Families<'_> {
        let whole = vec![
            &self.registry_up,
            &self.store_up,
            &self.leader,
            &self.ticked,
            &self.problems,
        ];
        (whole, Vec::new())
    }

    fn families(&self) -> [Families<'_>; 6] {
        [
            self.rollouts.families(),
            self.evidence.families(),
            self.yardsticks.families(),
            self.data.families(),
            self.caches.families(),
            self.own(),
        ]
    }

    /// Adds what `board` says to the end of `text`; one scrape at a time.
    pub(super) fn show(&self, board: &Board, text: &mut String) {
        for (name, policy) in &board.policies {
            self.rollouts.show(name, policy);
            if let Some(rollout) = &policy.rollout {
                self.show_evidence(name, rollout);
            }
        }
        for (registry, up) in registries(board) {
            self.registry_up
                .with_label_values(&[registry.as_str()])
                .set(i64::from(up));
        }
        self.caches.show(board);
        self.show_server(board);
        for (whole, real) in self.families() {
            whole.into_iter().for_each(|family| family.drain_into(text));
            real.into_iter().for_each(|family| family.drain_into(text));
        }
    }

    fn show_evidence(&self, name: &PolicyName, rollout: &Arc<RolloutStatus>) {
        if let Some(assessment) = &rollout.assessment {
            self.evidence.show(name.as_str(), assessment);
            self.yardsticks.show(name.as_str(), &rollout.policy, assessment);
            self.data.show(name.as_str(), &assessment.data);
        }
    }

    fn show_server(&self, board: &Board) {
        let away = board
            .troubles
            .iter()
            .any(|trouble| matches!(trouble, Trouble::Store { .. }));
        let alone = |gauge: &IntGaugeVec, value| gauge.with_label_values(&[]).set(value);
        alone(&self.store_up, i64::from(!away));
        alone(&self.leader, i64::from(board.ticked_at.is_some()));
        if let Some(ticked_at) = board.ticked_at {
            alone(&self.ticked, ticked_at.as_second());
        }
        for (severity, word) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
            let count = board
                .problems
                .iter()
                .filter(|problem| problem.severity == severity)
                .count();
            self.problems
                .with_label_values(&[word])
                .set(count.try_into().unwrap_or(i64::MAX));
        }
    }
}

/// Every registry that a policy names, and whether it answered.
fn registries(board: &Board) -> BTreeMap<&RegistryName, bool> {
    let mut up: BTreeMap<&RegistryName, bool> = board
        .policies
        .values()
        .map(|status| (&status.policy.registry, true))
        .collect();
    for trouble in &board.troubles {
        match trouble {
            Trouble::Registry { registry, .. } => {
                up.insert(registry, false);
            }
            Trouble::Cache { .. } | Trouble::Store { .. } | Trouble::Notices { .. } => {}
        }
    }
    up
}

//! What the board says, as gauges.

use crate::analysis::{Assessment, Evidence, Verdict};
use crate::controller::{Board, PolicyStatus, RolloutStatus, Trouble};
use crate::ids::{Arm, PolicyName, RegistryName};
use crate::policy::problem::Severity;
use crate::rollout::Phase;
use prometheus::core::Collector;
use prometheus::{Error, GaugeVec, IntGaugeVec, Opts};
use std::collections::BTreeMap;

/// Shown as the phase of a policy that never had a rollout.
const IDLE: &str = "idle";

#[derive(Debug)]
pub(super) struct Gauges {
    phase: IntGaugeVec,
    status: IntGaugeVec,
    exposure: GaugeVec,
    step: IntGaugeVec,
    value: GaugeVec,
    difference: GaugeVec,
    margin: GaugeVec,
    log_e_value: GaugeVec,
    verdict: IntGaugeVec,
    last_observation: IntGaugeVec,
    sample_ratio: GaugeVec,
    registry_up: IntGaugeVec,
    leader: IntGaugeVec,
    problems: IntGaugeVec,
}

fn whole(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
    IntGaugeVec::new(Opts::new(name, help), labels)
}

fn real(name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
    GaugeVec::new(Opts::new(name, help), labels)
}

impl Gauges {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            phase: whole(
                "serin_rollout_phase",
                "1 for the phase that the policy's rollout is in, 0 for the others.",
                &["policy", "phase"],
            )?,
            status: whole(
                "serin_rollout_status",
                "0 running, 1 idle or promoted, 2 rolled back or paused.",
                &["policy"],
            )?,
            exposure: real(
                "serin_rollout_exposure_ratio",
                "Share of users in treatment.",
                &["policy"],
            )?,
            step: whole(
                "serin_rollout_step",
                "Step of the ladder, from 1; 0 outside it.",
                &["policy"],
            )?,
            value: real(
                "serin_metric_value",
                "Mean of the observations; of a latency with quantiles, the highest of them.",
                &["policy", "metric", "arm"],
            )?,
            difference: real(
                "serin_metric_difference",
                "Treatment minus control, with its anytime-valid interval.",
                &["policy", "metric", "bound"],
            )?,
            margin: real(
                "serin_metric_margin",
                "Worsening that is tolerated.",
                &["policy", "metric"],
            )?,
            log_e_value: real(
                "serin_metric_log_e_value",
                "Log e-value against the candidate being no worse.",
                &["policy", "metric"],
            )?,
            verdict: whole(
                "serin_metric_verdict",
                "1 for the metric's verdict, 0 for the others.",
                &["policy", "metric", "verdict"],
            )?,
            last_observation: whole(
                "serin_metric_last_observation_timestamp_seconds",
                "When the last observation of either arm arrived.",
                &["policy", "metric"],
            )?,
            sample_ratio: real(
                "serin_sample_ratio_log_e_value",
                "Log e-value against users coming to the arms as planned; 6.9 is proof that they do not.",
                &["policy"],
            )?,
            registry_up: whole(
                "serin_registry_up",
                "Whether the registry answered last.",
                &["registry"],
            )?,
            leader: whole("serin_leader", "Whether this process runs the rollouts.", &[])?,
            problems: whole(
                "serin_policy_problems",
                "Problems in the files of the policy folder.",
                &["severity"],
            )?,
        })
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.phase.clone()),
            Box::new(self.status.clone()),
            Box::new(self.exposure.clone()),
            Box::new(self.step.clone()),
            Box::new(self.value.clone()),
            Box::new(self.difference.clone()),
            Box::new(self.margin.clone()),
            Box::new(self.log_e_value.clone()),
            Box::new(self.verdict.clone()),
            Box::new(self.last_observation.clone()),
            Box::new(self.sample_ratio.clone()),
            Box::new(self.registry_up.clone()),
            Box::new(self.leader.clone()),
            Box::new(self.problems.clone()),
        ]
    }

    /// Replaces everything with what `board` says.
    pub(super) fn show(&self, board: &Board) {
        self.reset();
        for (name, policy) in &board.policies {
            self.show_policy(name, policy);
        }
        for (registry, up) in registries(board) {
            self.registry_up
                .with_label_values(&[registry.as_str()])
                .set(i64::from(up));
        }
        let ticks = i64::from(board.ticked_at.is_some());
        self.leader.with_label_values::<&str>(&[]).set(ticks);
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

    fn reset(&self) {
        for vec in [
            &self.phase,
            &self.status,
            &self.step,
            &self.verdict,
            &self.last_observation,
        ] {
            vec.reset();
        }
        for vec in [
            &self.exposure,
            &self.value,
            &self.difference,
            &self.margin,
            &self.log_e_value,
            &self.sample_ratio,
        ] {
            vec.reset();
        }
        self.registry_up.reset();
    }

    fn show_policy(&self, name: &PolicyName, policy: &PolicyStatus) {
        let rollout = policy.rollout.as_deref();
        let phase = rollout.map(|rollout| &rollout.state.phase);
        let present = phase.map_or(IDLE, Phase::as_str);
        for word in Phase::WORDS.into_iter().chain([IDLE]) {
            let on = i64::from(word == present);
            self.phase.with_label_values(&[name.as_str(), word]).set(on);
        }
        self.status
            .with_label_values(&[name.as_str()])
            .set(phase.map_or(1, status));
        let exposure = rollout.map_or(0.0, |rollout| rollout.exposure.ratio());
        self.exposure.with_label_values(&[name.as_str()]).set(exposure);
        let step = phase.and_then(Phase::step).map_or(0, |step| step + 1);
        self.step
            .with_label_values(&[name.as_str()])
            .set(step.try_into().unwrap_or(i64::MAX));
        if let Some(RolloutStatus {
            assessment: Some(assessment),
            ..
        }) = rollout
        {
            self.show_assessment(name, assessment);
        }
    }

    fn show_assessment(&self, policy: &PolicyName, assessment: &Assessment) {
        self.sample_ratio
            .with_label_values(&[policy.as_str()])
            .set(assessment.data.split.log_e);
        for evidence in &assessment.metrics {
            self.show_evidence(policy.as_str(), evidence);
        }
    }

    fn show_evidence(&self, policy: &str, evidence: &Evidence) {
        let metric = evidence.metric.as_str();
        let (control, treatment) = match evidence.quantiles.last() {
            Some(highest) => (highest.control, highest.treatment),
            None => (evidence.control.mean, evidence.treatment.mean),
        };
        for (arm, value) in [(Arm::Control, control), (Arm::Treatment, treatment)] {
            if let Some(value) = value {
                self.value
                    .with_label_values(&[policy, metric, arm.as_str()])
                    .set(value);
            }
        }
        let bounds = [
            ("estimate", evidence.difference),
            ("lower", evidence.interval.map(|(lower, _)| lower)),
            ("upper", evidence.interval.map(|(_, upper)| upper)),
        ];
        for (bound, value) in bounds {
            if let Some(value) = value {
                self.difference
                    .with_label_values(&[policy, metric, bound])
                    .set(value);
            }
        }
        if let Some(margin) = evidence.margin {
            self.margin.with_label_values(&[policy, metric]).set(margin);
        }
        self.log_e_value
            .with_label_values(&[policy, metric])
            .set(evidence.log_e_worse);
        for verdict in [
            Verdict::Pass,
            Verdict::Fail,
            Verdict::Inconclusive,
            Verdict::Invalid,
        ] {
            let on = i64::from(verdict == evidence.verdict);
            self.verdict
                .with_label_values(&[policy, metric, verdict_word(verdict)])
                .set(on);
        }
        if let Some(last) = evidence.control.last_seen.max(evidence.treatment.last_seen) {
            self.last_observation
                .with_label_values(&[policy, metric])
                .set(last.second());
        }
    }
}

/// What `serin_rollout_status` shows.
fn status(phase: &Phase) -> i64 {
    match phase {
        Phase::Pending | Phase::Ramping { .. } | Phase::Promoting | Phase::Watching => 0,
        Phase::Promoted | Phase::Superseded { .. } => 1,
        Phase::Paused { .. } | Phase::RollingBack { .. } | Phase::RolledBack { .. } => 2,
    }
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Invalid => "invalid",
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
            Trouble::Store { .. } => {}
        }
    }
    up
}

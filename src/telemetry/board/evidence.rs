//! What each metric shows, and all of them together.

use super::gauge::{GaugeVec, IntGaugeVec};
use super::{Families, real, whole};
use crate::analysis::{Assessment, Evidence, Verdict};
use crate::ids::Arm;
use prometheus::Error;

#[derive(Debug)]
pub(super) struct Gauges {
    rollout_verdict: IntGaugeVec,
    verdict: IntGaugeVec,
    last_observation: IntGaugeVec,
    samples: IntGaugeVec,
    samples_needed: IntGaugeVec,
    rollout_log_e_value: GaugeVec,
    value: GaugeVec,
    difference: GaugeVec,
    log_e_value: GaugeVec,
    non_inferiority: GaugeVec,
    limit_log_e_value: GaugeVec,
}

impl Gauges {
    pub(super) fn new() -> Result<Self, Error> {
        let of_metric: &[&'static str] = &["policy", "metric"];
        let by_arm: &[&'static str] = &["policy", "metric", "arm"];
        let of_policy: &[&'static str] = &["policy"];
        Ok(Self {
            rollout_verdict: whole(
                "serin_rollout_verdict",
                "1 for what all metrics say together, 0 for the others.",
                &["policy", "verdict"],
            )?,
            verdict: whole(
                "serin_metric_verdict",
                "1 for the metric's verdict, 0 for the others.",
                &["policy", "metric", "verdict"],
            )?,
            last_observation: whole(
                "serin_metric_last_observation_timestamp_seconds",
                "When the last observation of either arm arrived.",
                of_metric,
            )?,
            samples: whole("serin_metric_samples", "Observations in the comparison.", by_arm)?,
            samples_needed: whole(
                "serin_metric_samples_needed",
                "About how many more treated observations until it passes; absent where that cannot be told.",
                of_metric,
            )?,
            rollout_log_e_value: real(
                "serin_rollout_log_e_value",
                "Log e-value of all metrics together against the candidate being no worse.",
                of_policy,
            )?,
            value: real(
                "serin_metric_value",
                "Mean of the observations; of a latency with quantiles, the highest of them.",
                by_arm,
            )?,
            difference: real(
                "serin_metric_difference",
                "Treatment minus control, with its anytime-valid interval.",
                &["policy", "metric", "bound"],
            )?,
            log_e_value: real(
                "serin_metric_log_e_value",
                "Log e-value against the candidate being no worse.",
                of_metric,
            )?,
            non_inferiority: real(
                "serin_metric_non_inferiority_log_e_value",
                "Log e-value against the candidate being worse than the margin.",
                of_metric,
            )?,
            limit_log_e_value: real(
                "serin_metric_limit_log_e_value",
                "Log e-value against the candidate being within its floor or ceiling.",
                of_metric,
            )?,
        })
    }

    pub(super) fn families(&self) -> Families<'_> {
        let whole = vec![
            &self.rollout_verdict,
            &self.verdict,
            &self.last_observation,
            &self.samples,
            &self.samples_needed,
        ];
        let real = vec![
            &self.rollout_log_e_value,
            &self.value,
            &self.difference,
            &self.log_e_value,
            &self.non_inferiority,
            &self.limit_log_e_value,
        ];
        (whole, real)
    }

    pub(super) fn show(&self, name: &str, assessment: &Assessment) {
        one_hot(&self.rollout_verdict, &[name], assessment.verdict);
        if let Some(log_e) = assessment.log_e_combined {
            self.rollout_log_e_value.with_label_values(&[name]).set(log_e);
        }
        for evidence in &assessment.metrics {
            self.show_metric(name, evidence);
        }
    }

    fn show_metric(&self, policy: &str, evidence: &Evidence) {
        let metric = evidence.metric.as_str();
        let (control, treatment) = match evidence.quantiles.last() {
            Some(highest) => (highest.control, highest.treatment),
            None => (evidence.control.mean, evidence.treatment.mean),
        };
        for (arm, seen, value) in [
            (Arm::Control, &evidence.control, control),
            (Arm::Treatment, &evidence.treatment, treatment),
        ] {
            let labels = [policy, metric, arm.as_str()];
            self.samples.with_label_values(&labels).set(signed(seen.count));
            if let Some(value) = value {
                self.value.with_label_values(&labels).set(value);
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
        for (gauge, value) in [
            (&self.log_e_value, Some(evidence.log_e_worse)),
            (&self.non_inferiority, Some(evidence.log_e_non_inferior)),
            (&self.limit_log_e_value, evidence.log_e_limit),
        ] {
            if let Some(value) = value {
                gauge.with_label_values(&[policy, metric]).set(value);
            }
        }
        if let Some(needs) = evidence.needs {
            self.samples_needed
                .with_label_values(&[policy, metric])
                .set(signed(needs));
        }
        one_hot(&self.verdict, &[policy, metric], evidence.verdict);
        if let Some(last) = evidence.control.last_seen.max(evidence.treatment.last_seen) {
            self.last_observation
                .with_label_values(&[policy, metric])
                .set(last.second());
        }
    }
}

/// 1 for `present`, 0 for every other verdict.
fn one_hot(gauge: &IntGaugeVec, labels: &[&str], present: Verdict) {
    for verdict in [
        Verdict::Pass,
        Verdict::Fail,
        Verdict::Inconclusive,
        Verdict::Invalid,
    ] {
        let labels: Vec<&str> = labels.iter().copied().chain([word(verdict)]).collect();
        gauge
            .with_label_values(&labels)
            .set(i64::from(verdict == present));
    }
}

pub(in crate::telemetry) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Invalid => "invalid",
    }
}

pub(super) fn signed(count: u64) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

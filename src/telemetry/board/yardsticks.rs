//! What differences and evidence are held against.

use super::gauge::GaugeVec;
use super::{Families, real};
use crate::analysis::Assessment;
use crate::policy::{Alpha, Better, Policy};
use prometheus::Error;

#[derive(Debug)]
pub(super) struct Gauges {
    margin: GaugeVec,
    tolerated: GaugeVec,
    limit: GaugeVec,
    threshold: GaugeVec,
}

impl Gauges {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            margin: real(
                "serin_metric_margin",
                "Worsening that is tolerated.",
                &["policy", "metric"],
            )?,
            tolerated: real(
                "serin_metric_tolerated_difference",
                "The margin with the sign of a worsening: differences beyond it are not tolerated.",
                &["policy", "metric"],
            )?,
            limit: real(
                "serin_metric_limit",
                "Floor or ceiling of the candidate that the policy declares.",
                &["policy", "metric"],
            )?,
            threshold: real(
                "serin_log_e_value_threshold",
                "What a log e-value must reach to be proof, by what it tests.",
                &["policy", "test"],
            )?,
        })
    }

    pub(super) fn families(&self) -> Families<'_> {
        let real = vec![&self.margin, &self.tolerated, &self.limit, &self.threshold];
        (Vec::new(), real)
    }

    pub(super) fn show(&self, name: &str, policy: &Policy, assessment: &Assessment) {
        for (test, threshold) in [
            ("worse", assessment.threshold),
            ("non_inferiority", assessment.threshold_non_inferior),
            ("limit", assessment.threshold_limit),
            ("sample_ratio", Alpha::SAMPLE_RATIO.log_threshold()),
        ] {
            self.threshold.with_label_values(&[name, test]).set(threshold);
        }
        for metric in &policy.metrics {
            let labels = [name, metric.name.as_str()];
            if let Some(limit) = metric.limit {
                self.limit.with_label_values(&labels).set(limit);
            }
            let evidence = assessment.metrics.iter().find(|it| it.metric == metric.name);
            if let Some(margin) = evidence.and_then(|evidence| evidence.margin) {
                let tolerated = match metric.better {
                    Better::Higher => -margin,
                    Better::Lower => margin,
                };
                self.margin.with_label_values(&labels).set(margin);
                self.tolerated.with_label_values(&labels).set(tolerated);
            }
        }
    }
}

//! Whether users came to the arms as planned, and what was left out.

use super::evidence::signed;
use super::gauge::{GaugeVec, IntGaugeVec};
use super::{Families, real, whole};
use crate::analysis::{DataQuality, PerArm};
use crate::ids::Arm;
use prometheus::Error;

#[derive(Debug)]
pub(super) struct Gauges {
    users: IntGaugeVec,
    excluded: IntGaugeVec,
    sample_ratio: GaugeVec,
    planned_users: GaugeVec,
    exclusion_ratio: GaugeVec,
}

impl Gauges {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            users: whole(
                "serin_sample_ratio_users",
                "Users who were observed in the arm, each once.",
                &["policy", "arm"],
            )?,
            excluded: whole(
                "serin_observations_excluded",
                "Observations that the comparison leaves out: served a fallback, or a value out of range.",
                &["policy", "arm", "reason"],
            )?,
            sample_ratio: real(
                "serin_sample_ratio_log_e_value",
                "Log e-value against users coming to the arms as planned.",
                &["policy"],
            )?,
            planned_users: real(
                "serin_sample_ratio_planned_users",
                "How many of the observed users were planned for treatment.",
                &["policy"],
            )?,
            exclusion_ratio: real(
                "serin_exclusion_ratio_log_e_value",
                "Log e-value against observations being left out of both arms alike.",
                &["policy"],
            )?,
        })
    }

    pub(super) fn families(&self) -> Families<'_> {
        let real = vec![&self.sample_ratio, &self.planned_users, &self.exclusion_ratio];
        (vec![&self.users, &self.excluded], real)
    }

    pub(super) fn show(&self, name: &str, data: &DataQuality) {
        for (arm, count) in by_arm(data.split.users) {
            self.users.with_label_values(&[name, arm.as_str()]).set(count);
        }
        for (reason, counts) in [("fallback", data.fallback), ("out_of_range", data.out_of_range)] {
            for (arm, count) in by_arm(counts) {
                self.excluded
                    .with_label_values(&[name, arm.as_str(), reason])
                    .set(count);
            }
        }
        for (gauge, value) in [
            (&self.planned_users, data.split.expected),
            (&self.sample_ratio, data.split.log_e),
            (&self.exclusion_ratio, data.excluded.log_e),
        ] {
            gauge.with_label_values(&[name]).set(value);
        }
    }
}

fn by_arm(counts: PerArm) -> [(Arm, i64); 2] {
    [
        (Arm::Control, signed(counts.control)),
        (Arm::Treatment, signed(counts.treatment)),
    ]
}

//! The numbers of rollouts over time, as charts show them.

use super::StoreError;
use crate::ids::{Exposure, MetricName, RolloutId, Tick};
use async_trait::async_trait;

/// Points of one rollout that are kept: when there are more, every second one goes.
pub const POINTS_MAX: usize = 240;
/// Rollouts whose points are kept after their end: the newest.
pub const ROLLOUTS_CHARTED_MAX: u64 = 2_000;

/// What a rollout's numbers were at one closed tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The tick.
    pub tick: Tick,
    /// Share of users in treatment.
    pub exposure: Exposure,
    /// Log of the combined e-value against the candidate.
    pub log_e_combined: Option<f64>,
    /// Users in treatment, as a share of all that were seen; none before the first.
    pub treated_share: Option<f64>,
    /// The share that was planned.
    pub planned_share: Option<f64>,
    /// In the policy's order.
    pub metrics: Vec<MetricPoint>,
}

/// What one metric's numbers were; in metric units, or ratios of the control's where the evidence is
/// relative.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    /// The metric.
    pub metric: MetricName,
    /// Observations of control so far.
    pub control_count: u64,
    /// Observations of treatment so far.
    pub treatment_count: u64,
    /// What is compared of control: its mean, or its highest quantile.
    pub control: Option<f64>,
    /// The same of treatment.
    pub treatment: Option<f64>,
    /// Treatment − control.
    pub difference: Option<f64>,
    /// Confidence interval of the difference, for all looks at once.
    pub interval: Option<(f64, f64)>,
    /// The tolerated worsening.
    pub margin: Option<f64>,
    /// Log e-value against "not worse".
    pub log_e_worse: f64,
    /// Log e-value against "worse than the margin".
    pub log_e_non_inferior: f64,
}

/// Keeps points for charts: nothing is decided by them.
#[async_trait]
pub trait PointStore: Send + Sync {
    /// Keeps points, each once for its tick; where a rollout has more than [`POINTS_MAX`], every second
    /// of them goes, but for the newest.
    async fn keep_points(&self, points: Vec<(RolloutId, Point)>) -> Result<(), StoreError>;

    /// The points of a rollout, oldest first.
    async fn points(&self, rollout: RolloutId) -> Result<Vec<Point>, StoreError>;
}

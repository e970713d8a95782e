//! What one test shows after a tick.

use super::Verdict;

/// Everything that one test computes (ENGINE section 4 and 5); harm is positive.
///
/// A test that watches a limit has no control: the figures of control are 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Treated observations in ticks that entered the statistic (n_T).
    pub treated: u64,
    /// Observations of control in those ticks (n_C).
    pub controls: u64,
    /// Weighted sum of differences (S).
    pub sum: f64,
    /// Its weight (W).
    pub weight: f64,
    /// Variance of the sum by observation (Vi).
    pub variance_by_observation: f64,
    /// Variance of the sum by cluster (Vc).
    pub variance_by_cluster: f64,
    /// The variance of the sum that is used (V): the larger of both, or moderated by control's.
    pub variance: f64,
    /// Its degrees of freedom, at least 1.
    pub df: f64,
    /// Effective clusters of treatment (G_T).
    pub effective_clusters_treatment: f64,
    /// Effective clusters of control (G_C).
    pub effective_clusters_control: f64,
    /// How much clustering widens the variance, at least 1 (d).
    pub design_effect: f64,
    /// Whether there is enough data for any evidence.
    pub guards_hold: bool,
    /// Log e-value against "not worse", or against "within the limit"; 0 until the guards hold.
    pub log_e_worse: f64,
    /// Log e-value against "worse than the margin"; 0 until the guards hold, and for limits.
    pub log_e_non_inferior: f64,
    /// The test's own conclusion at its own alpha; never [`Verdict::Invalid`].
    pub verdict: Verdict,
}

impl Reading {
    /// Before the first observation.
    pub(super) const EMPTY: Self = Self {
        treated: 0,
        controls: 0,
        sum: 0.0,
        weight: 0.0,
        variance_by_observation: 0.0,
        variance_by_cluster: 0.0,
        variance: 0.0,
        df: 1.0,
        effective_clusters_treatment: 0.0,
        effective_clusters_control: 0.0,
        design_effect: 1.0,
        guards_hold: false,
        log_e_worse: 0.0,
        log_e_non_inferior: 0.0,
        verdict: Verdict::Inconclusive,
    };

    /// Estimated harm per observation; none without contrast.
    pub fn estimate(&self) -> Option<f64> {
        (self.weight > 0.0)
            .then(|| self.sum / self.weight)
            .filter(|estimate| estimate.is_finite())
    }

    /// Standard error of the estimate; none without contrast.
    pub fn standard_error(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.variance.sqrt() / self.weight)
    }
}

//! How far a stratified difference may stray: by observation, and by cluster of users.
//!
//! Each tick is a stratum with the weights of Mantel & Haenszel 1959; the same users come back in
//! later ticks, so the residuals are also summed by cluster before they are squared: Liang & Zeger
//! 1986, "Longitudinal data analysis using generalized linear models", section 3, the robust
//! ("sandwich") variance. Its degrees of freedom follow from the effective number of clusters of
//! Carter, Schnepel & Steigerwald 2017, "Asymptotic behavior of a t-test robust to cluster
//! heterogeneity", section 2, through Satterthwaite 1946. The larger of both variances is used.

use super::arm::TickArm;
use super::special::count_as_f64;
use crate::ids::Cluster;

/// A variance below this share of its scale is rounding noise of constant data.
const NOISE_SHARE: f64 = 1e-18;

/// Sums of one arm over ticks (ENGINE section 3); all are additive.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ArmSums {
    /// Observations of all ticks (n).
    pub(super) count: u64,
    /// Their coded sum (s).
    pub(super) sum: f64,
    /// Observations of the ticks that entered the statistic (n used).
    pub(super) used: u64,
    /// Weighted squares around predicted centres (Vi).
    pub(super) squares_around_centre: f64,
    /// Weighted raw squares (Q), a scale for rounding noise.
    pub(super) squares: f64,
    /// Weighted count (A).
    pub(super) squared_weights: f64,
    /// Weighted residual sum by cluster (R).
    pub(super) residuals: Box<[f64]>,
    /// Observations by cluster (N).
    pub(super) counts: Box<[u64]>,
}

impl ArmSums {
    /// Nothing counted yet, with `clusters` clusters (at least 1, at most [`Cluster::COUNT`]).
    pub(super) fn new(clusters: usize) -> Self {
        let clusters = clusters.clamp(1, Cluster::COUNT);
        Self {
            count: 0,
            sum: 0.0,
            used: 0,
            squares_around_centre: 0.0,
            squares: 0.0,
            squared_weights: 0.0,
            residuals: vec![0.0; clusters].into(),
            counts: vec![0; clusters].into(),
        }
    }

    /// Lets a tick enter the statistic, with the arm's weight in it and a centre that was predicted
    /// before it (ENGINE section 3.4).
    pub(super) fn enter(&mut self, tick: &TickArm<'_>, weight: f64, centre: f64) {
        let off = tick.mean() - centre;
        let squared = weight * weight;
        self.used = self.used.saturating_add(tick.count());
        self.squares_around_centre += squared * (tick.centred + tick.n * off * off);
        self.squares += squared * tick.squares;
        self.squared_weights += squared * tick.n;
        for (cluster, count, sum) in tick.clusters() {
            let cluster = cluster % self.residuals.len();
            self.residuals[cluster] += weight * (sum - count_as_f64(count) * centre);
            self.counts[cluster] = self.counts[cluster].saturating_add(count);
        }
    }

    /// Lets a tick move the centres of later ones (ENGINE section 3.6).
    pub(super) fn learn(&mut self, tick: &TickArm<'_>) {
        self.count = self.count.saturating_add(tick.count());
        self.sum += tick.sum;
    }

    /// Mean of all observations, shrunk to `prior` as if it had been seen `weight` times.
    pub(super) fn shrunk_mean(&self, prior: f64, weight: f64) -> f64 {
        let total = weight + count_as_f64(self.count);
        if total > 0.0 {
            (weight * prior + self.sum) / total
        } else {
            prior
        }
    }

    pub(super) fn spread(&self) -> ArmSpread {
        ArmSpread {
            by_observation: self.squares_around_centre,
            by_cluster: self.cluster_variance(),
            scale: self.squares,
            squared_weights: self.squared_weights,
            used: count_as_f64(self.used),
            effective_clusters: self.effective_clusters(),
        }
    }

    /// Between-cluster variance of the residual sums, in two passes, over untouched clusters too.
    fn cluster_variance(&self) -> f64 {
        if self.residuals.len() < 2 {
            return 0.0;
        }
        let clusters = self.residuals.len() as f64;
        let mean = self.residuals.iter().sum::<f64>() / clusters;
        let squares: f64 = self
            .residuals
            .iter()
            .map(|residual| (residual - mean) * (residual - mean))
            .sum();
        clusters / (clusters - 1.0) * squares
    }

    /// `(Σ N)² / Σ N²`: as many clusters of equal size would be as informative (Kish 1965).
    fn effective_clusters(&self) -> f64 {
        let (mut sum, mut squares) = (0.0, 0.0);
        for count in self.counts.iter().copied().map(count_as_f64) {
            sum += count;
            squares += count * count;
        }
        if squares > 0.0 { sum * sum / squares } else { 0.0 }
    }
}

/// What one arm adds to the variance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct ArmSpread {
    by_observation: f64,
    by_cluster: f64,
    scale: f64,
    squared_weights: f64,
    used: f64,
    /// ENGINE's `G_a`.
    pub(super) effective_clusters: f64,
}

impl ArmSpread {
    /// How much clustering widens the arm's variance, at least 1.
    pub(super) fn design_effect(self) -> f64 {
        if self.by_observation > 0.0 {
            (self.by_cluster / self.by_observation).max(1.0)
        } else {
            1.0
        }
    }
}

/// Variance of `x_T − k x_C` (ENGINE section 4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// By observation (Vi); 0 when the data carry no variance.
    pub(super) by_observation: f64,
    /// By cluster (Vc).
    pub(super) by_cluster: f64,
    /// Degrees of freedom of what is used, at least 1.
    pub(super) df: f64,
    /// What is used (V): the larger of both, unless it is [moderated](Self::moderated).
    used: f64,
}

impl Spread {
    /// No variance, and so no evidence.
    const NONE: Self = Self {
        by_observation: 0.0,
        by_cluster: 0.0,
        df: 1.0,
        used: 0.0,
    };

    /// Combines both arms; an arm that is not compared is the default one.
    pub(super) fn of(treatment: ArmSpread, control: ArmSpread, k: f64) -> Self {
        let kk = k * k;
        let by_observation = treatment.by_observation + kk * control.by_observation;
        let (cluster_t, cluster_c) = (treatment.by_cluster, kk * control.by_cluster);
        let by_cluster = cluster_t + cluster_c;
        // Overflow leaves no usable variance, and without variance there is no evidence.
        if !by_observation.is_finite() || !by_cluster.is_finite() {
            return Self::NONE;
        }
        let noise = NOISE_SHARE * (treatment.scale + kk * control.scale);
        let by_observation = if by_observation > noise {
            by_observation
        } else {
            0.0
        };
        if by_cluster <= noise {
            return Self {
                by_observation,
                used: by_observation,
                ..Self::NONE
            };
        }
        let part = |variance: f64, arm: ArmSpread| {
            let share = variance / by_cluster;
            share * share / (arm.effective_clusters - 1.0).max(1.0)
        };
        let df = 1.0 / (part(cluster_t, treatment) + part(cluster_c, control));
        Self {
            by_observation,
            by_cluster,
            df: df.max(1.0),
            used: by_observation.max(by_cluster),
        }
    }

    /// The same with what is known of control: until treatment has been observed often, its own variance
    /// says little, and while its values happen to be alike, nothing (twenty passes of twenty have none).
    ///
    /// Treatment's variance is shrunk to control's, at treatment's weights, as if that had been seen
    /// `weight` times (Smyth 2004, "Linear models and empirical Bayes methods", section 3: the moderated
    /// t), and is never smaller than control's, which is what it is when the arms are alike.
    pub(super) fn moderated(self, arms: [ArmSpread; 2], k: f64, weight: f64) -> Self {
        let [treatment, control] = arms;
        let of_control = control.by_observation.max(control.by_cluster);
        let expected = of_control * (treatment.squared_weights / control.squared_weights);
        let own = treatment.by_observation.max(treatment.by_cluster);
        let share = weight / (weight + treatment.used);
        let shrunk = share * expected + (1.0 - share) * own;
        let part =
            |variance: f64, arm: ArmSpread| variance * variance / (arm.effective_clusters - 1.0).max(1.0);
        let (of_treatment, noise) = if shrunk > expected {
            let noise = part(share * expected, control) + part((1.0 - share) * own, treatment);
            (shrunk, noise)
        } else {
            (expected, part(expected, control))
        };
        let of_control = k * k * of_control;
        let variance = of_treatment + of_control;
        let df = variance * (variance / (noise + part(of_control, control)));
        if !(variance.is_finite() && df.is_finite()) {
            return self;
        }
        Self {
            used: variance,
            df: df.max(1.0),
            ..self
        }
    }

    /// The variance that is used (V).
    pub(super) fn variance(self) -> f64 {
        self.used
    }

    /// How much clustering widens the variance (d), at least 1.
    pub(super) fn design_effect(self) -> f64 {
        if self.by_observation > 0.0 {
            (self.by_cluster / self.by_observation).max(1.0)
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::arm::Coding;
    use crate::analysis::{ClusterTally, Tally};

    fn sums(clusters: usize, parts: &[(u8, u64, f64)]) -> ArmSums {
        let mut tally = Tally::default();
        for &(cluster, count, sum) in parts {
            let cluster = Cluster::new(cluster).unwrap();
            let mean = sum / count_as_f64(count);
            for _ in 0..count {
                tally.add(cluster, mean);
            }
        }
        let mut sums = ArmSums::new(clusters);
        sums.enter(&TickArm::of(&tally, Coding::Mean).unwrap(), 1.0, 0.0);
        sums
    }

    #[test]
    fn equal_clusters_count_whole_and_unequal_ones_less() {
        let effective = |parts| sums(8, parts).spread().effective_clusters;
        assert!((effective(&[(0, 5, 1.0), (1, 5, 1.0), (2, 5, 1.0)]) - 3.0).abs() < 1e-12);
        assert!((effective(&[(0, 3, 1.0), (1, 1, 1.0)]) - 1.6).abs() < 1e-12);
        assert!(effective(&[(0, 1000, 1.0), (1, 1, 1.0)]) < 1.01);
    }

    #[test]
    fn untouched_clusters_count_as_zero_residuals() {
        // Residuals 2, 0, 0, 0 around their mean of a half: 4/3 of (1.5² + 3 · 0.5²).
        let spread = Spread::of(sums(4, &[(1, 2, 2.0)]).spread(), ArmSpread::default(), 1.0);
        assert!((spread.by_cluster - 4.0).abs() < 1e-12);
        assert!((spread.design_effect() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn clusters_beyond_the_setting_are_folded() {
        assert_eq!(sums(4, &[(5, 2, 1.0)]), sums(4, &[(1, 2, 1.0)]));
    }

    #[test]
    fn clusters_that_overflow_leave_no_variance_at_all() {
        // The arm's own sums look harmless; only the clusters' are beyond squaring.
        let cluster = |number| Cluster::new(number).unwrap();
        let huge = |sum| ClusterTally { count: 1, sum };
        let clusters = [(cluster(0), huge(f64::MAX)), (cluster(1), huge(-f64::MAX))];
        let tally = Tally {
            count: 2,
            sum: 1.0,
            sum_of_squares: 1.0,
            clusters: clusters.into(),
            ..Tally::default()
        };
        let mut sums = ArmSums::new(4);
        sums.enter(&TickArm::of(&tally, Coding::Mean).unwrap(), 1.0, 0.0);
        let spread = Spread::of(sums.spread(), ArmSpread::default(), 1.0);
        assert_eq!(spread, Spread::NONE);
    }
}

//! Tallies are sums: observations, batches and replicas fold in any order to the same numbers.

use super::bins::LogBin;
use super::special::count_as_f64;
use super::{ArmTallies, ClusterTally, Observation, Tally};
use crate::ids::{Arm, Cluster};

impl Tally {
    /// Counts one observation, whose value is 0 or 1 for a rate.
    ///
    /// Counts stop at [`u64::MAX`] instead of wrapping.
    pub fn add(&mut self, cluster: Cluster, observation: impl Into<Observation>) {
        let Observation { value, bin, clipped } = observation.into();
        self.count = self.count.saturating_add(1);
        self.sum += value;
        self.sum_of_squares += value * value;
        self.clipped = self.clipped.saturating_add(u64::from(clipped));
        self.clusters
            .entry(cluster)
            .or_default()
            .merge(ClusterTally { count: 1, sum: value });
        if let Some(bin) = bin {
            self.add_to_bin(cluster, bin, 1);
        }
    }

    fn add_to_bin(&mut self, cluster: Cluster, bin: LogBin, count: u64) {
        let entry = self.bins.entry((cluster, bin)).or_default();
        *entry = entry.saturating_add(count);
    }

    /// Adds what another tally has counted; commutative and, up to rounding, associative.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
        self.clipped = self.clipped.saturating_add(other.clipped);
        for (&cluster, &part) in &other.clusters {
            self.clusters.entry(cluster).or_default().merge(part);
        }
        for (&(cluster, bin), &count) in &other.bins {
            self.add_to_bin(cluster, bin, count);
        }
    }

    /// Bins of one cluster, rising, with their counts.
    pub(super) fn bins_of(&self, cluster: Cluster) -> impl Iterator<Item = (LogBin, u64)> + Clone {
        let of_cluster = self
            .bins
            .range((cluster, LogBin::LEAST)..=(cluster, LogBin::GREATEST));
        of_cluster.map(|(&(_, bin), &count)| (bin, count))
    }

    /// The values that were put into bins, as observations of 1 above `edge` and 0 up to it.
    pub(super) fn exceedances(&self, edge: LogBin) -> Self {
        let mut exceedances = Self::default();
        for (&(cluster, bin), &count) in &self.bins {
            let above = if bin > edge { count_as_f64(count) } else { 0.0 };
            exceedances.count = exceedances.count.saturating_add(count);
            exceedances.sum += above;
            exceedances.sum_of_squares += above;
            let part = ClusterTally { count, sum: above };
            exceedances.clusters.entry(cluster).or_default().merge(part);
        }
        exceedances
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether there is something to weigh: observations, and no sum that has overflowed.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_empty()
            && self.sum.is_finite()
            && self.sum_of_squares.is_finite()
            && self.clusters.values().all(|part| part.sum.is_finite())
    }
}

impl ClusterTally {
    fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
    }
}

impl ArmTallies {
    /// Counts one observation for the arm that was served; see [`Tally::add`].
    pub fn add(&mut self, arm: Arm, cluster: Cluster, observation: impl Into<Observation>) {
        match arm {
            Arm::Control => self.control.add(cluster, observation),
            Arm::Treatment => self.treatment.add(cluster, observation),
        }
    }

    /// Adds both arms of another pair; see [`Tally::merge`].
    pub fn merge(&mut self, other: &Self) {
        self.control.merge(&other.control);
        self.treatment.merge(&other.treatment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Largest relative difference that the order of summation may make.
    const ROUNDING_MAX: f64 = 1e-9;

    fn observations() -> impl Strategy<Value = Vec<(Cluster, Observation)>> {
        let cluster = (0..128u8).prop_map(|number| Cluster::new(number).unwrap());
        let observation = (-5.0..5.0, prop::bool::ANY).prop_map(|(value, clipped)| Observation {
            value,
            bin: Some(LogBin::of(value)),
            clipped,
        });
        prop::collection::vec((cluster, observation), 0..300)
    }

    fn tally(observations: &[(Cluster, Observation)]) -> Tally {
        let mut tally = Tally::default();
        for &(cluster, observation) in observations {
            tally.add(cluster, observation);
        }
        tally
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= ROUNDING_MAX * a.abs().max(b.abs()).max(1.0)
    }

    fn assert_same(a: &Tally, b: &Tally) -> Result<(), TestCaseError> {
        prop_assert_eq!((a.count, a.clipped, &a.bins), (b.count, b.clipped, &b.bins));
        prop_assert!(close(a.sum, b.sum) && close(a.sum_of_squares, b.sum_of_squares));
        prop_assert!(a.clusters.keys().eq(b.clusters.keys()));
        for (one, other) in a.clusters.values().zip(b.clusters.values()) {
            prop_assert_eq!(one.count, other.count);
            prop_assert!(close(one.sum, other.sum));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn the_order_of_observations_does_not_matter(
            (given, shuffled) in observations().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
        ) {
            assert_same(&tally(&given), &tally(&shuffled))?;
        }

        #[test]
        fn any_split_merges_to_the_whole(all in observations(), cuts in any::<(prop::sample::Index, prop::sample::Index)>()) {
            let (one, other) = (cuts.0.index(all.len() + 1), cuts.1.index(all.len() + 1));
            let (first, second) = (one.min(other), one.max(other));
            let parts = [tally(&all[..first]), tally(&all[first..second]), tally(&all[second..])];
            for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
                let mut merged = Tally::default();
                order.iter().for_each(|&part| merged.merge(&parts[part]));
                assert_same(&merged, &tally(&all))?;
            }
        }

        #[test]
        fn merging_pairs_first_changes_nothing(a in observations(), b in observations(), c in observations()) {
            let (a, b, c) = (tally(&a), tally(&b), tally(&c));
            let mut left = a.clone();
            left.merge(&b);
            left.merge(&c);
            let mut right = b;
            right.merge(&c);
            let mut whole = a;
            whole.merge(&right);
            assert_same(&left, &whole)?;
        }

        #[test]
        fn an_empty_tally_adds_nothing(all in observations()) {
            let mut merged = tally(&all);
            merged.merge(&Tally::default());
            prop_assert_eq!(&merged, &tally(&all));
            prop_assert_eq!(merged.is_empty(), all.is_empty());
        }
    }

    #[test]
    fn clusters_add_up_to_the_arm() {
        let mut arms = ArmTallies::default();
        let cluster = |number| Cluster::new(number).unwrap();
        arms.add(Arm::Treatment, cluster(3), 0.5);
        arms.add(Arm::Treatment, cluster(3), 0.25);
        arms.add(Arm::Treatment, cluster(9), 1.0);
        arms.add(Arm::Control, cluster(9), 0.75);
        let mut twice = arms.clone();
        twice.merge(&arms);
        let treatment = &twice.treatment;
        assert_eq!(
            (treatment.count, treatment.sum, treatment.sum_of_squares),
            (6, 3.5, 2.625)
        );
        assert_eq!(
            twice.treatment.clusters[&cluster(3)],
            ClusterTally { count: 4, sum: 1.5 }
        );
        assert_eq!(
            twice.control.clusters[&cluster(9)],
            ClusterTally { count: 2, sum: 1.5 }
        );
    }
}

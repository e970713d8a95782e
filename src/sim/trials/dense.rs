//! Sums of one arm of one metric in one tick, without a tree until the tick is closed.

use crate::analysis::bins::LogBin;
use crate::analysis::{ClusterTally, Observation, Tally};
use crate::ids::Cluster;
use std::collections::BTreeMap;

/// A [`Tally`] in the making.
#[derive(Debug, Clone)]
pub(super) struct DenseTally {
    count: u64,
    sum: f64,
    sum_of_squares: f64,
    clipped: u64,
    clusters: Box<[ClusterTally; Cluster::COUNT]>,
    bins: Vec<(Cluster, LogBin)>,
}

impl DenseTally {
    pub(super) fn new() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            sum_of_squares: 0.0,
            clipped: 0,
            clusters: Box::new([ClusterTally::default(); Cluster::COUNT]),
            bins: Vec::new(),
        }
    }

    /// Counts one observation, as [`Tally::add`] does.
    pub(super) fn add(&mut self, cluster: Cluster, observation: Observation) {
        let Observation { value, bin, clipped } = observation;
        self.count += 1;
        self.sum += value;
        self.sum_of_squares += value * value;
        self.clipped += u64::from(clipped);
        if let Some(part) = self.clusters.get_mut(usize::from(cluster.get())) {
            part.count += 1;
            part.sum += value;
        }
        self.bins.extend(bin.map(|bin| (cluster, bin)));
    }

    /// What was counted; nothing is left here.
    pub(super) fn close(&mut self) -> Tally {
        if self.count == 0 {
            return Tally::default();
        }
        self.bins.sort_unstable();
        let mut bins: BTreeMap<(Cluster, LogBin), u64> = BTreeMap::new();
        for equal in self.bins.chunk_by(|a, b| a == b) {
            bins.extend(equal.first().map(|bin| (*bin, equal.len() as u64)));
        }
        self.bins.clear();
        let clusters = (0..)
            .zip(self.clusters.iter_mut())
            .filter(|(_, part)| part.count > 0);
        let clusters = clusters
            .filter_map(|(number, part)| Some((Cluster::new(number)?, std::mem::take(part))))
            .collect();
        let tally = Tally {
            count: self.count,
            sum: self.sum,
            sum_of_squares: self.sum_of_squares,
            clipped: self.clipped,
            clusters,
            bins,
        };
        (self.count, self.sum, self.sum_of_squares, self.clipped) = (0, 0.0, 0.0, 0);
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_sums_are_those_of_a_tally(
            values in prop::collection::vec((0..128_u8, -5.0..5.0, prop::bool::ANY, prop::bool::ANY), 0..200)
        ) {
            let mut dense = DenseTally::new();
            for _ in 0..2 {
                let mut tally = Tally::default();
                for &(number, value, clipped, binned) in &values {
                    let bin = binned.then(|| LogBin::of(value));
                    let (cluster, observation) = (Cluster::new(number).unwrap(), Observation { value, bin, clipped });
                    dense.add(cluster, observation);
                    tally.add(cluster, observation);
                }
                prop_assert_eq!(dense.close(), tally);
            }
        }
    }
}

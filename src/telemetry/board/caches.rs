//! How far caches of applications have followed labels.

use super::gauge::IntGaugeVec;
use super::{Families, whole};
use crate::controller::Board;
use prometheus::Error;

#[derive(Debug)]
pub(super) struct Gauges {
    uncleared: IntGaugeVec,
    behind: IntGaugeVec,
}

impl Gauges {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            uncleared: whole(
                "serin_cache_uncleared",
                "Labels that moved, and whose keys were not cleared since.",
                &["cache"],
            )?,
            behind: whole(
                "serin_cache_behind_seconds",
                "Time since the first of the moves that the cache has not followed; 0 without one.",
                &["cache"],
            )?,
        })
    }

    pub(super) fn families(&self) -> Families<'_> {
        (vec![&self.uncleared, &self.behind], Vec::new())
    }

    pub(super) fn show(&self, board: &Board) {
        for (cache, status) in &board.caches {
            let behind = board
                .ticked_at
                .zip(status.oldest)
                .map_or(0, |(now, oldest)| now.duration_since(oldest).as_secs().max(0));
            let uncleared = i64::try_from(status.uncleared).unwrap_or(i64::MAX);
            for (gauge, value) in [(&self.uncleared, uncleared), (&self.behind, behind)] {
                gauge.with_label_values(&[cache.as_str()]).set(value);
            }
        }
    }
}

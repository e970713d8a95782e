//! Caches of applications as the controller shows them: it neither clears them nor waits for them.

use super::{ControllerHandle, ControllerSide, Trouble};
use crate::ids::CacheName;
use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What every cache last said of itself.
pub(super) type Shown = Arc<ArcSwap<BTreeMap<CacheName, CacheStatus>>>;

/// How far a cache has followed the labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheStatus {
    /// How long after a move its keys are cleared again and again, because applications put back what they
    /// keep in their processes.
    pub sweep: SignedDuration,
    /// Labels that moved, and whose keys were not cleared since.
    pub uncleared: usize,
    /// When the first of those moved.
    pub oldest: Option<Timestamp>,
    /// Why not, where it was tried.
    pub error: Option<String>,
}

impl ControllerHandle {
    /// Shows how far a cache has followed, from the next change of the board on.
    pub fn show_cache(&self, cache: &CacheName, status: &CacheStatus) {
        self.caches.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            all.insert(cache.clone(), status.clone());
            all
        });
    }
}

impl ControllerSide {
    /// What every cache last said of itself.
    pub(super) fn caches(&self) -> Arc<BTreeMap<CacheName, CacheStatus>> {
        self.caches.load_full()
    }

    /// Whether a cache under processes that keep prompts for `cache_ttl` is cleared for good: what they put
    /// back is cleared, too.
    pub(super) fn clears_after(&self, cache_ttl: SignedDuration) -> bool {
        let caches = self.caches.load();
        caches.values().any(|cache| cache.sweep >= cache_ttl)
    }
}

/// What keeps caches from following, one entry for each.
pub(super) fn troubles(caches: &BTreeMap<CacheName, CacheStatus>) -> impl Iterator<Item = Trouble> {
    caches.iter().filter_map(|(cache, status)| {
        let error = status.error.clone()?;
        let cache = cache.clone();
        Some(Trouble::Cache { cache, error })
    })
}

//! How applications get their prompts, and how their caches follow labels.

use super::{Telemetry, counter};
use crate::ids::{CacheName, RegistryName};
use prometheus::core::Collector;
use prometheus::{Error, IntCounterVec};

/// The counters of prompts that were asked for, and of keys that were to be cleared.
#[derive(Debug)]
pub(super) struct Counters {
    reads: IntCounterVec,
    refusals: IntCounterVec,
    clearings: IntCounterVec,
}

impl Counters {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            reads: counter(
                "serin_prompt_reads_total",
                "Prompts given to applications, by where they were read: registry, cache, or stale.",
                &["registry", "source"],
            )?,
            refusals: counter(
                "serin_prompt_refusals_total",
                "Prompts that applications asked for and did not get.",
                &["registry", "reason"],
            )?,
            clearings: counter(
                "serin_cache_clearings_total",
                "Keys of labels that had moved, each time that they were cleared in a cache or were to be.",
                &["cache", "outcome"],
            )?,
        })
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 3] {
        [&self.reads, &self.refusals, &self.clearings].map(|it| Box::new(it.clone()) as _)
    }
}

impl Telemetry {
    /// Counts a prompt that an application was given; `source` is one of the words on the wire.
    pub fn prompt_read(&self, registry: &RegistryName, source: &'static str) {
        let labels = [registry.as_str(), source];
        self.prompts.reads.with_label_values(&labels).inc();
    }

    /// Counts a prompt that an application was refused; `reason` is one of the codes on the wire.
    pub fn prompt_refused(&self, registry: &RegistryName, reason: &'static str) {
        let labels = [registry.as_str(), reason];
        self.prompts.refusals.with_label_values(&labels).inc();
    }

    /// Counts an attempt to clear the keys of a label that had moved.
    pub fn cache_cleared(&self, cache: &CacheName, is_done: bool) {
        let outcome = if is_done { "cleared" } else { "failed" };
        let labels = [cache.as_str(), outcome];
        self.prompts.clearings.with_label_values(&labels).inc();
    }
}

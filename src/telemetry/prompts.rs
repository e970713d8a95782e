//! How applications get their prompts.

use super::{Telemetry, counter};
use crate::ids::RegistryName;
use prometheus::core::Collector;
use prometheus::{Error, IntCounterVec};

/// The counters of prompts that were asked for.
#[derive(Debug)]
pub(super) struct Counters {
    reads: IntCounterVec,
    refusals: IntCounterVec,
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
        })
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 2] {
        [Box::new(self.reads.clone()), Box::new(self.refusals.clone())]
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
}

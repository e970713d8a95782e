//! Serin's real engine on one stream.

use serin::analysis::Verdict;
use serin::analysis::engine::Engine;
use serin::ids::MetricName;
use serin::policy::{Alpha, Policy};
use serin::sim::stream::Observed;

/// The chances of a false rollback that are measured on the same stream.
///
/// The engine's numbers do not depend on alpha, so one engine serves both: only what the combined
/// log e-value must reach differs.
pub(crate) const ALPHAS: [f64; 2] = [0.05, 0.01];

/// An engine, and when it came to which verdict.
#[derive(Debug)]
pub(crate) struct Verdicts {
    engine: Engine,
    metric: Option<MetricName>,
    thresholds: [f64; ALPHAS.len()],
    treated: u64,
    /// Treated observations at the rollback, by alpha.
    pub(crate) rolled_back: [Option<u64>; ALPHAS.len()],
    /// Treated observations when health was proved first, rolled back or not.
    pub(crate) healthy: Option<u64>,
}

impl Verdicts {
    /// Before the first tick of a policy with one metric.
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            engine: Engine::new(policy),
            metric: policy.metrics.first().map(|metric| metric.name.clone()),
            thresholds: ALPHAS.map(|alpha| Alpha::new(alpha).map_or(f64::INFINITY, Alpha::log_threshold)),
            treated: 0,
            rolled_back: [None; ALPHAS.len()],
            healthy: None,
        }
    }

    /// Takes in one tick, and looks at the verdict.
    pub(crate) fn absorb(&mut self, observed: &Observed) {
        self.engine.absorb(&observed.tick);
        self.treated += observed.treatment.len() as u64;
        let evidence = self.engine.conclusion().log_e_open;
        for (stop, threshold) in self.rolled_back.iter_mut().zip(self.thresholds) {
            if evidence.is_some_and(|log_e| log_e >= threshold) {
                stop.get_or_insert(self.treated);
            }
        }
        let reading = self.metric.as_ref().and_then(|name| self.engine.contrast(name));
        if reading.is_some_and(|reading| reading.verdict == Verdict::Pass) {
            self.healthy.get_or_insert(self.treated);
        }
    }
}

//! All tests of one metric, fed with the same ticks.

use super::contrast::Contrast;
use super::limit::Limit;
use super::settings::MetricPlan;
use super::special::count_as_f64;
use super::{ArmEvidence, ArmTallies, Tally};
use crate::ids::Tick;
use crate::policy::Role;

/// One metric over all ticks so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MetricEngine {
    pub(super) plan: MetricPlan,
    /// Logarithm of its share in the combined e-value; none when it has no part in it.
    pub(super) log_share: Option<f64>,
    pub(super) control: Seen,
    pub(super) treatment: Seen,
    pub(super) contrast: Option<Contrast>,
    pub(super) limit: Option<Limit>,
}

/// What one arm has sent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Seen {
    pub(super) count: u64,
    /// In metric units.
    pub(super) sum: f64,
    /// The last tick with an observation.
    pub(super) last: Option<Tick>,
}

impl Seen {
    fn add(&mut self, tick: Tick, tally: &Tally) {
        if tally.is_usable() {
            self.count = self.count.saturating_add(tally.count);
            self.sum += tally.sum;
            self.last = Some(tick);
        }
    }

    pub(super) fn evidence(&self) -> ArmEvidence {
        let mean = (self.count > 0).then(|| self.sum / count_as_f64(self.count));
        ArmEvidence {
            count: self.count,
            mean: mean.filter(|mean| mean.is_finite()),
            last_seen: self.last,
        }
    }
}

impl MetricEngine {
    pub(super) fn new(plan: MetricPlan, log_share: Option<f64>) -> Self {
        Self {
            log_share,
            control: Seen::default(),
            treatment: Seen::default(),
            contrast: plan.contrast.map(Contrast::new),
            limit: plan.limit.map(Limit::new),
            plan,
        }
    }

    pub(super) fn absorb(&mut self, tick: Tick, tallies: &ArmTallies) {
        self.control.add(tick, &tallies.control);
        self.treatment.add(tick, &tallies.treatment);
        if let Some(contrast) = &mut self.contrast {
            contrast.absorb(tallies);
        }
        if let Some(limit) = &mut self.limit {
            limit.absorb(&tallies.treatment);
        }
    }

    /// Whether what it shows has consequences.
    pub(super) fn acts(&self) -> bool {
        match self.plan.role {
            Role::Guardrail | Role::Goal => true,
            Role::Watched => false,
        }
    }

    /// Whether the rollout waits for it.
    pub(super) fn is_guardrail(&self) -> bool {
        match self.plan.role {
            Role::Guardrail => true,
            Role::Goal | Role::Watched => false,
        }
    }
}

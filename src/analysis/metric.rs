//! All tests of one metric, fed with the same ticks.

use super::contrast::Contrast;
use super::limit::Limit;
use super::past::Past;
use super::quantile::Quantiles;
use super::reading::Reading;
use super::settings::{ContrastPlan, MetricPlan};
use super::special::count_as_f64;
use super::stratum::OpenStratum;
use super::{ArmEvidence, ArmTallies, Tally, Verdict, Versus};
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
    pub(super) contrast: Option<Compared>,
    /// What is not compared yet.
    pub(super) stratum: OpenStratum,
    pub(super) limit: Option<Limit>,
    /// The comparison with control as it was, while nobody is in control.
    pub(super) past: Option<Past>,
}

/// What treatment and control are compared by.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Compared {
    /// The values that were added up.
    Values(Box<Contrast>),
    /// Quantiles.
    Quantiles(Quantiles),
}

/// What one arm has sent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Seen {
    pub(super) count: u64,
    /// Of what is added up: values or their logarithms.
    pub(super) sum: f64,
    /// How many values were cut before they were added up.
    pub(super) clipped: u64,
    /// The last tick with an observation.
    pub(super) last: Option<Tick>,
}

impl Compared {
    fn new(plan: &ContrastPlan) -> Self {
        match plan {
            ContrastPlan::Values(settings) => Self::Values(Box::new(Contrast::new(*settings))),
            ContrastPlan::Quantiles(settings) => Self::Quantiles(Quantiles::new(settings)),
        }
    }

    fn absorb(&mut self, stratum: &ArmTallies) {
        match self {
            Self::Values(contrast) => contrast.absorb(stratum),
            Self::Quantiles(quantiles) => quantiles.absorb(stratum),
        }
    }

    pub(super) fn reading(&self) -> &Reading {
        match self {
            Self::Values(contrast) => contrast.reading(),
            Self::Quantiles(quantiles) => quantiles.reading(),
        }
    }

    /// About how many more treated observations until health is proved.
    pub(super) fn needs(&self) -> Option<u64> {
        match self {
            Self::Values(contrast) => contrast.needs(),
            Self::Quantiles(quantiles) => quantiles.needs(),
        }
    }

    /// Whether the estimate is no worse than the margin; none while that cannot be told.
    pub(super) fn within_margin(&self) -> Option<bool> {
        match self {
            Self::Values(contrast) => contrast.within_margin(),
            Self::Quantiles(quantiles) => quantiles.within_margin(),
        }
    }
}

impl Seen {
    fn add(&mut self, tick: Tick, tally: &Tally) {
        if tally.is_usable() {
            self.count = self.count.saturating_add(tally.count);
            self.sum += tally.sum;
            self.clipped = self.clipped.saturating_add(tally.clipped);
            self.last = Some(tick);
        }
    }

    /// The arm's numbers; a mean of logarithms becomes that of values.
    pub(super) fn evidence(&self, logarithmic: bool) -> ArmEvidence {
        let mean = (self.count > 0).then(|| self.sum / count_as_f64(self.count));
        let mean = if logarithmic { mean.map(f64::exp) } else { mean };
        ArmEvidence {
            count: self.count,
            mean: mean.filter(|mean| mean.is_finite()),
            clipped: self.clipped,
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
            contrast: plan.contrast.as_ref().map(Compared::new),
            stratum: OpenStratum::default(),
            limit: plan.limit.map(Limit::new),
            past: None,
            plan,
        }
    }

    /// Takes in one tick, in a step that began at `step_begins` if that is known.
    pub(super) fn absorb(&mut self, tick: Tick, tallies: &ArmTallies, step_begins: Option<Tick>) {
        self.control.add(tick, &tallies.control);
        self.treatment.add(tick, &tallies.treatment);
        if let Some(contrast) = &mut self.contrast {
            let seconds_max = self.plan.stratum_seconds_max;
            self.stratum
                .absorb(tick, tallies, seconds_max, step_begins, |stratum| {
                    contrast.absorb(stratum)
                });
        }
        if let Some(limit) = &mut self.limit {
            limit.absorb(&tallies.treatment);
        }
        if let Some(past) = &mut self.past {
            past.absorb(&tallies.treatment);
        }
    }

    /// Freezes control as it stands after `through`, where that was not done yet.
    pub(super) fn freeze_control(&mut self, through: Option<Tick>) {
        if self.past.is_none() {
            self.past = self
                .contrast
                .as_ref()
                .and_then(|contrast| Past::of(contrast, through));
        }
    }

    /// The limit that treatment is proved to be beyond, with its log e-value; a declared one first.
    pub(super) fn broken(&self) -> Option<(f64, Versus)> {
        let declared = self.limit.as_ref().map(|limit| limit.reading());
        let declared = declared.filter(|reading| reading.verdict == Verdict::Fail);
        let past = self.past.as_ref().filter(|past| past.is_broken());
        declared
            .map(|reading| (reading.log_e_worse, Versus::Limit))
            .or_else(|| past.map(|past| (past.log_e(), Versus::Past)))
    }

    /// Its part in the combined e-value, as a logarithm; none when it has no part in it.
    pub(super) fn log_part(&self) -> Option<f64> {
        let reading = self.contrast.as_ref()?.reading();
        self.log_share.map(|share| share + reading.log_e_worse)
    }

    /// Whether it is critical, and its part alone reaches `threshold`, −ln alpha.
    pub(super) fn fails_alone(&self, threshold: f64) -> bool {
        self.plan.critical && self.log_part().is_some_and(|part| part >= threshold)
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

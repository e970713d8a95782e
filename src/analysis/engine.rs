//! The decision engine of one rollout: closed ticks in, an [`Assessment`] out at any time.
//!
//! The engine folds ticks in order and keeps sums alone, so that its state is small and a restart
//! goes on bit for bit (see [`Engine::encode`]). Looking at it changes nothing: every number is
//! valid at every look.

use super::evidence::Viewpoint;
use super::metric::MetricEngine;
use super::reading::Reading;
use super::sample_ratio::SampleRatio;
use super::settings::EnginePlan;
use super::special::log_sum_exp;
use super::verdict::{Conclusion, conclude};
use super::{
    Assessment, Blame, Comparison, DataQuality, Evidence, Headcount, PerArm, TickTally, Verdict, Versus,
};
use crate::ids::{MetricName, Tick};
use crate::policy::{Alpha, Policy};
use jiff::{SignedDuration, Timestamp};

/// All metrics of one rollout, over all ticks so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    alpha: Alpha,
    silence_max: SignedDuration,
    pub(super) metrics: Vec<MetricEngine>,
    pub(super) users: SampleRatio,
    pub(super) excluded: SampleRatio,
    pub(super) fallback: PerArm,
    pub(super) out_of_range: PerArm,
    /// The last closed tick.
    pub(super) through: Option<Tick>,
    /// When the step began, as far as it was said; not written down, for the rollout knows it.
    step_begins: Option<Tick>,
    /// The blame of the first [`Verdict::Fail`], or of the first of a critical metric, by its index: what
    /// is proved once stays proved.
    pub(super) failed: Option<(usize, Versus)>,
}

impl Engine {
    /// An engine for a policy, before the first tick.
    pub fn new(policy: &Policy) -> Self {
        Self::from_plan(EnginePlan::of(policy))
    }

    /// An engine for any plan, before the first tick.
    pub fn from_plan(plan: EnginePlan) -> Self {
        let acts = |metric: &MetricEngine| metric.acts() && metric.contrast.is_some();
        let mut metrics: Vec<_> = plan
            .metrics
            .into_iter()
            .map(|metric| MetricEngine::new(metric, None))
            .collect();
        // Shares are normalised as logarithms, which no finite weight can overflow.
        let logs: Vec<_> = metrics
            .iter()
            .filter(|metric| acts(metric))
            .map(|metric| metric.plan.weight.ln())
            .collect();
        let whole = log_sum_exp(&logs);
        for metric in metrics.iter_mut().filter(|metric| acts(metric)) {
            metric.log_share = Some(metric.plan.weight.ln() - whole);
        }
        Self {
            alpha: plan.alpha,
            silence_max: plan.silence_max,
            metrics,
            users: SampleRatio::default(),
            excluded: SampleRatio::default(),
            fallback: PerArm::default(),
            out_of_range: PerArm::default(),
            through: None,
            step_begins: None,
            failed: None,
        }
    }

    /// Takes in one closed tick, and says whether it was taken.
    ///
    /// Ticks come in order. One that is not after the last closed tick is already in the sums (a
    /// replay after a restart), or comes too late to be predicted; it is not taken, and changes
    /// nothing. Metrics that the engine does not know are passed over.
    pub fn absorb(&mut self, tick: &TickTally) -> bool {
        if self.through.is_some_and(|through| tick.tick <= through) {
            return false;
        }
        self.through = Some(tick.tick);
        let Headcount {
            users,
            excluded,
            fallback,
            out_of_range,
        } = &tick.headcount;
        self.users.absorb(tick.tick, users);
        self.excluded.absorb(tick.tick, excluded);
        self.fallback.merge(*fallback);
        self.out_of_range.merge(*out_of_range);
        for metric in &mut self.metrics {
            if let Some(tallies) = tick.metrics.get(&metric.plan.name) {
                metric.absorb(tick.tick, tallies, self.step_begins);
            }
        }
        // Evidence is judged after every tick: a proof between two looks is a proof.
        if self.failed.is_none_or(|(failed, _)| !self.is_critical(failed)) {
            let blame = conclude(&self.metrics, self.alpha.log_threshold()).blame;
            let blamed = blame.and_then(|blame| Some((self.position(&blame.metric)?, blame.versus)));
            // What is critical asks for more than other failures do, so it takes their place.
            let weightier = blamed.filter(|(blamed, _)| self.is_critical(*blamed));
            self.failed = weightier.or(self.failed).or(blamed);
        }
        true
    }

    fn is_critical(&self, index: usize) -> bool {
        self.metrics.get(index).is_some_and(|metric| metric.plan.critical)
    }

    /// Says what there is to compare with from the next tick on.
    ///
    /// When nobody is in control any more, each metric's control is frozen as it stands, and treatment is
    /// compared with it: a comparison with the past. Its tests are dropped as soon as there is
    /// a control again. To say the same twice changes nothing.
    pub fn compare_with(&mut self, comparison: Comparison) {
        for metric in &mut self.metrics {
            match comparison {
                Comparison::Concurrent => metric.past = None,
                Comparison::TreatmentOnly => metric.freeze_control(self.through),
            }
        }
    }

    /// Says when the present step began: what came before is not compared with what comes after.
    ///
    /// To say the same twice changes nothing.
    pub fn begin_step(&mut self, at: Timestamp) {
        self.step_begins = Some(Tick::of(at));
    }

    /// Notes that every tick up to `through` is closed, and that those not taken in were empty.
    pub fn close_through(&mut self, through: Tick) {
        self.through = self.through.max(Some(through));
    }

    /// The last closed tick; none before the first.
    pub fn through(&self) -> Option<Tick> {
        self.through
    }

    /// What all metrics together say; a failure stays one, with the blame of its first tick, or of the
    /// first one in which a critical metric failed.
    pub fn conclusion(&self) -> Conclusion {
        let now = conclude(&self.metrics, self.alpha.log_threshold());
        let failed = self
            .failed
            .and_then(|(index, versus)| Some((self.metrics.get(index)?, versus)));
        match failed {
            Some((blamed, versus)) => Conclusion {
                verdict: Verdict::Fail,
                blame: Some(Blame {
                    metric: blamed.plan.name.clone(),
                    versus,
                }),
                ..now
            },
            None => now,
        }
    }

    /// What the comparison of one metric with control shows.
    pub fn contrast(&self, metric: &MetricName) -> Option<&Reading> {
        self.metric(metric)?
            .contrast
            .as_ref()
            .map(|contrast| contrast.reading())
    }

    /// What the comparison of one metric with its limit shows.
    pub fn limit(&self, metric: &MetricName) -> Option<&Reading> {
        self.metric(metric)?.limit.as_ref().map(|limit| limit.reading())
    }

    /// The conclusion at `now`, in a step that began at `since`.
    ///
    /// In this order: a failure, now or at any tick before, is [`Verdict::Fail`]; users who did not come
    /// to the arms as planned, those of whom something was left out included, and a guardrail whose arm
    /// has been silent for too long make it [`Verdict::Invalid`]; all guardrails proved healthy make it
    /// [`Verdict::Pass`]. Silence counts from the later of `since` and the end of the arm's last tick. With
    /// [`Comparison::TreatmentOnly`] there is no split to be wrong, and control may be silent.
    ///
    /// Intervals hold at once for all looks with probability 1 − alpha, half of alpha on each side.
    pub fn assess(&self, now: Timestamp, since: Timestamp, comparison: Comparison) -> Assessment {
        self.seen_from(&Viewpoint {
            now,
            since,
            comparison,
            silence_max: self.silence_max,
            threshold: self.alpha.log_threshold(),
            intervals: true,
        })
    }

    /// The conclusion as [`assess`](Self::assess) draws it, without the intervals of differences and
    /// quantiles: nothing is decided by them, and they are most of the work.
    pub fn assess_to_decide(&self, now: Timestamp, since: Timestamp, comparison: Comparison) -> Assessment {
        self.seen_from(&Viewpoint {
            now,
            since,
            comparison,
            silence_max: self.silence_max,
            threshold: self.alpha.log_threshold(),
            intervals: false,
        })
    }

    fn seen_from(&self, view: &Viewpoint) -> Assessment {
        let Viewpoint {
            now,
            since,
            comparison,
            ..
        } = *view;
        let metrics: Vec<Evidence> = self.metrics.iter().map(|metric| metric.evidence(view)).collect();
        let Conclusion {
            verdict,
            log_e_open,
            blame,
            ..
        } = self.conclusion();
        let data = self.data();
        let invalid = match comparison {
            Comparison::Concurrent => data.mismatch().is_some(),
            Comparison::TreatmentOnly => false,
        } || metrics.iter().any(|metric| metric.silent_since.is_some());
        let verdict = if invalid && verdict != Verdict::Fail {
            Verdict::Invalid
        } else {
            verdict
        };
        Assessment {
            at: now,
            through: self.through.unwrap_or_else(|| Tick::of(since).previous()),
            verdict,
            log_e_combined: log_e_open,
            threshold: self.alpha.log_threshold(),
            threshold_non_inferior: Alpha::NON_INFERIOR.log_threshold(),
            threshold_limit: Alpha::LIMIT.log_threshold(),
            blame,
            treated: self.treated(),
            data,
            metrics,
        }
    }

    fn data(&self) -> DataQuality {
        DataQuality {
            split: self.users.evidence(),
            excluded: self.excluded.evidence(),
            fallback: self.fallback,
            out_of_range: self.out_of_range,
        }
    }

    /// Least number of treated observations over the guardrails; 0 without guardrails.
    fn treated(&self) -> u64 {
        let guardrails = self.metrics.iter().filter(|metric| metric.is_guardrail());
        guardrails.map(|metric| metric.treatment.count).min().unwrap_or(0)
    }

    fn metric(&self, name: &MetricName) -> Option<&MetricEngine> {
        self.metrics.iter().find(|metric| metric.plan.name == *name)
    }

    fn position(&self, name: &MetricName) -> Option<usize> {
        self.metrics.iter().position(|metric| metric.plan.name == *name)
    }
}

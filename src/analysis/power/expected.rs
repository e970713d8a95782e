//! The engine's own tests, fed with the sums that data are expected to add up to.
//!
//! Nothing is decided here: what a test concludes from its sums is computed by the test itself, so
//! that guards, clusters, mixtures and bets are those of the rollout.

use super::values::{Moments, Values, moved_by};
use super::{Conditions, Visits};
use crate::analysis::arm::Coding;
use crate::analysis::bernoulli::{BernoulliProcess, Harm};
use crate::analysis::bins::{LogBin, Sketch};
use crate::analysis::contrast::{Contrast, ContrastSums, TREATMENT_SHRINK};
use crate::analysis::limit::{Limit, LimitSums};
use crate::analysis::metric::{Compared, MetricEngine};
use crate::analysis::quantile::{QuantileTest, Quantiles};
use crate::analysis::settings::{Bets, ContrastPlan, ContrastSettings, LimitSettings, QuantileSettings};
use crate::analysis::special::{ceil_as_count, count_as_f64};
use crate::analysis::variance::ArmSums;
use crate::ids::Tick;
use crate::policy::Metric;
use std::collections::BTreeMap;

/// Seconds in an hour.
const HOUR_SECONDS: f64 = 3_600.0;

/// A time at one exposure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stay {
    /// Share of users in treatment, 0 to 1.
    pub(super) exposure: f64,
    /// How long, in hours.
    pub(super) hours: f64,
}

/// Observations of one metric in an hour at one exposure.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Flow {
    treated: f64,
    controls: f64,
    /// Weight of the comparison (W).
    weight: f64,
}

impl Flow {
    /// Arrivals are Poisson, so that of `n` in a tick the treated ones are binomial: the mean of
    /// `n_T n_C / n` over ticks with `λ` expected is `e (1 − e) (λ − 1 + exp(−λ))`. Where arrivals are
    /// rarer than ticks, an observation at a time, strata weigh more than that.
    fn at(exposure: f64, conditions: &Conditions) -> Self {
        let ticks = HOUR_SECONDS / f64::from(i32::try_from(Tick::SECONDS).unwrap_or(1));
        let per_tick = conditions.observations_per_hour / ticks;
        let by_tick = exposure * (1.0 - exposure) * (per_tick + (-per_tick).exp_m1());
        Self {
            treated: ticks * per_tick * exposure,
            controls: ticks * per_tick * (1.0 - exposure),
            weight: ticks * by_tick.max(per_tick * weight_of_arrival(exposure)),
        }
    }

    /// The share of the weight that all observations would have in one stratum: smaller ones lose some.
    /// What bets win is that share of what they would win in one.
    fn share_of_weight(self) -> f64 {
        let whole = self.treated * (self.controls / (self.treated + self.controls));
        if whole > 0.0 { self.weight / whole } else { 0.0 }
    }
}

/// The weight that an observation adds to the comparison on average, where they come one at a time: all of
/// one arm, and the first of the other after them, are a stratum.
///
/// With a share `r` of the arm that comes first there are `k` of it with probability
/// `(1 − r) r^(k − 1)`, so that the mean of the weight `k / (k + 1)` is
/// `1 − (1 − r) (−ln(1 − r) − r) / r²`, and that of the observations `1 + 1 / (1 − r)`.
fn weight_of_arrival(exposure: f64) -> f64 {
    let arms = [exposure, 1.0 - exposure];
    if arms.contains(&0.0) {
        return 0.0;
    }
    let weight = |first: f64| 1.0 - (1.0 - first) * (-(-first).ln_1p() - first) / (first * first);
    let observations = |first: f64| 1.0 + 1.0 / (1.0 - first);
    let mean = |of: &dyn Fn(f64) -> f64| arms.iter().map(|first| first * of(*first)).sum::<f64>();
    mean(&weight) / mean(&observations)
}

/// Both arms of what one test reads.
#[derive(Debug, Clone, Copy)]
struct Arms {
    control: Moments,
    treatment: Moments,
}

impl Arms {
    /// As the test codes them.
    fn encoded(self, coding: Coding) -> Self {
        let encode = |moments: Moments| Moments {
            mean: coding.encode(moments.mean),
            ..moments
        };
        Self {
            control: encode(self.control),
            treatment: encode(self.treatment),
        }
    }
}

/// What is expected of one metric under both versions.
#[derive(Debug, Clone)]
pub(super) struct Outlook<'p> {
    pub(super) metric: &'p Metric,
    pub(super) stable: Values,
    pub(super) candidate: Values,
}

impl Outlook<'_> {
    /// Sets the tests of `engine` to what they are expected to have seen after `stays`.
    pub(super) fn tell(&self, engine: &mut MetricEngine, stays: &[Stay], conditions: &Conditions) {
        let data = Data { stays, conditions };
        engine.contrast = engine.plan.contrast.as_ref().map(|plan| match plan {
            ContrastPlan::Values(settings) => {
                let arms = Arms {
                    control: self.stable.added_up(self.metric.kind),
                    treatment: self.candidate.added_up(self.metric.kind),
                };
                let unknown = settings.control_min;
                Compared::Values(Box::new(data.contrast(*settings, arms, unknown)))
            }
            ContrastPlan::Quantiles(settings) => {
                let tests = settings.iter().map(|settings| self.quantile(*settings, &data));
                let (tests, control) = (tests.collect(), self.sketch(settings, data.counts().1));
                Compared::Quantiles(Quantiles::resume(tests, control, Sketch::default()))
            }
        });
        engine.limit = engine.plan.limit.map(|settings| self.limit(settings, &data));
        self.tell_past(engine, &data);
    }

    /// Where nobody is in control, control as it was takes its place.
    fn tell_past(&self, engine: &mut MetricEngine, data: &Data<'_>) {
        let everybody = data.stays.iter().filter(|stay| stay.exposure >= 1.0);
        let everybody: Vec<Stay> = everybody.copied().collect();
        if everybody.is_empty() {
            return;
        }
        let since = Data {
            stays: &everybody,
            ..*data
        };
        engine.freeze_control(None);
        for limit in engine.past.iter_mut().flat_map(|past| &mut past.limits) {
            *limit = self.limit(*limit.settings(), &since);
        }
    }

    /// Control's values, as far as its quantiles tell of them.
    fn sketch(&self, settings: &[QuantileSettings], controls: f64) -> Sketch {
        let (mut counts, mut below) = (BTreeMap::new(), 0);
        for quantile in settings.iter().map(|settings| settings.quantile) {
            let until = ceil_as_count(controls * quantile.ratio());
            counts.insert(LogBin::of(self.stable.quantile(quantile)), until - below);
            below = until;
        }
        let above = ceil_as_count(controls).saturating_sub(below);
        counts.insert(LogBin::GREATEST, above);
        Sketch::resume(counts)
    }

    fn quantile(&self, settings: QuantileSettings, data: &Data<'_>) -> QuantileTest {
        let edge = self.stable.quantile(settings.quantile);
        let control = Moments::of_share(self.stable.share_above(edge));
        let above = |edge| Arms {
            control,
            treatment: Moments::of_share(self.candidate.share_above(edge)),
        };
        // Until control's quantile is known there is no edge, unless a baseline gives one.
        let unknown = if settings.seed.is_some() {
            0
        } else {
            settings.control_min
        };
        QuantileTest {
            settings,
            exceedance: data.contrast(settings.exceedance, above(edge), unknown),
            health: settings.moved.map(|moved| {
                let arms = above(edge * moved_by(moved.by, edge));
                data.contrast(moved.test, arms, unknown)
            }),
        }
    }

    fn limit(&self, settings: LimitSettings, data: &Data<'_>) -> Limit {
        let treatment = match settings.edge {
            Some(edge) => Moments::of_share(self.candidate.share_above(edge.upper_edge())),
            None => self.candidate.added_up(self.metric.kind),
        };
        data.limit(settings, treatment)
    }
}

/// What has come, of whatever metric.
#[derive(Debug, Clone, Copy)]
struct Data<'d> {
    stays: &'d [Stay],
    conditions: &'d Conditions,
}

impl Data<'_> {
    /// Times at each exposure with what comes there, after `unknown` observations of control.
    fn flows_after(&self, unknown: u64) -> impl Iterator<Item = (f64, f64, Flow)> {
        let mut missing = count_as_f64(unknown);
        self.stays.iter().map(move |stay| {
            let flow = Flow::at(stay.exposure, self.conditions);
            let learned = missing.min(flow.controls * stay.hours);
            missing -= learned;
            let learning = if learned > 0.0 {
                learned / flow.controls
            } else {
                0.0
            };
            (stay.exposure, (stay.hours - learning).max(0.0), flow)
        })
    }

    fn contrast(&self, settings: ContrastSettings, arms: Arms, unknown: u64) -> Contrast {
        let coding = Coding::of(&settings.test);
        let arms = arms.encoded(coding);
        let harm = coding.harm_sign() * (arms.treatment.mean - arms.control.mean);
        let (mut treatment, mut control) = (Weighed::default(), Weighed::default());
        let (mut weight, mut won, mut won_on_health) = (0.0, Won::default(), Won::default());
        // While everybody is in one arm, nothing is compared.
        let compared = self.flows_after(unknown).filter(|(_, _, flow)| flow.weight > 0.0);
        for (exposure, hours, flow) in compared {
            weight += hours * flow.weight;
            treatment.add(hours * flow.treated, hours * flow.weight * (1.0 - exposure));
            control.add(hours * flow.controls, hours * flow.weight * exposure);
            let share = hours * flow.share_of_weight();
            let (bets, on_health) = bets_per_hour(&settings, &arms, &flow);
            won.add(share, &bets);
            if let Some(on_health) = on_health {
                won_on_health.add(share, &on_health);
            }
        }
        let (treated, controls) = self.counts();
        // Treatment's predicted centre is pulled towards control's, so that its first observations lie
        // off it by more than they stray: the sum of (δ k / (k + i))² over the first n of them.
        let surprise =
            harm * harm * TREATMENT_SHRINK * treatment.count / (treatment.count + TREATMENT_SHRINK);
        let clusters = settings.test.clusters;
        let sums = ContrastSums {
            treatment: treatment.sums(
                arms.treatment,
                surprise,
                treated,
                clusters,
                self.conditions.visits,
            ),
            control: control.sums(arms.control, 0.0, controls, clusters, self.conditions.visits),
            sum: harm * weight,
            weight,
            control_sum: arms.control.mean * weight,
            process: BernoulliProcess::resume(settings.test.odds_ratios, &won.0),
            health: settings
                .health
                .map(|health| BernoulliProcess::resume(health, &won_on_health.0)),
        };
        Contrast::resume(settings, sums)
    }

    fn limit(&self, settings: LimitSettings, treatment: Moments) -> Limit {
        let coding = Coding::of(&settings.test);
        let mean = coding.encode(treatment.mean);
        let (treated, _) = self.counts();
        let mut seen = Weighed::default();
        seen.add(treated, treated);
        let mut process = BernoulliProcess::new(settings.test.odds_ratios);
        let limit = coding.encode(settings.limit);
        if coding.is_rate() {
            let harm = Harm {
                n: treated,
                s: treated * mean,
            };
            process.bet_against_limit(limit, harm);
        }
        let moments = Moments { mean, ..treatment };
        let clusters = settings.test.clusters;
        let sums = LimitSums {
            treatment: seen.sums(moments, 0.0, treated, clusters, self.conditions.visits),
            sum: coding.harm_sign() * treated * (mean - limit),
            weight: treated,
            process,
        };
        Limit::resume(settings, sums)
    }

    /// All observations of treatment and of control.
    fn counts(&self) -> (f64, f64) {
        self.stays.iter().fold((0.0, 0.0), |(treated, controls), stay| {
            let flow = Flow::at(stay.exposure, self.conditions);
            (
                treated + stay.hours * flow.treated,
                controls + stay.hours * flow.controls,
            )
        })
    }
}

/// What bets have won over all hours, as logarithms.
#[derive(Debug, Default)]
struct Won([f64; Bets::COUNT_MAX]);

impl Won {
    fn add(&mut self, hours: f64, per_hour: &BernoulliProcess) {
        for (won, log) in self.0.iter_mut().zip(per_hour.logs()) {
            *won += hours * log;
        }
    }
}

/// What the bets of a rate win in an hour, control's rate being known: against "not worse", and on health.
fn bets_per_hour(
    settings: &ContrastSettings,
    arms: &Arms,
    flow: &Flow,
) -> (BernoulliProcess, Option<BernoulliProcess>) {
    let mut process = BernoulliProcess::new(settings.test.odds_ratios);
    let mut health = settings.health.map(BernoulliProcess::new);
    if flow.treated > 0.0 && flow.controls > 0.0 {
        let harm = |n: f64, moments: Moments| Harm {
            n,
            s: n * moments.mean,
        };
        let rate = arms.control.mean;
        let (treatment, control) = (
            harm(flow.treated, arms.treatment),
            harm(flow.controls, arms.control),
        );
        process.bet_against_control(rate, treatment, control);
        if let Some(health) = &mut health {
            health.bet_on_health(rate, settings.margin_null(), treatment, control);
        }
    }
    (process, health)
}

/// Observations of one arm that are compared.
#[derive(Debug, Clone, Copy, Default)]
struct Weighed {
    count: f64,
    /// Sum of their squared weights (A).
    squared_weights: f64,
}

impl Weighed {
    fn add(&mut self, count: f64, squared_weights: f64) {
        self.count += count;
        self.squared_weights += squared_weights;
    }

    /// The sums of an arm that has seen `seen` observations, and compared these.
    ///
    /// Clusters count as evenly as so many visits by the same users leave them, and two of them carry
    /// residuals that make the variance between clusters what the design effect says.
    fn sums(self, moments: Moments, surprise: f64, seen: f64, clusters: usize, visits: Visits) -> ArmSums {
        let mut sums = ArmSums::new(clusters);
        let per_observation = if self.count > 0.0 {
            self.squared_weights / self.count
        } else {
            0.0
        };
        sums.count = ceil_as_count(seen);
        sums.sum = count_as_f64(sums.count) * moments.mean;
        sums.used = ceil_as_count(self.count);
        sums.squared_weights = self.squared_weights;
        sums.squares_around_centre = self.squared_weights * moments.variance + per_observation * surprise;
        sums.squares = self.squared_weights * (moments.variance + moments.mean * moments.mean);
        let touched = ceil_as_count(visits.effective_clusters(self.count, count_as_f64(clusters as u64)));
        for (number, count) in sums.counts.iter_mut().enumerate() {
            *count = u64::from((number as u64) < touched);
        }
        if let [first, second, ..] = &mut sums.residuals[..] {
            let clusters = count_as_f64(clusters as u64);
            let between = visits.design_effect() * sums.squares_around_centre;
            *first = (between * (clusters - 1.0) / (2.0 * clusters)).sqrt();
            *second = -*first;
        }
        sums
    }
}

//! The engine from outside: policies in, observations in, assessments out.

use super::engine::Engine;
use super::{Assessment, Blame, Comparison, Evidence, Headcount, Observation, TickTally, Versus};
use crate::ids::{
    Arm, Cluster, Exposure, Label, MetricName, PolicyName, PromptName, RegistryName, Revision, Scheme, Tick,
};
use crate::policy::{
    Alpha, AmountScale, AnalysisRules, ArmLabels, AssignmentRules, Better, Feed, Forced, Gates,
    LatencyStatistic, Margin, Metric, MetricKind, OnFail, OnInconclusive, OnNoData, Patience, Policy,
    Quantile, Quantiles, Role, Targeting, TimeUnit,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

mod continuing;
mod deciding;
mod extremes;
mod harm;
mod kinds;
mod older;
mod past;
mod quality;
mod sharpness;
mod showing;
mod sparse;

/// The second at which every test begins.
const START: i64 = 1_800_000_000;

/// How long a guardrail may be silent in the tests' policies.
const SILENCE_MAX: SignedDuration = SignedDuration::from_mins(30);

fn name(name: &str) -> MetricName {
    MetricName::new(name).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn policy(metrics: Vec<Metric>) -> Policy {
    Policy {
        name: PolicyName::new("answers").unwrap(),
        owner: None,
        revision: Revision::of(""),
        source: "".into(),
        prompt: PromptName::new("answers").unwrap(),
        registry: RegistryName::new("embedded").unwrap(),
        labels: ArmLabels {
            control: Label::new("production").unwrap(),
            treatment: Label::new("canary").unwrap(),
        },
        assignment: AssignmentRules {
            scheme: Scheme::Serin,
            salt: None,
            holdback: Exposure::NOBODY,
            force: Forced::default(),
            targeting: Targeting::default(),
            group: None,
        },
        steps: vec![],
        watch: SignedDuration::ZERO,
        analysis: AnalysisRules {
            alpha: Alpha::new(0.05).unwrap(),
            every: SignedDuration::from_secs(5),
            no_data: Patience {
                after: SILENCE_MAX,
                then: OnNoData::Hold,
            },
            on_fail: OnFail::RollBack,
            inconclusive: Patience {
                after: SignedDuration::from_hours(72),
                then: OnInconclusive::Pause,
            },
        },
        metrics,
        gates: Gates::default(),
        clients: crate::policy::Clients::default(),
        notify: vec![],
    }
}

/// The blame of a metric that is worse than its control.
fn worse(metric: &str) -> Option<Blame> {
    blame(metric, Versus::Control)
}

fn blame(metric: &str, versus: Versus) -> Option<Blame> {
    Some(Blame {
        metric: name(metric),
        versus,
    })
}

/// A guardrail from 0 to 1 of which more is better, with a margin of 0.05.
fn score(metric: &str) -> Metric {
    Metric {
        name: name(metric),
        kind: MetricKind::Score { min: 0.0, max: 1.0 },
        better: Better::Higher,
        role: Role::Guardrail,
        margin: Margin::Absolute(0.05),
        limit: None,
        weight: 1.0,
        baseline: Some(0.75),
        critical: false,
        unit: None,
        feed: Feed::Observations,
    }
}

/// A guardrail of 0 and 1 of which 1 is harm, with a margin of 0.05.
fn rate(metric: &str) -> Metric {
    Metric {
        kind: MetricKind::Rate,
        better: Better::Lower,
        baseline: Some(0.1),
        ..score(metric)
    }
}

/// A latency of which less is better, compared by quantiles with a margin of a tenth.
fn latency(metric: &str, ppm: &[u32]) -> Metric {
    let quantiles: Vec<_> = ppm.iter().map(|&ppm| Quantile::from_ppm(ppm).unwrap()).collect();
    Metric {
        kind: MetricKind::Latency {
            unit: TimeUnit::Seconds,
            statistic: LatencyStatistic::Quantiles(Quantiles::new(&quantiles).unwrap()),
        },
        better: Better::Lower,
        margin: Margin::Relative(0.1),
        baseline: None,
        ..score(metric)
    }
}

/// A cost of which less is better, with a margin of a tenth.
fn amount(metric: &str, scale: AmountScale) -> Metric {
    Metric {
        kind: MetricKind::Amount { scale },
        ..latency(metric, &[500_000])
    }
}

/// Where the values of one arm come from.
#[derive(Debug, Clone, Copy)]
enum Values {
    /// Numbers whose logarithm is normal: their median, and the deviation of the logarithm.
    LogNormal(f64, f64),
    /// Numbers around a mean, up to 0.2 off.
    Around(f64),
    /// 1 with this chance, else 0.
    Chance(f64),
    /// None at all.
    Absent,
}

/// An engine, and users who come and go by a fixed sequence of random numbers.
#[derive(Debug, Clone)]
struct World {
    metrics: Vec<Metric>,
    engine: Engine,
    second: i64,
    random: u64,
}

impl World {
    fn new(metrics: Vec<Metric>) -> Self {
        Self {
            engine: Engine::new(&policy(metrics.clone())),
            metrics,
            second: START,
            random: 7,
        }
    }

    /// Lets `seconds` ticks pass in which every metric gets ten observations per arm.
    fn pass(&mut self, seconds: i64, metrics: &[(&str, Values, Values)]) {
        for _ in 0..seconds {
            let tick = self.tick(metrics);
            assert!(self.engine.absorb(&tick));
        }
    }

    fn tick(&mut self, metrics: &[(&str, Values, Values)]) -> TickTally {
        let mut tick = TickTally {
            tick: Tick::new(self.second),
            metrics: BTreeMap::new(),
            headcount: Headcount::default(),
        };
        self.second += Tick::SECONDS;
        for &(metric, control, treatment) in metrics {
            let tallies = tick.metrics.entry(name(metric)).or_default();
            for _ in 0..10 {
                for (arm, values) in [(Arm::Control, control), (Arm::Treatment, treatment)] {
                    let cluster = Cluster::from_hash(self.random());
                    if let Some(value) = self.draw(values) {
                        tallies.add(arm, cluster, self.observation(metric, value));
                    }
                }
            }
        }
        tick
    }

    fn observation(&self, metric: &str, value: f64) -> Observation {
        let declared = self.metrics.iter().find(|declared| declared.name == name(metric));
        Observation::of(declared.unwrap(), value)
    }

    fn draw(&mut self, values: Values) -> Option<f64> {
        let uniform = self.uniform();
        match values {
            // Box & Muller 1958.
            Values::LogNormal(median, deviation) => {
                let (radius, angle) = ((-2.0 * (1.0 - uniform).ln()).sqrt(), self.uniform());
                let normal = radius * (std::f64::consts::TAU * angle).cos();
                Some(median * (deviation * normal).exp())
            }
            Values::Around(mean) => Some(mean + 0.4 * (uniform - 0.5)),
            Values::Chance(chance) => Some(if uniform < chance { 1.0 } else { 0.0 }),
            Values::Absent => None,
        }
    }

    fn uniform(&mut self) -> f64 {
        self.random() as f64 / 2.0_f64.powi(64)
    }

    /// SplitMix64 (Steele, Lea & Flood 2014).
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The assessment right after the last tick, in a step that began at the start.
    fn assess(&self) -> Assessment {
        self.engine
            .assess(at(self.second), at(START), Comparison::Concurrent)
    }

    fn evidence(&self, metric: &str) -> Evidence {
        self.assess()
            .metrics
            .into_iter()
            .find(|evidence| evidence.metric == name(metric))
            .unwrap()
    }
}

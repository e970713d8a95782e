//! One metric of a rollout: both arms, their difference, the evidence, the samples.

use super::charts::{Course, MetricCharts};
use crate::analysis::{Assessment, DataQuality, Evidence, RatioEvidence};
use crate::console::chart::Chart;
use crate::console::numbers::{self, Scale, e_value};
use crate::console::words::{Chip, Moment, Prose, Tone, verdict_chip};
use crate::figures;
use crate::policy::{Alpha, Better, Metric, Policy, Role};
use askama::Template;
use askama::filters::HtmlSafe;

/// Everything that was measured: each metric, all of them together, how users came.
#[derive(Debug, Default, Template)]
#[template(path = "numbers.html", config = "src/console/askama.toml")]
pub(super) struct Measured {
    pub(super) panels: Vec<Panel>,
    combined: Option<Gauge>,
    ratio: Option<SampleRatio>,
    /// Whether the page is kept: everything is open then.
    is_kept: bool,
}

/// Its template has escaped it.
impl HtmlSafe for Measured {}

impl Measured {
    pub(super) fn new(policy: Option<&Policy>, assessment: Option<&Assessment>, course: &Course<'_>) -> Self {
        let Some(assessment) = assessment else {
            return Self::default();
        };
        Self {
            panels: policy.map_or_else(Vec::new, |policy| Panel::all(policy, assessment, course)),
            combined: combined(assessment),
            ratio: SampleRatio::new(&assessment.data, course),
            is_kept: false,
        }
    }

    /// The same on a page that is kept.
    pub(super) fn kept(self) -> Self {
        Self {
            is_kept: true,
            ..self
        }
    }
}

/// What all guarded metrics together say.
fn combined(assessment: &Assessment) -> Option<Gauge> {
    Some(Gauge::new(
        "The candidate is worse",
        "all guarded metrics together; at the threshold, it is taken back",
        Tone::Bad,
        assessment.log_e_combined?,
        assessment.threshold,
    ))
}

/// One metric.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) metric: String,
    pub(super) role: &'static str,
    pub(super) kind: String,
    pub(super) verdict: Chip,
    pub(super) sentence: Prose,
    pub(super) silent_since: Option<Moment>,
    pub(super) control: ArmCells,
    pub(super) treatment: ArmCells,
    pub(super) difference: String,
    pub(super) interval: String,
    pub(super) margin: String,
    pub(super) quantiles: Vec<QuantileRow>,
    pub(super) gauges: Vec<Gauge>,
    pub(super) over_time: MetricCharts,
}

/// One arm of a metric.
#[derive(Debug)]
pub(super) struct ArmCells {
    pub(super) value: String,
    pub(super) count: String,
    pub(super) last: Option<Moment>,
}

/// One quantile of both arms.
#[derive(Debug)]
pub(super) struct QuantileRow {
    pub(super) name: String,
    pub(super) control: String,
    pub(super) treatment: String,
    pub(super) verdict: Chip,
}

/// Evidence on its way to what it must reach, in logarithms.
#[derive(Debug, Template)]
#[template(path = "gauge.html", config = "src/console/askama.toml")]
pub(super) struct Gauge {
    name: &'static str,
    about: &'static str,
    tone: Tone,
    /// From 0 to `max`.
    value: String,
    max: String,
    said: String,
}

/// Its template has escaped it.
impl HtmlSafe for Gauge {}

impl Gauge {
    pub(super) fn new(
        name: &'static str,
        about: &'static str,
        tone: Tone,
        log_e: f64,
        threshold: f64,
    ) -> Self {
        Self {
            name,
            about,
            tone,
            value: format!("{:.3}", log_e.clamp(0.0, threshold.max(0.0))),
            max: format!("{threshold:.3}"),
            said: format!("{} of {}", e_value(log_e), e_value(threshold)),
        }
    }
}

impl Panel {
    /// Every metric, in the policy's order.
    pub(super) fn all(policy: &Policy, assessment: &Assessment, course: &Course<'_>) -> Vec<Self> {
        let of_metric = |metric: &Metric| {
            let mut found = assessment.metrics.iter();
            let evidence = found.find(|evidence| evidence.metric == metric.name)?;
            Some(Self {
                over_time: course.of_metric(metric, assessment),
                ..Self::new(metric, evidence, assessment, policy.analysis.alpha)
            })
        };
        policy.metrics.iter().filter_map(of_metric).collect()
    }

    fn new(metric: &Metric, evidence: &Evidence, assessment: &Assessment, alpha: Alpha) -> Self {
        let scale = Scale::of(metric);
        let relative = evidence.relative;
        let (control, treatment) = numbers::arms(evidence);
        let interval = evidence.interval.map_or_else(
            || figures::NOTHING.to_owned(),
            |(lower, upper)| {
                format!(
                    "{} to {}",
                    scale.difference(Some(lower), relative),
                    scale.difference(Some(upper), relative)
                )
            },
        );
        let quantile = |row: &crate::analysis::QuantileEvidence| QuantileRow {
            name: format!(
                "p{}",
                figures::percentage(row.quantile.ratio()).trim_end_matches('%')
            ),
            control: scale.value(row.control),
            treatment: scale.value(row.treatment),
            verdict: verdict_chip(row.verdict),
        };
        Self {
            metric: metric.name.to_string(),
            role: role(metric.role),
            kind: kind(metric),
            verdict: verdict_chip(evidence.verdict),
            sentence: numbers::sentence(metric, evidence, assessment, alpha),
            silent_since: evidence.silent_since.map(Moment::new),
            control: arm(&scale, control, &evidence.control),
            treatment: arm(&scale, treatment, &evidence.treatment),
            difference: scale.difference(evidence.difference, relative),
            interval,
            margin: scale.margin(evidence.margin, relative),
            quantiles: evidence.quantiles.iter().map(quantile).collect(),
            gauges: gauges(evidence, assessment),
            over_time: MetricCharts::default(),
        }
    }
}

fn gauges(evidence: &Evidence, assessment: &Assessment) -> Vec<Gauge> {
    let worse = Gauge::new(
        "It is worse",
        "at its threshold, this metric alone takes the candidate back",
        Tone::Bad,
        evidence.log_e_worse,
        assessment.threshold,
    );
    let healthy = Gauge::new(
        "It is healthy",
        "at its threshold, it is proved to be within the margin",
        Tone::Good,
        evidence.log_e_non_inferior,
        assessment.threshold_non_inferior,
    );
    let limit = evidence.log_e_limit.map(|log_e| {
        Gauge::new(
            "Its limit is broken",
            "at its threshold, the candidate is taken back",
            Tone::Bad,
            log_e,
            assessment.threshold_limit,
        )
    });
    let past = evidence.past.map(|past| {
        Gauge::new(
            "It is worse than control was",
            "a comparison with the past, while nobody is in control",
            Tone::Bad,
            past.log_e,
            Alpha::PAST.log_threshold(),
        )
    });
    [Some(worse), Some(healthy), limit, past]
        .into_iter()
        .flatten()
        .collect()
}

fn arm(scale: &Scale, value: Option<f64>, evidence: &crate::analysis::ArmEvidence) -> ArmCells {
    ArmCells {
        value: scale.value(value),
        count: figures::count(evidence.count),
        last: evidence.last_seen.map(|tick| Moment::new(tick.begins())),
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Guardrail => "guardrail",
        Role::Goal => "goal",
        Role::Watched => "watched",
    }
}

fn kind(metric: &Metric) -> String {
    let better = match metric.better {
        Better::Higher => "higher is better",
        Better::Lower => "lower is better",
    };
    format!("{}, {better}", metric.kind.as_str())
}

/// How users came to the arms.
#[derive(Debug)]
pub(super) struct SampleRatio {
    pub(super) is_broken: bool,
    pub(super) sentence: String,
    pub(super) control: String,
    pub(super) treatment: String,
    pub(super) gauge: Gauge,
    pub(super) left_out: Vec<String>,
    pub(super) chart: Option<Chart>,
}

impl SampleRatio {
    /// None before the first user.
    pub(super) fn new(data: &DataQuality, course: &Course<'_>) -> Option<Self> {
        let RatioEvidence {
            users,
            expected,
            log_e,
            since,
        } = data.split;
        let all = users.control + users.treatment;
        if all == 0 {
            return None;
        }
        let sentence = format!(
            "{} of {} users are in treatment, where about {} were planned",
            figures::count(users.treatment),
            figures::count(all),
            figures::shortest(expected, 4),
        );
        let left_out = |counts: crate::analysis::PerArm, why: &str| {
            (counts.control + counts.treatment > 0).then(|| {
                format!(
                    "{} observations of control and {} of treatment were left out: {why}",
                    figures::count(counts.control),
                    figures::count(counts.treatment)
                )
            })
        };
        Some(Self {
            is_broken: since.or(data.excluded.since).is_some(),
            sentence,
            control: figures::count(users.control),
            treatment: figures::count(users.treatment),
            gauge: Gauge::new(
                "The split is another one",
                "at its threshold, the rollout is paused",
                Tone::Bad,
                log_e,
                Alpha::SAMPLE_RATIO.log_threshold(),
            ),
            chart: course.split(),
            left_out: [
                left_out(data.fallback, "the application served a fallback"),
                left_out(data.out_of_range, "a value was out of range"),
            ]
            .into_iter()
            .flatten()
            .collect(),
        })
    }
}

//! A rollout's numbers over time: which charts there are, and the table beside each.

use super::trail::{Stay, Trail};
use crate::analysis::Assessment;
use crate::console::chart::{Chart, Curve, Ink, Level, Plot, Shape};
use crate::console::numbers::{Scale, e_value, raised};
use crate::figures;
use crate::ids::Tick;
use crate::policy::{Better, Metric, Policy};
use crate::store::{MetricPoint, Point};
use jiff::Timestamp;

/// Rows of the table beside the charts of a metric.
const ROWS_MAX: usize = 24;
/// Least power of ten of evidence that is drawn.
const DECADES_MIN: f64 = -2.0;
/// Powers of ten beyond the threshold that are drawn: from there on, evidence is overwhelming.
const DECADES_BEYOND: f64 = 2.0;

/// The charts of one metric, and their numbers.
#[derive(Debug, Default)]
pub(super) struct MetricCharts {
    pub(super) charts: Vec<Chart>,
    pub(super) rows: Vec<MetricRow>,
}

/// What a metric's numbers were at one moment.
#[derive(Debug)]
pub(super) struct MetricRow {
    pub(super) at: String,
    pub(super) control: String,
    pub(super) treatment: String,
    pub(super) difference: String,
    pub(super) interval: String,
    pub(super) worse: String,
    pub(super) healthy: String,
    pub(super) samples: String,
}

/// The points of a rollout, in seconds since its beginning.
#[derive(Debug)]
pub(super) struct Course<'p> {
    points: &'p [Point],
    began: i64,
}

impl<'p> Course<'p> {
    pub(super) fn new(points: &'p [Point], began: Timestamp) -> Self {
        let began = Tick::of(began).second();
        Self { points, began }
    }

    fn seconds(&self, tick: Tick) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rollout's length lies far below 2^53 seconds"
        )]
        let seconds = (tick.second() - self.began) as f64;
        // A rollout begins within its first tick.
        seconds.max(0.0)
    }

    /// What `value` was over time.
    fn curve(&self, ink: Ink, value: impl Fn(&Point) -> Option<f64>) -> Curve {
        let at = |point: &Point| Some((self.seconds(point.tick), value(point)?));
        Curve {
            ink,
            points: self.points.iter().filter_map(at).collect(),
            is_stepped: false,
        }
    }

    /// The charts of one metric.
    pub(super) fn of_metric(&self, metric: &Metric, assessment: &Assessment) -> MetricCharts {
        let scale = Scale::of(metric);
        let evidence = assessment
            .metrics
            .iter()
            .find(|evidence| evidence.metric == metric.name);
        let relative = evidence.is_some_and(|evidence| evidence.relative);
        let of = |point: &'p Point| point.metrics.iter().find(|at| at.metric == metric.name);
        let charts = [
            self.arms(metric, &scale),
            self.difference(metric, &scale, relative),
            self.evidence(metric, assessment),
            self.samples(metric),
        ];
        let every = self.points.len().div_ceil(ROWS_MAX).max(1);
        let rows = self.points.iter().rev().step_by(every);
        let row = |point: &'p Point| Some(row(point, of(point)?, &scale, relative));
        MetricCharts {
            charts: charts.into_iter().flatten().collect(),
            rows: rows.filter_map(row).collect(),
        }
    }

    fn metric_curve(&self, ink: Ink, metric: &Metric, value: impl Fn(&MetricPoint) -> Option<f64>) -> Curve {
        self.curve(ink, |point| {
            let at = point.metrics.iter().find(|at| at.metric == metric.name)?;
            value(at)
        })
    }

    fn arms(&self, metric: &Metric, scale: &Scale) -> Option<Chart> {
        let plot = Plot {
            curves: vec![
                self.metric_curve(Ink::Control, metric, |at| at.control),
                self.metric_curve(Ink::Treatment, metric, |at| at.treatment),
            ],
            levels: metric
                .limit
                .map(|value| Level {
                    ink: Ink::Margin,
                    value,
                })
                .into_iter()
                .collect(),
            ..Plot::default()
        };
        let mut keys = arm_keys();
        keys.extend(
            metric
                .limit
                .map(|limit| (Ink::Margin, format!("limit {}", scale.short_value(limit)))),
        );
        let svg = plot.draw(Shape::Small, &|value| scale.short_value(value))?;
        Some(Chart::new("Both arms", &about(metric), keys, svg))
    }

    fn difference(&self, metric: &Metric, scale: &Scale, relative: bool) -> Option<Chart> {
        let of = |point: &'p Point| point.metrics.iter().find(|at| at.metric == metric.name);
        let band = self.points.iter().filter_map(|point| {
            let (lower, upper) = of(point)?.interval?;
            Some((self.seconds(point.tick), lower, upper))
        });
        let margin = self.points.iter().rev().find_map(|point| of(point)?.margin);
        let worst = margin.map(|margin| match metric.better {
            Better::Higher => -margin,
            Better::Lower => margin,
        });
        let levels = [
            Some(Level {
                ink: Ink::Letters,
                value: 0.0,
            }),
            worst.map(|value| Level {
                ink: Ink::Margin,
                value,
            }),
        ];
        let plot = Plot {
            curves: vec![self.metric_curve(Ink::Difference, metric, |at| at.difference)],
            band: band.collect(),
            levels: levels.into_iter().flatten().collect(),
            ..Plot::default()
        };
        let beyond = match metric.better {
            Better::Higher => "below",
            Better::Lower => "above",
        };
        let mut keys = vec![(Ink::Difference, "treatment − control, confidence band".to_owned())];
        keys.extend(worst.map(|worst| {
            let margin = scale.short_difference(worst, relative);
            (Ink::Margin, format!("not tolerated {beyond} {margin}"))
        }));
        let svg = plot.draw(Shape::Small, &|value| scale.short_difference(value, relative))?;
        Some(Chart::new("Difference", &about(metric), keys, svg))
    }

    fn evidence(&self, metric: &Metric, assessment: &Assessment) -> Option<Chart> {
        let decades = |log_e: f64| log_e / std::f64::consts::LN_10;
        let (worse, healthy) = (assessment.threshold, assessment.threshold_non_inferior);
        let most = decades(worse.max(healthy)) + DECADES_BEYOND;
        let drawn = |log_e: f64| Some(decades(log_e).clamp(DECADES_MIN, most));
        let has_one = (worse - healthy).abs() <= f64::EPSILON;
        let threshold = |ink, value| Level {
            ink,
            value: decades(value),
        };
        let plot = Plot {
            curves: vec![
                self.metric_curve(Ink::Margin, metric, |at| drawn(at.log_e_worse)),
                self.metric_curve(Ink::Healthy, metric, |at| drawn(at.log_e_non_inferior)),
            ],
            levels: if has_one {
                vec![threshold(Ink::Letters, worse)]
            } else {
                vec![threshold(Ink::Margin, worse), threshold(Ink::Healthy, healthy)]
            },
            at_least: vec![0.0],
            ..Plot::default()
        };
        let mut keys = vec![
            (Ink::Margin, "worse".to_owned()),
            (Ink::Healthy, "healthy".to_owned()),
        ];
        if has_one {
            keys.push((Ink::Letters, format!("threshold {}", e_value(worse))));
        } else {
            keys[0].1 = format!("worse, threshold {}", e_value(worse));
            keys[1].1 = format!("healthy, threshold {}", e_value(healthy));
        }
        let svg = plot.draw(Shape::Small, &|value| power(value))?;
        Some(Chart::new("Evidence", &about(metric), keys, svg))
    }

    fn samples(&self, metric: &Metric) -> Option<Chart> {
        #[expect(clippy::cast_precision_loss, reason = "a picture is as fine as its pixels")]
        let count = |count: u64| Some(count as f64);
        let plot = Plot {
            curves: vec![
                self.metric_curve(Ink::Control, metric, |at| count(at.control_count)),
                self.metric_curve(Ink::Treatment, metric, |at| count(at.treatment_count)),
            ],
            at_least: vec![0.0],
            ..Plot::default()
        };
        let svg = plot.draw(Shape::Small, &|value| figures::shortest(value.max(0.0), 3))?;
        Some(Chart::new("Observations", &about(metric), arm_keys(), svg))
    }

    /// The share of users in treatment, and the planned one.
    pub(super) fn split(&self) -> Option<Chart> {
        let plot = Plot {
            curves: vec![
                self.curve(Ink::Control, |point| point.planned_share),
                self.curve(Ink::Treatment, |point| point.treated_share),
            ],
            at_least: vec![0.0],
            ..Plot::default()
        };
        let keys = vec![
            (Ink::Treatment, "as they came".to_owned()),
            (Ink::Control, "as planned".to_owned()),
        ];
        let said = ": the numbers are in the table beside";
        Some(Chart::new(
            "Share of users in treatment",
            said,
            keys,
            plot.draw(Shape::Wide, &share)?,
        ))
    }
}

/// Share of users in treatment from each moment on, as the history has it, up to `now` or its end.
pub(in crate::console) fn shares(trail: &Trail, policy: &Policy, now: Timestamp) -> Vec<(Timestamp, f64)> {
    let share_of = |stay: &Stay<'_>| stay.state.exposure(policy).ratio();
    let mut shares: Vec<(Timestamp, f64)> = trail
        .stays(now)
        .map(|stay| (stay.since, share_of(&stay)))
        .collect();
    shares.extend(trail.stays(now).last().map(|last| (last.until, share_of(&last))));
    shares
}

/// Share of users in treatment as the history has it.
pub(super) fn exposure(trail: &Trail, policy: &Policy, now: Timestamp) -> Option<Chart> {
    let shares = shares(trail, policy, now);
    let (began, _) = shares.first()?;
    let points = shares
        .iter()
        .map(|(at, share)| (at.duration_since(*began).as_secs_f64(), *share))
        .collect();
    let plot = Plot {
        curves: vec![Curve {
            ink: Ink::Treatment,
            points,
            is_stepped: true,
        }],
        at_least: vec![0.0, 1.0],
        ..Plot::default()
    };
    let keys = vec![(
        Ink::Treatment,
        "share of users in treatment, since the beginning".to_owned(),
    )];
    let said = " over time: the history has each change";
    Some(Chart::new(
        "Exposure",
        said,
        keys,
        plot.draw(Shape::Wide, &share)?,
    ))
}

fn arm_keys() -> Vec<(Ink, String)> {
    vec![
        (Ink::Control, "control".to_owned()),
        (Ink::Treatment, "treatment".to_owned()),
    ]
}

/// What goes on after the title of a metric's chart, for those who cannot see it.
fn about(metric: &Metric) -> String {
    format!(" of {}: the table below has the numbers", metric.name)
}

fn share(value: f64) -> String {
    format!("{}%", figures::shortest(value.clamp(0.0, 1.0) * 100.0, 3))
}

/// A power of ten, as the axis of evidence has it.
fn power(decades: f64) -> String {
    let whole = decades.round();
    if whole.abs() >= 4.0 && (decades - whole).abs() < 1e-6 {
        return format!("10{}", raised(&format!("{whole:.0}")));
    }
    figures::shortest(10_f64.powf(decades), 2)
}

fn row(point: &Point, at: &MetricPoint, scale: &Scale, relative: bool) -> MetricRow {
    let interval = at.interval.map_or_else(
        || figures::NOTHING.to_owned(),
        |(lower, upper)| {
            format!(
                "{} to {}",
                scale.difference(Some(lower), relative),
                scale.difference(Some(upper), relative)
            )
        },
    );
    MetricRow {
        at: point.tick.begins().strftime("%m-%d %H:%M:%S").to_string(),
        control: scale.value(at.control),
        treatment: scale.value(at.treatment),
        difference: scale.difference(at.difference, relative),
        interval,
        worse: e_value(at.log_e_worse),
        healthy: e_value(at.log_e_non_inferior),
        samples: format!(
            "{} / {}",
            figures::count(at.control_count),
            figures::count(at.treatment_count)
        ),
    }
}

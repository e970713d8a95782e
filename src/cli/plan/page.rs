//! A forecast as people read it.

use crate::analysis::power::{
    Assumption, Catch, Change, Conditions, Forecast, HORIZON_HOURS_MAX, Outcome, RegressionForecast,
    StepForecast, WaitsFor,
};
use crate::cli::cautions;
use crate::cli::figures::{self, NOTHING};
use crate::cli::screen::{BAD, CAUTION, Cell, FAINT, Flush, GOOD, PLAIN, STRONG, Table, paint};
use crate::policy::{Metric, MetricKind, Policy};

/// Significant digits of what people declared or chose.
const DIGITS: u8 = 4;

/// The whole page.
pub(super) fn of(policy: &Policy, conditions: &Conditions, forecast: &Forecast) -> String {
    let mut page = format!(
        "{} at {} observations an hour{}\n\n",
        paint(STRONG, policy.name.as_str()),
        figures::count(rounded(conditions.observations_per_hour)),
        visits(conditions),
    );
    page.push_str("Assumed of the stable version, * where nobody said so:\n");
    page.push_str(&assumptions(policy, forecast).render("  "));
    page.push_str("\nA candidate that is as good:\n");
    page.push_str(&steps(forecast).render("  "));
    page.push_str(&format!("  {}\n", ending(policy, forecast)));
    if !forecast.regressions.is_empty() {
        page.push_str("\nA candidate that is worse, in half of all rollouts by then (in nine of ten):\n");
        page.push_str(&regressions(policy, forecast).render("  "));
    }
    if !forecast.cautions.is_empty() {
        page.push('\n');
        for caution in &forecast.cautions {
            page.push_str(&format!(
                "{} {}\n",
                paint(CAUTION, "!"),
                cautions::sentence(caution)
            ));
        }
    }
    page
}

fn visits(conditions: &Conditions) -> String {
    let visits = conditions.visits;
    if visits.per_user <= 1.0 {
        return ", each of another user".to_owned();
    }
    format!(
        ", {} of each user (design effect {})",
        figures::shortest(visits.per_user, DIGITS),
        figures::shortest(visits.design_effect(), 3)
    )
}

fn assumptions(policy: &Policy, forecast: &Forecast) -> Table {
    let mut table = Table::new(&[
        ("METRIC", Flush::Left),
        ("WHAT", Flush::Left),
        ("CENTRE", Flush::Right),
        ("SPREAD", Flush::Right),
    ]);
    for (metric, assumption) in policy.metrics.iter().zip(&forecast.assumptions) {
        let Assumption {
            baseline,
            centre_guessed,
            spread_guessed,
            ..
        } = assumption;
        let guessed =
            |shown: String, guessed: &bool| Cell::plain(if *guessed { format!("{shown} *") } else { shown });
        let spread = match metric.kind {
            MetricKind::Score { .. } => guessed(
                format!("±{}", figures::significant(baseline.spread, 3)),
                spread_guessed,
            ),
            MetricKind::Rate => Cell::plain(""),
            MetricKind::Latency { .. } | MetricKind::Amount { .. } => guessed(
                format!("±{} of ln", figures::shortest(baseline.spread, DIGITS)),
                spread_guessed,
            ),
        };
        table.row([
            Cell::plain(metric.name.as_str()),
            Cell::new(FAINT, what(metric)),
            guessed(value(metric.kind, baseline.centre), centre_guessed),
            spread,
        ]);
    }
    table
}

/// What is compared of a metric.
fn what(metric: &Metric) -> String {
    use crate::policy::{AmountScale, LatencyStatistic};
    match metric.kind {
        MetricKind::Score { .. } => "mean".to_owned(),
        MetricKind::Rate => "rate".to_owned(),
        MetricKind::Latency { statistic, .. } => match statistic {
            LatencyStatistic::Quantiles(quantiles) => quantiles.highest().to_string(),
            LatencyStatistic::LogMean => "geometric mean".to_owned(),
        },
        MetricKind::Amount { scale } => match scale {
            AmountScale::Log => "geometric mean".to_owned(),
            AmountScale::Winsorised { .. } => "mean, cut".to_owned(),
        },
    }
}

fn value(kind: MetricKind, value: f64) -> String {
    match kind {
        MetricKind::Score { .. } | MetricKind::Amount { .. } => figures::shortest(value, DIGITS),
        MetricKind::Rate => figures::percentage(value),
        MetricKind::Latency { .. } if value < 1.0 => {
            format!("{}ms", figures::shortest(value * 1_000.0, DIGITS))
        }
        MetricKind::Latency { .. } => format!("{}s", figures::shortest(value, DIGITS)),
    }
}

fn steps(forecast: &Forecast) -> Table {
    let mut table = Table::new(&[
        ("STEP", Flush::Right),
        ("EXPOSURE", Flush::Right),
        ("BAKE", Flush::Right),
        ("SAMPLES", Flush::Right),
        ("EVIDENCE", Flush::Right),
        ("WAITS FOR", Flush::Left),
        ("TAKES", Flush::Right),
        ("SO FAR", Flush::Right),
        ("TREATED", Flush::Right),
    ]);
    let mut so_far = Some(0.0);
    for (index, step) in forecast.steps.iter().enumerate() {
        so_far = so_far.zip(step.hours).map(|(so_far, hours)| so_far + hours);
        let treated = step.hours.map(|_| figures::count(rounded(step.treated)));
        table.row([
            Cell::plain((index + 1).to_string()),
            Cell::plain(step.exposure.to_string()),
            Cell::plain(figures::hours(step.bake_hours)),
            Cell::plain(figures::hours(step.samples_hours)),
            Cell::plain(evidence(step)),
            waits_for(step),
            Cell::new(STRONG, hours(step.hours)),
            Cell::plain(hours(so_far)),
            Cell::plain(treated.unwrap_or_else(|| NOTHING.to_owned())),
        ]);
    }
    table
}

/// The time of the slowest proof.
fn evidence(step: &StepForecast) -> String {
    let slowest = step
        .proofs
        .iter()
        .map(|(_, hours)| hours.unwrap_or(f64::INFINITY))
        .fold(0.0, f64::max);
    if slowest > 0.0 {
        hours(Some(slowest).filter(|hours| hours.is_finite()))
    } else {
        "carried over".to_owned()
    }
}

fn waits_for(step: &StepForecast) -> Cell {
    let waits = match &step.waits_for {
        WaitsFor::Bake => "bake".to_owned(),
        WaitsFor::Samples => format!("{} samples", figures::count(step.samples.max(1))),
        WaitsFor::Evidence(metric) => format!("evidence of {metric}"),
        WaitsFor::Patience => "the end of patience".to_owned(),
    };
    let and = if step.approval { ", then approval" } else { "" };
    let style = match (&step.waits_for, step.hours) {
        (_, None) => BAD,
        (WaitsFor::Patience, Some(_)) => CAUTION,
        (WaitsFor::Bake | WaitsFor::Samples | WaitsFor::Evidence(_), Some(_)) => PLAIN,
    };
    Cell::new(style, format!("{waits}{and}"))
}

fn ending(policy: &Policy, forecast: &Forecast) -> String {
    match forecast.hours {
        Some(taken) => format!(
            "{} after {}, and watched for {}",
            paint(GOOD, "promoted"),
            figures::hours(taken),
            figures::hours(policy.watch.as_secs_f64() / 3_600.0)
        ),
        None => format!(
            "{}, because step {} is not left within a year",
            paint(BAD, "never promoted"),
            forecast.steps.len()
        ),
    }
}

fn regressions(policy: &Policy, forecast: &Forecast) -> Table {
    let mut table = Table::new(&[
        ("METRIC", Flush::Left),
        ("CHANGE", Flush::Right),
        ("MARGINS", Flush::Right),
        ("TAKEN BACK AFTER", Flush::Right),
        ("TREATED USERS", Flush::Right),
        ("OBSERVATIONS", Flush::Right),
        ("IN", Flush::Left),
    ]);
    for regression in &forecast.regressions {
        let kind = policy
            .metrics
            .iter()
            .find(|metric| metric.name == regression.metric)
            .map(|metric| metric.kind);
        let margins = regression.margins.map(|margins| figures::shortest(margins, 3));
        let first = [
            Cell::plain(regression.metric.as_str()),
            Cell::plain(kind.map_or_else(String::new, |kind| change(kind, regression.change))),
            Cell::plain(margins.unwrap_or_default()),
        ];
        table.row(first.into_iter().chain(outcome(regression)));
    }
    table
}

fn outcome(regression: &RegressionForecast) -> [Cell; 4] {
    let [after, users, observations, place] = match regression.outcome {
        Outcome::Caught {
            median,
            p90,
            patience_hours,
        } => {
            let both = |shown: fn(Catch) -> String| {
                let late = p90.map_or_else(|| NOTHING.to_owned(), shown);
                Cell::plain(format!("{} ({late})", shown(median)))
            };
            let place = match median.step {
                Some(step) => format!("step {}", step + 1),
                None => "the watch".to_owned(),
            };
            let ended = |hours| format!("{place}; patience ends after {}", figures::hours(hours));
            [
                both(|catch| figures::hours(catch.hours)),
                both(|catch| figures::count(rounded(catch.users))),
                both(|catch| figures::count(rounded(catch.treated))),
                match patience_hours {
                    Some(hours) => Cell::new(CAUTION, ended(hours)),
                    None => Cell::plain(place),
                },
            ]
        }
        Outcome::Tolerated { hours } => {
            let proved = format!(
                "not at all: proved inside of its margin after {}",
                figures::hours(hours)
            );
            [
                Cell::plain(""),
                Cell::plain(""),
                Cell::plain(""),
                Cell::plain(proved),
            ]
        }
        Outcome::Unnoticed => [
            Cell::plain(""),
            Cell::plain(""),
            Cell::plain(""),
            Cell::new(BAD, "not at all: nothing is proved in time"),
        ],
    };
    [after, users, observations, place]
}

/// A change in the units that people write.
pub(crate) fn change(kind: MetricKind, change: Change) -> String {
    let sign = |size: f64| if size < 0.0 { "-" } else { "+" };
    match change {
        Change::Times(ratio) => {
            let more = ratio - 1.0;
            let percent = figures::shortest(more.abs() * 100.0, DIGITS);
            format!("{}{percent}%", sign(more))
        }
        Change::By(size) => match kind {
            MetricKind::Rate => {
                let points = figures::shortest(size.abs() * 100.0, DIGITS);
                format!("{}{points}pp", sign(size))
            }
            MetricKind::Score { .. } | MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
                format!("{}{}", sign(size), value(kind, size.abs()))
            }
        },
    }
}

fn hours(hours: Option<f64>) -> String {
    hours.map_or_else(
        || format!("over {}", figures::hours(HORIZON_HOURS_MAX)),
        figures::hours,
    )
}

/// A number of things that are counted.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float-to-integer casts saturate, which is what a count wants"
)]
pub(crate) fn rounded(number: f64) -> u64 {
    number.ceil() as u64
}

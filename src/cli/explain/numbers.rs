//! The numbers behind a verdict, as two tables.

use crate::cli::figures::{self, NOTHING};
use crate::cli::ladder::verdict_style;
use crate::cli::screen::{Cell, FAINT, Flush, PLAIN, Table, paint};
use crate::cli::wire::{
    ArmEvidence, Assessment, DataQuality, Interval, MetricEvidence, PerArm, QuantileEvidence, SampleRatio,
};

/// How to read the tables.
pub(in crate::cli) const LEGEND: &str = "\
Differences are treatment - control, with an interval that holds however often one looks.
E-values are written as `e (ln e of what it must reach)`. Evidence that the candidate is worse, over
all guarded metrics together, rolls it back; so does evidence that a limit is broken. Evidence that a
guardrail is healthy, no worse than its margin, lets it advance. Watched metrics only show. While nobody
is in control, the candidate is compared with what control was, within the margin: with the past.";

/// Significant digits of means, differences and margins.
const DIGITS: u8 = 4;
/// Significant digits of plain e-values.
const E_DIGITS: u8 = 3;
const INDENT: &str = "    ";

/// Shows numbers, each once.
#[derive(Debug, Default)]
pub(in crate::cli) struct Numbers {
    shown: String,
}

impl Numbers {
    /// Whether there is anything to explain.
    pub(in crate::cli) fn were_shown(&self) -> bool {
        !self.shown.is_empty()
    }

    /// The verdict and, where they are not the last ones, the numbers that it rests on, indented.
    pub(in crate::cli) fn show(&mut self, assessment: &Assessment) -> String {
        let verdict = paint(verdict_style(&assessment.verdict), &assessment.verdict);
        let nothing = |metric: &MetricEvidence| metric.control.count + metric.treatment.count == 0;
        if assessment.metrics.iter().all(nothing) {
            return format!("  verdict {verdict}: no observations so far\n");
        }
        let tables = comparison(assessment) + &evidence(assessment) + &data(assessment);
        if tables == self.shown {
            return format!("  verdict {verdict}, by the same numbers\n");
        }
        let text = format!("  verdict {verdict}\n{tables}");
        self.shown = tables;
        text
    }
}

/// What the cells of [`rows`] are.
pub(super) const COLUMNS: [&str; 8] = [
    "Metric",
    "Role",
    "Control",
    "Treatment",
    "Difference",
    "Margin",
    "Evidence that it is worse",
    "Verdict",
];

/// Each metric in plain text.
pub(super) fn rows(assessment: &Assessment) -> impl Iterator<Item = [String; 8]> {
    let arm = |arm: &ArmEvidence| format!("{} (n {})", mean(arm).into_text(), figures::count(arm.count));
    assessment.metrics.iter().map(move |metric| {
        let (show_signed, show_margin) = showing(metric);
        let of_difference = [
            number(metric.difference, show_signed),
            interval(metric, show_signed),
        ];
        [
            metric.metric.clone(),
            metric.role.clone(),
            arm(&metric.control),
            arm(&metric.treatment),
            of_difference.map(Cell::into_text).join(" in "),
            number(metric.margin, show_margin).into_text(),
            e_value(metric.log_e_worse, assessment.threshold).into_text(),
            metric.verdict.clone(),
        ]
    })
}

/// The evidence of all guarded metrics together, in plain text.
pub(super) fn combined(assessment: &Assessment) -> String {
    e_value(assessment.log_e_combined, assessment.threshold).into_text()
}

/// How a number is written, to so many significant digits.
type Shown = fn(f64, u8) -> String;

/// How differences and margins of this metric are written.
fn showing(metric: &MetricEvidence) -> (Shown, Shown) {
    if metric.relative {
        (signed_share, share)
    } else {
        (figures::signed, figures::shortest)
    }
}

fn comparison(assessment: &Assessment) -> String {
    let mut table = Table::new(&[
        ("METRIC", Flush::Left),
        ("ROLE", Flush::Left),
        ("CONTROL", Flush::Right),
        ("n", Flush::Right),
        ("TREATMENT", Flush::Right),
        ("n", Flush::Right),
        ("DIFFERENCE", Flush::Right),
        ("INTERVAL", Flush::Left),
        ("MARGIN", Flush::Right),
        ("VERDICT", Flush::Left),
    ]);
    for metric in &assessment.metrics {
        let MetricEvidence {
            control, treatment, ..
        } = metric;
        let (show_signed, show_margin) = showing(metric);
        table.row([
            Cell::plain(&metric.metric),
            Cell::plain(&metric.role),
            mean(control),
            Cell::plain(figures::count(control.count)),
            mean(treatment),
            Cell::plain(figures::count(treatment.count)),
            number(metric.difference, show_signed),
            interval(metric, show_signed),
            number(metric.margin, show_margin),
            Cell::new(verdict_style(&metric.verdict), &metric.verdict),
        ]);
        for quantile in &metric.quantiles {
            table.row(quantile_row(quantile));
        }
    }
    let intervals: String = assessment.metrics.iter().flat_map(quantile_intervals).collect();
    let cut: String = assessment.metrics.iter().filter_map(cut_values).collect();
    table.render(INDENT) + &intervals + &cut
}

/// Treatment − control with its interval, the means that it is of, and how many observations there are.
pub(in crate::cli) fn difference(metric: &MetricEvidence) -> String {
    let show = if metric.relative {
        signed_share
    } else {
        figures::signed
    };
    let (control, treatment) = (&metric.control, &metric.treatment);
    format!(
        "{} {}, from {} to {}, by {} and {} observations",
        number(metric.difference, show).render(),
        interval(metric, show).render(),
        mean(control).render(),
        mean(treatment).render(),
        figures::count(control.count),
        figures::count(treatment.count),
    )
}

/// One quantile, below its metric.
fn quantile_row(quantile: &QuantileEvidence) -> [Cell; 10] {
    let QuantileEvidence {
        control, treatment, ..
    } = quantile;
    let difference = control
        .zip(*treatment)
        .map(|(control, treatment)| treatment - control);
    [
        Cell::plain(format!("  {}", quantile_name(quantile))),
        Cell::plain(""),
        number(*control, figures::significant),
        Cell::plain(""),
        number(*treatment, figures::significant),
        Cell::plain(""),
        number(difference, figures::signed),
        Cell::plain(""),
        Cell::plain(""),
        Cell::new(verdict_style(&quantile.verdict), &quantile.verdict),
    ]
}

/// What each quantile can be in each arm, where that is known of any.
fn quantile_intervals(metric: &MetricEvidence) -> impl Iterator<Item = String> {
    let unknown = |interval: &Interval| interval.lower.is_none() && interval.upper.is_none();
    let known = metric.quantiles.iter().filter(move |quantile| {
        !unknown(&quantile.control_interval) || !unknown(&quantile.treatment_interval)
    });
    known.map(|quantile| {
        format!(
            "{INDENT}{} of {} is in {} in control, in {} in treatment\n",
            quantile_name(quantile),
            metric.metric,
            ends(&quantile.control_interval, figures::significant),
            ends(&quantile.treatment_interval, figures::significant),
        )
    })
}

/// `p95`.
fn quantile_name(quantile: &QuantileEvidence) -> String {
    format!(
        "p{}",
        figures::percentage(quantile.quantile).trim_end_matches('%')
    )
}

/// How many values of a metric were cut, where some were.
fn cut_values(metric: &MetricEvidence) -> Option<String> {
    let MetricEvidence {
        control, treatment, ..
    } = metric;
    (control.clipped + treatment.clipped > 0).then(|| {
        format!(
            "{INDENT}{} values of control and {} of treatment were cut in {}\n",
            figures::count(control.clipped),
            figures::count(treatment.clipped),
            metric.metric
        )
    })
}

/// A ratio as a percentage with its sign.
fn signed_share(ratio: f64, digits: u8) -> String {
    format!("{}%", figures::signed(ratio * 100.0, digits))
}

/// A ratio as a percentage.
fn share(ratio: f64, digits: u8) -> String {
    format!("{}%", figures::shortest(ratio * 100.0, digits))
}

fn mean(arm: &ArmEvidence) -> Cell {
    number(arm.mean, figures::significant)
}

fn number(value: Option<f64>, show: fn(f64, u8) -> String) -> Cell {
    match value {
        Some(value) => Cell::plain(show(value, DIGITS)),
        None => Cell::new(FAINT, NOTHING),
    }
}

fn interval(metric: &MetricEvidence, show: fn(f64, u8) -> String) -> Cell {
    let Some(interval) = &metric.interval else {
        return Cell::new(FAINT, NOTHING);
    };
    Cell::plain(ends(interval, show))
}

fn ends(interval: &Interval, show: fn(f64, u8) -> String) -> String {
    let end =
        |end: Option<f64>, unbounded: &str| end.map_or_else(|| unbounded.to_owned(), |end| show(end, DIGITS));
    format!("[{}, {}]", end(interval.lower, "-∞"), end(interval.upper, "+∞"))
}

fn evidence(assessment: &Assessment) -> String {
    let mut table = Table::new(&[
        ("EVIDENCE THAT", Flush::Left),
        ("IT IS WORSE", Flush::Left),
        ("IT IS HEALTHY", Flush::Left),
        ("ITS LIMIT IS BROKEN", Flush::Left),
    ]);
    for metric in &assessment.metrics {
        table.row([
            Cell::plain(&metric.metric),
            e_value(metric.log_e_worse, None),
            e_value(metric.log_e_non_inferior, assessment.threshold_non_inferior),
            e_value(metric.log_e_limit, assessment.threshold_limit),
        ]);
    }
    table.row([
        Cell::plain("all together"),
        e_value(assessment.log_e_combined, assessment.threshold),
        Cell::plain(""),
        Cell::plain(""),
    ]);
    let past: String = assessment.metrics.iter().filter_map(past).collect();
    table.render(INDENT) + &past
}

/// How the candidate compares with control as it was, while nobody is in control.
fn past(metric: &MetricEvidence) -> Option<String> {
    let past = metric.past.as_ref()?;
    Some(format!(
        "{INDENT}{} against the past: evidence that it is beyond {}, by {} observations since control ended: {}\n",
        metric.metric,
        number(past.limit, figures::significant).render(),
        figures::count(past.treated),
        e_value(past.log_e, past.threshold).render(),
    ))
}

/// How users came to the arms, and what was left out, where there is something to tell.
fn data(assessment: &Assessment) -> String {
    let DataQuality {
        users,
        excluded,
        threshold,
        fallback,
        out_of_range,
    } = &assessment.data;
    let split = |who: &str, ratio: &SampleRatio| {
        let all = ratio.control + ratio.treatment;
        (all > 0).then(|| {
            let planned = ratio.expected.map_or_else(|| NOTHING.to_owned(), |expected| format!("{expected:.0}"));
            let evidence = e_value(ratio.log_e, *threshold).render();
            format!(
                "{INDENT}{} of {} {who} are in treatment, {planned} were planned: evidence of another split {evidence}\n",
                figures::count(ratio.treatment),
                figures::count(all),
            )
        })
    };
    let lines = |what: &str, counts: &PerArm| {
        (counts.control + counts.treatment > 0).then(|| {
            format!(
                "{INDENT}{} observations of control and {} of treatment were left out: {what}\n",
                figures::count(counts.control),
                figures::count(counts.treatment)
            )
        })
    };
    let told = [
        split("users", users),
        split("users with something left out", excluded),
        lines("the application served a fallback", fallback),
        lines("a value was out of range", out_of_range),
    ];
    told.into_iter().flatten().collect()
}

/// `e (ln e of what it must reach)`.
fn e_value(log_e: Option<f64>, threshold: Option<f64>) -> Cell {
    let Some(log_e) = log_e else {
        return Cell::new(FAINT, NOTHING);
    };
    let reached = threshold.is_some_and(|threshold| log_e >= threshold);
    let of = threshold
        .map(|threshold| format!(" of {threshold:.2}"))
        .unwrap_or_default();
    let style = if reached {
        anstyle::Style::new().bold()
    } else {
        PLAIN
    };
    Cell::new(style, format!("{} ({log_e:.2}{of})", plain(log_e)))
}

/// The e-value itself; it may be too large for a number.
fn plain(log_e: f64) -> String {
    let e = log_e.exp();
    if e.is_finite() {
        return figures::significant(e, E_DIGITS);
    }
    format!("1e{:.0}", (log_e / std::f64::consts::LN_10).floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_ratios_and_cut_values_are_shown() {
        let arm = |count: u64, mean: f64, clipped: u64| serde_json::json!({"count": count, "mean": mean, "clipped": clipped});
        let metric = |name: &str, relative: bool, quantiles: serde_json::Value| {
            serde_json::json!({
                "metric": name, "role": "guardrail", "quantiles": quantiles, "relative": relative,
                "control": arm(19_000, 0.021, 0), "treatment": arm(1_000, 0.0235, 1_234),
                "difference": 0.12, "interval": {"lower": -0.01, "upper": 0.25}, "margin": 0.1,
                "logEWorse": 0.5, "logENonInferior": -0.5, "logELimit": null, "verdict": "inconclusive",
            })
        };
        let p95 = serde_json::json!({"quantile": 0.95, "control": 1.9, "treatment": 2.4,
            "controlInterval": {"lower": 1.85, "upper": 1.98}, "treatmentInterval": {"lower": 2.1, "upper": null},
            "verdict": "fail"});
        let assessment = serde_json::json!({
            "verdict": "inconclusive", "logECombined": 0.5, "threshold": 3.0,
            "thresholdNonInferior": 3.0, "thresholdLimit": 4.6,
            "metrics": [metric("cost", true, serde_json::json!([])), metric("latency", false, serde_json::json!([p95]))],
        });
        let shown = comparison(&serde_json::from_value(assessment).unwrap());
        let shown = anstream::adapter::strip_str(&shown).to_string();
        let lines: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1][6..],
            ["+12.00%", "[-1.000%,", "+25.00%]", "10%", "inconclusive"]
        );
        assert_eq!(
            lines[2][6..],
            ["+0.1200", "[-0.01000,", "+0.2500]", "0.1", "inconclusive"]
        );
        assert_eq!(lines[3], ["p95", "1.900", "2.400", "+0.5000", "fail"]);
        let intervals = "    p95 of latency is in [1.850, 1.980] in control, in [2.100, +∞] in treatment\n";
        assert!(shown.contains(intervals), "{shown}");
        assert!(
            shown.contains("0 values of control and 1,234 of treatment were cut in cost"),
            "{shown}"
        );
    }

    #[test]
    fn the_split_and_what_was_left_out_are_told() {
        let assessment = |data: serde_json::Value| {
            let assessment = serde_json::json!({
                "verdict": "invalid", "logECombined": null, "threshold": 3.0, "thresholdNonInferior": 3.0,
                "thresholdLimit": 4.6, "metrics": [], "data": data,
            });
            serde_json::from_value::<Assessment>(assessment).unwrap()
        };
        let told = data(&assessment(serde_json::json!({
            "users": {"control": 19_000, "treatment": 812, "expected": 990.6, "logE": 12.5},
            "excluded": {"control": 0, "treatment": 0, "expected": 0.0, "logE": 0.0},
            "threshold": 6.9,
            "fallback": {"control": 2, "treatment": 1_500},
            "outOfRange": {"control": 0, "treatment": 0},
        })));
        let told = anstream::adapter::strip_str(&told).to_string();
        let expected = "    812 of 19,812 users are in treatment, 991 were planned: evidence of another split 268337 (12.50 of 6.90)
    2 observations of control and 1,500 of treatment were left out: the application served a fallback
";
        assert_eq!(told, expected);
        assert_eq!(data(&assessment(serde_json::json!({}))), "");
    }

    #[test]
    fn a_comparison_with_the_past_is_named_as_one() {
        let metric = serde_json::json!({
            "metric": "errors", "role": "guardrail", "control": {"count": 10, "mean": 0.1},
            "treatment": {"count": 10, "mean": 0.2}, "difference": null, "interval": null, "margin": null,
            "logEWorse": null, "logENonInferior": null, "logELimit": null, "verdict": "fail",
            "past": {"limit": 0.0321, "treated": 12_345, "logE": 6.25, "threshold": 5.3},
        });
        let told = past(&serde_json::from_value(metric).unwrap()).unwrap();
        assert_eq!(
            anstream::adapter::strip_str(&told).to_string(),
            "    errors against the past: evidence that it is beyond 0.03210, by 12,345 observations since control \
             ended: 518 (6.25 of 5.30)\n"
        );
    }

    #[test]
    fn e_values_of_any_size_are_shown() {
        let shown =
            |log_e, threshold| anstream::adapter::strip_str(&e_value(log_e, threshold).render()).to_string();
        assert_eq!(shown(Some(0.0), None), "1.00 (0.00)");
        assert_eq!(shown(Some(3.2), Some(3.0)), "24.5 (3.20 of 3.00)");
        assert_eq!(shown(Some(-2_000.0), Some(3.0)), "0.00 (-2000.00 of 3.00)");
        assert_eq!(shown(Some(2_000.0), None), "1e868 (2000.00)");
        assert_eq!(shown(None, Some(3.0)), NOTHING);
    }
}

//! The numbers behind a verdict, as two tables.

use crate::cli::figures::{self, NOTHING};
use crate::cli::ladder::verdict_style;
use crate::cli::screen::{Cell, FAINT, Flush, PLAIN, Table, paint};
use crate::cli::wire::{ArmEvidence, Assessment, MetricEvidence};

/// How to read the tables.
pub(super) const LEGEND: &str = "\
Differences are treatment - control, with an interval that holds however often one looks.
E-values are written as `e (ln e of what it must reach)`. Evidence that the candidate is worse, over
all guarded metrics together, rolls it back; so does evidence that a limit is broken. Evidence that a
guardrail is healthy, no worse than its margin, lets it advance. Watched metrics only show.";

/// Significant digits of means, differences and margins.
const DIGITS: u8 = 4;
/// Significant digits of plain e-values.
const E_DIGITS: u8 = 3;
const INDENT: &str = "    ";

/// Shows numbers, each once.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    shown: String,
}

impl Numbers {
    /// Whether there is anything to explain.
    pub(super) fn were_shown(&self) -> bool {
        !self.shown.is_empty()
    }

    /// The verdict and, where they are not the last ones, the numbers that it rests on, indented.
    pub(super) fn show(&mut self, assessment: &Assessment) -> String {
        let verdict = paint(verdict_style(&assessment.verdict), &assessment.verdict);
        let nothing = |metric: &MetricEvidence| metric.control.count + metric.treatment.count == 0;
        if assessment.metrics.iter().all(nothing) {
            return format!("  verdict {verdict}: no observations so far\n");
        }
        let tables = comparison(assessment) + &evidence(assessment);
        if tables == self.shown {
            return format!("  verdict {verdict}, by the same numbers\n");
        }
        let text = format!("  verdict {verdict}\n{tables}");
        self.shown = tables;
        text
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
        table.row([
            Cell::plain(&metric.metric),
            Cell::plain(&metric.role),
            mean(control),
            Cell::plain(figures::count(control.count)),
            mean(treatment),
            Cell::plain(figures::count(treatment.count)),
            number(metric.difference, figures::signed),
            interval(metric),
            number(metric.margin, figures::shortest),
            Cell::new(verdict_style(&metric.verdict), &metric.verdict),
        ]);
    }
    table.render(INDENT)
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

fn interval(metric: &MetricEvidence) -> Cell {
    let Some(interval) = &metric.interval else {
        return Cell::new(FAINT, NOTHING);
    };
    let end = |end: Option<f64>, unbounded: &str| {
        end.map_or_else(|| unbounded.to_owned(), |end| figures::signed(end, DIGITS))
    };
    Cell::plain(format!(
        "[{}, {}]",
        end(interval.lower, "-∞"),
        end(interval.upper, "+∞")
    ))
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
    table.render(INDENT)
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

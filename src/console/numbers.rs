//! Numbers of a metric in its own unit, and what they say in a sentence.

use super::words::Prose;
use crate::analysis::{Assessment, Evidence, Verdict, Versus};
use crate::figures;
use crate::policy::{Alpha, Better, Metric, MetricKind, Role};

/// Significant digits of measured numbers.
const DIGITS: u8 = 4;
/// Significant digits of numbers that people chose, of ratios and of e-values.
const DIGITS_FEW: u8 = 3;
/// Significant digits of an e-value that is written with a power of ten.
const DIGITS_POWER: u8 = 2;
/// From 9.95 on a number of two digits is written as 10: how far that lies below a power of ten, in powers.
const ROUNDED_UP: f64 = 0.002_176_919;
/// Powers of ten between which an e-value is written out.
const DECADES_MIN: f64 = -4.0;
const DECADES_MAX: f64 = 6.0;

/// How the numbers of one metric are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    kind: MetricKind,
    unit: String,
}

impl Scale {
    pub(super) fn of(metric: &Metric) -> Self {
        let unit = match metric.kind {
            MetricKind::Latency { .. } => " s".to_owned(),
            MetricKind::Amount { .. } => metric
                .unit
                .as_ref()
                .map_or_else(String::new, |unit| format!(" {unit}")),
            MetricKind::Score { .. } | MetricKind::Rate => String::new(),
        };
        Self {
            kind: metric.kind,
            unit,
        }
    }

    /// What an arm has.
    pub(super) fn value(&self, value: Option<f64>) -> String {
        let Some(value) = value else {
            return figures::NOTHING.to_owned();
        };
        match self.kind {
            MetricKind::Rate => format!("{}%", figures::significant(value * 100.0, DIGITS_FEW)),
            MetricKind::Score { .. } | MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
                format!("{}{}", figures::significant(value, DIGITS), self.unit)
            }
        }
    }

    /// What an arm has, as short as an axis needs it.
    pub(super) fn short_value(&self, value: f64) -> String {
        match self.kind {
            MetricKind::Rate => format!("{}%", figures::shortest(value * 100.0, DIGITS_FEW)),
            MetricKind::Score { .. } | MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
                format!("{}{}", figures::shortest(value, DIGITS), self.unit)
            }
        }
    }

    /// A difference between arms, as short as an axis needs it.
    pub(super) fn short_difference(&self, value: f64, relative: bool) -> String {
        let sign = if value > 0.0 { "+" } else { "" };
        format!("{sign}{}", self.margin(Some(value), relative))
    }

    /// A difference between arms, with its sign.
    pub(super) fn difference(&self, value: Option<f64>, relative: bool) -> String {
        let Some(value) = value else {
            return figures::NOTHING.to_owned();
        };
        match self.kind {
            _ if relative => format!("{}%", figures::signed(value * 100.0, DIGITS_FEW)),
            MetricKind::Rate => format!("{} pp", figures::signed(value * 100.0, DIGITS_FEW)),
            MetricKind::Score { .. } | MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
                format!("{}{}", figures::signed(value, DIGITS_FEW), self.unit)
            }
        }
    }

    /// A worsening that is tolerated.
    pub(super) fn margin(&self, value: Option<f64>, relative: bool) -> String {
        let Some(value) = value else {
            return figures::NOTHING.to_owned();
        };
        match self.kind {
            _ if relative => format!("{}%", figures::shortest(value * 100.0, DIGITS_FEW)),
            MetricKind::Rate => format!("{} pp", figures::shortest(value * 100.0, DIGITS_FEW)),
            MetricKind::Score { .. } | MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
                format!("{}{}", figures::shortest(value, DIGITS_FEW), self.unit)
            }
        }
    }
}

/// What a metric shows, in a sentence with its numbers.
pub(super) fn sentence(metric: &Metric, evidence: &Evidence, assessment: &Assessment, alpha: Alpha) -> Prose {
    let scale = Scale::of(metric);
    if evidence.control.count + evidence.treatment.count == 0 {
        return Prose::new("nothing was observed so far");
    }
    let (control, treatment) = arms(evidence);
    let mut text = format!(
        "{} in treatment against {} in control",
        scale.value(treatment),
        scale.value(control)
    );
    if evidence.difference.is_some() {
        let difference = scale.difference(evidence.difference, evidence.relative);
        text.push_str(&format!(", a difference of {difference}"));
    }
    if let Some((lower, upper)) = evidence.interval {
        text.push_str(&format!(
            " (between {} and {}, with {} confidence at every look)",
            scale.difference(Some(lower), evidence.relative),
            scale.difference(Some(upper), evidence.relative),
            figures::percentage(1.0 - alpha.get()),
        ));
    }
    if evidence.margin.is_some() {
        let word = match metric.better {
            Better::Higher => "less",
            Better::Lower => "more",
        };
        let margin = scale.margin(evidence.margin, evidence.relative);
        text.push_str(&format!("; {margin} {word} is tolerated"));
    }
    text.push_str(". ");
    text.push_str(&conclusion(evidence, assessment));
    Prose::new(&text)
}

/// What the metric compares: its means, or its highest quantile.
pub(super) fn arms(evidence: &Evidence) -> (Option<f64>, Option<f64>) {
    evidence
        .quantiles
        .last()
        .map_or((evidence.control.mean, evidence.treatment.mean), |quantile| {
            (quantile.control, quantile.treatment)
        })
}

fn conclusion(evidence: &Evidence, assessment: &Assessment) -> String {
    let of = |log_e: f64, threshold: f64| format!("{} of {}", e_value(log_e), e_value(threshold));
    match evidence.verdict {
        Verdict::Fail => {
            let versus = assessment
                .blame
                .as_ref()
                .filter(|blame| blame.metric == evidence.metric);
            match versus.map(|blame| blame.versus) {
                Some(Versus::Limit) => "Its limit is proved to be broken".to_owned(),
                Some(Versus::Past) => "It is proved to be worse than control was".to_owned(),
                Some(Versus::Control) | None => format!(
                    "It is proved to be worse: evidence {}",
                    of(evidence.log_e_worse, assessment.threshold)
                ),
            }
        }
        Verdict::Pass => "It is proved to be within its margin".to_owned(),
        Verdict::Invalid => "Its data cannot carry a verdict".to_owned(),
        Verdict::Inconclusive if evidence.role == Role::Watched => {
            "It is watched, and decides nothing".to_owned()
        }
        Verdict::Inconclusive => {
            let needs = evidence.needs.map_or_else(String::new, |needs| {
                format!(
                    "; about {} more treated observations until it passes",
                    figures::count(needs)
                )
            });
            format!(
                "Undecided: evidence that it is healthy {}, that it is worse {}{needs}",
                of(evidence.log_e_non_inferior, assessment.threshold_non_inferior),
                of(evidence.log_e_worse, assessment.threshold),
            )
        }
    }
}

/// An e-value by its logarithm; it may be too large for a number.
pub(super) fn e_value(log_e: f64) -> String {
    let decades = log_e / std::f64::consts::LN_10;
    // Rounding carries 9.96 to the next power.
    let whole = (decades + ROUNDED_UP).floor();
    if (DECADES_MIN..DECADES_MAX).contains(&decades) || !decades.is_finite() {
        return figures::shortest(log_e.exp(), DIGITS_FEW);
    }
    let mantissa = figures::shortest(10_f64.powf(decades - whole), DIGITS_POWER);
    format!("{mantissa} × 10{}", raised(&format!("{whole:.0}")))
}

/// A number above the line.
pub(super) fn raised(number: &str) -> String {
    let raise = |digit: char| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        // The others lie side by side in Unicode (Superscripts and Subscripts, U+2070).
        digit => digit
            .to_digit(10)
            .and_then(|digit| char::from_u32(0x2070 + digit))
            .unwrap_or(digit),
    };
    number.chars().map(raise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_written_as_people_read_it() {
        let shown = |e: f64| e_value(e.ln());
        assert_eq!(
            [0.0421, 1.0, 19.96, 99_999.0].map(shown),
            ["0.0421", "1", "20", "99999"]
        );
        assert_eq!(
            [2.34e12, 9.96e12, 1e-7].map(shown),
            ["2.3 × 10¹²", "1 × 10¹³", "1 × 10⁻⁷"]
        );
        assert_eq!(e_value(1_000.0 * std::f64::consts::LN_10), "1 × 10¹⁰⁰⁰");
        assert_eq!(e_value(f64::NEG_INFINITY), "0");
    }
}

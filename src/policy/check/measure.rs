//! What the numbers of a metric mean, by its kind: range, units, and the width of a margin.

use super::super::code::Code;
use super::super::document::Located;
use super::super::problem::Problems;
use super::super::quantity::{Quantity, show_hundredths};
use super::super::{AmountScale, LatencyStatistic, Margin, MetricKind};

/// Least relative margin of a quantile: half a bin, below which treatment's edge would not move.
const QUANTILE_RATIO_MIN: f64 = 0.01;

/// Least and greatest value, between which limits and baselines lie.
pub(super) fn bounds(kind: MetricKind) -> (f64, f64) {
    match kind {
        MetricKind::Amount {
            scale: AmountScale::Winsorised { cap },
        } => (0.0, cap),
        MetricKind::Score { .. }
        | MetricKind::Rate
        | MetricKind::Latency { .. }
        | MetricKind::Amount { .. } => kind.range(),
    }
}

/// The ends of the range as the file would write them.
pub(super) fn shown_bounds(kind: MetricKind) -> String {
    match kind {
        MetricKind::Score { min, max } => format!("{min} and {max}"),
        MetricKind::Rate => "0% and 100%".to_owned(),
        MetricKind::Latency { .. } => "0s and 1d".to_owned(),
        MetricKind::Amount {
            scale: AmountScale::Winsorised { cap },
        } => format!("0 and the cap of {cap}"),
        MetricKind::Amount {
            scale: AmountScale::Log,
        } => format!("0 and {:e}", kind.range().1),
    }
}

/// A limit or baseline in the metric's units.
pub(super) fn point(
    kind: MetricKind,
    located: &Located<Quantity>,
    what: &str,
    problems: &mut Problems,
) -> Option<f64> {
    use MetricKind::{Amount, Latency, Rate, Score};
    let (point, noun, example) = match (kind, located.value) {
        (Score { .. } | Amount { .. }, Quantity::Bare(number)) => return Some(number),
        (Rate, Quantity::Percent(ratio)) => return Some(ratio),
        (Latency { .. }, Quantity::Time(time)) => return Some(time.as_secs_f64()),
        (Score { .. }, _) => ("a number in its own units", "a score", "`0.75`".to_owned()),
        (Amount { .. }, _) => ("a number in its own units", "an amount", "`0.05`".to_owned()),
        (Latency { .. }, _) => ("a duration", "a latency", "`3s` or `800ms`".to_owned()),
        (Rate, Quantity::Bare(ratio)) if ratio > 0.0 && ratio < 1.0 => {
            ("a percentage", "a rate", format!("`{}%`", show_hundredths(ratio)))
        }
        (Rate, _) => ("a percentage", "a rate", "`2%`".to_owned()),
    };
    problems.add_with_help(
        Code::LimitUnit,
        located.span,
        format!("{what} of {noun} must be {point}"),
        format!("such as {example}"),
    );
    None
}

/// The worsening that is tolerated: above 0, and not so wide that it tolerates everything.
pub(super) fn margin(
    kind: MetricKind,
    located: &Located<Quantity>,
    problems: &mut Problems,
) -> Option<Margin> {
    use MetricKind::{Amount, Latency, Rate, Score};
    let margin = match (kind, located.value) {
        (_, Quantity::Percent(ratio)) => Margin::Relative(ratio),
        (_, Quantity::Bare(_) | Quantity::Points(_) | Quantity::Time(_)) if kind.is_logarithmic() => {
            report_margin_unit(kind, located, problems);
            return None;
        }
        (Score { .. } | Amount { .. }, Quantity::Bare(number)) => Margin::Absolute(number),
        (Rate, Quantity::Points(ratio)) => Margin::Absolute(ratio),
        (Latency { .. }, Quantity::Time(time)) => Margin::Absolute(time.as_secs_f64()),
        (Latency { .. }, Quantity::Points(ratio)) => Margin::Exceedance(ratio),
        (_, Quantity::Bare(_) | Quantity::Points(_) | Quantity::Time(_)) => {
            report_margin_unit(kind, located, problems);
            return None;
        }
    };
    check_margin(kind, margin, located, problems).then_some(margin)
}

fn report_margin_unit(kind: MetricKind, located: &Located<Quantity>, problems: &mut Problems) {
    use MetricKind::{Amount, Latency, Rate, Score};
    let (message, help) = match (kind, located.value) {
        (Rate, Quantity::Bare(number)) => {
            let points = if number > 0.0 && number < 1.0 {
                show_hundredths(number)
            } else {
                number.to_string()
            };
            (
                format!("the margin of a rate needs a unit, and `{number}` has none"),
                format!(
                    "write `{points}pp` for percentage points, or `10%` for a tenth of the control's rate"
                ),
            )
        }
        (Rate, _) => (
            "the margin of a rate is in percentage points, or a percentage".to_owned(),
            "write `0.5pp`, or `10%` for a tenth of the control's rate".to_owned(),
        ),
        (Latency { .. } | Amount { .. }, _) if kind.is_logarithmic() => (
            "on the logarithmic scale the margin is a percentage".to_owned(),
            "write `10%` for a tenth of the control's geometric mean".to_owned(),
        ),
        (Score { .. } | Amount { .. }, _) => (
            "this margin must be a number in the metric's own units, or a percentage".to_owned(),
            "write `0.02`, or `10%` for a tenth of the control's mean; `pp` is for rates and latencies"
                .to_owned(),
        ),
        (Latency { .. }, _) => (
            "the margin of a latency is a duration, a percentage, or in percentage points".to_owned(),
            "write `200ms`, or `10%` for a tenth of the control's quantile".to_owned(),
        ),
    };
    problems.add_with_help(Code::MarginUnit, located.span, message, help);
}

fn check_margin(
    kind: MetricKind,
    margin: Margin,
    located: &Located<Quantity>,
    problems: &mut Problems,
) -> bool {
    let (min, max) = bounds(kind);
    let (size, widest) = match margin {
        Margin::Absolute(size) => (size, max - min),
        Margin::Relative(size) => (size, 1.0),
        Margin::Exceedance(size) => (size, lowest_quantile(kind)),
    };
    if size <= 0.0 {
        let message = "`margin` must be above zero";
        problems.add(Code::MarginNotPositive, located.span, message);
        return false;
    }
    if size >= widest {
        let message = match margin {
            Margin::Absolute(_) => format!("`margin` is as wide as the range between {}", shown_bounds(kind)),
            Margin::Relative(_) => "a relative `margin` must be below 100%".to_owned(),
            Margin::Exceedance(_) => {
                format!(
                    "only {}% of the control's values lie below its quantile, and the `margin` allows as many more above it",
                    show_hundredths(widest)
                )
            }
        };
        problems.add(Code::MarginTooLarge, located.span, message);
        return false;
    }
    if matches!(margin, Margin::Relative(_)) && min < 0.0 {
        problems.add_with_help(
            Code::MarginRelativeToNegative,
            located.span,
            format!("a relative `margin` needs a range from zero up, and this one begins at {min}"),
            "give the margin as a number in the score's own units",
        );
        return false;
    }
    let of_quantile = matches!(kind, MetricKind::Latency { .. }) && !kind.is_logarithmic();
    if of_quantile && matches!(margin, Margin::Relative(ratio) if ratio < QUANTILE_RATIO_MIN) {
        problems.add_with_help(
            Code::MarginTooSmall,
            located.span,
            "the `margin` of a quantile must be at least 1%",
            "values are kept to 2%; for a finer margin compare the mean, with `scale: log`",
        );
        return false;
    }
    true
}

/// The share of values below the lowest quantile, which is all that can come to lie above it.
fn lowest_quantile(kind: MetricKind) -> f64 {
    match kind {
        MetricKind::Latency {
            statistic: LatencyStatistic::Quantiles(quantiles),
            ..
        } => quantiles.iter().next().map_or(1.0, |lowest| lowest.ratio()),
        MetricKind::Score { .. }
        | MetricKind::Rate
        | MetricKind::Latency { .. }
        | MetricKind::Amount { .. } => 1.0,
    }
}

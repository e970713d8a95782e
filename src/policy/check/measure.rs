//! What the numbers of a metric mean, by its kind: range, units, and the width of a margin.

use super::super::code::Code;
use super::super::document::Located;
use super::super::problem::Problems;
use super::super::quantity::{Quantity, show_hundredths};
use super::super::{Margin, MetricKind};

/// A kind of metric with its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measure {
    /// A number in a closed range.
    Score { min: f64, max: f64 },
    /// A share.
    Rate,
    /// A time, in seconds.
    Latency,
    /// A number from 0 up, such as a cost.
    Amount,
}

impl Measure {
    /// The kind that this version judges; none for those that are not there yet.
    pub(super) fn kind(self) -> Option<MetricKind> {
        match self {
            Self::Score { min, max } => Some(MetricKind::Score { min, max }),
            Self::Rate => Some(MetricKind::Rate),
            Self::Latency | Self::Amount => None,
        }
    }

    /// Least and greatest value.
    pub(super) fn bounds(self) -> (f64, f64) {
        match self {
            Self::Score { min, max } => (min, max),
            Self::Rate => (0.0, 1.0),
            Self::Latency | Self::Amount => (0.0, f64::INFINITY),
        }
    }

    /// The ends of the range as the file would write them.
    pub(super) fn shown_bounds(self) -> String {
        match self {
            Self::Score { min, max } => format!("{min} and {max}"),
            Self::Rate => "0% and 100%".to_owned(),
            Self::Latency => "0s and above".to_owned(),
            Self::Amount => "0 and above".to_owned(),
        }
    }

    /// A limit or baseline in the metric's units.
    pub(super) fn point(
        self,
        located: &Located<Quantity>,
        what: &str,
        problems: &mut Problems,
    ) -> Option<f64> {
        let (point, noun, example) = match (self, located.value) {
            (Self::Score { .. } | Self::Amount, Quantity::Bare(number)) => return Some(number),
            (Self::Rate, Quantity::Percent(ratio)) => return Some(ratio),
            (Self::Latency, Quantity::Time(time)) => return Some(time.as_secs_f64()),
            (Self::Score { .. }, _) => ("a number in its own units", "a score", "`0.75`".to_owned()),
            (Self::Amount, _) => ("a number in its own units", "an amount", "`0.05`".to_owned()),
            (Self::Latency, _) => ("a duration", "a latency", "`3s` or `800ms`".to_owned()),
            (Self::Rate, Quantity::Bare(ratio)) if ratio > 0.0 && ratio < 1.0 => {
                ("a percentage", "a rate", format!("`{}%`", show_hundredths(ratio)))
            }
            (Self::Rate, _) => ("a percentage", "a rate", "`2%`".to_owned()),
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
    pub(super) fn margin(self, located: &Located<Quantity>, problems: &mut Problems) -> Option<Margin> {
        let margin = match (self, located.value) {
            (Self::Score { .. } | Self::Amount, Quantity::Bare(number)) => Margin::Absolute(number),
            (Self::Rate, Quantity::Points(ratio)) => Margin::Absolute(ratio),
            (Self::Latency, Quantity::Time(time)) => Margin::Absolute(time.as_secs_f64()),
            (_, Quantity::Percent(ratio)) => Margin::Relative(ratio),
            (_, Quantity::Bare(_) | Quantity::Points(_) | Quantity::Time(_)) => {
                self.report_margin_unit(located, problems);
                return None;
            }
        };
        self.check_margin(margin, located, problems).then_some(margin)
    }

    fn report_margin_unit(self, located: &Located<Quantity>, problems: &mut Problems) {
        let (message, help) = match (self, located.value) {
            (Self::Rate, Quantity::Bare(number)) => {
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
            (Self::Rate, _) => (
                "the margin of a rate is in percentage points, or a percentage".to_owned(),
                "write `0.5pp`, or `10%` for a tenth of the control's rate".to_owned(),
            ),
            (Self::Score { .. } | Self::Amount, _) => (
                "this margin must be a number in the metric's own units, or a percentage".to_owned(),
                "write `0.02`, or `10%` for a tenth of the control's mean; `pp` is for rates".to_owned(),
            ),
            (Self::Latency, _) => (
                "the margin of a latency is a duration, or a percentage".to_owned(),
                "write `200ms`, or `10%` for a tenth of the control's quantile".to_owned(),
            ),
        };
        problems.add_with_help(Code::MarginUnit, located.span, message, help);
    }

    fn check_margin(self, margin: Margin, located: &Located<Quantity>, problems: &mut Problems) -> bool {
        let (min, max) = self.bounds();
        let (size, widest) = match margin {
            Margin::Absolute(size) => (size, max - min),
            Margin::Relative(size) => (size, 1.0),
        };
        if size <= 0.0 {
            problems.add(
                Code::MarginNotPositive,
                located.span,
                "`margin` must be above zero",
            );
            return false;
        }
        if size >= widest {
            let message = match margin {
                Margin::Absolute(_) => {
                    format!("`margin` is as wide as the range between {}", self.shown_bounds())
                }
                Margin::Relative(_) => "a relative `margin` must be below 100%".to_owned(),
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
        true
    }
}

//! What a metric's values are: its kind, and the keys that belong to that kind alone.

use super::super::code::Code;
use super::super::document::Located;
use super::super::document::words::{KindWord, ScaleWord};
use super::super::document::{Given, MetricDocument};
use super::super::problem::{Problems, Span};
use super::super::quantity::Percentage;
use super::super::{AMOUNT_MAX, AmountScale, LatencyStatistic, MetricKind, Quantile, Quantiles, TimeUnit};
use std::sync::Arc;

/// The highest quantile, in parts per million.
const QUANTILE_PPM_MAX: u32 = 999_999;

/// Longest unit of an amount, in characters.
const UNIT_CHARS_MAX: usize = 32;

/// The kind, where it and what belongs to it are sound.
pub(super) fn check(document: &MetricDocument, problems: &mut Problems) -> Option<MetricKind> {
    let kind = *document.kind.value()?;
    foreign_keys(document, kind, problems);
    match kind {
        KindWord::Score => range(document, problems),
        KindWord::Rate => Some(MetricKind::Rate),
        KindWord::Latency => {
            let unit = time_unit(document, problems);
            let statistic = latency_statistic(document, problems);
            Some(MetricKind::Latency {
                unit: unit?,
                statistic: statistic?,
            })
        }
        KindWord::Amount => amount_scale(document, problems).map(|scale| MetricKind::Amount { scale }),
    }
}

/// A kind to hold the numbers of a metric against while its own is not sound, so that all that is wrong with
/// them is told at once. A latency by quantiles of which one is wrong has some other one, here the highest:
/// what is no margin of it is none of any.
pub(super) fn stand_in(document: &MetricDocument) -> Option<MetricKind> {
    let is_latency = matches!(document.kind.value(), Some(KindWord::Latency));
    let is_by_quantiles = matches!(document.scale, Given::Absent)
        && !matches!(
            (&document.quantile, &document.quantiles),
            (Given::Absent, Given::Absent)
        );
    let highest = Quantile::from_ppm(QUANTILE_PPM_MAX).filter(|_| is_latency && is_by_quantiles);
    highest.map(|highest| MetricKind::Latency {
        unit: TimeUnit::Seconds,
        statistic: LatencyStatistic::Quantiles(highest.into()),
    })
}

/// Notes keys that belong to other kinds.
fn foreign_keys(document: &MetricDocument, kind: KindWord, problems: &mut Problems) {
    let is_latency = kind == KindWord::Latency;
    let is_amount = kind == KindWord::Amount;
    let keys = [
        ("range", place(&document.range), kind == KindWord::Score, "scores"),
        ("quantile", place(&document.quantile), is_latency, "latencies"),
        ("quantiles", place(&document.quantiles), is_latency, "latencies"),
        (
            "scale",
            place(&document.scale),
            is_latency || is_amount,
            "latencies and amounts",
        ),
        ("cap", place(&document.cap), is_amount, "amounts"),
        (
            "unit",
            place(&document.unit),
            is_latency || is_amount,
            "latencies and amounts",
        ),
    ];
    for (key, span, belongs, owners) in keys {
        if let (Some(span), false) = (span, belongs) {
            problems.add_with_help(
                Code::KeyOfOtherKind,
                span,
                format!("`{key}` belongs to {owners}"),
                "remove it, or change the `kind`",
            );
        }
    }
}

fn place<T>(given: &Given<T>) -> Option<Span> {
    given.located().map(|located| located.span)
}

fn range(document: &MetricDocument, problems: &mut Problems) -> Option<MetricKind> {
    let unit = MetricKind::Score { min: 0.0, max: 1.0 };
    document.range.resolve(unit, |located| {
        let ends = located.value.convert(|_, end| Some(end.value))?;
        let [min, max] = ends.as_slice() else {
            return None;
        };
        let (min, max) = (*min, *max);
        // The difference of two finite ends may still be infinite.
        if min < max && (max - min).is_finite() {
            return Some(MetricKind::Score { min, max });
        }
        problems.add(
            Code::Range,
            located.span,
            format!("`range` must be `[least, greatest]`, and {min} is not below {max}"),
        );
        None
    })
}

fn time_unit(document: &MetricDocument, problems: &mut Problems) -> Option<TimeUnit> {
    document.unit.resolve(TimeUnit::Seconds, |located| {
        let unit = [TimeUnit::Seconds, TimeUnit::Milliseconds]
            .into_iter()
            .find(|unit| unit.as_str() == located.value);
        if unit.is_none() {
            problems.add(
                Code::Unit,
                located.span,
                "the `unit` of a latency is `s` or `ms`: in what its observations come",
            );
        }
        unit
    })
}

/// The unit of an amount, as it is to be shown.
pub(super) fn shown_unit(
    document: &MetricDocument,
    kind: MetricKind,
    problems: &mut Problems,
) -> Option<Option<Arc<str>>> {
    match kind {
        MetricKind::Amount { .. } => {}
        MetricKind::Score { .. } | MetricKind::Rate | MetricKind::Latency { .. } => return Some(None),
    }
    document.unit.resolve(None, |located| {
        let text = located.value.as_str();
        let sound = (1..=UNIT_CHARS_MAX).contains(&text.chars().count())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if !sound {
            problems.add(
                Code::Unit,
                located.span,
                format!("`unit` must be 1 to {UNIT_CHARS_MAX} characters without spaces at the ends"),
            );
        }
        sound.then(|| Some(text.into()))
    })
}

fn latency_statistic(document: &MetricDocument, problems: &mut Problems) -> Option<LatencyStatistic> {
    const WAYS: &str = "`quantile: 95%`, `quantiles: [50%, 95%, 99%]` or `scale: log`";
    let given = [
        place(&document.quantile),
        place(&document.quantiles),
        place(&document.scale),
    ];
    let mut given = given.into_iter().flatten();
    let (_, second) = (given.next(), given.next());
    if let Some(second) = second {
        problems.add_with_help(
            Code::LatencyStatistic,
            second,
            "a latency is compared in one way, and this is a second one",
            format!("keep one of {WAYS}; for more, declare the metric twice under two names"),
        );
        return None;
    }
    match (&document.quantile, &document.quantiles, &document.scale) {
        (Given::Is(located), _, _) => {
            let only = quantile(located, problems)?;
            Some(LatencyStatistic::Quantiles(only.into()))
        }
        (_, Given::Is(located), _) => {
            let all = located.value.convert(|_, item| quantile(item, problems))?;
            let rising = Quantiles::new(&all);
            if rising.is_none() {
                problems.add(Code::Quantile, located.span, "`quantiles` must rise");
            }
            rising.map(LatencyStatistic::Quantiles)
        }
        (_, _, Given::Is(located)) => match located.value {
            ScaleWord::Log => Some(LatencyStatistic::LogMean),
            ScaleWord::Winsorised => {
                problems.add(
                    Code::LatencyStatistic,
                    located.span,
                    format!("a latency is compared by {WAYS}"),
                );
                None
            }
        },
        (Given::Absent, Given::Absent, Given::Absent) => {
            problems.add_with_help(
                Code::LatencyStatistic,
                document.span,
                "a latency lacks `quantile`, such as `95%`",
                format!("or any of {WAYS}"),
            );
            None
        }
        (Given::Absent | Given::Broken, _, _) => None,
    }
}

fn quantile(located: &Located<Percentage>, problems: &mut Problems) -> Option<Quantile> {
    let quantile = Quantile::from_ppm(located.value.ppm());
    if quantile.is_none() {
        problems.add(
            Code::Quantile,
            located.span,
            "a quantile must be above 0% and below 100%",
        );
    }
    quantile
}

fn amount_scale(document: &MetricDocument, problems: &mut Problems) -> Option<AmountScale> {
    match (document.scale.value_or(&ScaleWord::Log)?, &document.cap) {
        (_, Given::Broken) => None,
        (ScaleWord::Log, Given::Absent) => Some(AmountScale::Log),
        (ScaleWord::Log, Given::Is(located)) => {
            problems.add_with_help(
                Code::Cap,
                located.span,
                "`cap` belongs to `scale: winsorised`",
                "logarithms need no cap: remove it, or compare the mean of the cut values",
            );
            None
        }
        (ScaleWord::Winsorised, Given::Absent) => {
            problems.add_with_help(
                Code::Cap,
                place(&document.scale).unwrap_or(document.span),
                "`scale: winsorised` lacks a `cap`",
                "give the 99.9th percentile from before the rollout: a cap that followed the data would \
                 void the error bounds",
            );
            None
        }
        (ScaleWord::Winsorised, Given::Is(located)) => {
            let cap = located.value;
            if cap > 0.0 && cap <= AMOUNT_MAX {
                return Some(AmountScale::Winsorised { cap });
            }
            problems.add(
                Code::Cap,
                located.span,
                format!("`cap` must be above 0 and at most {AMOUNT_MAX:e}"),
            );
            None
        }
    }
}

//! What is measured.

use super::super::code::Code;
use super::super::document::value::Items;
use super::super::document::words::KindWord;
use super::super::document::{Given, Located, METRICS_MAX, MetricDocument};
use super::super::problem::{Problems, Span};
use super::super::quantity::{Percentage, Quantity};
use super::super::{Better, Metric, Role, lint};
use super::measure::Measure;
use super::refuse;
use crate::ids::MetricName;
use std::collections::BTreeMap;

/// The weight of a metric that gives none.
const WEIGHT_DEFAULT: f64 = 1.0;

/// Greatest weight.
const WEIGHT_MAX: f64 = 1_000.0;

/// The metrics, as far as they are sound.
#[derive(Default)]
pub(super) struct Measured {
    /// All metrics.
    pub(super) metrics: Option<Vec<Metric>>,
    /// Every declared name, with what its numbers mean where that is known.
    pub(super) measures: BTreeMap<String, Option<Measure>>,
}

pub(super) fn check(
    given: &Given<Items<MetricDocument, 1, METRICS_MAX>>,
    problems: &mut Problems,
) -> Measured {
    let Some(items) = given.value() else {
        return Measured::default();
    };
    let mut first_lines: BTreeMap<String, usize> = BTreeMap::new();
    let mut measures = BTreeMap::new();
    let metrics = items.convert(|_, item| {
        let unique = is_unique(&item.value, &mut first_lines, problems);
        let measure = measure(&item.value, problems);
        if let Some(name) = item.value.name.value() {
            measures.insert(name.clone(), measure);
        }
        metric(&item.value, measure, problems).filter(|_| unique)
    });
    let guarded = check_guardrail(items, given, problems);
    if let Some(metrics) = &metrics {
        lint::weights(items, metrics, problems);
    }
    Measured {
        metrics: metrics.filter(|_| guarded),
        measures,
    }
}

fn is_unique(
    document: &MetricDocument,
    first_lines: &mut BTreeMap<String, usize>,
    problems: &mut Problems,
) -> bool {
    let Some(name) = document.name.located() else {
        return false;
    };
    if let Some(line) = first_lines.get(&name.value) {
        problems.add_with_help(
            Code::MetricTwice,
            name.span,
            format!("the metric `{}` is already in line {line}", name.value),
            "a metric has one entry; give the second one another name",
        );
        return false;
    }
    first_lines.insert(name.value.clone(), name.span.line);
    true
}

/// Notes that no metric is a guardrail, once the role of every metric is known.
fn check_guardrail(
    items: &Items<MetricDocument, 1, METRICS_MAX>,
    given: &Given<Items<MetricDocument, 1, METRICS_MAX>>,
    problems: &mut Problems,
) -> bool {
    let roles = items.convert(|_, item| role(&item.value));
    let unguarded = roles.is_some_and(|roles| !roles.contains(&Role::Guardrail));
    if let (true, Some(located)) = (unguarded, given.located()) {
        problems.add_with_help(
            Code::NoGuardrail,
            located.span,
            "no metric is a guardrail, so the rollout would advance on nothing",
            "leave out `role` where worsening must stop the rollout",
        );
    }
    !unguarded
}

fn role(document: &MetricDocument) -> Option<Role> {
    document
        .role
        .resolve(Role::Guardrail, |located| Some(located.value))
}

/// What the metric's numbers mean, where kind and range are sound.
fn measure(document: &MetricDocument, problems: &mut Problems) -> Option<Measure> {
    let kind = document.kind.value()?;
    if *kind != KindWord::Score
        && let Some(range) = document.range.located()
    {
        other_kind(range.span, "range", "scores", problems);
    }
    if *kind != KindWord::Latency
        && let Some(quantile) = document.quantile.located()
    {
        other_kind(quantile.span, "quantile", "latencies", problems);
    }
    match kind {
        KindWord::Score => range(document, problems),
        KindWord::Rate => Some(Measure::Rate),
        KindWord::Latency => Some(Measure::Latency),
        KindWord::Amount => Some(Measure::Amount),
    }
}

fn other_kind(span: Span, key: &str, owners: &str, problems: &mut Problems) {
    problems.add_with_help(
        Code::KeyOfOtherKind,
        span,
        format!("`{key}` belongs to {owners}"),
        "remove it, or change the `kind`",
    );
}

fn range(document: &MetricDocument, problems: &mut Problems) -> Option<Measure> {
    document
        .range
        .resolve(Measure::Score { min: 0.0, max: 1.0 }, |located| {
            let ends = located.value.convert(|_, end| Some(end.value))?;
            let [min, max] = ends.as_slice() else {
                return None;
            };
            let (min, max) = (*min, *max);
            // The difference of two finite ends may still be infinite.
            if min < max && (max - min).is_finite() {
                return Some(Measure::Score { min, max });
            }
            problems.add(
                Code::Range,
                located.span,
                format!("`range` must be `[least, greatest]`, and {min} is not below {max}"),
            );
            None
        })
}

fn metric(document: &MetricDocument, measure: Option<Measure>, problems: &mut Problems) -> Option<Metric> {
    let name = document.name.located().and_then(|located| {
        let name = MetricName::new(&located.value).ok();
        if name.is_none() {
            refuse(
                Code::MetricName,
                located,
                "`name`",
                MetricName::RULE,
                None,
                problems,
            );
        }
        name
    });
    let better = better(document, problems);
    let weight = document
        .weight
        .resolve(WEIGHT_DEFAULT, |located| weight(located, problems));
    let role = role(document);
    let measure = measure?;
    let margin = document.margin.located();
    let margin = margin.and_then(|located| measure.margin(located, problems));
    let limit = limit(document, measure, better, problems);
    let baseline = document
        .baseline
        .resolve(None, |located| baseline(located, measure, problems).map(Some));
    refuse_kind(document, measure, problems);
    let metric = Metric {
        name: name?,
        kind: measure.kind()?,
        better: better?,
        role: role?,
        margin: margin?,
        limit: limit?,
        weight: weight?,
        baseline: baseline?,
    };
    lint::metric(document, &metric, problems);
    Some(metric)
}

fn better(document: &MetricDocument, problems: &mut Problems) -> Option<Better> {
    let kind = *document.kind.value()?;
    match (kind, &document.better) {
        (_, Given::Broken) => None,
        (KindWord::Latency, Given::Is(located)) if located.value == Better::Higher => {
            problems.add(
                Code::BetterOfKind,
                located.span,
                "a latency is better when it is lower",
            );
            None
        }
        (_, Given::Is(located)) => Some(located.value),
        (KindWord::Score, Given::Absent) => Some(Better::Higher),
        (KindWord::Latency | KindWord::Amount, Given::Absent) => Some(Better::Lower),
        (KindWord::Rate, Given::Absent) => {
            problems.add_with_help(
                Code::BetterMissing,
                document.kind.located().map_or(document.span, |kind| kind.span),
                "a rate must say which way is `better`",
                "`better: lower` for errors, `better: higher` for thumbs up",
            );
            None
        }
    }
}

fn weight(located: &Located<f64>, problems: &mut Problems) -> Option<f64> {
    let sound = located.value > 0.0 && located.value <= WEIGHT_MAX;
    if !sound {
        problems.add(
            Code::Weight,
            located.span,
            format!("`weight` must be above 0 and at most {WEIGHT_MAX}"),
        );
    }
    sound.then_some(located.value)
}

/// The fixed limit, if there is one; nothing if there is something wrong with it.
fn limit(
    document: &MetricDocument,
    measure: Measure,
    better: Option<Better>,
    problems: &mut Problems,
) -> Option<Option<f64>> {
    let floor = side(
        &document.floor,
        "floor",
        Better::Higher,
        measure,
        better,
        problems,
    );
    let ceiling = side(
        &document.ceiling,
        "ceiling",
        Better::Lower,
        measure,
        better,
        problems,
    );
    Some(floor?.or(ceiling?))
}

fn side(
    given: &Given<Quantity>,
    key: &str,
    belongs_to: Better,
    measure: Measure,
    better: Option<Better>,
    problems: &mut Problems,
) -> Option<Option<f64>> {
    given.resolve(None, |located| {
        if better.is_some_and(|better| better != belongs_to) {
            let (way, other) = match belongs_to {
                Better::Higher => ("lower", "ceiling"),
                Better::Lower => ("higher", "floor"),
            };
            problems.add_with_help(
                Code::LimitDirection,
                located.span,
                format!("`{key}` makes no sense where {way} is better"),
                format!("use `{other}`, or mend `better`"),
            );
            return None;
        }
        let point = measure.point(located, &format!("the {key}"), problems)?;
        let (min, max) = measure.bounds();
        if min < point && point < max {
            return Some(Some(point));
        }
        problems.add(
            Code::LimitOutside,
            located.span,
            format!("`{key}` must be between {}", measure.shown_bounds()),
        );
        None
    })
}

fn baseline(located: &Located<Quantity>, measure: Measure, problems: &mut Problems) -> Option<f64> {
    let point = measure.point(located, "the baseline", problems)?;
    let (min, max) = measure.bounds();
    if (min..=max).contains(&point) {
        return Some(point);
    }
    problems.add(
        Code::BaselineOutside,
        located.span,
        format!("`baseline` must not be outside {}", measure.shown_bounds()),
    );
    None
}

/// Says plainly that a kind is not there yet, after everything else about it has been checked.
fn refuse_kind(document: &MetricDocument, measure: Measure, problems: &mut Problems) {
    let Some(kind) = document.kind.located() else {
        return;
    };
    match measure {
        Measure::Score { .. } | Measure::Rate => {}
        Measure::Latency => {
            check_quantile(&document.quantile, document.span, problems);
            problems.add_with_help(
                Code::LatencyNotYet,
                kind.span,
                "metrics of the kind `latency` are not there yet in this version",
                "send a rate meanwhile: 1 when a reply took longer than your limit, else 0, with \
                 `better: lower` and a margin such as `1pp`",
            );
        }
        Measure::Amount => problems.add_with_help(
            Code::AmountNotYet,
            kind.span,
            "metrics of the kind `amount` are not there yet in this version",
            "declare a score meanwhile, with `range: [0, greatest]`, `better: lower` and a margin such as `10%`",
        ),
    }
}

fn check_quantile(given: &Given<Percentage>, owner: Span, problems: &mut Problems) {
    match given {
        Given::Absent => problems.add(
            Code::MissingKey,
            owner,
            "a latency lacks `quantile`, such as `95%`",
        ),
        Given::Broken => {}
        Given::Is(located) => {
            let ppm = located.value.ppm();
            if ppm == 0 || ppm >= 1_000_000 {
                problems.add(
                    Code::Quantile,
                    located.span,
                    "`quantile` must be above 0% and below 100%",
                );
            }
        }
    }
}

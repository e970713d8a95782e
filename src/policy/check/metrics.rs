//! What is measured.

use super::super::code::Code;
use super::super::document::value::Items;
use super::super::document::words::KindWord;
use super::super::document::{Given, Located, METRICS_MAX, MetricDocument};
use super::super::problem::Problems;
use super::super::quantity::Quantity;
use super::super::{Better, LatencyStatistic, Metric, MetricKind, Role, lint};
use super::feed::feed;
use super::{kind, measure, refuse};
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
    /// Every declared name, with its kind where that is known.
    pub(super) kinds: BTreeMap<String, Option<MetricKind>>,
}

pub(super) fn check(
    given: &Given<Items<MetricDocument, 1, METRICS_MAX>>,
    problems: &mut Problems,
) -> Measured {
    let Some(items) = given.value() else {
        return Measured::default();
    };
    let mut first_lines: BTreeMap<String, usize> = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    let metrics = items.convert(|_, item| {
        let unique = is_unique(&item.value, &mut first_lines, problems);
        let kind = kind::check(&item.value, problems);
        if let Some(name) = item.value.name.value() {
            kinds.insert(name.clone(), kind);
        }
        metric(&item.value, kind, problems).filter(|_| unique)
    });
    let guarded = check_guardrail(items, given, problems);
    if let Some(metrics) = &metrics {
        lint::weights(items, metrics, problems);
    }
    Measured {
        metrics: metrics.filter(|_| guarded),
        kinds,
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

fn metric(document: &MetricDocument, kind: Option<MetricKind>, problems: &mut Problems) -> Option<Metric> {
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
    let critical = critical(document, role, problems);
    let sound = kind;
    let kind = kind.or_else(|| kind::stand_in(document))?;
    let unit = kind::shown_unit(document, kind, problems);
    let margin = document.margin.located();
    let margin = margin.and_then(|located| measure::margin(kind, located, problems));
    let limit = limit(document, kind, better, problems);
    let baseline = document
        .baseline
        .resolve(None, |located| baseline(located, kind, problems).map(Some));
    let (name, better) = (name?, better?);
    let feed = feed(document, &name, kind, better, problems);
    let metric = Metric {
        name,
        kind: sound?,
        better,
        role: role?,
        margin: margin?,
        limit: limit?,
        weight: weight?,
        baseline: baseline?,
        critical: critical?,
        unit: unit?,
        feed: feed?,
    };
    lint::metric(document, &metric, problems);
    Some(metric)
}

fn critical(document: &MetricDocument, role: Option<Role>, problems: &mut Problems) -> Option<bool> {
    document.critical.resolve(false, |located| {
        let misplaced = located.value && role.is_some_and(|role| role != Role::Guardrail);
        if misplaced {
            problems.add_with_help(
                Code::CriticalRole,
                located.span,
                "only a guardrail can be `critical`",
                "remove `critical`, or `role`",
            );
        }
        (!misplaced).then_some(located.value)
    })
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
    kind: MetricKind,
    better: Option<Better>,
    problems: &mut Problems,
) -> Option<Option<f64>> {
    let floor = side(&document.floor, "floor", Better::Higher, kind, better, problems);
    let ceiling = side(
        &document.ceiling,
        "ceiling",
        Better::Lower,
        kind,
        better,
        problems,
    );
    Some(floor?.or(ceiling?))
}

fn side(
    given: &Given<Quantity>,
    key: &str,
    belongs_to: Better,
    kind: MetricKind,
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
        let point = measure::point(kind, located, &format!("the {key}"), problems)?;
        let (min, max) = measure::bounds(kind);
        if min < point && point < max {
            return Some(Some(point));
        }
        problems.add(
            Code::LimitOutside,
            located.span,
            format!("`{key}` must be between {}", measure::shown_bounds(kind)),
        );
        None
    })
}

fn baseline(located: &Located<Quantity>, kind: MetricKind, problems: &mut Problems) -> Option<f64> {
    let point = measure::point(kind, located, "the baseline", problems)?;
    let (min, max) = measure::bounds(kind);
    let (inside, rule) = match kind {
        MetricKind::Score { .. } | MetricKind::Rate => ((min..=max).contains(&point), "not be outside"),
        // Times and amounts are compared by ratio, and nothing is a ratio of nothing.
        MetricKind::Latency { .. } | MetricKind::Amount { .. } => (min < point && point <= max, "be between"),
    };
    if inside && !of_several_quantiles(kind) {
        return Some(point);
    }
    let message = if inside {
        "`baseline` is the value of one quantile, and here are several".to_owned()
    } else {
        format!("`baseline` must {rule} {}", measure::shown_bounds(kind))
    };
    problems.add(Code::BaselineOutside, located.span, message);
    None
}

fn of_several_quantiles(kind: MetricKind) -> bool {
    match kind {
        MetricKind::Latency {
            statistic: LatencyStatistic::Quantiles(quantiles),
            ..
        } => quantiles.are_several(),
        MetricKind::Score { .. }
        | MetricKind::Rate
        | MetricKind::Latency { .. }
        | MetricKind::Amount { .. } => false,
    }
}

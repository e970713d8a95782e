//! Conditions before the start or in a step.

use super::super::code::Code;
use super::super::document::value::Items;
use super::super::document::words::ScopeWord;
use super::super::document::{
    APPROVERS_MAX, ApprovalDocument, EvaluationDocument, GatesDocument, Given, Located,
};
use super::super::problem::Problems;
use super::super::{ApprovalGate, EvaluationGate, Gates, MetricKind};
use super::refuse;
use crate::ids::{Actor, MetricName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Longest name of a dataset, in characters.
const DATASET_CHARS_MAX: usize = 255;

/// Most people who can be asked for approval.
const APPROVALS_MAX: u32 = 10;

/// What the floor of a metric that the policy does not declare is compared with.
const UNDECLARED: MetricKind = MetricKind::Score { min: 0.0, max: 1.0 };

pub(super) fn check(
    given: &Given<GatesDocument>,
    kinds: &BTreeMap<String, Option<MetricKind>>,
    problems: &mut Problems,
) -> Option<Gates> {
    let absent = GatesDocument::default();
    let document = given.value_or(&absent)?;
    let evaluation = document.evaluation.resolve(None, |located| {
        evaluation(&located.value, kinds, problems).map(Some)
    });
    let approval = document.approval.resolve(ApprovalGate::default(), |located| {
        approval(&located.value, problems)
    });
    Some(Gates {
        evaluation: evaluation?,
        approval: approval?,
    })
}

fn evaluation(
    document: &EvaluationDocument,
    kinds: &BTreeMap<String, Option<MetricKind>>,
    problems: &mut Problems,
) -> Option<EvaluationGate> {
    let dataset = document.dataset.located();
    let dataset = dataset.and_then(|located| dataset_name(located, problems));
    let floor = document.floor.value().and_then(|named| {
        let floors = named.0.iter().map(|(name, given)| {
            let metric = metric_name(name, problems);
            let least = given
                .located()
                .and_then(|located| least(name, located, kinds, problems));
            Some((metric?, least?))
        });
        // Every floor is checked before a broken one makes the gate broken.
        let floors: Vec<Option<(MetricName, f64)>> = floors.collect();
        floors.into_iter().collect::<Option<Vec<_>>>()
    });
    let versus = document.versus.resolve(false, |_| Some(true));
    Some(EvaluationGate {
        dataset: dataset?,
        floor: floor?,
        versus_stable: versus?,
    })
}

fn dataset_name(located: &Located<String>, problems: &mut Problems) -> Option<Arc<str>> {
    let text = located.value.as_str();
    let sound = (1..=DATASET_CHARS_MAX).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(char::is_control);
    if !sound {
        problems.add(
            Code::Dataset,
            located.span,
            format!("`dataset` must be 1 to {DATASET_CHARS_MAX} characters without spaces at the ends"),
        );
    }
    sound.then(|| text.into())
}

fn metric_name(located: &Located<String>, problems: &mut Problems) -> Option<MetricName> {
    let name = MetricName::new(&located.value).ok();
    if name.is_none() {
        refuse(
            Code::MetricName,
            located,
            "the metric of a floor",
            MetricName::RULE,
            None,
            problems,
        );
    }
    name
}

fn least(
    name: &Located<String>,
    located: &Located<f64>,
    kinds: &BTreeMap<String, Option<MetricKind>>,
    problems: &mut Problems,
) -> Option<f64> {
    let declared = kinds.get(&name.value);
    let kind = match declared {
        // The metric itself is broken, so that nobody knows its range.
        Some(None) => return None,
        Some(Some(kind)) => *kind,
        None => UNDECLARED,
    };
    let (min, max) = kind.range();
    if (min..=max).contains(&located.value) {
        return Some(located.value);
    }
    let message = format!("the floor of `{}` must be {min} to {max}", name.value);
    if declared.is_some() {
        problems.add(Code::EvaluationFloor, located.span, message);
    } else {
        problems.add_with_help(
            Code::EvaluationFloor,
            located.span,
            message,
            format!("declare `{}` in `metrics` to give it another range", name.value),
        );
    }
    None
}

fn approval(document: &ApprovalDocument, problems: &mut Problems) -> Option<ApprovalGate> {
    let absent = ApprovalGate::default();
    let before_start = document.before.resolve(absent.before_start, |_| Some(true));
    let from = document.from.resolve(absent.from, |located| {
        let from = u32::try_from(located.value).ok();
        let from = from.filter(|from| (1..=APPROVALS_MAX).contains(from));
        if from.is_none() {
            problems.add(
                Code::ApprovalCount,
                located.span,
                format!("`from` must be 1 to {APPROVALS_MAX} different people"),
            );
        }
        from
    });
    let by = document
        .by
        .resolve(None, |located| approvers(&located.value, problems).map(Some));
    let admins_only = document.scope.resolve(absent.admins_only, |located| {
        Some(match located.value {
            ScopeWord::Operate => false,
            ScopeWord::Admin => true,
        })
    });
    let gate = ApprovalGate {
        before_start: before_start?,
        from: from?,
        by: by?,
        admins_only: admins_only?,
    };
    let may = gate.by.as_ref().map(BTreeSet::len);
    if let (Some(may), Some(located)) = (may, document.by.located())
        && u32::try_from(may).is_ok_and(|may| may < gate.from)
    {
        problems.add_with_help(
            Code::ApproversTooFew,
            located.span,
            format!("{} must approve, and {may} may", gate.from),
            "name more people in `by`, or lower `from`",
        );
        return None;
    }
    Some(gate)
}

/// Who may approve, each named once.
fn approvers(items: &Items<String, 1, APPROVERS_MAX>, problems: &mut Problems) -> Option<BTreeSet<Actor>> {
    let mut seen = BTreeSet::new();
    let approvers = items.convert(|_, located| {
        let Ok(actor) = Actor::new(&located.value) else {
            refuse(
                Code::Approver,
                located,
                "an approver",
                Actor::RULE,
                None,
                problems,
            );
            return None;
        };
        if !seen.insert(actor.clone()) {
            problems.add_with_help(
                Code::Approver,
                located.span,
                format!("`{actor}` is named already"),
                "remove the second entry",
            );
            return None;
        }
        Some(actor)
    });
    approvers.map(|approvers| approvers.into_iter().collect())
}

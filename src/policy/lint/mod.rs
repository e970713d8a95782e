//! What is allowed and probably not meant: warnings, which refuse nothing.

use super::check::steps::BAKE_MAX;
use super::code::Code;
use super::document::value::Items;
use super::document::words::ApprovalWord;
use super::document::{ApprovalDocument, METRICS_MAX, MetricDocument, SpecDocument, StepDocument};
use super::problem::{Problem, Problems, Severity, Span};
use super::quantity::{show_duration, show_hundredths};
use super::{AnalysisRules, ArmLabels, Better, Metric, OnInconclusive, OnNoData, Policy, Role, document};
use crate::ids::{Exposure, Label};

mod assignment;
pub(crate) use assignment::{scheme, sdks, targeting};

/// Fewest verdicts that make a bake worth its name.
const VERDICTS_PER_BAKE_MIN: i32 = 3;

/// Alpha above which good candidates are often taken back.
const ALPHA_MAX: f64 = 0.1;

/// Share of all weight below which a metric hardly counts.
const WEIGHT_SHARE_MIN: f64 = 0.01;

/// Words in the name of a label that is on trial.
const TRIAL_WORDS: &[&str] = &[
    "canary",
    "candidate",
    "treatment",
    "experiment",
    "trial",
    "beta",
    "next",
];

/// Words in the name of a label that users have.
const STABLE_WORDS: &[&str] = &["production", "prod", "stable", "live", "main"];

/// Labels that look as if they had been exchanged.
pub(crate) fn labels(labels: &ArmLabels, spec: &SpecDocument, problems: &mut Problems) {
    let says = |label: &str, words: &[&str]| label.split(['-', '_', '.']).any(|part| words.contains(&part));
    let control = labels.control.as_str();
    let treatment = labels.treatment.as_str();
    let swapped = (says(control, TRIAL_WORDS) && !says(control, STABLE_WORDS))
        || (says(treatment, STABLE_WORDS) && !says(treatment, TRIAL_WORDS) && !says(control, STABLE_WORDS));
    let Some(located) = spec.labels.located().filter(|_| swapped) else {
        return;
    };
    problems.add_with_help(
        Code::LabelsSwapped,
        located.span,
        format!("`control` is `{control}` and `treatment` is `{treatment}`, which look swapped"),
        "`control` is what users have today, `treatment` is on trial",
    );
}

/// An analysis that protects less than it seems to.
pub(crate) fn analysis(spec: &SpecDocument, rules: &AnalysisRules, problems: &mut Problems) {
    let Some(document) = spec.analysis.value() else {
        return;
    };
    if rules.alpha.get() > ALPHA_MAX
        && let Some(alpha) = document.alpha.located()
    {
        problems.add(
            Code::AlphaLarge,
            alpha.span,
            format!(
                "with an `alpha` of {}%, more than one in ten good candidates may be taken back",
                show_hundredths(rules.alpha.get())
            ),
        );
    }
    let written = document
        .no_data
        .value()
        .and_then(|no_data| no_data.after.located());
    if rules.no_data.after < rules.every
        && rules.no_data.then != OnNoData::Hold
        && let Some(after) = written
    {
        problems.add(
            Code::PatienceShorterThanEvery,
            after.span,
            format!(
                "silence of {} is not noticed before the next verdict, up to {} later",
                show_duration(rules.no_data.after),
                show_duration(rules.every)
            ),
        );
    }
}

/// Steps whose bake or samples protect nobody.
pub(crate) fn steps(spec: &SpecDocument, rules: Option<&AnalysisRules>, problems: &mut Problems) {
    let Some(steps) = spec.steps.value() else { return };
    for (number, item) in steps.usable() {
        if number == 1 {
            samples(&item.value, problems);
        }
        if let Some(rules) = rules {
            bake(number, &item.value, rules, problems);
        }
    }
}

fn samples(first: &StepDocument, problems: &mut Problems) {
    let span = match first.samples.located() {
        Some(located) if located.value > 0 => return,
        Some(located) => located.span,
        None if first.samples.is_absent() => first.span,
        None => return,
    };
    problems.add_with_help(
        Code::NoSamples,
        span,
        "the first step asks for no samples, so that few observations may carry it",
        "add `samples: 100` or more",
    );
}

fn bake(number: usize, step: &StepDocument, rules: &AnalysisRules, problems: &mut Problems) {
    let sound = step.bake.located().filter(|bake| bake.value <= BAKE_MAX);
    let Some(bake) = sound else { return };
    if bake.value < rules.every * VERDICTS_PER_BAKE_MIN {
        problems.add_with_help(
            Code::BakeShort,
            bake.span,
            format!(
                "step {number} bakes for {}, and verdicts are drawn every {}",
                show_duration(bake.value),
                show_duration(rules.every)
            ),
            format!(
                "bake for at least {}, or draw verdicts more often",
                show_duration(rules.every * VERDICTS_PER_BAKE_MIN)
            ),
        );
    }
    let ends_the_step = match rules.inconclusive.then {
        OnInconclusive::Pause | OnInconclusive::RollBack => true,
        OnInconclusive::Hold | OnInconclusive::Advance => false,
    };
    if ends_the_step && rules.inconclusive.after < bake.value {
        problems.add_with_help(
            Code::PatienceShorterThanBake,
            bake.span,
            format!(
                "step {number} bakes for {}, and is ended after {} if it is still undecided",
                show_duration(bake.value),
                show_duration(rules.inconclusive.after)
            ),
            "lengthen `analysis.inconclusive.after`",
        );
    }
}

/// A metric with a key that has no effect, or a limit that today's version would break.
pub(crate) fn metric(document: &MetricDocument, metric: &Metric, problems: &mut Problems) {
    if metric.role == Role::Watched
        && let Some(weight) = document.weight.located()
    {
        problems.add_with_help(
            Code::WatchedWeight,
            weight.span,
            format!(
                "`{}` is only watched, so that its weight has no effect",
                metric.name
            ),
            "remove `weight`, or give the metric another `role`",
        );
    }
    let (Some(limit), Some(baseline)) = (metric.limit, metric.baseline) else {
        return;
    };
    let (key, given, beyond) = match metric.better {
        Better::Higher => ("floor", &document.floor, limit > baseline),
        Better::Lower => ("ceiling", &document.ceiling, limit < baseline),
    };
    let way = match metric.better {
        Better::Higher => "above",
        Better::Lower => "below",
    };
    if let (true, Some(located)) = (beyond, given.located()) {
        problems.add_with_help(
            Code::LimitBeyondBaseline,
            located.span,
            format!("the {key} is {way} the baseline: a candidate as good as today's version breaks it"),
            "the limit is the worst that may be served to anybody",
        );
    }
}

/// Metrics that have next to no part in the verdict.
pub(crate) fn weights(
    items: &Items<MetricDocument, 1, METRICS_MAX>,
    metrics: &[Metric],
    problems: &mut Problems,
) {
    let guarded = metrics.iter().filter(|metric| metric.role != Role::Watched);
    let total: f64 = guarded.map(|metric| metric.weight).sum();
    for ((_, item), metric) in items.usable().zip(metrics) {
        let counts = metric.role == Role::Watched || metric.weight >= total * WEIGHT_SHARE_MIN;
        if let (false, Some(weight)) = (counts, item.value.weight.located()) {
            problems.add_with_help(
                Code::WeightSmall,
                weight.span,
                format!("`{}` has less than a hundredth of all weight", metric.name),
                "raise the weight, or make the metric `role: watched`",
            );
        }
    }
}

/// An approval gate that nothing waits for.
pub(crate) fn approval(spec: &SpecDocument, problems: &mut Problems) {
    let gate = spec.gates.value().and_then(|gates| gates.approval.located());
    let Some(gate) = gate else { return };
    let ApprovalDocument { before, .. } = &gate.value;
    let step_waits = spec.steps.value().is_none_or(|steps| {
        steps
            .usable()
            .any(|(_, step)| step.value.approval.value() == Some(&ApprovalWord::Required))
    });
    if before.is_absent() && !step_waits {
        problems.add_with_help(
            Code::ApprovalUnused,
            gate.span,
            "nothing waits for this approval",
            "add `before: start` here, or `approval: required` to a step",
        );
    }
}

/// Where a step of a policy is written, from 0; where its prompt is named, if that cannot be told.
pub fn place_of_step(policy: &Policy, index: usize) -> Span {
    let mut ignored = Problems::of("");
    let document = document::read(&policy.source, &mut ignored);
    let spec = document.as_ref().and_then(|document| document.spec.value());
    let step = spec.and_then(|spec| {
        let mut steps = spec.steps.value()?.usable();
        steps
            .find(|(number, _)| *number == index + 1)
            .map(|(_, step)| step.span)
    });
    let prompt = spec.and_then(|spec| spec.prompt.located());
    step.or(prompt.map(|prompt| prompt.span)).unwrap_or_default()
}

/// Warns that other prompts change with a label of the policy, as `told` says.
pub fn taken_in(file: &str, policy: &Policy, label: &Label, told: String) -> Problem {
    let mut ignored = Problems::of("");
    let document = document::read(&policy.source, &mut ignored);
    let spec = document.as_ref().and_then(|document| document.spec.value());
    let arms = spec.and_then(|spec| spec.labels.value());
    let arm = arms.and_then(|arms| match *label == policy.labels.control {
        true => arms.control.located().map(|located| located.span),
        false => arms.treatment.located().map(|located| located.span),
    });
    let prompt = spec.and_then(|spec| Some(spec.prompt.located()?.span));
    Problem {
        code: Code::LabelTakenIn.as_str(),
        severity: Severity::Warning,
        file: file.into(),
        span: arm.or(prompt).unwrap_or_default(),
        message: told,
        help: Some("have them take in a version, or a label that no policy moves".to_owned()),
    }
}

/// A key that decides which users are in which arm.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SplitKey {
    Salt,
    Hash,
    Holdback,
}

impl SplitKey {
    fn as_str(self) -> &'static str {
        match self {
            Self::Salt => "salt",
            Self::Hash => "hash",
            Self::Holdback => "holdback",
        }
    }

    /// The most consequential key in which two policies differ.
    fn changed(running: &Policy, edited: &Policy) -> Option<Self> {
        let (before, after) = (&running.assignment, &edited.assignment);
        if before.scheme != after.scheme {
            Some(Self::Hash)
        } else if before.salt != after.salt {
            Some(Self::Salt)
        } else {
            (before.holdback != after.holdback).then_some(Self::Holdback)
        }
    }

    /// Where the key is written; where the prompt is named, if it is left out.
    fn place(self, policy: &Policy) -> Span {
        let mut ignored = Problems::of("");
        let document = document::read(&policy.source, &mut ignored);
        let spec = document.as_ref().and_then(|document| document.spec.value());
        let assignment = spec.and_then(|spec| spec.assignment.value());
        let written = assignment.and_then(|assignment| match self {
            Self::Salt => assignment.salt.located().map(|located| located.span),
            Self::Hash => assignment.hash.located().map(|located| located.span),
            Self::Holdback => assignment.holdback.located().map(|located| located.span),
        });
        let prompt = spec.and_then(|spec| spec.prompt.located());
        written.or(prompt.map(|prompt| prompt.span)).unwrap_or_default()
    }
}

/// Warns when `edited` splits users otherwise than `running` does, while a rollout of it exposes
/// `exposure`.
///
/// The share is that of all users who get another arm. Two independent splits at exposure e put
/// 2·e·(1 − e) of them into different arms; a holdback moves those between both cuts.
pub fn split_change(file: &str, running: &Policy, edited: &Policy, exposure: Exposure) -> Option<Problem> {
    let key = SplitKey::changed(running, edited)?;
    let moved_ppm = match key {
        SplitKey::Hash | SplitKey::Salt => {
            u64::from(exposure.ppm()) * u64::from(exposure.complement().ppm()) * 2 / 1_000_000
        }
        SplitKey::Holdback => {
            let reached = |policy: &Policy| exposure.min(policy.assignment.holdback.complement()).ppm();
            u64::from(reached(running).abs_diff(reached(edited)))
        }
    };
    let share = Exposure::from_ppm(u32::try_from(moved_ppm).ok()?).ok()?;
    Some(Problem {
        code: Code::SplitChanged.as_str(),
        severity: Severity::Warning,
        file: file.into(),
        span: key.place(edited),
        message: format!(
            "`{}` changed while a rollout runs at {exposure}: the new split puts about {share} of the users \
             into the other arm",
            key.as_str()
        ),
        help: Some(
            "the running rollout keeps the split it began with; change it between rollouts".to_owned(),
        ),
    })
}

//! The ladder and the watch after it.

use super::super::Step;
use super::super::code::Code;
use super::super::document::words::ApprovalWord;
use super::super::document::{Located, SpecDocument, StepDocument};
use super::super::problem::Problems;
use super::within;
use crate::ids::{Exposure, Scheme};
use jiff::SignedDuration;

/// Shortest and longest bake of a step, and watch.
const BAKE_MIN: SignedDuration = SignedDuration::ZERO;
pub(in crate::policy) const BAKE_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Most observations that a step can ask for.
const SAMPLES_MAX: u64 = 1_000_000_000;

/// The ladder, as far as it is sound.
pub(super) struct Ladder {
    /// Position from 1 and exposure of each step that has one, in the order of the file.
    pub(super) exposures: Vec<(usize, Located<Exposure>)>,
    /// All steps.
    pub(super) steps: Option<Vec<Step>>,
    /// The watch after promotion.
    pub(super) watch: Option<SignedDuration>,
}

/// Exposures are those that `scheme` can tell apart: what is told is what is assigned.
pub(super) fn check(spec: &SpecDocument, scheme: Scheme, problems: &mut Problems) -> Ladder {
    let mut exposures: Vec<(usize, Located<Exposure>)> = Vec::new();
    let mut steps = None;
    let mut last_bake = None;
    if let Some(items) = spec.steps.value() {
        steps = items.convert(|number, item| {
            let exposure = exposure(number, &item.value, scheme, problems);
            if let Some(exposure) = &exposure {
                exposures.push((number, exposure.clone()));
            }
            step(number, &item.value, exposure, problems)
        });
        let rises = check_rising(&exposures, problems);
        let ends = check_last(&exposures, items.len(), problems);
        steps = steps.filter(|_| rises && ends);
        last_bake = items
            .last()
            .and_then(|item| item.value.bake.value())
            .filter(|bake| **bake <= BAKE_MAX);
    }
    let watch = if spec.watch.is_absent() {
        last_bake.copied()
    } else {
        let located = spec.watch.located();
        located.and_then(|located| within(BAKE_MIN..=BAKE_MAX, Code::Watch, located, "`watch`", problems))
    };
    Ladder {
        exposures,
        steps,
        watch,
    }
}

fn exposure(
    number: usize,
    document: &StepDocument,
    scheme: Scheme,
    problems: &mut Problems,
) -> Option<Located<Exposure>> {
    let located = document.exposure.located()?;
    let exposure = Exposure::from_ppm(located.value.ppm()).ok();
    let exposure = exposure.filter(|exposure| *exposure > Exposure::NOBODY);
    if exposure.is_none() {
        problems.add(
            Code::ExposureBounds,
            located.span,
            format!("the exposure of step {number} must be above 0% and at most 100%"),
        );
    }
    exposure.map(|exposure| located.at(scheme.resolve(exposure)))
}

fn step(
    number: usize,
    document: &StepDocument,
    exposure: Option<Located<Exposure>>,
    problems: &mut Problems,
) -> Option<Step> {
    let what = format!("the bake of step {number}");
    let bake = document.bake.located();
    let bake = bake.and_then(|located| within(BAKE_MIN..=BAKE_MAX, Code::Bake, located, &what, problems));
    let samples = document.samples.resolve(0, |located| {
        let sound = located.value <= SAMPLES_MAX;
        if !sound {
            problems.add(
                Code::Samples,
                located.span,
                format!("step {number} asks for more than {SAMPLES_MAX} samples"),
            );
        }
        sound.then_some(located.value)
    });
    let approval = document.approval.resolve(false, |located| match located.value {
        ApprovalWord::Required => Some(true),
    });
    Some(Step {
        exposure: exposure?.value,
        bake: bake?,
        samples: samples?,
        approval: approval?,
    })
}

fn check_rising(exposures: &[(usize, Located<Exposure>)], problems: &mut Problems) -> bool {
    let mut rises = true;
    for pair in exposures.windows(2) {
        let [(before, lower), (number, higher)] = pair else {
            continue;
        };
        if higher.value <= lower.value {
            rises = false;
            problems.add_with_help(
                Code::ExposureNotRising,
                higher.span,
                format!(
                    "step {number} exposes {}, and step {before} already {}",
                    higher.value, lower.value
                ),
                "exposures rise from step to step",
            );
        }
    }
    rises
}

fn check_last(exposures: &[(usize, Located<Exposure>)], count: usize, problems: &mut Problems) -> bool {
    let last = exposures.last().filter(|(number, _)| *number == count);
    let Some((number, exposure)) = last else {
        // The last step is broken, which has been noted.
        return true;
    };
    if exposure.value == Exposure::EVERYBODY {
        return true;
    }
    problems.add_with_help(
        Code::LastStep,
        exposure.span,
        format!(
            "the last step (step {number}) exposes {}, not 100%",
            exposure.value
        ),
        "add a step `{exposure: 100%, bake: …}`; what must stay in control is `assignment.holdback`",
    );
    false
}

/// Notes steps that the holdback leaves without new users.
pub(super) fn check_holdback(
    ladder: &Ladder,
    holdback: Exposure,
    spec: &SpecDocument,
    problems: &mut Problems,
) {
    let reachable = holdback.complement();
    let mut cut = ladder
        .exposures
        .iter()
        .filter(|(_, exposure)| exposure.value >= reachable && exposure.value < Exposure::EVERYBODY);
    let Some((first, exposure)) = cut.next() else {
        return;
    };
    for (number, later) in cut {
        problems.add_with_help(
            Code::NobodyNew,
            later.span,
            format!("step {number} reaches nobody new: step {first} already reaches all but the holdback"),
            format!("remove the step, or lower the holdback of {holdback}"),
        );
    }
    let span = spec
        .assignment
        .value()
        .and_then(|assignment| assignment.holdback.located())
        .map_or(exposure.span, |located| located.span);
    problems.add_with_help(
        Code::HoldbackCuts,
        span,
        format!(
            "with a holdback of {holdback}, step {first} reaches {reachable} instead of {}, and the last \
             step nobody new",
            exposure.value
        ),
        format!("keep the holdback below {}", exposure.value.complement()),
    );
}

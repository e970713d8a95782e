//! When and how verdicts are drawn, and what follows from them.

use super::super::code::Code;
use super::super::document::{AnalysisDocument, Given, InconclusiveDocument, Located, NoDataDocument};
use super::super::problem::Problems;
use super::super::quantity::Percentage;
use super::super::{Alpha, AnalysisRules, OnFail, OnInconclusive, OnNoData, Patience};
use super::within;
use jiff::SignedDuration;

/// Alpha of a policy that gives none.
const ALPHA_DEFAULT_PPM: u32 = 50_000;

/// Greatest alpha.
const ALPHA_PPM_MAX: u32 = 500_000;

/// Time between two verdicts of a policy that gives none.
const EVERY_DEFAULT: SignedDuration = SignedDuration::from_secs(5);

/// Shortest and longest time between two verdicts.
const EVERY_MIN: SignedDuration = SignedDuration::from_secs(1);
const EVERY_MAX: SignedDuration = SignedDuration::from_hours(1);

/// How long a guardrail may be silent in a policy that does not say.
const NO_DATA_AFTER_DEFAULT: SignedDuration = SignedDuration::from_mins(30);

/// How long a step may be undecided in a policy that does not say.
const INCONCLUSIVE_AFTER_DEFAULT: SignedDuration = SignedDuration::from_hours(72);

/// Shortest and longest patience.
const PATIENCE_MIN: SignedDuration = SignedDuration::from_secs(1);
const PATIENCE_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

pub(super) fn check(given: &Given<AnalysisDocument>, problems: &mut Problems) -> Option<AnalysisRules> {
    let absent = AnalysisDocument::default();
    let document = given.value_or(&absent)?;
    let alpha = match &document.alpha {
        Given::Absent => Alpha::new(f64::from(ALPHA_DEFAULT_PPM) / 1e6),
        Given::Broken => None,
        Given::Is(located) => alpha(located, problems),
    };
    let every = document.every.resolve(EVERY_DEFAULT, |located| {
        within(EVERY_MIN..=EVERY_MAX, Code::Every, located, "`every`", problems)
    });
    let no_data = no_data(&document.no_data, problems);
    let on_fail = document
        .on_fail
        .resolve(OnFail::RollBack, |located| Some(located.value));
    let inconclusive = inconclusive(&document.inconclusive, problems);
    Some(AnalysisRules {
        alpha: alpha?,
        every: every?,
        no_data: no_data?,
        on_fail: on_fail?,
        inconclusive: inconclusive?,
    })
}

fn alpha(located: &Located<Percentage>, problems: &mut Problems) -> Option<Alpha> {
    let ppm = located.value.ppm();
    if !(1..=ALPHA_PPM_MAX).contains(&ppm) {
        problems.add(
            Code::Alpha,
            located.span,
            "`alpha` must be above 0% and at most 50%",
        );
        return None;
    }
    Alpha::new(f64::from(ppm) / 1e6)
}

fn no_data(given: &Given<NoDataDocument>, problems: &mut Problems) -> Option<Patience<OnNoData>> {
    let absent = NoDataDocument::default();
    let document = given.value_or(&absent)?;
    let after = patience(&document.after, NO_DATA_AFTER_DEFAULT, "`noData.after`", problems);
    let then = document
        .then
        .resolve(OnNoData::Hold, |located| Some(located.value));
    Some(Patience {
        after: after?,
        then: then?,
    })
}

fn inconclusive(
    given: &Given<InconclusiveDocument>,
    problems: &mut Problems,
) -> Option<Patience<OnInconclusive>> {
    let absent = InconclusiveDocument::default();
    let document = given.value_or(&absent)?;
    let after = patience(
        &document.after,
        INCONCLUSIVE_AFTER_DEFAULT,
        "`inconclusive.after`",
        problems,
    );
    let then = document
        .then
        .resolve(OnInconclusive::Pause, |located| Some(located.value));
    Some(Patience {
        after: after?,
        then: then?,
    })
}

fn patience(
    given: &Given<SignedDuration>,
    default: SignedDuration,
    what: &str,
    problems: &mut Problems,
) -> Option<SignedDuration> {
    given.resolve(default, |located| {
        within(
            PATIENCE_MIN..=PATIENCE_MAX,
            Code::Patience,
            located,
            what,
            problems,
        )
    })
}

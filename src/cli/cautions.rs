//! What the power analysis warns of, in the words of `serin plan` and as problems of `serin lint`.

use super::figures;
use crate::analysis::power::{Caution, HORIZON_HOURS_MAX};
use crate::policy::code::Code;
use crate::policy::lint::place_of_step;
use crate::policy::problem::Problem;
use crate::policy::{OnInconclusive, OnNoData, Policy};

/// What `serin lint` says of a caution; none where there is nothing to mend.
pub(crate) fn problem(caution: &Caution, policy: &Policy, file: &str) -> Option<Problem> {
    let (code, step, help) = match caution {
        Caution::OutlastsPatience { step, .. } => (
            Code::TrafficBelowPatience,
            *step,
            "widen the margin, raise the exposure, or lengthen `analysis.inconclusive.after`",
        ),
        Caution::GuardsOutlastPatience { step, .. } => (
            Code::TrafficBelowGuards,
            *step,
            "raise the exposure, or lengthen `analysis.inconclusive.after`",
        ),
        Caution::SamplesBelowGuards { step, .. } => (
            Code::SamplesBelowGuards,
            *step,
            "ask for more: 100 is a modest number",
        ),
        Caution::Silence { step, .. } => (
            Code::TrafficBelowSilence,
            *step,
            "raise the exposure, or lengthen `analysis.noData.after`",
        ),
        Caution::LongerThanBakes { .. } => (
            Code::LongerThanBakes,
            0,
            "see `serin plan` for what each step waits for",
        ),
        Caution::Dominates { .. } => return None,
    };
    Some(Problem {
        code: code.as_str(),
        severity: code.severity(),
        file: file.into(),
        span: place_of_step(policy, step),
        message: sentence(caution),
        help: Some(help.to_owned()),
    })
}

/// A caution in words.
pub(crate) fn sentence(caution: &Caution) -> String {
    match caution {
        Caution::OutlastsPatience {
            step,
            metric,
            hours,
            patience_hours,
            then,
        } => format!(
            "step {} waits {} for the proof that `{metric}` is healthy, and after {} {}",
            step + 1,
            duration(*hours),
            figures::hours(*patience_hours),
            after_patience(*then)
        ),
        Caution::GuardsOutlastPatience {
            step,
            metric,
            hours,
            patience_hours,
        } => format!(
            "step {} has no evidence of `{metric}` before {}, and patience ends after {}",
            step + 1,
            duration(*hours),
            figures::hours(*patience_hours)
        ),
        Caution::SamplesBelowGuards { step, samples, least } => format!(
            "step {} asks for {samples} samples, and no evidence counts before there are {least}",
            step + 1
        ),
        Caution::Silence {
            step,
            expected,
            silence_hours,
            then,
        } => format!(
            "step {} expects {} treated observations in {}, so that silence comes by chance, and then {}",
            step + 1,
            figures::significant(*expected, 2),
            figures::hours(*silence_hours),
            after_silence(*then)
        ),
        Caution::Dominates {
            step,
            metric,
            hours,
            hours_without,
        } => format!(
            "`{metric}` alone holds step {} for {}: without it the step takes {}",
            step + 1,
            figures::hours(*hours),
            figures::hours(*hours_without)
        ),
        Caution::LongerThanBakes { hours, bake_hours } => format!(
            "the rollout takes {}, and its bakes add up to {}",
            figures::hours(*hours),
            figures::hours(*bake_hours)
        ),
    }
}

fn after_patience(then: OnInconclusive) -> &'static str {
    match then {
        OnInconclusive::Hold => "it waits on",
        OnInconclusive::Pause => "the rollout is paused",
        OnInconclusive::RollBack => "a good candidate is taken back",
        OnInconclusive::Advance => "it goes on without proof, where no estimate is worse than its margin",
    }
}

fn after_silence(then: OnNoData) -> &'static str {
    match then {
        OnNoData::Hold => "nothing advances",
        OnNoData::Pause => "the rollout is paused",
        OnNoData::RollBack => "the candidate is taken back",
    }
}

fn duration(hours: Option<f64>) -> String {
    hours.map_or_else(
        || format!("more than {}", figures::hours(HORIZON_HOURS_MAX)),
        figures::hours,
    )
}

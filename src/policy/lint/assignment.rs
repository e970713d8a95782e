//! Shares that a hash scheme cannot tell apart, and SDKs that would not agree with Serin.

use super::super::code::Code;
use super::super::document::{Located, SpecDocument};
use super::super::problem::Problems;
use super::super::quantity::Percentage;
use crate::ids::{Exposure, Scheme};
use crate::policy::AssignmentRules;

/// A scheme that is too coarse for what the policy says, or that draws related users again.
pub(crate) fn scheme(spec: &SpecDocument, problems: &mut Problems) {
    let assignment = spec.assignment.value();
    let Some(hash) = assignment.and_then(|assignment| assignment.hash.located()) else {
        return;
    };
    let scheme = hash.value;
    if scheme == Scheme::GrowthBookV1 {
        problems.add_with_help(
            Code::SplitsCorrelate,
            hash.span,
            "salts that differ in their last characters alone draw related users with `growthbook-v1`",
            "use `growthbook-v2`, unless users must keep the buckets that they have",
        );
    }
    let steps = spec.steps.value();
    for (_, step) in steps.into_iter().flat_map(|steps| steps.usable()) {
        if let Some(exposure) = step.value.exposure.located() {
            resolution("exposure", scheme, exposure, problems);
        }
    }
    if let Some(holdback) = assignment.and_then(|assignment| assignment.holdback.located()) {
        resolution("holdback", scheme, holdback, problems);
    }
}

fn resolution(what: &str, scheme: Scheme, written: &Located<Percentage>, problems: &mut Problems) {
    let Ok(share) = Exposure::from_ppm(written.value.ppm()) else {
        return;
    };
    // The holdback is what the largest share in treatment leaves.
    let resolved = match what {
        "holdback" => scheme.resolve(share.complement()).complement(),
        _ => scheme.resolve(share),
    };
    if resolved != share {
        let cell = scheme.resolve(Exposure::LEAST);
        problems.add_with_help(
            Code::ShareUnresolved,
            written.span,
            format!("`{scheme}` counts in steps of {cell}, so that this {what} of {share} is {resolved}"),
            format!("write {resolved}, or use a finer hash"),
        );
    }
}

/// SDKs that would put users into other arms than Serin.
pub(crate) fn sdks(spec: &SpecDocument, problems: &mut Problems) {
    let Some(assignment) = spec.assignment.value() else {
        return;
    };
    let Some(scheme) = assignment.hash.value_or(&Scheme::Serin).copied() else {
        return;
    };
    let sdks = assignment.sdks.value();
    for (_, sdk) in sdks.into_iter().flat_map(|sdks| sdks.usable()) {
        let name = sdk.value.as_str();
        let schemes: Vec<String> = sdk
            .value
            .schemes()
            .iter()
            .map(|scheme| format!("`{scheme}`"))
            .collect();
        if !sdk.value.schemes().contains(&scheme) {
            problems.add_with_help(
                Code::SdkOfOtherScheme,
                sdk.span,
                format!(
                    "`{name}` hashes with {}, and this policy with `{scheme}`: it puts users into other arms",
                    schemes.join(" or ")
                ),
                "give such applications a policy of their own, or let them ask over OFREP or HTTP",
            );
        } else if sdk.value.differs_beyond_ascii() {
            problems.add_with_help(
                Code::SdkBeyondAscii,
                sdk.span,
                format!("`{name}` does not hash UTF-8: user keys beyond ASCII get other arms there"),
                "use ASCII user keys, such as ids, or let such applications ask over OFREP or HTTP",
            );
        }
    }
}

/// Conditions that keep everybody out, and SDKs that cannot follow any.
pub(crate) fn targeting(spec: &SpecDocument, rules: &AssignmentRules, problems: &mut Problems) {
    let Some(assignment) = spec.assignment.value() else {
        return;
    };
    let entries = assignment.targeting.value();
    let entries = entries.into_iter().flat_map(|entries| entries.usable());
    let conditions = entries.filter(|(_, entry)| entry.value.share.is_absent());
    for ((_, entry), condition) in conditions.zip(&rules.targeting.conditions) {
        if condition.test.is_contradiction() {
            problems.add_with_help(
                Code::TargetingNobody,
                entry.span,
                format!("no `{}` meets this condition", condition.attribute),
                "mend it, or remove the entry",
            );
        }
    }
    if let Some(sdks) = assignment.sdks.located().filter(|sdks| sdks.value.len() > 0)
        && rules.is_restricted()
    {
        problems.add_with_help(
            Code::SdkCannotTarget,
            sdks.span,
            "a policy with `targeting` or `group` is not published for SDKs that evaluate by themselves",
            "let these applications ask over OFREP or HTTP",
        );
    }
}

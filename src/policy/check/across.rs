//! What several policies must not share: a name, a label that both would move, users of a group.

use super::super::Group;
use super::super::code::Code;
use super::super::document::{Located, SpecDocument};
use super::super::problem::{Problems, Span};
use super::Examined;
use super::names::Steered;
use crate::ids::{Label, PolicyName, PromptName, RegistryName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one file takes for itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    pub(super) name: Option<Located<PolicyName>>,
    pub(super) steered: Vec<Located<SteeredLabel>>,
    pub(super) group: Option<Located<Group>>,
}

/// A label of one prompt of one registry.
pub(super) type SteeredLabel = (RegistryName, PromptName, Label);

/// The labels that a policy moves: one at promotion, both on the way back.
pub(super) fn steered(steered: &Steered, spec: &SpecDocument) -> Vec<Located<SteeredLabel>> {
    let (Some(registry), Some(prompt), Some(place)) =
        (&steered.registry, &steered.prompt, spec.prompt.located())
    else {
        return Vec::new();
    };
    let labels = spec.labels.value();
    let written = [
        (steered.control.as_ref(), labels.map(|labels| &labels.control)),
        (
            steered
                .treatment
                .as_ref()
                .filter(|label| Some(*label) != steered.control.as_ref()),
            labels.map(|labels| &labels.treatment),
        ),
    ];
    let claims = written.into_iter().filter_map(|(label, given)| {
        let label = (registry.clone(), prompt.clone(), label?.clone());
        // A label that is not written is claimed where the prompt is named.
        let span = given
            .and_then(|given| given.located())
            .map_or(place.span, |located| located.span);
        Some(Located { value: label, span })
    });
    claims.collect()
}

/// Compares the claims of all files, and notes each conflict among the problems of every file that has a part in
/// it; both lists are in the same order.
pub(super) fn check(examined: &[&Examined], problems: &mut [Problems]) {
    let names = examined
        .iter()
        .enumerate()
        .filter_map(|(file, examined)| Some((file, examined.claims.name.clone()?)));
    for conflict in conflicts(names) {
        let message = format!(
            "the policy `{}` is also in {}",
            conflict.claim,
            conflict.other_place(examined)
        );
        problems[conflict.file].add_with_help(
            Code::PolicyTwice,
            conflict.span,
            message,
            "give one of both another name",
        );
    }
    let labels = examined.iter().enumerate().flat_map(|(file, examined)| {
        let steered = examined.claims.steered.iter();
        steered.map(move |claim| (file, claim.clone()))
    });
    for conflict in conflicts(labels) {
        let (_, prompt, label) = &conflict.claim;
        let message = format!(
            "the label `{label}` of prompt `{prompt}` is also steered by {}",
            conflict.other_place(examined)
        );
        problems[conflict.file].add_with_help(
            Code::LabelShared,
            conflict.span,
            message,
            "give the policies labels of their own: both would move this one",
        );
    }
    check_groups(examined, problems);
}

/// Notes in both files where two policies would have the same users of a group.
fn check_groups(examined: &[&Examined], problems: &mut [Problems]) {
    let mut parts: Vec<(usize, Located<Group>)> = Vec::new();
    for (file, examined) in examined.iter().enumerate() {
        parts.extend(examined.claims.group.clone().map(|group| (file, group)));
    }
    // In the order of their beginnings, whoever overlaps anybody overlaps the one that reaches furthest so far.
    parts.sort_by(|(_, one), (_, other)| {
        let place = |group: &Group| (group.name.clone(), group.from, group.to);
        place(&one.value).cmp(&place(&other.value))
    });
    let mut furthest: Option<&(usize, Located<Group>)> = None;
    let mut found = Vec::new();
    for part in &parts {
        let other = furthest.filter(|(_, other)| other.value.name == part.1.value.name);
        match other {
            Some(other) if other.1.value.to > part.1.value.from => {
                found.push((part.clone(), other.clone()));
                found.push((other.clone(), part.clone()));
            }
            Some(_) | None => {}
        }
        if other.is_none_or(|other| other.1.value.to < part.1.value.to) {
            furthest = Some(part);
        }
    }
    for ((file, group), (other_file, other)) in found {
        let conflict = Conflict {
            claim: group.value,
            file,
            span: group.span,
            other_file,
            other_span: other.span,
        };
        let message = format!(
            "the part from {} to {} of the group `{}` is also that of {}",
            conflict.claim.from.max(other.value.from),
            conflict.claim.to.min(other.value.to),
            conflict.claim.name,
            conflict.other_place(examined)
        );
        problems[file].add_with_help(
            Code::GroupOverlap,
            conflict.span,
            message,
            "give each policy of a group a part of its own: all parts together are at most 100%",
        );
    }
}

/// A claim that another file makes, too.
struct Conflict<T> {
    claim: T,
    file: usize,
    span: Span,
    other_file: usize,
    other_span: Span,
}

impl<T> Conflict<T> {
    fn other_place(&self, examined: &[&Examined]) -> String {
        let name = examined
            .get(self.other_file)
            .map_or_else(Arc::default, |other| Arc::clone(&other.file));
        format!("`{name}`, line {}", self.other_span.line)
    }
}

/// One conflict for each file that claims what another file claims; the other one is the first.
fn conflicts<T: Ord + Clone>(claims: impl Iterator<Item = (usize, Located<T>)>) -> Vec<Conflict<T>> {
    let mut by_claim: BTreeMap<T, Vec<(usize, Span)>> = BTreeMap::new();
    for (file, claim) in claims {
        by_claim.entry(claim.value).or_default().push((file, claim.span));
    }
    let mut found = Vec::new();
    for (claim, places) in by_claim {
        for (index, (file, span)) in places.iter().enumerate() {
            let other = if index == 0 { places.get(1) } else { places.first() };
            let Some((other_file, other_span)) = other else {
                continue;
            };
            found.push(Conflict {
                claim: claim.clone(),
                file: *file,
                span: *span,
                other_file: *other_file,
                other_span: *other_span,
            });
        }
    }
    found
}

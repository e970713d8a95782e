//! How users are split.

use super::super::code::Code;
use super::super::document::value::{ForcedUser, Items};
use super::super::document::{
    AssignmentDocument, FORCED_USERS_MAX, ForceDocument, Given, GroupDocument, Located,
};
use super::super::problem::Problems;
use super::super::quantity::Percentage;
use super::super::{AssignmentRules, Forced, Group};
use super::refuse;
use crate::ids::{Exposure, GroupName, Salt, Scheme, UserKey};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The list of forced users, as the reader bounds it.
type Users = Given<Items<ForcedUser, 0, FORCED_USERS_MAX>>;

/// The hash scheme; Serin's own where it cannot be told, so that the rest is still checked.
pub(super) fn scheme(given: &Given<AssignmentDocument>) -> Scheme {
    let hash = given.value().and_then(|document| document.hash.value());
    hash.copied().unwrap_or(Scheme::Serin)
}

/// The holdback, below 100%: a share that `scheme` can tell apart.
pub(super) fn holdback(
    given: &Given<AssignmentDocument>,
    scheme: Scheme,
    problems: &mut Problems,
) -> Option<Exposure> {
    let absent = AssignmentDocument::default();
    let document = given.value_or(&absent)?;
    document.holdback.resolve(Exposure::NOBODY, |located| {
        let share = Exposure::from_ppm(located.value.ppm()).ok();
        let share = share.filter(|share| *share < Exposure::EVERYBODY);
        if share.is_none() {
            problems.add(
                Code::Holdback,
                located.span,
                "`holdback` must be below 100%, so that somebody is treated",
            );
        }
        share.map(|share| scheme.resolve(share.complement()).complement())
    })
}

pub(super) fn check(
    given: &Given<AssignmentDocument>,
    holdback: Option<Exposure>,
    problems: &mut Problems,
) -> Option<AssignmentRules> {
    let absent = AssignmentDocument::default();
    let document = given.value_or(&absent)?;
    let scheme = document
        .hash
        .resolve(Scheme::Serin, |located| Some(located.value));
    let salt = document
        .salt
        .resolve(None, |located| salt(located, problems).map(Some));
    let force = document
        .force
        .resolve(Forced::default(), |located| forced(&located.value, problems));
    let targeting = super::targeting::check(document, problems);
    let group = document
        .group
        .resolve(None, |located| group(located, problems).map(Some));
    Some(AssignmentRules {
        scheme: scheme?,
        salt: salt?,
        holdback: holdback?,
        force: force?,
        targeting: targeting?,
        group: group?,
    })
}

/// The policy's part of a group.
fn group(located: &Located<GroupDocument>, problems: &mut Problems) -> Option<Group> {
    let document = &located.value;
    let name = document.name.located().and_then(|located| {
        let name = GroupName::new(&located.value).ok();
        if name.is_none() {
            refuse(
                Code::GroupName,
                located,
                "`name`",
                GroupName::RULE,
                None,
                problems,
            );
        }
        name
    });
    let share = |given: &Given<Percentage>| {
        let ppm = given.value().map(|share| share.ppm());
        ppm.map(|ppm| Exposure::from_ppm(ppm).ok())
    };
    let (from, to) = (share(&document.from)?, share(&document.to)?);
    let range = from.zip(to).filter(|(from, to)| from < to);
    if range.is_none() {
        problems.add_with_help(
            Code::GroupRange,
            located.span,
            "`from` must be below `to`, and both at most 100%",
            "such as `from: 0%, to: 30%`, and the next policy `from: 30%`",
        );
    }
    let (from, to) = range?;
    Some(Group {
        name: name?,
        from,
        to,
    })
}

fn salt(located: &Located<String>, problems: &mut Problems) -> Option<Salt> {
    let salt = Salt::new(&located.value).ok();
    if salt.is_none() {
        refuse(Code::Salt, located, "`salt`", Salt::RULE, None, problems);
    }
    salt
}

fn forced(document: &ForceDocument, problems: &mut Problems) -> Option<Forced> {
    let treatment = users(&document.treatment, problems);
    let control = users(&document.control, problems);
    let mut disjoint = true;
    if let (Some(treatment), Given::Is(users)) = (&treatment, &document.control) {
        for (_, user) in users.value.usable() {
            if treatment.contains(user.value.0.as_str()) {
                disjoint = false;
                problems.add_with_help(
                    Code::ForcedToBothArms,
                    user.span,
                    "this user is also forced into treatment",
                    "remove the user from one of both lists",
                );
            }
        }
    }
    let forced = Forced {
        treatment: treatment?,
        control: control?,
    };
    disjoint.then_some(forced)
}

/// The users of one list; messages do not repeat their keys, because problems are logged.
fn users(given: &Users, problems: &mut Problems) -> Option<BTreeSet<Arc<str>>> {
    let mut seen = BTreeSet::new();
    given.resolve(BTreeSet::new(), |located| {
        let users = located.value.convert(|_, user| {
            if UserKey::new(&user.value.0).is_err() {
                problems.add(
                    Code::UserKey,
                    user.span,
                    format!("a user key must be 1 to {} bytes of UTF-8", UserKey::BYTES_MAX),
                );
                return None;
            }
            if !seen.insert(user.value.0.clone()) {
                problems.add_with_help(
                    Code::ForcedTwice,
                    user.span,
                    "this user is already in the list",
                    "remove the second entry",
                );
                return None;
            }
            Some(Arc::from(user.value.0.as_str()))
        });
        users.map(|users| users.into_iter().collect())
    })
}

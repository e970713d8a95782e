//! Policies as the SDKs of other systems evaluate them by themselves: who is split where, in the open.
//!
//! A policy is published in the protocol that its `hash` belongs to, and in no other: two protocols put the
//! same user into different buckets. Serin's own scheme cannot be published, because its key is secret.
//! Neither can a policy with `targeting` or `group`, nor any under a server's reserve: who is outside of it
//! is told with that secret, or by comparisons that those SDKs make otherwise. What is published is the
//! split and its labels; users whom the policy forces are not, because their keys are nobody's to read.

use super::App;
use super::problem::{Code, Problem};
use crate::assignment::Route;
use crate::assignment::line::Line;
use crate::assignment::snapshot::Snapshot;
use crate::controller::Board;
use crate::ids::{Exposure, Scheme};
use std::fmt::Write as _;

/// Most policies that are named as left out.
const NAMED_MAX: usize = 20;

/// One policy.
#[derive(Debug)]
pub(super) struct Published<'s> {
    /// Its name.
    pub(super) policy: &'s str,
    /// What the control arm is served.
    pub(super) control: &'s str,
    /// Who is served something else; none while nobody is.
    pub(super) split: Option<Split<'s>>,
}

/// Who is in treatment.
#[derive(Debug)]
pub(super) struct Split<'s> {
    /// What the treatment arm is served.
    pub(super) treatment: &'s str,
    /// The line that users lie on.
    pub(super) line: &'s Line,
    /// What users are hashed with.
    pub(super) salt: &'s str,
    /// Share of users, from the lowest end of the line.
    pub(super) share: Exposure,
}

/// The policies of `scheme`.
///
/// # Errors
///
/// When there are policies, and none of this scheme that can be published, so that an SDK that asks in
/// vain hears why.
pub(super) fn published<'s>(
    app: &App,
    snapshot: &'s Snapshot,
    scheme: Scheme,
) -> Result<Vec<Published<'s>>, Problem> {
    let board = app.controller.board();
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let mut restricted = Vec::new();
    for route in snapshot.routes() {
        match scheme_of(&board, route) {
            Some(theirs) if theirs == scheme && is_restricted(&board, route) => {
                restricted.push(route.policy.as_str());
            }
            Some(theirs) if theirs == scheme => found.push(publish(route)),
            Some(theirs) => others.push((route.policy.as_str(), theirs)),
            None => {}
        }
    }
    if found.is_empty() && !restricted.is_empty() {
        return Err(Problem::new(Code::NotPublished, unpublished(&restricted)));
    }
    if found.is_empty() && !others.is_empty() {
        return Err(Problem::new(Code::SchemeElsewhere, elsewhere(scheme, &others)));
    }
    Ok(found)
}

/// The scheme of the running rollout, or that of the policy where nobody is split.
fn scheme_of(board: &Board, route: &Route) -> Option<Scheme> {
    if let Some(treatment) = &route.treatment {
        return Some(treatment.line.scheme());
    }
    let status = board.policies.get(&route.policy)?;
    Some(status.policy.assignment.scheme)
}

/// Whether the running rollout, or the policy where nobody is split, leaves users out.
fn is_restricted(board: &Board, route: &Route) -> bool {
    if let Some(treatment) = &route.treatment {
        return treatment.admission.is_restricted();
    }
    let status = board.policies.get(&route.policy);
    status.is_some_and(|status| status.policy.assignment.is_restricted())
}

fn unpublished(policies: &[&str]) -> String {
    let named: Vec<String> = policies
        .iter()
        .take(NAMED_MAX)
        .map(|policy| format!("`{policy}`"))
        .collect();
    let rest = policies.len().saturating_sub(NAMED_MAX);
    let more = match rest {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    format!(
        "SDKs that evaluate by themselves cannot follow the `targeting`, the `group` or the server's reserve \
         of {}{more}: ask for such policies at `/v1/assignments` or `/ofrep/v1`",
        named.join(", ")
    )
}

fn publish(route: &Route) -> Published<'_> {
    let split = route.treatment.as_ref().and_then(|treatment| {
        Some(Split {
            treatment: treatment.served.label.as_str(),
            line: &treatment.line,
            salt: treatment.line.open_salt()?,
            share: treatment.exposure.min(treatment.holdback.complement()),
        })
    });
    Published {
        policy: route.policy.as_str(),
        control: route.control.label.as_str(),
        split,
    }
}

fn elsewhere(scheme: Scheme, others: &[(&str, Scheme)]) -> String {
    let mut text = format!(
        "no policy has `hash: {}`, which this protocol evaluates; there are",
        scheme.as_str()
    );
    for (at, (policy, theirs)) in others.iter().take(NAMED_MAX).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        write!(text, "{comma} `{policy}` (`{}`)", theirs.as_str()).ok();
    }
    let rest = others.len().saturating_sub(NAMED_MAX);
    if rest > 0 {
        write!(text, " and {rest} more").ok();
    }
    text + ": ask for them at `/v1/assignments` or `/ofrep/v1`"
}

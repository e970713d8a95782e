//! Who counts once for the sample ratio, and at which share of users planned for treatment.
//!
//! A user counts under the share at which they were assigned. A receipt proves that, and so does an
//! arm that follows from the hash at this moment; an arm that the application only claims, by version
//! or label, may be of an assignment from before the exposure changed, while caches and judges lag.
//! Users whose share is not known are noted, so that they do not count later, and not counted.

use super::attribute::Context;
use crate::assignment::receipt::Receipt;
use crate::assignment::{Reason, Treatment};
use crate::controller::Board;
use crate::ids::{Exposure, UserKey};
use crate::store::Sight;
use jiff::SignedDuration;

/// How long after a change of exposure a claimed arm may be from before it.
pub const CLAIMS_SETTLE: SignedDuration = SignedDuration::from_mins(10);

/// How the arm of an observation is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'l> {
    /// By a receipt.
    Receipt(Receipt),
    /// By what the application says of this user.
    Claimed(UserKey<'l>),
    /// By the hash of this user at this moment.
    Split(UserKey<'l>),
}

/// The user of an observation; none where nobody can tell who it is, for the holdback, and while
/// everybody is to be in treatment.
pub(super) fn sight(
    known: Known<'_>,
    reason: Option<Reason>,
    context: &Context<'_>,
    treatment: &Treatment,
    board: &Board,
) -> Option<Sight> {
    let planned = treatment.planned_share();
    let is_split = match known {
        // A receipt is of somebody who enters, whatever their key alone would tell.
        Known::Receipt(_) => reason != Some(Reason::Holdback),
        Known::Claimed(_) | Known::Split(_) => reason.is_none_or(|reason| reason == Reason::Split),
    };
    if !is_split || planned == Exposure::EVERYBODY {
        return None;
    }
    let (user, share_is_known) = match known {
        Known::Receipt(receipt) => (receipt.user?, receipt.generation == treatment.generation),
        Known::Claimed(user) => (treatment.user_hash(user), claims_are_settled(context, board)),
        Known::Split(user) => (treatment.user_hash(user), true),
    };
    Some(Sight {
        user,
        planned: share_is_known.then_some(planned),
    })
}

/// Whether no arm that arrives now can be from before the last change of exposure.
fn claims_are_settled(context: &Context<'_>, board: &Board) -> bool {
    let rollout = context.status.rollout.as_deref();
    rollout
        .zip(board.ticked_at)
        .is_some_and(|(rollout, now)| now.duration_since(rollout.state.changed_at) >= CLAIMS_SETTLE)
}

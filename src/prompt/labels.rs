//! The one rule for changing a label; every store asks it and then only writes rows.
//!
//! A store reads the [`LabelFacts`] in the transaction in which it will write, hands them to
//! [`change`], and does what the [`ChangeOutcome`] says: append [`LabelRequest::into_change`] to the
//! journal, or nothing. Either way it keeps the request's generation, so that an older one that is
//! still under way is [`LabelFacts::seen`] to be older.

use super::{LabelChange, LabelRequest, PromptError};
use crate::ids::{Generation, Label, RolloutId, Version};
use jiff::Timestamp;

/// The label that always names the newest version: it is computed, never set.
pub const LATEST: &str = "latest";

/// What the store knows of a label when a change of it is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelFacts {
    /// The highest number that a version of the prompt was given; all from the first one up to it were.
    pub newest: Version,
    /// Whether the version that the label is to point at was withdrawn.
    pub withdrawn: bool,
    /// Whether only Serin and administrators move the label.
    pub protected: bool,
    /// The newest entry of the prompt's journal for this label: it says where the label points.
    pub last: Option<LabelChange>,
    /// The highest generation that asked for a move of any of the prompt's labels and was not refused,
    /// for the rollout that asks; none where no rollout asks or none of its generations did.
    pub seen: Option<Generation>,
    /// The newest rollout that the prompt's journal has for this label.
    pub newest_rollout: Option<RolloutId>,
    /// Whether the prompt's journal has this move already: the same label, rollout, generation and
    /// target; false where no rollout asks.
    pub done: bool,
}

/// What a store is to do.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeOutcome {
    /// Append the request to the journal, coming from `from`.
    Write {
        /// Where the label points before; none when it is new.
        from: Option<Version>,
    },
    /// Nothing: the label is there already, and this entry brought it.
    InPlace(LabelChange),
}

/// Decides a change of a label.
///
/// The checks, in this order, each with its error:
///
/// 1. `latest` is not set ([`PromptError::ReservedLabel`]);
/// 2. the version exists, and is not withdrawn ([`PromptError::UnknownVersion`]);
/// 3. no newer generation of the same rollout has moved a label ([`PromptError::Stale`]);
/// 4. a label that is there already stays, whoever asks: a request may be repeated;
/// 5. a protected label is moved by those who may ([`PromptError::Protected`]);
/// 6. the label is where the asker expects it ([`PromptError::LabelElsewhere`]);
/// 7. a move that was made once is not made again, even where somebody has put the label back to
///    where it came from: that was their will ([`PromptError::LabelElsewhere`]);
/// 8. no newer rollout has ever moved it ([`PromptError::Overtaken`]); the expectation alone would
///    miss a newer rollout that brought the same version back.
pub fn change(facts: LabelFacts, request: &LabelRequest) -> Result<ChangeOutcome, PromptError> {
    check_settable(&request.label)?;
    if let Some(version) = request.to
        && (version > facts.newest || facts.withdrawn)
    {
        return Err(PromptError::UnknownVersion {
            prompt: request.prompt.clone(),
            version,
        });
    }
    if let Some((rollout, asked)) = request.rollout
        && let Some(seen) = facts.seen
        && asked < seen
    {
        return Err(PromptError::Stale { rollout, asked, seen });
    }
    let at = facts.last.as_ref().and_then(|last| last.to);
    if at == request.to {
        return match facts.last {
            Some(last) => Ok(ChangeOutcome::InPlace(last)),
            // It is to be removed, and never was.
            None => Err(PromptError::UnknownLabel {
                prompt: request.prompt.clone(),
                label: request.label.clone(),
            }),
        };
    }
    if facts.protected && !request.may_move_protected {
        return Err(PromptError::Protected {
            prompt: request.prompt.clone(),
            label: request.label.clone(),
        });
    }
    let expected = if facts.done {
        Some(request.to)
    } else {
        request.expect
    };
    if let Some(expected) = expected
        && expected != at
    {
        return Err(PromptError::LabelElsewhere {
            prompt: request.prompt.clone(),
            label: request.label.clone(),
            expected,
            found: at,
        });
    }
    if let Some((rollout, _)) = request.rollout
        && let Some(by) = facts.newest_rollout
        && rollout < by
    {
        return Err(PromptError::Overtaken {
            label: request.label.clone(),
            rollout,
            by,
        });
    }
    Ok(ChangeOutcome::Write { from: at })
}

/// Refuses `latest`; for protecting labels as much as for moving them.
pub fn check_settable(label: &Label) -> Result<(), PromptError> {
    if label.as_str() == LATEST {
        Err(PromptError::ReservedLabel(label.clone()))
    } else {
        Ok(())
    }
}

impl LabelRequest {
    /// The journal's entry for this request, once a store has written it.
    pub fn into_change(self, sequence: u64, from: Option<Version>, at: Timestamp) -> LabelChange {
        LabelChange {
            sequence,
            prompt: self.prompt,
            label: self.label,
            from,
            to: self.to,
            at,
            actor: self.actor,
            reason: self.reason,
            rollout: self.rollout,
        }
    }
}

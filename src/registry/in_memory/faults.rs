//! What can happen to a call on its way, in the order of a script.

use crate::ids::{Actor, Justification, Label, Version};
use jiff::SignedDuration;
use std::collections::VecDeque;

/// A method of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`labels`](crate::registry::Registry::labels).
    Labels,
    /// [`version`](crate::registry::Registry::version).
    Version,
    /// [`evaluations`](crate::registry::Registry::evaluations).
    Evaluations,
    /// [`move_label`](crate::registry::Registry::move_label).
    MoveLabel,
}

/// What happens to one call.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The call does not reach the registry.
    Unavailable,
    /// The answer takes so long: the clock moves on, nobody really waits.
    Slow(SignedDuration),
    /// The call is carried out, and its answer does not arrive.
    LostReply,
    /// The call arrives twice, and the second answer is the one that is heard.
    Repeated,
    /// The call arrives a second time, before the `calls`th call after it; nobody hears that answer.
    RepeatedLater {
        /// From 1.
        calls: u64,
    },
    /// Somebody else moves a label of the prompt just before the call.
    ForeignMove {
        /// Which.
        label: Label,
        /// Where to.
        to: Version,
        /// Who.
        actor: Actor,
        /// Why, in their words.
        reason: Justification,
    },
}

/// Faults that wait for their calls.
#[derive(Debug, Default)]
pub(super) struct Script(VecDeque<(Call, Fault)>);

impl Script {
    pub(super) fn push(&mut self, call: Call, fault: Fault) {
        self.0.push_back((call, fault));
    }

    /// What happens to this `call`: the first fault of the script, when it waits for such a call.
    pub(super) fn next(&mut self, call: Call) -> Option<Fault> {
        self.0
            .pop_front_if(|(waits_for, _)| *waits_for == call)
            .map(|(_, fault)| fault)
    }
}

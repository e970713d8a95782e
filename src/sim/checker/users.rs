//! Treatment only grows while exposure grows, and a candidate that is tried again has the same users.

use super::{Look, Violation};
use crate::assignment::assign::assign;
use crate::assignment::{Reason, Route};
use crate::ids::{Arm, Exposure, UserKey, Version};
use std::collections::BTreeMap;

/// Users who are asked for after every tick.
const USERS: usize = 64;

/// Users and what they have been assigned so far, by candidate.
#[derive(Debug)]
pub(super) struct Watched {
    keys: Vec<String>,
    seen: BTreeMap<Version, Vec<Seen>>,
}

/// The exposures under which one user has been in each arm.
#[derive(Debug, Clone, Copy)]
struct Seen {
    treatment_from: Exposure,
    /// None while the user has never been in control.
    control_to: Option<Exposure>,
}

impl Default for Watched {
    fn default() -> Self {
        let keys = (0..USERS).map(|number| format!("watched-{number}")).collect();
        Self {
            keys,
            seen: BTreeMap::new(),
        }
    }
}

impl Watched {
    /// Asks for everybody's assignment, and compares it with all that came before.
    pub(super) fn check(&mut self, look: &Look<'_>, route: &Route) -> Result<(), Violation> {
        let candidate = route
            .treatment
            .as_ref()
            .and_then(|treatment| treatment.served.version);
        let Some(candidate) = candidate else { return Ok(()) };
        let never = Seen {
            treatment_from: Exposure::EVERYBODY,
            control_to: None,
        };
        let seen = self.seen.entry(candidate).or_insert_with(|| vec![never; USERS]);
        for (key, seen) in self.keys.iter().zip(seen) {
            let Ok(user) = UserKey::new(key) else { continue };
            let assignment = assign(route, user);
            match (assignment.reason, assignment.arm) {
                (Reason::Split, Arm::Treatment) => {
                    seen.treatment_from = seen.treatment_from.min(assignment.exposure);
                }
                (Reason::Split, Arm::Control) => {
                    seen.control_to = seen.control_to.max(Some(assignment.exposure));
                }
                (
                    Reason::Forced
                    | Reason::Holdback
                    | Reason::AttributeMissing(_)
                    | Reason::NotTargeted(_)
                    | Reason::OutsideSegment
                    | Reason::OtherInGroup
                    | Reason::Reserved
                    | Reason::Idle(_),
                    _,
                ) => {}
            }
            if seen
                .control_to
                .is_some_and(|control| control >= seen.treatment_from)
            {
                let detail = format!("{seen:?} under version {candidate}");
                return Err(look.broken("raising an exposure takes treatment from nobody", detail));
            }
        }
        Ok(())
    }
}

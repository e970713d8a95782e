//! What everybody else sees: the board and the snapshot, replaced whole.

use super::Controller;
use super::caches;
use super::{PolicyStatus, RolloutStatus, Trouble};
use crate::assignment::Route;
use crate::assignment::admission::{GroupPart, Range};
use crate::assignment::snapshot::Snapshot;
use crate::ids::{GroupName, PolicyName, RolloutId};
use crate::rollout::route::route;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Controller {
    /// Publishes what has changed since the last time.
    ///
    /// The snapshot and its number stay while no route changes, so that its readers need not fetch it
    /// again.
    pub(super) fn publish(&mut self) {
        let mut routed = false;
        let mut groups = BTreeSet::new();
        for name in std::mem::take(&mut self.touched) {
            let Some(status) = self.status(&name) else {
                let gone = self.routes.remove(&name);
                groups.extend(gone.as_deref().and_then(part).map(|part| part.name.clone()));
                routed |= gone.is_some();
                self.board.policies.remove(&name);
                continue;
            };
            let (policy, state) = match &status.rollout {
                Some(rollout) if !rollout.state.phase.is_over() => (&rollout.policy, Some(&rollout.state)),
                Some(rollout) => (&status.policy, Some(&rollout.state)),
                None => (&status.policy, None),
            };
            let mut route = route(policy, state, status.labels.as_ref(), &self.secret.0);
            if let Some(treatment) = &mut route.treatment {
                treatment.admission.reserve = self.reserve;
            }
            let known = self.routes.get(&name).and_then(|known| part(known));
            groups.extend(known.map(|part| part.name.clone()));
            if let (Some(known), Some(part)) = (known, part_mut(&mut route))
                && known.name == part.name
            {
                part.taken.clone_from(&known.taken);
            }
            groups.extend(part(&route).map(|part| part.name.clone()));
            if self.routes.get(&name).is_none_or(|known| **known != route) {
                self.routes.insert(name.clone(), Arc::new(route));
                routed = true;
            }
            self.board.policies.insert(name, Arc::new(status));
        }
        for group in groups {
            routed |= self.settle_group(&group);
        }
        let snapshot = routed.then(|| {
            self.published += 1;
            Snapshot::new(self.published, self.routes.values().cloned())
        });
        let store = self
            .store_error
            .iter()
            .map(|error| Trouble::Store { error: error.clone() });
        let (caches, notices) = (self.side.caches(), self.side.notice_troubles());
        let behind = caches::troubles(&caches);
        let troubles = self.registry_troubles().chain(behind).chain(store);
        self.board.troubles = troubles.chain(notices).collect();
        self.board.caches = BTreeMap::clone(&caches);
        self.board.problems = self.problems();
        self.board.loaded_at = self.book.loaded_at();
        self.side.publish(self.board.clone(), snapshot);
    }

    /// Keeps rollouts of a group apart; true when a route changed.
    ///
    /// The policies in force have parts that do not overlap, but a rollout goes on with the part that it
    /// began with. What it still has of another's part is left to it, whose users it has already; the
    /// other gets them when it ends, and so only gains users.
    fn settle_group(&mut self, group: &GroupName) -> bool {
        let members = self.routes.values().filter_map(|route| {
            let part = part(route).filter(|part| part.name == *group)?;
            Some((
                route.treatment.as_ref()?.rollout,
                part.range,
                route.policy.clone(),
            ))
        });
        let mut members: Vec<(RolloutId, Range, PolicyName)> = members.collect();
        members.sort_by_key(|(rollout, _, _)| *rollout);
        let mut changed = false;
        for (at, (_, range, policy)) in members.iter().enumerate() {
            let earlier = members[..at].iter().map(|(_, earlier, _)| *earlier);
            let taken: Vec<Range> = earlier.filter(|earlier| earlier.overlaps(*range)).collect();
            let Some(route) = self.routes.get_mut(policy) else {
                continue;
            };
            if part(route).is_some_and(|part| part.taken != taken) {
                if let Some(part) = part_mut(Arc::make_mut(route)) {
                    part.taken = taken;
                }
                changed = true;
            }
        }
        changed
    }

    /// A policy as it stands; none when neither its file nor a rollout of it is there.
    fn status(&self, name: &PolicyName) -> Option<PolicyStatus> {
        let in_force = self.policies.get(name);
        let running = self.rollouts.get(name);
        let unfinished = running.filter(|running| !running.course.state.phase.is_over());
        let policy = in_force
            .or(unfinished.map(|running| &running.course.policy))
            .map(Arc::clone)?;
        let seen = self.labels.get(name).cloned().unwrap_or_default();
        Some(PolicyStatus {
            policy,
            labels: seen.last,
            registry_error: seen.error,
            rollout: running.map(|running| {
                let moves = self.moves_of(running.course.state.id);
                let is_cleared = self.side.clears_after(running.course.policy.clients.cache_ttl);
                Arc::<RolloutStatus>::new(running.status(moves, is_cleared))
            }),
            warnings: self.composed.warnings_of(name),
            removed: in_force.is_none(),
        })
    }
}

/// The part of a group that a route has.
fn part(route: &Route) -> Option<&GroupPart> {
    route.treatment.as_ref()?.admission.group.as_ref()
}

fn part_mut(route: &mut Route) -> Option<&mut GroupPart> {
    route.treatment.as_mut()?.admission.group.as_mut()
}

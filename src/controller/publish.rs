//! What everybody else sees: the board and the snapshot, replaced whole.

use super::Controller;
use super::caches;
use super::{PolicyStatus, RolloutStatus, Trouble};
use crate::assignment::snapshot::Snapshot;
use crate::ids::PolicyName;
use crate::rollout::route::route;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Controller {
    /// Publishes what has changed since the last time.
    ///
    /// The snapshot and its number stay while no route changes, so that its readers need not fetch it
    /// again.
    pub(super) fn publish(&mut self) {
        let mut routed = false;
        for name in std::mem::take(&mut self.touched) {
            let Some(status) = self.status(&name) else {
                routed |= self.routes.remove(&name).is_some();
                self.board.policies.remove(&name);
                continue;
            };
            let (policy, state) = match &status.rollout {
                Some(rollout) if !rollout.state.phase.is_over() => (&rollout.policy, Some(&rollout.state)),
                Some(rollout) => (&status.policy, Some(&rollout.state)),
                None => (&status.policy, None),
            };
            let route = route(policy, state, status.labels.as_ref(), &self.secret.0);
            if self.routes.get(&name).is_none_or(|known| **known != route) {
                self.routes.insert(name.clone(), Arc::new(route));
                routed = true;
            }
            self.board.policies.insert(name, Arc::new(status));
        }
        let snapshot = routed.then(|| {
            self.published += 1;
            Snapshot::new(self.published, self.routes.values().cloned())
        });
        let store = self
            .store_error
            .iter()
            .map(|error| Trouble::Store { error: error.clone() });
        let caches = self.side.caches();
        let behind = caches::troubles(&caches);
        self.board.troubles = self.registry_troubles().chain(behind).chain(store).collect();
        self.board.caches = BTreeMap::clone(&caches);
        self.board.problems = self.book.problems().to_vec();
        self.board.loaded_at = self.book.loaded_at();
        self.side.publish(self.board.clone(), snapshot);
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
            removed: in_force.is_none(),
        })
    }
}

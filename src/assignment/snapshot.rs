//! The immutable table that assignments are answered from.

use super::assign::assign;
use super::siphash::last_word;
use super::{Assignment, Route, Who};
use crate::ids::PolicyName;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Every route at one moment; replaced whole, never changed.
///
/// The routes are held twice: in order, for whoever lists them, and by hash, for whoever assigns. At
/// 10,000 policies the tree alone would cost about three times the whole budget of an assignment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    number: u64,
    routes: BTreeMap<PolicyName, Arc<Route>>,
    by_hash: HashMap<PolicyName, Arc<Route>, BuildHasherDefault<NameHasher>>,
}

impl Snapshot {
    /// The snapshot `number` with `routes`; of two routes of one policy the later one counts.
    pub fn new(number: u64, routes: impl IntoIterator<Item = Arc<Route>>) -> Self {
        let routes: BTreeMap<_, _> = routes
            .into_iter()
            .map(|route| (route.policy.clone(), route))
            .collect();
        let by_hash = routes
            .iter()
            .map(|(policy, route)| (policy.clone(), Arc::clone(route)))
            .collect();
        Self {
            number,
            routes,
            by_hash,
        }
    }

    /// Grows by one with each replacement; the ETag of what is derived from it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Every route, by name of policy.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = &Arc<Route>> {
        self.routes.values()
    }

    /// The route of a policy, without allocation.
    pub fn route(&self, policy: &str) -> Option<&Route> {
        self.by_hash.get(policy).map(Arc::as_ref)
    }

    /// What `who` gets under `policy`; none when there is no such policy.
    pub fn assign<'w>(&self, policy: &str, who: impl Into<Who<'w>>) -> Option<Assignment<'_>> {
        self.route(policy).map(|route| assign(route, who))
    }
}

impl PartialEq for Snapshot {
    /// The hashed table follows from the ordered one.
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.routes == other.routes
    }
}

/// Hashes names by multiply and fold, eight bytes at a time.
///
/// Fixed and fast: the table's keys come from the operator's own policy files, so no stranger can
/// fill it with names that collide.
#[derive(Debug, Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        self.write_u64(last_word(rest));
    }

    /// `str` ends its own hash with this byte; the zeros of the last word do that already.
    fn write_u8(&mut self, _: u8) {}

    fn write_u64(&mut self, word: u64) {
        /// 2⁶⁴ divided by the golden ratio, as an odd number: no pattern of bits.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = self.0 ^ word ^ FACTOR;
        let high = (u128::from(mixed) * u128::from(FACTOR)) >> u64::BITS;
        self.0 = mixed.wrapping_mul(FACTOR) ^ high as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

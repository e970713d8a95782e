//! The immutable table that assignments are answered from.

use super::Route;
use crate::ids::PolicyName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every route at one moment; replaced whole, never changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Grows by one with each replacement; the ETag of what is derived from it.
    pub number: u64,
    /// By policy.
    pub routes: BTreeMap<PolicyName, Arc<Route>>,
}

impl Snapshot {
    /// The route of a policy.
    pub fn route(&self, policy: &str) -> Option<&Route> {
        let name = PolicyName::new(policy).ok()?;
        self.routes.get(&name).map(Arc::as_ref)
    }
}

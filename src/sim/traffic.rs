//! What people do to a server: they are assigned, and what is observed of them is sent.

use super::population::{Behaviour, Population, Visitor};
use crate::assignment::assign::assign;
use crate::assignment::receipt::ReceiptKey;
use crate::assignment::snapshot::Snapshot;
use crate::ids::{Arm, PolicyName, UserKey};
use serde::{Serialize, Serializer};

/// How an observation says which arm it counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribution {
    /// By the receipt of the assignment.
    Receipt,
    /// By the user: the arm follows from the hash when it arrives.
    User,
}

/// The people of one policy.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// Who comes.
    pub population: Population,
    /// How many are expected in a second.
    pub per_second: f64,
    /// What is observed of everybody.
    pub behaviours: Vec<Behaviour>,
    /// How observations name their arm.
    pub attribution: Attribution,
    /// Whether each observation has an id, so that it may be sent again.
    pub identified: bool,
    /// Observations so far, of which ids are made.
    pub observed: u64,
}

/// An observation as an application writes it.
#[derive(Serialize)]
struct Line<'l> {
    policy: &'l str,
    user: Option<&'l str>,
    receipt: Option<&'l str>,
    id: Option<String>,
    #[serde(serialize_with = "as_object")]
    metrics: &'l [(&'l str, f64)],
}

fn as_object<S: Serializer>(metrics: &&[(&str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metrics.iter().copied())
}

impl Traffic {
    /// Everybody who comes in one second is assigned from `snapshot`; what is observed of them, as
    /// the body of a request, one object a line.
    ///
    /// Nobody comes to a policy that the snapshot does not have.
    pub fn second(&mut self, policy: &PolicyName, snapshot: &Snapshot, receipts: &ReceiptKey) -> Vec<u8> {
        let mut body = Vec::new();
        for visitor in self.population.arrivals(self.per_second) {
            self.visit(policy, &visitor, snapshot, receipts, &mut body);
        }
        body
    }

    fn visit(
        &mut self,
        policy: &PolicyName,
        visitor: &Visitor,
        snapshot: &Snapshot,
        receipts: &ReceiptKey,
        body: &mut Vec<u8>,
    ) {
        let (Some(route), Ok(user)) = (snapshot.route(policy.as_str()), UserKey::new(&visitor.user)) else {
            return;
        };
        let assignment = assign(route, user);
        let receipt = match self.attribution {
            Attribution::Receipt => route
                .receipt(&assignment, user)
                .map(|receipt| receipts.issue(&receipt)),
            Attribution::User => None,
        };
        let metrics = self.values(visitor, assignment.arm);
        let metrics: Vec<(&str, f64)> = metrics
            .iter()
            .zip(&self.behaviours)
            .map(|(value, behaviour)| (behaviour.metric.as_str(), *value))
            .collect();
        self.observed += 1;
        let line = Line {
            policy: policy.as_str(),
            user: receipt.is_none().then_some(&visitor.user),
            receipt: receipt.as_ref().map(|receipt| receipt.as_str()),
            id: self.identified.then(|| format!("trace-{}", self.observed)),
            metrics: &metrics,
        };
        // Writing plain text and finite numbers into memory cannot fail.
        if serde_json::to_writer(&mut *body, &line).is_ok() {
            body.push(b'\n');
        }
    }

    fn values(&mut self, visitor: &Visitor, arm: Arm) -> Vec<f64> {
        let (population, behaviours) = (&mut self.population, &self.behaviours);
        behaviours
            .iter()
            .map(|behaviour| population.value(visitor, behaviour.of(arm)))
            .collect()
    }
}

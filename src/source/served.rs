//! What was served, told from the identity of a prompt: its name, with a version or a label.
//!
//! Tracing systems name the prompt of a model call, not the assignment. What follows from the name is put
//! into a receipt at once, so that a judge's score counts for the arm that was served, however late it
//! comes, and the user's key is dropped here like everywhere.

use super::attribute::{Observed, Owners, World, Worth, attribute};
use crate::assignment::receipt::Receipt;
use crate::ids::{Arm, Generation, PolicyName, UserKey, Version};
use crate::policy::Policy;
use std::cell::OnceCell;
use std::collections::HashMap;

/// What somebody says of a call of a model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'s> {
    /// The receipt of the assignment, which says it all.
    pub receipt: Option<&'s str>,
    /// The prompt.
    pub prompt: Option<&'s str>,
    /// Its version; 0 is a fallback of the application, and nothing was served.
    pub version: Option<u64>,
    /// The label that it was fetched by, or the word for its arm.
    pub label: Option<&'s str>,
    /// Words among which the label may be, where it is not said.
    pub tags: &'s [String],
    /// The user's key.
    pub user: Option<&'s str>,
    /// Whom to take for the user where the key is not known: a conversation, or a trace. Such a one adds
    /// to a cluster, and is not counted among users.
    pub stranger: &'s str,
}

/// Tells what was served; made anew for each request, because it looks at one moment.
#[derive(Debug)]
pub struct Servings<'w> {
    world: &'w World<'w>,
    owners: Owners<'w>,
    /// The policies by their prompt, whatever its registry: traces do not say which it was.
    steering: OnceCell<HashMap<&'w str, Vec<&'w PolicyName>>>,
}

impl<'w> Servings<'w> {
    /// What was served in this world.
    pub fn new(world: &'w World<'w>) -> Self {
        Self {
            world,
            owners: Owners::default(),
            steering: OnceCell::new(),
        }
    }

    /// A receipt for each policy that steers the prompt and compares what was served; none where
    /// nothing follows from what is said.
    pub fn of(&self, said: Said<'_>) -> Vec<(PolicyName, Receipt)> {
        if let Some(receipt) = said
            .receipt
            .and_then(|text| self.world.receipts.verify(text).ok())
        {
            let owner = self.owners.of(self.world.board, receipt.rollout);
            return owner
                .map(|policy| (policy.clone(), receipt))
                .into_iter()
                .collect();
        }
        let steering = said.prompt.and_then(|prompt| self.steering().get(prompt));
        let policies = steering.into_iter().flatten();
        policies
            .filter_map(|policy| Some(((*policy).clone(), self.receipt(policy, said)?)))
            .collect()
    }

    fn steering(&self) -> &HashMap<&'w str, Vec<&'w PolicyName>> {
        self.steering.get_or_init(|| {
            let mut steering: HashMap<&str, Vec<&PolicyName>> = HashMap::new();
            for (name, status) in &self.world.board.policies {
                let prompt = status.policy.prompt.as_str();
                steering.entry(prompt).or_default().push(name);
            }
            steering
        })
    }

    fn receipt(&self, policy: &PolicyName, said: Said<'_>) -> Option<Receipt> {
        let context = self.world.context(policy.as_str())?;
        let route = self.world.snapshot.route(policy.as_str())?;
        let treatment = route.treatment.as_ref()?;
        let version = match said.version {
            Some(number) => Some(Version::new(u32::try_from(number).ok()?).ok()?),
            None => None,
        };
        let user = said.user.and_then(|user| UserKey::new(user).ok());
        let (label, arm) = label_or_arm(said, context.running);
        if version.is_none() && label.is_none() && arm.is_none() && user.is_none() {
            return None;
        }
        let observed = Observed {
            user: Some(user.or_else(|| UserKey::new(said.stranger).ok())?),
            anonymous: None,
            receipt: None,
            version,
            fallback: None,
            label,
            arm,
        };
        match attribute(&observed, &context, route, treatment, self.world.board) {
            Worth::Counts {
                rollout,
                arm,
                cluster,
                sight,
            } => {
                let sight = sight.filter(|_| user.is_some());
                let share_is_known = sight.is_some_and(|sight| sight.planned.is_some());
                Some(Receipt {
                    rollout,
                    // A receipt of another generation than the rollout's is of a user who is noted only.
                    generation: if share_is_known {
                        treatment.generation
                    } else {
                        Generation::ZERO
                    },
                    arm,
                    cluster,
                    user: sight.map(|sight| sight.user),
                    enters: true,
                })
            }
            Worth::Ignored(_) => None,
        }
    }
}

/// The label, or the arm where its word stands for a label that the policy does not have.
fn label_or_arm<'s>(said: Said<'s>, policy: &Policy) -> (Option<&'s str>, Option<Arm>) {
    let labels = [policy.labels.control.as_str(), policy.labels.treatment.as_str()];
    let tags = said.tags.iter().map(String::as_str);
    match said.label {
        Some(label) if labels.contains(&label) => (Some(label), None),
        Some(word) => match word.parse() {
            Ok(arm) => (None, Some(arm)),
            Err(_) => (Some(word), None),
        },
        None => (tags.into_iter().find(|tag| labels.contains(tag)), None),
    }
}

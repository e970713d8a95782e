//! What a score counts for, once it is known what was served where it was given.

use super::attribute::World;
use crate::assignment::receipt::Receipt;
use crate::ids::PolicyName;
use crate::policy::{Feed, Policy};
use crate::store::{Score, Serving};
use std::collections::{BTreeMap, BTreeSet};

/// What a score is worth.
#[derive(Debug, Clone, PartialEq)]
pub enum Scored {
    /// It counts: lines of observations, one for each policy that has a metric of its name.
    Lines(Vec<String>),
    /// It is kept to be read: its value is none that metrics have, or it is of a run over a dataset.
    Kept,
    /// It is not known what was served there.
    Unmatched,
    /// Both arms were served there.
    Ambiguous,
    /// No policy whose prompt was used there has a metric of its name.
    NoMetric,
}

impl Scored {
    /// The word in telemetry.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Lines(_) => "matched",
            Self::Kept => "kept",
            Self::Unmatched => "unmatched",
            Self::Ambiguous => "ambiguous",
            Self::NoMetric => "no_metric",
        }
    }
}

/// Whether metrics have values like the score's, and users were served where it was given.
pub fn is_usable(score: &Score) -> bool {
    score.value.number().is_some() && score.about.dataset_run.is_none()
}

/// What a score is worth where this was served. The id of its lines is the score's own, so that one that
/// is sent again is counted once.
pub fn scored(score: &Score, servings: &[Serving], world: &World<'_>) -> Scored {
    let Some(number) = score.value.number().filter(|_| is_usable(score)) else {
        return Scored::Kept;
    };
    if servings.is_empty() {
        return Scored::Unmatched;
    }
    let mut by_policy: BTreeMap<&PolicyName, Vec<(&str, Receipt)>> = BTreeMap::new();
    for serving in servings {
        if let Ok(receipt) = world.receipts.verify(&serving.receipt)
            && !fed_metrics(world, &serving.policy, &score.name).is_empty()
        {
            let receipts = by_policy.entry(&serving.policy).or_default();
            receipts.push((&serving.receipt, receipt));
        }
    }
    if by_policy.is_empty() {
        return Scored::NoMetric;
    }
    let mut lines = Vec::with_capacity(by_policy.len());
    for (policy, receipts) in by_policy {
        let Some(receipt) = only(&receipts) else {
            return Scored::Ambiguous;
        };
        let metrics = fed_metrics(world, policy, &score.name).into_iter();
        let metrics: BTreeMap<&str, f64> = metrics.map(|metric| (metric, number)).collect();
        let line = serde_json::json!({
            "policy": policy.as_str(),
            "receipt": receipt,
            "metrics": metrics,
            "id": format!("score:{}", score.id),
        });
        lines.push(line.to_string());
    }
    Scored::Lines(lines)
}

/// The metrics that scores of this name feed, in the policy that the rollout runs under, else in that in
/// force: those that ask for it, and one that has the name and asks for no other.
fn fed_metrics<'w>(world: &World<'w>, policy: &PolicyName, score: &str) -> Vec<&'w str> {
    let fed = |policy: &'w Policy| -> Vec<&'w str> {
        let metrics = policy.metrics.iter();
        let fed = metrics.filter(|metric| match &metric.feed {
            Feed::Evaluation(name) => **name == *score,
            Feed::Observations | Feed::Span(_) => metric.name.as_str() == score,
        });
        fed.map(|metric| metric.name.as_str()).collect()
    };
    let Some(context) = world.context(policy.as_str()) else {
        return Vec::new();
    };
    let running = fed(context.running);
    if running.is_empty() {
        fed(&context.status.policy)
    } else {
        running
    }
}

/// The receipt, where all are of one arm in the newest rollout; one that knows its user goes first.
fn only<'s>(receipts: &[(&'s str, Receipt)]) -> Option<&'s str> {
    let newest = receipts.iter().map(|(_, receipt)| receipt.rollout).max()?;
    let of_newest = || receipts.iter().filter(|(_, receipt)| receipt.rollout == newest);
    let arms: BTreeSet<_> = of_newest().map(|(_, receipt)| receipt.arm).collect();
    if arms.len() > 1 {
        return None;
    }
    let (text, _) = of_newest().max_by_key(|(_, receipt)| receipt.user.is_some())?;
    Some(text)
}

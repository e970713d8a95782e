//! Which rollout and arm a line counts for, and whether its values may be counted.

use super::line::{Line, Value, shown};
use super::refusal::{Ignored, Refusal, RefusalCode};
use super::sight::{Known, sight};
use crate::analysis::Observation;
use crate::assignment::assign::assign;
use crate::assignment::receipt::{Receipt, ReceiptKey};
use crate::assignment::snapshot::Snapshot;
use crate::assignment::{Reason, Route, Treatment, Who};
use crate::controller::{Board, PolicyStatus};
use crate::ids::{Arm, Cluster, PolicyName, RolloutId, UserKey, Version};
use crate::policy::{Metric, MetricKind, Policy};
use crate::spelling;
use crate::store::Sight;
use sha2::{Digest as _, Sha256};
use std::cell::OnceCell;
use std::collections::HashMap;

/// Longest `id` of an observation, in bytes.
pub const ID_BYTES_MAX: usize = 256;
/// Largest magnitude of a value: its square can still be added up without overflow.
pub const VALUE_MAGNITUDE_MAX: f64 = 1e100;

/// What lines are judged against: the world at one moment.
#[derive(Debug)]
pub struct World<'w> {
    /// The policies and their rollouts.
    pub board: &'w Board,
    /// What users are assigned from.
    pub snapshot: &'w Snapshot,
    /// The key that signs receipts.
    pub receipts: &'w ReceiptKey,
}

/// What a line is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// It counts.
    Counts {
        rollout: RolloutId,
        arm: Arm,
        cluster: Cluster,
        sight: Option<Sight>,
    },
    /// It belongs to no running comparison.
    Ignored(Ignored),
}

/// One policy, as the lines that name it are judged.
#[derive(Debug)]
pub(super) struct Context<'w> {
    pub(super) status: &'w PolicyStatus,
    /// The policy that the rollout runs under, or the one in force.
    pub(super) running: &'w Policy,
    route: Option<&'w Route>,
}

impl<'w> World<'w> {
    /// The policy of this name.
    pub(super) fn context(&self, policy: &str) -> Option<Context<'w>> {
        let status = self.board.policies.get(policy)?.as_ref();
        let rollout = status
            .rollout
            .as_deref()
            .filter(|rollout| !rollout.state.phase.is_over());
        Some(Context {
            status,
            running: rollout.map_or(&status.policy, |rollout| &rollout.policy),
            route: self.snapshot.route(policy),
        })
    }
}

/// Which policy each rollout on the board belongs to; made when the first foreign receipt comes.
#[derive(Debug, Default)]
pub(super) struct Owners<'w>(OnceCell<HashMap<RolloutId, &'w PolicyName>>);

impl<'w> Owners<'w> {
    pub(super) fn of(&self, board: &'w Board, rollout: RolloutId) -> Option<&'w PolicyName> {
        let owners = self.0.get_or_init(|| {
            let rollouts = board
                .policies
                .values()
                .filter_map(|status| status.rollout.as_deref());
            rollouts
                .map(|rollout| (rollout.state.id, &rollout.state.policy))
                .collect()
        });
        owners.get(&rollout).copied()
    }
}

/// Who is observed, as far as the line says.
pub(super) struct Observed<'l> {
    pub(super) user: Option<UserKey<'l>>,
    /// The key that the user had before they were known.
    pub(super) anonymous: Option<UserKey<'l>>,
    pub(super) receipt: Option<Receipt>,
    pub(super) version: Option<Version>,
    /// Why the line is left out, where the application served a fallback of its own.
    pub(super) fallback: Option<Refusal>,
    pub(super) label: Option<&'l str>,
    pub(super) arm: Option<Arm>,
}

/// Whom a line is about, and why it is left out all the same, where it is.
#[derive(Debug)]
pub(super) struct Attributed {
    pub(super) worth: Worth,
    pub(super) fallback: Option<Refusal>,
}

/// Judges everything but the metrics.
///
/// The arm follows from the receipt, else from the version, else from the label, else from `arm`, else
/// from the hash at this moment.
pub(super) fn attributed<'w>(
    line: &Line<'_>,
    context: &Context<'w>,
    world: &World<'w>,
    owners: &Owners<'w>,
) -> Result<Attributed, Refusal> {
    let mut observed = observed(line, world.receipts)?;
    let fallback = observed.fallback.take();
    let worth = worth(&observed, context, world, owners)?;
    Ok(Attributed { worth, fallback })
}

fn worth<'w>(
    observed: &Observed<'_>,
    context: &Context<'w>,
    world: &World<'w>,
    owners: &Owners<'w>,
) -> Result<Worth, Refusal> {
    let treatment = context
        .route
        .and_then(|route| Some((route, route.treatment.as_ref()?)));
    if let Some(receipt) = observed.receipt
        && treatment.is_none_or(|(_, treatment)| treatment.rollout != receipt.rollout)
    {
        return foreign_receipt(context, world, owners, receipt);
    }
    let Some((route, treatment)) = treatment else {
        return Ok(Worth::Ignored(Ignored::NoRollout));
    };
    Ok(attribute(observed, context, route, treatment, world.board))
}

fn foreign_receipt<'w>(
    context: &Context<'w>,
    world: &World<'w>,
    owners: &Owners<'w>,
    receipt: Receipt,
) -> Result<Worth, Refusal> {
    let own = &context.status.policy.name;
    match owners.of(world.board, receipt.rollout) {
        Some(owner) if owner != own => Err(Refusal::new(
            RefusalCode::ReceiptOfOtherPolicy,
            format!("the receipt was issued for policy `{owner}`, and the line is about `{own}`"),
        )),
        Some(_) | None => Ok(Worth::Ignored(Ignored::RolloutEnded)),
    }
}

/// Which arm it was, of the policy's own rollout.
pub(super) fn attribute(
    observed: &Observed<'_>,
    context: &Context<'_>,
    route: &Route,
    treatment: &Treatment,
    board: &Board,
) -> Worth {
    let who = observed.user.map(|user| Who {
        anonymous: observed.anonymous,
        ..Who::from(user)
    });
    let split = who.map(|who| assign(route, who));
    let reason = split.map(|split| split.reason);
    let counts = |arm, cluster, known| Worth::Counts {
        rollout: treatment.rollout,
        arm,
        cluster,
        sight: sight(known, reason, context, treatment, board),
    };
    if reason == Some(Reason::Forced) {
        return Worth::Ignored(Ignored::ForcedUser);
    }
    if let Some(receipt) = observed.receipt {
        if !receipt.enters {
            return Worth::Ignored(Ignored::OutsideRollout);
        }
        return counts(receipt.arm, receipt.cluster, Known::Receipt(receipt));
    }
    let (Some(user), Some(split)) = (who.map(Who::placed), split) else {
        return Worth::Ignored(Ignored::NoRollout);
    };
    match split.reason {
        Reason::OutsideSegment | Reason::OtherInGroup | Reason::Reserved => {
            return Worth::Ignored(Ignored::OutsideRollout);
        }
        Reason::AttributeMissing(_) | Reason::NotTargeted(_) => {
            return Worth::Ignored(Ignored::ReceiptNeeded);
        }
        Reason::Split | Reason::Forced | Reason::Holdback | Reason::Idle(_) => {}
    }
    let claimed = if let Some(version) = observed.version {
        arm_of_version(version, context)
            .map(Some)
            .ok_or(Ignored::VersionNotInRollout)
    } else if let Some(label) = observed.label {
        arm_of_label(label, context, route, treatment)
            .map(Some)
            .ok_or(Ignored::LabelNotInRollout)
    } else {
        Ok(observed.arm)
    };
    let cluster = treatment.cluster(user);
    match claimed {
        Ok(Some(arm)) => counts(arm, cluster, Known::Claimed(user)),
        Ok(None) => counts(split.arm, cluster, Known::Split(user)),
        Err(reason) => Worth::Ignored(reason),
    }
}

fn arm_of_version(version: Version, context: &Context<'_>) -> Option<Arm> {
    let state = &context.status.rollout.as_deref()?.state;
    if version == state.candidate {
        Some(Arm::Treatment)
    } else if version == state.stable {
        Some(Arm::Control)
    } else {
        None
    }
}

/// The arm that has the version which the label points at: after the promotion, the control label
/// points at the candidate.
fn arm_of_label(label: &str, context: &Context<'_>, route: &Route, treatment: &Treatment) -> Option<Arm> {
    let version = if label == treatment.served.label.as_str() {
        treatment.served.version
    } else if label == route.control.label.as_str() {
        let labels = context.status.labels.as_ref();
        labels
            .and_then(|labels| labels.control.version)
            .or(route.control.version)
    } else {
        None
    };
    arm_of_version(version?, context)
}

fn observed<'l>(line: &'l Line<'_>, receipts: &ReceiptKey) -> Result<Observed<'l>, Refusal> {
    let user = text(line.user.as_ref(), "user")?.map(UserKey::new).transpose();
    let user =
        user.map_err(|refused| Refusal::new(RefusalCode::BadUser, format!("`user` {}", refused.rule())))?;
    let anonymous = text(line.anonymous.as_ref(), "anonymous")?
        .map(UserKey::new)
        .transpose();
    let anonymous = anonymous
        .map_err(|refused| Refusal::new(RefusalCode::BadUser, format!("`anonymous` {}", refused.rule())))?;
    let receipt = text(line.receipt.as_ref(), "receipt")?
        .map(|text| receipts.verify(text))
        .transpose();
    let receipt = receipt.map_err(|refused| Refusal::new(RefusalCode::BadReceipt, refused.to_string()))?;
    if user.is_none() && receipt.is_none() {
        let detail = "neither `user` nor `receipt` is there: one of them says whom the values are about";
        return Err(Refusal::new(RefusalCode::NoUserOrReceipt, detail));
    }
    let arm = text(line.arm.as_ref(), "arm")?.map(str::parse).transpose();
    let (version, fallback) = match version(line.version.as_ref()) {
        Err(refusal) if refusal.code == RefusalCode::FallbackVersion => (None, Some(refusal)),
        version => (version?, None),
    };
    Ok(Observed {
        user,
        anonymous,
        receipt,
        version,
        fallback,
        label: text(line.label.as_ref(), "label")?,
        arm: arm
            .map_err(|_| Refusal::new(RefusalCode::BadField, "`arm` must be `control` or `treatment`"))?,
    })
}

/// A field that must be a string; `null` is as good as absent.
pub(super) fn text<'l>(value: Option<&'l Value<'_>>, key: &str) -> Result<Option<&'l str>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(
            other @ (Value::Whole(_) | Value::Number(_) | Value::Truth(_) | Value::List | Value::Object),
        ) => {
            let detail = format!("`{key}` must be a string, not {}", other.kind());
            Err(Refusal::new(RefusalCode::BadField, detail))
        }
    }
}

fn version(value: Option<&Value<'_>>) -> Result<Option<Version>, Refusal> {
    let refused = || Refusal::new(RefusalCode::BadField, "`version` must be a whole number from 1");
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Whole(0)) => {
            let detail = "version 0 is a fallback of the application, and says nothing about the prompt";
            Err(Refusal::new(RefusalCode::FallbackVersion, detail))
        }
        Some(Value::Whole(number)) => {
            let version = u32::try_from(*number)
                .ok()
                .and_then(|number| Version::new(number).ok());
            version.map(Some).ok_or_else(refused)
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and in range"
        )]
        Some(Value::Number(number))
            if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number) =>
        {
            version(Some(&Value::Whole(*number as u64)))
        }
        Some(Value::Text(_) | Value::Number(_) | Value::Truth(_) | Value::List | Value::Object) => {
            Err(refused())
        }
    }
}

/// The position of a metric in the policy; `guess` is looked at first, because senders keep their order.
pub(super) fn position(policy: &Policy, name: &str, guess: usize) -> Option<usize> {
    if policy
        .metrics
        .get(guess)
        .is_some_and(|metric| metric.name.as_str() == name)
    {
        return Some(guess);
    }
    policy
        .metrics
        .iter()
        .position(|metric| metric.name.as_str() == name)
}

/// The refusal of a metric that the policy does not have.
pub(super) fn unknown_metric(policy: &Policy, name: &str) -> Refusal {
    let known = policy.metrics.iter().map(|metric| metric.name.as_str());
    let hint = spelling::hint(name, known);
    let detail = format!("policy `{}` has no metric `{}`{hint}", policy.name, shown(name));
    Refusal::new(RefusalCode::UnknownMetric, detail)
}

/// The value as the metric's tally counts it; it must be a number in the metric's range.
pub(super) fn observation(metric: &Metric, value: &Value<'_>) -> Result<Observation, Refusal> {
    let number = match (value, metric.kind) {
        (Value::Number(number), _) => *number,
        #[expect(clippy::cast_precision_loss, reason = "observations are 64-bit floats")]
        (Value::Whole(number), _) => *number as f64,
        (Value::Truth(truth), MetricKind::Rate) => f64::from(u8::from(*truth)),
        (Value::Text(_) | Value::Truth(_) | Value::Null | Value::List | Value::Object, _) => {
            let detail = format!("`{}` must be a number, not {}", metric.name, value.kind());
            return Err(Refusal::new(RefusalCode::NotANumber, detail));
        }
    };
    let (least, greatest) = metric.kind.range();
    let rule = match metric.kind {
        MetricKind::Rate if ![0.0, 1.0].contains(&number) => "must be 0, 1, true or false".to_owned(),
        MetricKind::Latency { unit, .. } if !(least..=greatest).contains(&(number / unit.per_second())) => {
            let most = greatest * unit.per_second();
            format!("must be from {least} to {most}, in `{}`", unit.as_str())
        }
        MetricKind::Score { .. } | MetricKind::Amount { .. } if !(least..=greatest).contains(&number) => {
            format!("must be from {least} to {greatest}")
        }
        MetricKind::Latency { unit, .. } => {
            return Ok(Observation::of(metric, number / unit.per_second()));
        }
        MetricKind::Rate | MetricKind::Score { .. } | MetricKind::Amount { .. }
            if number.abs() <= VALUE_MAGNITUDE_MAX =>
        {
            return Ok(Observation::of(metric, number));
        }
        MetricKind::Rate | MetricKind::Score { .. } | MetricKind::Amount { .. } => {
            format!("must be within ±{VALUE_MAGNITUDE_MAX:e}")
        }
    };
    let detail = format!("`{}` is {number}, and {rule}", metric.name);
    Err(Refusal::new(RefusalCode::OutOfRange, detail))
}

/// First 128 bits of SHA-256 over policy and id, so that ids of different policies never meet.
pub(super) fn fingerprint(policy: &PolicyName, id: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(policy.as_str().as_bytes());
    // No policy name holds this byte, so the two parts cannot be shifted against each other.
    hash.update([0]);
    hash.update(id.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest[..16]);
    fingerprint
}

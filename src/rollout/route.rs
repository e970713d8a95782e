//! From a policy and the state of its rollout to the route that assignments are answered from.

use super::{ObservedLabels, Phase, RolloutState};
use crate::assignment::admission::{GroupPart, Range, Segment};
use crate::assignment::bucket::{Purpose, SECRET_BYTES, SplitKey, SplitSalt};
use crate::assignment::line::Line;
use crate::assignment::{Admission, Idle, Route, Served, Treatment};
use crate::ids::{Exposure, Salt, Version};
use crate::policy::Policy;
use std::sync::Arc;

/// How users of `policy` are served.
///
/// `state` is the running rollout or the last one, under the policy that it runs by. `labels` are
/// the last that the registry showed; without them the version of an idle policy follows from how
/// its last rollout ended.
pub fn route(
    policy: &Policy,
    state: Option<&RolloutState>,
    labels: Option<&ObservedLabels>,
    secret: &[u8; SECRET_BYTES],
) -> Route {
    let stable = match state {
        // Once promoted, the control label moves, and whoever is outside of the rollout is served by it.
        Some(state) if state.phase.is_beyond_ladder() => labels
            .and_then(|labels| labels.control.version)
            .or(Some(state.stable)),
        Some(state) if !state.phase.is_over() => Some(state.stable),
        Some(_) | None => labels
            .and_then(|labels| labels.control.version)
            .or_else(|| state.and_then(version_at_end)),
    };
    Route {
        policy: policy.name.clone(),
        prompt: policy.prompt.clone(),
        control: Served {
            label: policy.labels.control.clone(),
            version: stable,
        },
        treatment: state.and_then(|state| treatment(policy, state, secret)),
        idle: idle(state),
    }
}

fn treatment(policy: &Policy, state: &RolloutState, secret: &[u8; SECRET_BYTES]) -> Option<Treatment> {
    if state.exposure(policy) == Exposure::NOBODY {
        return None;
    }
    let salt = SplitSalt::of(policy.assignment.salt.as_ref(), &policy.name, state.candidate);
    let beyond = state.phase.is_beyond_ladder();
    let step = state.phase.step().and_then(|step| policy.steps.get(step));
    Some(Treatment {
        served: Served {
            label: policy.labels.treatment.clone(),
            version: Some(state.candidate),
        },
        exposure: step.map_or(Exposure::EVERYBODY, |step| step.exposure),
        // The control label moves with the promotion: from then on nobody can be held back.
        holdback: if beyond {
            Exposure::NOBODY
        } else {
            policy.assignment.holdback
        },
        rollout: state.id,
        generation: state.generation,
        line: Line::new(policy.assignment.scheme, &policy.name, &salt, secret),
        cluster_key: SplitKey::derive(secret, Purpose::Cluster, &salt),
        admission: admission(policy, secret),
        forced_treatment: Arc::new(policy.assignment.force.treatment.clone()),
        forced_control: Arc::new(policy.assignment.force.control.clone()),
    })
}

/// Who may enter, whatever other policies and the server take from it; also after the promotion, when
/// everybody has the candidate, so that the same users count.
fn admission(policy: &Policy, secret: &[u8; SECRET_BYTES]) -> Admission {
    let targeting = &policy.assignment.targeting;
    let segment = targeting.segment.as_ref().map(|segment| {
        let salt = segment.salt.as_ref().map_or(policy.name.as_str(), Salt::as_str);
        Segment {
            share: segment.share,
            key: SplitKey::of_text(secret, Purpose::Segment, salt),
        }
    });
    let group = policy.assignment.group.as_ref().map(|group| GroupPart {
        name: group.name.clone(),
        key: SplitKey::of_text(secret, Purpose::Group, group.name.as_str()),
        range: Range {
            from: group.from,
            to: group.to,
        },
        taken: Vec::new(),
    });
    Admission {
        conditions: targeting.conditions.clone().into(),
        segment,
        group,
        reserve: None,
    }
}

fn version_at_end(state: &RolloutState) -> Option<Version> {
    match &state.phase {
        Phase::Promoted => Some(state.candidate),
        Phase::RolledBack { .. } => Some(state.stable),
        Phase::Superseded { .. } => Some(if state.promoted {
            state.candidate
        } else {
            state.stable
        }),
        Phase::Pending
        | Phase::Ramping { .. }
        | Phase::Paused { .. }
        | Phase::Promoting
        | Phase::Watching
        | Phase::RollingBack { .. } => None,
    }
}

fn idle(state: Option<&RolloutState>) -> Idle {
    match state.map(|state| &state.phase) {
        Some(Phase::Pending | Phase::Paused { .. }) => Idle::Pending,
        Some(Phase::RollingBack { .. } | Phase::RolledBack { .. }) => Idle::RolledBack,
        Some(Phase::Promoted | Phase::Promoting | Phase::Watching) => Idle::Promoted,
        Some(Phase::Ramping { .. } | Phase::Superseded { .. }) | None => Idle::NoRollout,
    }
}

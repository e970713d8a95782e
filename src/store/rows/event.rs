//! Audit events as JSON: transitions with the whole state after them, label moves, refused commands.

use super::assessment::AssessmentRow;
use super::fallback::FallbackRow;
use super::label_move::{LabelMoveRow, OutcomeRow};
use super::notice::{NoticeOutcomeRow, NoticeRow};
use super::phase::{ApprovalRow, CauseRow, PhaseRow};
use super::{Number, Text, corrupt};
use crate::ids::{
    Actor, CacheName, Generation, Justification, Label, PolicyName, RegistryName, Revision, RolloutId,
};
use crate::rollout::{
    Approval, AuditEvent, CacheOutcome, Command, Effect, Objection, Refusal, RolloutState, Transition, Verb,
};
use crate::store::StoreError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An [`AuditEvent`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub(in crate::store) enum EventRow {
    Moved(Box<TransitionRow>),
    LabelMove {
        label_move: LabelMoveRow,
        outcome: OutcomeRow,
    },
    Registry {
        registry: Text<RegistryName>,
        since: Text<Timestamp>,
        error: Option<String>,
    },
    Cache {
        cache: Text<CacheName>,
        label: Text<Label>,
        version: Option<Number>,
        /// The cache's words, where it failed.
        error: Option<String>,
    },
    Fallback(FallbackRow),
    Notice {
        notice: NoticeRow,
        outcome: NoticeOutcomeRow,
    },
    Refused {
        verb: VerbRow,
        actor: Text<Actor>,
        reason: Text<Justification>,
        refused_verb: VerbRow,
        phase: String,
        why: String,
        /// Absent in what was written before objections had kinds.
        #[serde(default)]
        objection: ObjectionRow,
        #[serde(default)]
        is_admin: bool,
    },
}

impl From<&AuditEvent> for EventRow {
    fn from(event: &AuditEvent) -> Self {
        match event {
            AuditEvent::Moved(transition) => Self::Moved(Box::new(transition.as_ref().into())),
            AuditEvent::LabelMove { label_move, outcome } => Self::LabelMove {
                label_move: label_move.into(),
                outcome: outcome.into(),
            },
            AuditEvent::Registry {
                registry,
                since,
                error,
            } => Self::Registry {
                registry: Text(registry.clone()),
                since: Text(*since),
                error: error.clone(),
            },
            AuditEvent::Cache {
                cache,
                label,
                version,
                outcome,
            } => Self::Cache {
                cache: Text(cache.clone()),
                label: Text(label.clone()),
                version: version.map(Number),
                error: match outcome {
                    CacheOutcome::Cleared => None,
                    CacheOutcome::Failed { error } => Some(error.clone()),
                },
            },
            AuditEvent::Fallback(fallback) => Self::Fallback(fallback.into()),
            AuditEvent::Notice { notice, outcome } => Self::Notice {
                notice: notice.into(),
                outcome: outcome.into(),
            },
            AuditEvent::Refused { command, refusal } => Self::Refused {
                verb: command.verb.into(),
                actor: Text(command.actor.clone()),
                reason: Text(command.reason.clone()),
                refused_verb: refusal.verb.into(),
                phase: refusal.phase.clone().into_owned(),
                why: refusal.why.clone().into_owned(),
                objection: refusal.objection.into(),
                is_admin: command.is_admin,
            },
        }
    }
}

impl TryFrom<EventRow> for AuditEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        Ok(match row {
            EventRow::Moved(transition) => Self::Moved(Box::new((*transition).try_into()?)),
            EventRow::LabelMove { label_move, outcome } => Self::LabelMove {
                label_move: label_move.into(),
                outcome: outcome.into(),
            },
            EventRow::Registry {
                registry,
                since,
                error,
            } => Self::Registry {
                registry: registry.0,
                since: since.0,
                error,
            },
            EventRow::Cache {
                cache,
                label,
                version,
                error,
            } => Self::Cache {
                cache: cache.0,
                label: label.0,
                version: version.map(|version| version.0),
                outcome: match error {
                    None => CacheOutcome::Cleared,
                    Some(error) => CacheOutcome::Failed { error },
                },
            },
            EventRow::Fallback(fallback) => Self::Fallback(fallback.into()),
            EventRow::Notice { notice, outcome } => Self::Notice {
                notice: notice.into(),
                outcome: outcome.into(),
            },
            EventRow::Refused {
                verb,
                actor,
                reason,
                refused_verb,
                phase,
                why,
                objection,
                is_admin,
            } => Self::Refused {
                command: Command {
                    verb: verb.into(),
                    actor: actor.0,
                    reason: reason.0,
                    is_admin,
                },
                refusal: Refusal {
                    verb: refused_verb.into(),
                    phase: phase.into(),
                    why: why.into(),
                    objection: objection.into(),
                },
            },
        })
    }
}

/// A [`Transition`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct TransitionRow {
    from: PhaseRow,
    to: StateRow,
    cause: CauseRow,
    assessment: Option<AssessmentRow>,
    effects: Vec<EffectRow>,
}

impl From<&Transition> for TransitionRow {
    fn from(transition: &Transition) -> Self {
        Self {
            from: (&transition.from).into(),
            to: (&transition.to).into(),
            cause: (&transition.cause).into(),
            assessment: transition.assessment.as_ref().map(AssessmentRow::from),
            effects: transition.effects.iter().map(EffectRow::from).collect(),
        }
    }
}

impl TryFrom<TransitionRow> for Transition {
    type Error = StoreError;

    fn try_from(row: TransitionRow) -> Result<Self, StoreError> {
        Ok(Self {
            from: row.from.into(),
            to: row.to.try_into()?,
            cause: row.cause.into(),
            assessment: row.assessment.map(Into::into),
            effects: row.effects.into_iter().map(Effect::from).collect(),
        })
    }
}

/// A [`RolloutState`] as it was after a transition.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StateRow {
    id: Text<RolloutId>,
    policy: Text<PolicyName>,
    /// All 32 bytes, in base64.
    revision: String,
    stable: Number,
    candidate: Number,
    phase: PhaseRow,
    generation: u64,
    started_at: Text<Timestamp>,
    entered_at: Text<Timestamp>,
    changed_at: Text<Timestamp>,
    treated_at_entry: u64,
    stepped_back: bool,
    promoted: bool,
    fail_overruled: bool,
    approvals: Vec<ApprovalRow>,
    /// Absent in what was written before authors were kept.
    #[serde(default)]
    author: Option<Text<Actor>>,
}

impl From<&RolloutState> for StateRow {
    fn from(state: &RolloutState) -> Self {
        Self {
            id: Text(state.id),
            policy: Text(state.policy.clone()),
            revision: BASE64.encode(state.revision.bytes()),
            stable: Number(state.stable),
            candidate: Number(state.candidate),
            phase: (&state.phase).into(),
            generation: state.generation.get(),
            started_at: Text(state.started_at),
            entered_at: Text(state.entered_at),
            changed_at: Text(state.changed_at),
            treated_at_entry: state.treated_at_entry,
            stepped_back: state.stepped_back,
            promoted: state.promoted,
            fail_overruled: state.fail_overruled,
            approvals: state.approvals.iter().map(ApprovalRow::from).collect(),
            author: state.author.clone().map(Text),
        }
    }
}

impl TryFrom<StateRow> for RolloutState {
    type Error = StoreError;

    fn try_from(row: StateRow) -> Result<Self, StoreError> {
        let revision: [u8; 32] = BASE64
            .decode(&row.revision)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| corrupt("a revision", "it is not 32 bytes in base64"))?;
        Ok(Self {
            id: row.id.0,
            policy: row.policy.0,
            revision: Revision::from(revision),
            stable: row.stable.0,
            candidate: row.candidate.0,
            phase: row.phase.into(),
            generation: Generation::new(row.generation),
            started_at: row.started_at.0,
            entered_at: row.entered_at.0,
            changed_at: row.changed_at.0,
            treated_at_entry: row.treated_at_entry,
            stepped_back: row.stepped_back,
            promoted: row.promoted,
            fail_overruled: row.fail_overruled,
            approvals: row.approvals.into_iter().map(Approval::from).collect(),
            author: row.author.map(|author| author.0),
        })
    }
}

/// An [`Effect`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "camelCase")]
enum EffectRow {
    MoveLabel(LabelMoveRow),
    Notify(NoticeRow),
}

impl From<&Effect> for EffectRow {
    fn from(effect: &Effect) -> Self {
        match effect {
            Effect::MoveLabel(label_move) => Self::MoveLabel(label_move.into()),
            Effect::Notify(notice) => Self::Notify(notice.into()),
        }
    }
}

impl From<EffectRow> for Effect {
    fn from(row: EffectRow) -> Self {
        match row {
            EffectRow::MoveLabel(label_move) => Self::MoveLabel(label_move.into()),
            EffectRow::Notify(notice) => Self::Notify(notice.into()),
        }
    }
}

/// An [`Objection`].
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) enum ObjectionRow {
    #[default]
    Phase,
    Approver,
    ApprovalsMissing,
}

impl From<Objection> for ObjectionRow {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Phase => Self::Phase,
            Objection::Approver => Self::Approver,
            Objection::ApprovalsMissing => Self::ApprovalsMissing,
        }
    }
}

impl From<ObjectionRow> for Objection {
    fn from(row: ObjectionRow) -> Self {
        match row {
            ObjectionRow::Phase => Self::Phase,
            ObjectionRow::Approver => Self::Approver,
            ObjectionRow::ApprovalsMissing => Self::ApprovalsMissing,
        }
    }
}

/// A [`Verb`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) enum VerbRow {
    Pause,
    Resume,
    Step,
    Promote,
    RollBack,
    Approve,
}

impl From<Verb> for VerbRow {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Pause => Self::Pause,
            Verb::Resume => Self::Resume,
            Verb::Step => Self::Step,
            Verb::Promote => Self::Promote,
            Verb::RollBack => Self::RollBack,
            Verb::Approve => Self::Approve,
        }
    }
}

impl From<VerbRow> for Verb {
    fn from(row: VerbRow) -> Self {
        match row {
            VerbRow::Pause => Self::Pause,
            VerbRow::Resume => Self::Resume,
            VerbRow::Step => Self::Step,
            VerbRow::Promote => Self::Promote,
            VerbRow::RollBack => Self::RollBack,
            VerbRow::Approve => Self::Approve,
        }
    }
}

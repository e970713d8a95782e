//! The history of a rollout.

use super::cause::{CauseView, PhaseView};
use super::evidence::AssessmentView;
use super::parents::ParentsView;
use super::{moment, number};
use crate::api::schema::{
    ActorText, DnsLabel, LabelText, Moment, PromptNameText, RolloutIdText, VersionNumber,
};
use crate::rollout::fallback::FallbackKind;
use crate::rollout::{AuditEvent, AuditRecord, CacheOutcome, LabelMoveOutcome, NoticeOutcome, explain};
use serde::Serialize;
use utoipa::ToSchema;

/// A rollout's history, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// The page.
    pub records: Vec<AuditRecordView>,
    /// What to send as `after` for the next page; null on the last one.
    pub next: Option<u64>,
}

/// One entry of a rollout's history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub struct AuditRecordView {
    /// Position in the whole history.
    #[schema(minimum = 1)]
    sequence: u64,
    /// When.
    #[schema(value_type = Moment)]
    at: String,
    /// The rollout.
    #[schema(value_type = RolloutIdText)]
    rollout: String,
    /// Its policy.
    #[schema(value_type = DnsLabel)]
    policy: String,
    /// What happened.
    event: EventView,
    /// What happened, as an English sentence.
    text: String,
}

/// What happened, by code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[schema(as = AuditEvent)]
enum EventView {
    /// A transition was committed.
    Moved {
        /// The phase before.
        from: Box<PhaseView>,
        /// The phase after.
        to: Box<PhaseView>,
        /// The generation after.
        generation: u64,
        /// Why.
        cause: Box<CauseView>,
        /// The numbers that it rests on, where it rests on numbers.
        assessment: Option<Box<AssessmentView>>,
    },
    /// A label move was tried.
    LabelMove {
        /// The label.
        #[schema(value_type = LabelText)]
        label: String,
        /// Where it was expected to point.
        #[schema(value_type = Option<VersionNumber>)]
        from: Option<u32>,
        /// Where it was to point.
        #[schema(value_type = VersionNumber)]
        to: u32,
        /// The generation on whose behalf.
        generation: u64,
        /// What came of it.
        outcome: OutcomeView,
        /// Prompts that change with it, because their texts take the label in.
        parents: ParentsView,
    },
    /// The registry was away for longer than a moment, or is back.
    Registry {
        /// Which.
        #[schema(value_type = DnsLabel)]
        registry: String,
        /// Since when it did not answer.
        #[schema(value_type = Moment)]
        since: String,
        /// Its words; null when it answers again.
        error: Option<String>,
    },
    /// The keys of a label that had moved were cleared in a cache of applications, or were to be.
    Cache {
        /// The cache.
        #[schema(value_type = DnsLabel)]
        cache: String,
        /// The label.
        #[schema(value_type = LabelText)]
        label: String,
        /// Where the label points; null when it is gone.
        #[schema(value_type = Option<VersionNumber>)]
        version: Option<u32>,
        /// What came of it.
        outcome: CacheOutcomeView,
    },
    /// Applications were not served as usual, or are again.
    Fallback {
        /// The prompt that they asked for.
        #[schema(value_type = PromptNameText)]
        prompt: String,
        /// By which label; null where they asked by version.
        #[schema(value_type = Option<LabelText>)]
        label: Option<String>,
        /// What they got instead: `stale` is what was read earlier, and everything else is a refusal.
        kind: FallbackKindView,
        /// What the first of them was told.
        error: String,
        /// When the first of them came.
        #[schema(value_type = Moment)]
        first: String,
        /// When the last of them came; null while it goes on.
        #[schema(value_type = Option<Moment>)]
        last: Option<String>,
        /// How many there were; null while it goes on.
        count: Option<u64>,
    },
    /// A notification was tried.
    Notice {
        /// What it tells.
        on: &'static str,
        /// Its place in the policy's `notify`, from 1.
        #[schema(minimum = 1)]
        number: usize,
        /// The generation that it tells of.
        generation: u64,
        /// What came of it.
        outcome: NoticeOutcomeView,
    },
    /// A person's command was refused.
    Refused {
        /// What was asked.
        command: &'static str,
        /// Who asked.
        #[schema(value_type = ActorText)]
        actor: String,
        /// Why they asked, in their words.
        reason: String,
        /// Why it was refused.
        refusal: String,
    },
}

/// What an application got instead of a prompt.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FallbackKind)]
enum FallbackKindView {
    /// What was read earlier: the registry did not answer.
    Stale,
    /// A refusal: the registry did not answer, and what was read is too old.
    Unavailable,
    /// A refusal: no version has the label.
    LabelMissing,
    /// A refusal: the variables are not those of the prompt.
    VariablesMismatch,
}

impl From<FallbackKind> for FallbackKindView {
    fn from(kind: FallbackKind) -> Self {
        match kind {
            FallbackKind::Stale => Self::Stale,
            FallbackKind::Unavailable => Self::Unavailable,
            FallbackKind::LabelMissing => Self::LabelMissing,
            FallbackKind::VariablesMismatch => Self::VariablesMismatch,
        }
    }
}

/// What came of clearing a cache.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
#[schema(as = CacheOutcome)]
enum CacheOutcomeView {
    /// The keys are not what they were before the move.
    Cleared,
    /// The cache failed; it is tried again.
    Failed {
        /// Its words.
        error: String,
    },
}

impl From<&CacheOutcome> for CacheOutcomeView {
    fn from(outcome: &CacheOutcome) -> Self {
        match outcome {
            CacheOutcome::Cleared => Self::Cleared,
            CacheOutcome::Failed { error } => Self::Failed { error: error.clone() },
        }
    }
}

/// What came of a label move.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
#[schema(as = LabelMoveOutcome)]
enum OutcomeView {
    /// Read back: the label is where it should be.
    Confirmed,
    /// The label was elsewhere, and was left there.
    Foreign {
        /// Where it is.
        #[schema(value_type = Option<VersionNumber>)]
        found: Option<u32>,
    },
    /// A later transition made it void.
    Superseded,
    /// The registry failed.
    Failed {
        /// Its words.
        error: String,
    },
}

/// What came of a notification.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
#[schema(as = NoticeOutcome)]
enum NoticeOutcomeView {
    /// The other side has taken it.
    Delivered,
    /// It did not; it is tried again.
    Failed {
        /// Its words.
        error: String,
    },
    /// It is not tried again.
    GivenUp {
        /// Its words.
        error: String,
    },
}

impl From<&NoticeOutcome> for NoticeOutcomeView {
    fn from(outcome: &NoticeOutcome) -> Self {
        match outcome {
            NoticeOutcome::Delivered => Self::Delivered,
            NoticeOutcome::Failed { error } => Self::Failed { error: error.clone() },
            NoticeOutcome::GivenUp { error } => Self::GivenUp { error: error.clone() },
        }
    }
}

impl From<&LabelMoveOutcome> for OutcomeView {
    fn from(outcome: &LabelMoveOutcome) -> Self {
        match outcome {
            LabelMoveOutcome::Confirmed => Self::Confirmed,
            LabelMoveOutcome::Foreign { found } => Self::Foreign {
                found: number(*found),
            },
            LabelMoveOutcome::Superseded => Self::Superseded,
            LabelMoveOutcome::Failed { error } => Self::Failed { error: error.clone() },
        }
    }
}

impl From<&AuditEvent> for EventView {
    fn from(event: &AuditEvent) -> Self {
        match event {
            AuditEvent::Moved(transition) => Self::Moved {
                from: Box::new((&transition.from).into()),
                to: Box::new((&transition.to.phase).into()),
                generation: transition.to.generation.get(),
                cause: Box::new((&transition.cause).into()),
                assessment: transition
                    .assessment
                    .as_ref()
                    .map(|assessment| Box::new(assessment.into())),
            },
            AuditEvent::LabelMove { label_move, outcome } => Self::LabelMove {
                label: label_move.label.to_string(),
                from: number(label_move.from),
                to: label_move.to.get(),
                generation: label_move.generation.get(),
                outcome: outcome.into(),
                parents: (&label_move.parents).into(),
            },
            AuditEvent::Registry {
                registry,
                since,
                error,
            } => Self::Registry {
                registry: registry.to_string(),
                since: moment(*since),
                error: error.clone(),
            },
            AuditEvent::Cache {
                cache,
                label,
                version,
                outcome,
            } => Self::Cache {
                cache: cache.to_string(),
                label: label.to_string(),
                version: number(*version),
                outcome: outcome.into(),
            },
            AuditEvent::Fallback(fallback) => Self::Fallback {
                prompt: fallback.prompt.to_string(),
                label: fallback.label.as_ref().map(ToString::to_string),
                kind: fallback.kind.into(),
                error: fallback.words.clone(),
                first: moment(fallback.first),
                last: fallback.end.map(|end| moment(end.last)),
                count: fallback.end.map(|end| end.count),
            },
            AuditEvent::Notice { notice, outcome } => Self::Notice {
                on: notice.on.as_str(),
                number: notice.place + 1,
                generation: notice.generation.get(),
                outcome: outcome.into(),
            },
            AuditEvent::Refused { command, refusal } => Self::Refused {
                command: command.verb.as_str(),
                actor: command.actor.to_string(),
                reason: command.reason.to_string(),
                refusal: refusal.to_string(),
            },
        }
    }
}

impl From<&AuditRecord> for AuditRecordView {
    fn from(record: &AuditRecord) -> Self {
        Self {
            sequence: record.sequence,
            at: moment(record.at),
            rollout: record.rollout.to_string(),
            policy: record.policy.to_string(),
            event: (&record.event).into(),
            text: explain::event(&record.event),
        }
    }
}

//! A store whose calls pass through hazards.

use super::hazards::{Hazards, Strike};
use crate::ids::{Actor, CacheName, Label, PolicyName, PromptName, Revision, RolloutId, Tick, Version};
use crate::prompt::parents::Compositions;
use crate::prompt::{
    Draft, Evaluation, LabelChange, LabelRequest, Moved, PromptError, PromptStore, PromptSummary,
    PromptVersion, Withdrawal,
};
use crate::rollout::{
    AuditEvent, AuditRecord, Checkpoint, LabelMoveOutcome, NoticeOutcome, RolloutState, Transition,
};
use crate::store::{
    Batch, BatchReceipt, Begun, Clearing, ClearingStore, ClosedTicks, EffectId, FailingNotices, Loaded,
    NewRollout, NoticeId, NoticeStore, PendingEffect, PendingNotice, Point, PointStore, Score, ScoreFilter,
    ScorePage, ScoreStore, ScoreSubject, Secret, SeenLabel, Serving, Store, StoreError, TokenRecord,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A store that crashes and fails as its hazards say, and is the store behind it otherwise.
#[derive(Clone)]
pub struct HazardousStore {
    behind: Arc<dyn Store>,
    hazards: Arc<Hazards>,
}

impl HazardousStore {
    /// Puts `hazards` in front of `behind`.
    pub fn new(behind: Arc<dyn Store>, hazards: Arc<Hazards>) -> Self {
        Self { behind, hazards }
    }
}

impl std::fmt::Debug for HazardousStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HazardousStore")
            .field("hazards", &self.hazards)
            .finish_non_exhaustive()
    }
}

/// Makes a call between two points of the hazards, unless a fault strikes it.
macro_rules! through {
    ($self:ident.$call:ident($($argument:expr),*)) => {{
        $self.hazards.point().await;
        let fault = $self.hazards.next_store_fault();
        if let Some(fault @ Strike::BeforeCall) = fault {
            return Err(fault.store_error());
        }
        let answer = $self.behind.$call($($argument),*).await;
        $self.hazards.point().await;
        match fault {
            Some(fault) => Err(fault.store_error()),
            None => answer,
        }
    }};
}

#[async_trait]
impl Store for HazardousStore {
    async fn secret(&self) -> Result<Secret, StoreError> {
        through!(self.secret())
    }

    async fn load(&self) -> Result<Loaded, StoreError> {
        through!(self.load())
    }

    async fn begin(&self, start: NewRollout) -> Result<Begun, StoreError> {
        through!(self.begin(start))
    }

    async fn commit(
        &self,
        at: Timestamp,
        transition: &Transition,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Vec<PendingEffect>, StoreError> {
        through!(self.commit(at, transition, checkpoint))
    }

    async fn record_effect(
        &self,
        at: Timestamp,
        effect: EffectId,
        outcome: LabelMoveOutcome,
    ) -> Result<(), StoreError> {
        through!(self.record_effect(at, effect, outcome))
    }

    async fn record_event(
        &self,
        at: Timestamp,
        rollout: RolloutId,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        through!(self.record_event(at, rollout, event))
    }

    async fn save_checkpoint(&self, rollout: RolloutId, checkpoint: Checkpoint) -> Result<(), StoreError> {
        through!(self.save_checkpoint(rollout, checkpoint))
    }

    async fn checkpoint(&self, rollout: RolloutId) -> Result<Option<Checkpoint>, StoreError> {
        through!(self.checkpoint(rollout))
    }

    async fn ingest(&self, batch: Batch) -> Result<BatchReceipt, StoreError> {
        through!(self.ingest(batch))
    }

    async fn closed_ticks(&self, rollout: RolloutId, after: Option<Tick>) -> Result<ClosedTicks, StoreError> {
        through!(self.closed_ticks(rollout, after))
    }

    async fn rollout(&self, rollout: RolloutId) -> Result<Option<RolloutState>, StoreError> {
        through!(self.rollout(rollout))
    }

    async fn rollouts(
        &self,
        policy: Option<&PolicyName>,
        before: Option<RolloutId>,
        limit: usize,
    ) -> Result<Vec<RolloutState>, StoreError> {
        through!(self.rollouts(policy, before, limit))
    }

    async fn audit(
        &self,
        rollout: RolloutId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        through!(self.audit(rollout, after, limit))
    }

    async fn policy_source(&self, revision: &Revision) -> Result<Option<Arc<str>>, StoreError> {
        through!(self.policy_source(revision))
    }

    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        through!(self.add_token(token))
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        through!(self.tokens())
    }

    async fn revoke_token(&self, name: &str) -> Result<bool, StoreError> {
        through!(self.revoke_token(name))
    }
}

/// The controller asks registries for prompts, never the store: these calls know no hazards.
#[async_trait]
impl PromptStore for HazardousStore {
    async fn create_version(
        &self,
        prompt: &PromptName,
        draft: Draft,
        author: Actor,
        labels: Vec<LabelRequest>,
    ) -> Result<PromptVersion, PromptError> {
        self.behind.create_version(prompt, draft, author, labels).await
    }

    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, PromptError> {
        self.behind.version(prompt, version).await
    }

    async fn versions(
        &self,
        prompt: &PromptName,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<PromptVersion>, PromptError> {
        self.behind.versions(prompt, before, limit).await
    }

    async fn version_times(&self, prompt: &PromptName) -> Result<BTreeMap<Version, Timestamp>, PromptError> {
        self.behind.version_times(prompt).await
    }

    async fn prompts(
        &self,
        after: Option<&PromptName>,
        limit: usize,
    ) -> Result<Vec<PromptSummary>, PromptError> {
        self.behind.prompts(after, limit).await
    }

    async fn prompt(&self, prompt: &PromptName) -> Result<PromptSummary, PromptError> {
        self.behind.prompt(prompt).await
    }

    async fn change_label(&self, request: LabelRequest) -> Result<LabelChange, PromptError> {
        self.behind.change_label(request).await
    }

    async fn change_labels(&self, requests: Vec<LabelRequest>) -> Result<Vec<LabelChange>, PromptError> {
        self.behind.change_labels(requests).await
    }

    async fn history(
        &self,
        prompt: &PromptName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LabelChange>, PromptError> {
        self.behind.history(prompt, before, limit).await
    }

    async fn moved_since(&self, after: u64, prompts_max: usize) -> Result<Option<Moved>, PromptError> {
        self.behind.moved_since(after, prompts_max).await
    }

    async fn compositions(&self, known: Option<u64>) -> Result<Option<(u64, Compositions)>, PromptError> {
        self.behind.compositions(known).await
    }

    async fn protect_label(
        &self,
        prompt: &PromptName,
        label: &Label,
        protected: bool,
    ) -> Result<(), PromptError> {
        self.behind.protect_label(prompt, label, protected).await
    }

    async fn withdraw(&self, request: Withdrawal) -> Result<(), PromptError> {
        self.behind.withdraw(request).await
    }

    async fn record_evaluation(
        &self,
        prompt: &PromptName,
        version: Version,
        evaluation: Evaluation,
    ) -> Result<(), PromptError> {
        self.behind.record_evaluation(prompt, version, evaluation).await
    }
}

/// The controller knows nothing of charts: these calls know no hazards.
#[async_trait]
impl PointStore for HazardousStore {
    async fn keep_points(&self, points: Vec<(RolloutId, Point)>) -> Result<(), StoreError> {
        self.behind.keep_points(points).await
    }

    async fn points(&self, rollout: RolloutId) -> Result<Vec<Point>, StoreError> {
        self.behind.points(rollout).await
    }
}

/// The controller knows nothing of caches: these calls know no hazards.
#[async_trait]
impl ClearingStore for HazardousStore {
    async fn follow_labels(
        &self,
        cache: &CacheName,
        at: Timestamp,
        seen: Vec<SeenLabel>,
        limit: usize,
    ) -> Result<Vec<Clearing>, StoreError> {
        self.behind.follow_labels(cache, at, seen, limit).await
    }

    async fn save_clearings(&self, clearings: Vec<Clearing>) -> Result<(), StoreError> {
        self.behind.save_clearings(clearings).await
    }
}

/// The controller delivers no notifications: these calls know no hazards.
#[async_trait]
impl NoticeStore for HazardousStore {
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<PendingNotice>, StoreError> {
        self.behind.due_notices(now, limit).await
    }

    async fn failing_notices(&self) -> Result<Vec<FailingNotices>, StoreError> {
        self.behind.failing_notices().await
    }

    async fn record_notice(
        &self,
        at: Timestamp,
        notice: NoticeId,
        outcome: NoticeOutcome,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.behind.record_notice(at, notice, outcome, due_at).await
    }
}

/// The controller knows nothing of scores: these calls know no hazards.
#[async_trait]
impl ScoreStore for HazardousStore {
    async fn keep_scores(&self, scores: Vec<Score>) -> Result<(), StoreError> {
        self.behind.keep_scores(scores).await
    }

    async fn settle_scores(&self, ids: Vec<String>) -> Result<(), StoreError> {
        self.behind.settle_scores(ids).await
    }

    async fn waiting_scores(
        &self,
        traces: BTreeSet<String>,
        sessions: BTreeSet<String>,
        limit: usize,
    ) -> Result<Vec<Score>, StoreError> {
        self.behind.waiting_scores(traces, sessions, limit).await
    }

    async fn scores(&self, filter: ScoreFilter, page: ScorePage) -> Result<Vec<(u64, Score)>, StoreError> {
        self.behind.scores(filter, page).await
    }

    async fn count_scores(&self, filter: ScoreFilter) -> Result<usize, StoreError> {
        self.behind.count_scores(filter).await
    }

    async fn note_servings(&self, servings: Vec<Serving>) -> Result<(), StoreError> {
        self.behind.note_servings(servings).await
    }

    async fn servings(&self, of: Vec<ScoreSubject>) -> Result<Vec<Vec<Serving>>, StoreError> {
        self.behind.servings(of).await
    }
}

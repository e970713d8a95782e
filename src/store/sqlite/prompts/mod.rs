//! Prompts of the embedded registry: immutable versions, labels, and the journal of their moves.

use super::queue::Lane;
use super::{SqliteStore, composed, page};
use crate::ids::{Actor, Label, PromptName, Version};
use crate::prompt::parents::Compositions;
use crate::prompt::{
    Draft, Evaluation, LabelChange, LabelRequest, Moved, PromptError, PromptStore, PromptSummary,
    PromptVersion, Withdrawal,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;

mod labels;
mod moved;
mod versions;
mod withdrawals;

#[async_trait]
impl PromptStore for SqliteStore {
    async fn create_version(
        &self,
        prompt: &PromptName,
        draft: Draft,
        author: Actor,
        labels: Vec<LabelRequest>,
    ) -> Result<PromptVersion, PromptError> {
        let prompt = prompt.clone();
        self.write(Lane::Control, move |group| {
            let created = versions::create(group.connection, group.now, &prompt, draft, author)?;
            for request in labels {
                let request = LabelRequest {
                    prompt: prompt.clone(),
                    to: Some(created.version),
                    ..request
                };
                labels::change(group.connection, group.now, request)?;
            }
            Ok(created)
        })
        .await
    }

    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, PromptError> {
        let prompt = prompt.clone();
        self.read(move |connection| versions::find(connection, &prompt, version))
            .await
    }

    async fn versions(
        &self,
        prompt: &PromptName,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<PromptVersion>, PromptError> {
        let prompt = prompt.clone();
        self.read(move |connection| versions::list(connection, &prompt, before, page(limit)))
            .await
    }

    async fn version_times(&self, prompt: &PromptName) -> Result<BTreeMap<Version, Timestamp>, PromptError> {
        let prompt = prompt.clone();
        self.read(move |connection| versions::times(connection, &prompt))
            .await
    }

    async fn prompts(
        &self,
        after: Option<&PromptName>,
        limit: usize,
    ) -> Result<Vec<PromptSummary>, PromptError> {
        let after = after.cloned();
        self.read(move |connection| versions::prompts(connection, after.as_ref(), page(limit)))
            .await
    }

    async fn prompt(&self, prompt: &PromptName) -> Result<PromptSummary, PromptError> {
        let prompt = prompt.clone();
        self.read(move |connection| versions::prompt(connection, &prompt))
            .await
    }

    async fn change_label(&self, request: LabelRequest) -> Result<LabelChange, PromptError> {
        self.write(Lane::Control, move |group| {
            labels::change(group.connection, group.now, request)
        })
        .await
    }

    async fn change_labels(&self, requests: Vec<LabelRequest>) -> Result<Vec<LabelChange>, PromptError> {
        self.write(Lane::Control, move |group| {
            let changes = requests.into_iter();
            changes
                .map(|request| labels::change(group.connection, group.now, request))
                .collect()
        })
        .await
    }

    async fn history(
        &self,
        prompt: &PromptName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LabelChange>, PromptError> {
        let prompt = prompt.clone();
        self.read(move |connection| labels::history(connection, &prompt, before, page(limit)))
            .await
    }

    async fn moved_since(&self, after: u64, prompts_max: usize) -> Result<Option<Moved>, PromptError> {
        self.read(move |connection| Ok(moved::since(connection, after, prompts_max)?))
            .await
    }

    async fn compositions(&self, known: Option<u64>) -> Result<Option<(u64, Compositions)>, PromptError> {
        self.read(move |connection| Ok(composed::since(connection, known)?))
            .await
    }

    async fn protect_label(
        &self,
        prompt: &PromptName,
        label: &Label,
        protected: bool,
    ) -> Result<(), PromptError> {
        let (prompt, label) = (prompt.clone(), label.clone());
        self.write(Lane::Control, move |group| {
            labels::protect(group.connection, &prompt, &label, protected)
        })
        .await
    }

    async fn withdraw(&self, request: Withdrawal) -> Result<(), PromptError> {
        self.write(Lane::Control, move |group| {
            withdrawals::withdraw(group.connection, group.now, request)
        })
        .await
    }

    async fn record_evaluation(
        &self,
        prompt: &PromptName,
        version: Version,
        evaluation: Evaluation,
    ) -> Result<(), PromptError> {
        let prompt = prompt.clone();
        self.write(Lane::Control, move |group| {
            versions::record_evaluation(group.connection, &prompt, version, evaluation)
        })
        .await
    }
}

//! Prompts of the embedded registry.

use super::{moment, number};
use crate::api::schema::{
    ActorText, DnsLabel, LabelText, Moment, PromptNameText, RolloutIdText, SemanticVersionText, VersionNumber,
};
use crate::prompt::template::Contract;
use crate::prompt::{
    ChatItem, Evaluation, LabelChange, PromptSummary, PromptVersion, Template, TemplateKind,
};
use crate::registry::ReadFrom;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Which kind of template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TemplateKind)]
pub enum KindView {
    /// One string.
    Text,
    /// Messages.
    Chat,
}

impl From<TemplateKind> for KindView {
    fn from(kind: TemplateKind) -> Self {
        match kind {
            TemplateKind::Text => Self::Text,
            TemplateKind::Chat => Self::Chat,
        }
    }
}

/// A text, or the items of a chat.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Template)]
pub enum TemplateView {
    /// One string with `{{variables}}`.
    Text(String),
    /// Messages and placeholders.
    Chat(Vec<ChatItemView>),
}

/// An item of a chat.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ChatItem)]
pub enum ChatItemView {
    /// A message.
    Message(MessageView),
    /// A place that the application fills with messages.
    Placeholder(PlaceholderView),
}

/// A message of a chat.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Message)]
pub struct MessageView {
    /// `system`, `user`, `assistant`, …
    #[schema(min_length = 1, max_length = 64)]
    pub role: String,
    /// With `{{variables}}`.
    pub content: String,
}

/// A place that the application fills with messages.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Placeholder)]
pub struct PlaceholderView {
    /// Its name.
    #[schema(min_length = 1, max_length = 64)]
    pub placeholder: String,
}

impl From<&Template> for TemplateView {
    fn from(template: &Template) -> Self {
        match template {
            Template::Text(text) => Self::Text(text.to_string()),
            Template::Chat(items) => Self::Chat(items.iter().map(Into::into).collect()),
        }
    }
}

impl From<&ChatItem> for ChatItemView {
    fn from(item: &ChatItem) -> Self {
        match item {
            ChatItem::Message { role, content } => Self::Message(MessageView {
                role: role.to_string(),
                content: content.to_string(),
            }),
            ChatItem::Placeholder { name } => Self::Placeholder(PlaceholderView {
                placeholder: name.to_string(),
            }),
        }
    }
}

impl From<TemplateView> for Template {
    fn from(template: TemplateView) -> Self {
        match template {
            TemplateView::Text(text) => Self::Text(text.into()),
            TemplateView::Chat(items) => Self::Chat(items.into_iter().map(Into::into).collect()),
        }
    }
}

impl From<ChatItemView> for ChatItem {
    fn from(item: ChatItemView) -> Self {
        match item {
            ChatItemView::Message(message) => Self::Message {
                role: message.role.into(),
                content: message.content.into(),
            },
            ChatItemView::Placeholder(place) => Self::Placeholder {
                name: place.placeholder.into(),
            },
        }
    }
}

/// One immutable version of a prompt.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PromptVersion)]
pub struct VersionView {
    /// The prompt.
    #[schema(value_type = PromptNameText)]
    name: String,
    /// The number, counted from 1.
    #[schema(value_type = VersionNumber)]
    version: u32,
    /// `text` or `chat`.
    #[serde(rename = "type")]
    kind: KindView,
    /// What it says.
    prompt: TemplateView,
    /// Model, temperature, response format, tools.
    #[schema(value_type = BTreeMap<String, Value>)]
    config: Map<String, Value>,
    /// `MAJOR.MINOR.PATCH`, where the author gave one.
    #[schema(value_type = Option<SemanticVersionText>)]
    semantic_version: Option<String>,
    /// Why it was made.
    reason: String,
    /// Who created it.
    #[schema(value_type = ActorText)]
    author: String,
    /// When.
    #[schema(value_type = Moment)]
    created_at: String,
    /// The team that answers for the prompt.
    owner: Option<String>,
    /// Free words to search by.
    tags: BTreeSet<String>,
    /// What the application must fill in.
    variables: BTreeSet<String>,
    /// What the application must fill with messages.
    placeholders: BTreeSet<String>,
    /// The labels that point at it.
    #[schema(value_type = Vec<LabelText>)]
    labels: Vec<String>,
    /// Evaluations, newest last.
    evaluations: Vec<EvaluationView>,
}

impl VersionView {
    /// Shows a version with the labels that point at it.
    pub fn new(version: &PromptVersion, contract: &Contract, summary: &PromptSummary) -> Self {
        let labels = summary.labels.iter().filter(|(_, at)| **at == version.version);
        let labels = labels.map(|(label, _)| label.to_string()).collect();
        Self::labelled(version, contract, labels)
    }

    /// Shows a version with these labels.
    pub fn labelled(version: &PromptVersion, contract: &Contract, labels: Vec<String>) -> Self {
        let draft = &version.draft;
        let text = |set: &BTreeSet<std::sync::Arc<str>>| set.iter().map(ToString::to_string).collect();
        Self {
            name: version.prompt.to_string(),
            version: version.version.get(),
            kind: draft.template.kind().into(),
            prompt: (&draft.template).into(),
            config: draft.config.clone(),
            semantic_version: draft.semantic_version.map(|version| version.to_string()),
            reason: draft.reason.to_string(),
            author: version.author.to_string(),
            created_at: moment(version.created_at),
            owner: draft.owner.as_deref().map(str::to_owned),
            tags: text(&draft.tags),
            variables: text(&contract.variables),
            placeholders: text(&contract.placeholders),
            labels,
            evaluations: version.evaluations.iter().map(Into::into).collect(),
        }
    }
}

/// A version, and whom it was assigned to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ResolvedPrompt)]
pub struct ResolvedView {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "the schema is that of the version itself")]
    pub version: VersionView,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "the schema is that of the reading itself")]
    pub reading: ReadingView,
    /// The assignment, where a user was given.
    pub assignment: Option<super::assignment::AssignmentView<'static>>,
    /// What to set on the span of the model call.
    #[serde(rename = "spanAttributes")]
    pub span_attributes: super::span::SpanAttributesView,
}

/// Where a version was read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PromptReading)]
pub struct ReadingView {
    /// The registry that has it.
    #[schema(value_type = DnsLabel)]
    pub registry: String,
    /// Whether the registry was asked for this answer.
    pub source: SourceView,
    /// Seconds since the registry was asked.
    pub age_seconds: u64,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PromptSource)]
pub enum SourceView {
    /// The registry was asked.
    Registry,
    /// It was read lately.
    Cache,
    /// It was read a while ago, and the registry is being asked.
    Stale,
}

impl From<ReadFrom> for SourceView {
    fn from(source: ReadFrom) -> Self {
        match source {
            ReadFrom::Registry => Self::Registry,
            ReadFrom::Cache => Self::Cache,
            ReadFrom::Stale => Self::Stale,
        }
    }
}

/// Scores of one version on one dataset.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Evaluation)]
pub struct EvaluationView {
    /// The dataset.
    dataset: String,
    /// When it was recorded.
    #[schema(value_type = Moment)]
    at: String,
    /// Who recorded it.
    #[schema(value_type = ActorText)]
    actor: String,
    /// By metric.
    scores: BTreeMap<String, f64>,
}

impl From<&Evaluation> for EvaluationView {
    fn from(evaluation: &Evaluation) -> Self {
        let scores = evaluation.scores.iter();
        Self {
            dataset: evaluation.dataset.to_string(),
            at: moment(evaluation.at),
            actor: evaluation.actor.to_string(),
            scores: scores
                .map(|(metric, score)| (metric.to_string(), *score))
                .collect(),
        }
    }
}

/// Versions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionsView {
    /// The page.
    pub versions: Vec<VersionView>,
    /// What to send as `before` for the next page; null on the last one.
    #[schema(value_type = Option<VersionNumber>)]
    pub next: Option<u32>,
}

/// A prompt in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PromptSummary)]
pub struct SummaryView {
    /// The prompt.
    #[schema(value_type = PromptNameText)]
    name: String,
    /// `text` or `chat`.
    #[serde(rename = "type")]
    kind: KindView,
    /// The newest version.
    #[schema(value_type = VersionNumber)]
    newest: u32,
    /// When the newest version was created.
    #[schema(value_type = Moment)]
    updated_at: String,
    /// Where each label points.
    labels: BTreeMap<String, u32>,
    /// The labels that only Serin and administrators move.
    #[schema(value_type = Vec<LabelText>)]
    protected: Vec<String>,
}

impl From<&PromptSummary> for SummaryView {
    fn from(summary: &PromptSummary) -> Self {
        let labels = summary.labels.iter();
        Self {
            name: summary.prompt.to_string(),
            kind: summary.kind.into(),
            newest: summary.newest.get(),
            updated_at: moment(summary.updated_at),
            labels: labels
                .map(|(label, version)| (label.to_string(), version.get()))
                .collect(),
            protected: summary.protected.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Prompts by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct SummariesView {
    /// The page.
    pub prompts: Vec<SummaryView>,
    /// What to send as `after` for the next page; null on the last one.
    #[schema(value_type = Option<PromptNameText>)]
    pub next: Option<String>,
}

/// A label change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LabelChange)]
pub struct LabelChangeView {
    /// Position in the journal.
    #[schema(minimum = 1)]
    sequence: u64,
    /// The label.
    #[schema(value_type = LabelText)]
    label: String,
    /// Where it pointed; null when it is new.
    #[schema(value_type = Option<VersionNumber>)]
    from: Option<u32>,
    /// Where it points; null when it was removed.
    #[schema(value_type = Option<VersionNumber>)]
    to: Option<u32>,
    /// When.
    #[schema(value_type = Moment)]
    at: String,
    /// Who.
    #[schema(value_type = ActorText)]
    actor: String,
    /// Why.
    reason: String,
    /// The rollout on whose behalf.
    #[schema(value_type = Option<RolloutIdText>)]
    rollout: Option<String>,
}

impl From<&LabelChange> for LabelChangeView {
    fn from(change: &LabelChange) -> Self {
        Self {
            sequence: change.sequence,
            label: change.label.to_string(),
            from: number(change.from),
            to: number(change.to),
            at: moment(change.at),
            actor: change.actor.to_string(),
            reason: change.reason.to_string(),
            rollout: change.rollout.map(|(rollout, _)| rollout.to_string()),
        }
    }
}

/// The journal of a prompt, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryView {
    /// The page.
    pub changes: Vec<LabelChangeView>,
    /// What to send as `before` for the next page; null on the last one.
    #[schema(minimum = 1)]
    pub next: Option<u64>,
}

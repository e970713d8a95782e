//! Drafts and scores as JSON.

use super::{Exact, Text};
use crate::ids::{Justification, MetricName};
use crate::prompt::{ChatItem, Draft, SemanticVersion, Template};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A [`Draft`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) struct DraftRow {
    template: TemplateRow,
    semantic_version: Option<Text<SemanticVersion>>,
    reason: Text<Justification>,
    config: serde_json::Map<String, serde_json::Value>,
    owner: Option<String>,
    tags: BTreeSet<String>,
}

impl From<Draft> for DraftRow {
    fn from(draft: Draft) -> Self {
        Self {
            template: draft.template.into(),
            semantic_version: draft.semantic_version.map(Text),
            reason: Text(draft.reason),
            config: draft.config,
            owner: draft.owner.map(|owner| owner.to_string()),
            tags: draft.tags.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<DraftRow> for Draft {
    fn from(row: DraftRow) -> Self {
        Self {
            template: row.template.into(),
            semantic_version: row.semantic_version.map(|version| version.0),
            reason: row.reason.0,
            config: row.config,
            owner: row.owner.map(Arc::from),
            tags: row.tags.into_iter().map(Arc::from).collect(),
        }
    }
}

/// A [`Template`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum TemplateRow {
    Text(String),
    Chat(Vec<ChatItemRow>),
}

impl From<Template> for TemplateRow {
    fn from(template: Template) -> Self {
        match template {
            Template::Text(text) => Self::Text(text.to_string()),
            Template::Chat(items) => Self::Chat(items.into_iter().map(ChatItemRow::from).collect()),
        }
    }
}

impl From<TemplateRow> for Template {
    fn from(row: TemplateRow) -> Self {
        match row {
            TemplateRow::Text(text) => Self::Text(text.into()),
            TemplateRow::Chat(items) => Self::Chat(items.into_iter().map(ChatItem::from).collect()),
        }
    }
}

/// A [`ChatItem`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "camelCase")]
enum ChatItemRow {
    Message { role: String, content: String },
    Placeholder { name: String },
}

impl From<ChatItem> for ChatItemRow {
    fn from(item: ChatItem) -> Self {
        match item {
            ChatItem::Message { role, content } => Self::Message {
                role: role.to_string(),
                content: content.to_string(),
            },
            ChatItem::Placeholder { name } => Self::Placeholder {
                name: name.to_string(),
            },
        }
    }
}

impl From<ChatItemRow> for ChatItem {
    fn from(row: ChatItemRow) -> Self {
        match row {
            ChatItemRow::Message { role, content } => Self::Message {
                role: role.into(),
                content: content.into(),
            },
            ChatItemRow::Placeholder { name } => Self::Placeholder { name: name.into() },
        }
    }
}

/// The scores of an evaluation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::store) struct ScoresRow(BTreeMap<Text<MetricName>, Exact>);

impl From<BTreeMap<MetricName, f64>> for ScoresRow {
    fn from(scores: BTreeMap<MetricName, f64>) -> Self {
        let scores = scores.into_iter();
        Self(
            scores
                .map(|(metric, score)| (Text(metric), Exact(score)))
                .collect(),
        )
    }
}

impl From<ScoresRow> for BTreeMap<MetricName, f64> {
    fn from(row: ScoresRow) -> Self {
        let scores = row.0.into_iter();
        scores.map(|(metric, score)| (metric.0, score.0)).collect()
    }
}

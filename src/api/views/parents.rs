//! Prompts that change with a label of another.

use crate::api::schema::{DnsLabel, LabelText, PromptNameText};
use crate::ids::{Label, PromptName, RegistryName};
use crate::prompt::parents::Compositions;
use crate::rollout::Parents;
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Prompts whose texts take in a label of another, and change for all of their users when it moves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Parents)]
pub struct ParentsView {
    /// Their labels; at most 20.
    labels: Vec<ParentView>,
    /// How many more there are.
    more: usize,
    /// Why there may be others; null when these are all.
    gap: Option<String>,
}

/// A label of a prompt whose text takes in another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Parent)]
pub struct ParentView {
    /// The prompt.
    #[schema(value_type = PromptNameText)]
    prompt: String,
    /// The label.
    #[schema(value_type = LabelText)]
    label: String,
}

/// What changes with the labels of a prompt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParentsOfPrompt)]
pub struct PromptParentsView {
    /// The prompt.
    #[schema(value_type = PromptNameText)]
    prompt: String,
    /// Where it is.
    #[schema(value_type = DnsLabel)]
    registry: String,
    /// Its labels that other prompts take in, by name.
    labels: Vec<LabelParentsView>,
    /// Why there may be others; null when these are all.
    gap: Option<String>,
}

/// A label, and what changes with it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParentsOfLabel)]
pub struct LabelParentsView {
    /// The label.
    #[schema(value_type = LabelText)]
    label: String,
    /// What changes with it.
    parents: ParentsView,
}

impl From<&Parents> for ParentsView {
    fn from(parents: &Parents) -> Self {
        let labels = parents.labels.iter();
        Self {
            labels: labels
                .map(|(prompt, label)| ParentView {
                    prompt: prompt.to_string(),
                    label: label.to_string(),
                })
                .collect(),
            more: parents.more,
            gap: parents.gap.clone(),
        }
    }
}

impl PromptParentsView {
    /// Those of a prompt, in a registry of which `all` is known.
    pub fn new(registry: &RegistryName, prompt: &PromptName, all: &Compositions) -> Self {
        let taken_in = all.taken_in();
        let labels: BTreeSet<&Label> = taken_in
            .iter()
            .filter(|(of, _)| of == prompt)
            .map(|(_, label)| label)
            .collect();
        let of = |label: &&Label| {
            let moved = BTreeSet::from([(prompt.clone(), (*label).clone())]);
            let found = all.parents(&moved);
            LabelParentsView {
                label: label.to_string(),
                parents: (&Parents::new(found.into_keys(), None)).into(),
            }
        };
        Self {
            prompt: prompt.to_string(),
            registry: registry.to_string(),
            labels: labels.iter().map(of).collect(),
            gap: all.gap.as_ref().map(|gap| gap.words().to_owned()),
        }
    }
}

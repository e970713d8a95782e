//! Prompts that refer to others, put together.

use super::prompt_view;
use super::refusal::Refusal;
use crate::api::prompt_reading::labelled;
use crate::ids::{PromptName, Version};
use crate::prompt::composition::{DEPTH_MAX, REFERENCES_MAX, Reference, Which, composed, references};
use crate::prompt::draft::TEMPLATE_BYTES_MAX;
use crate::prompt::{PromptError, Template};
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a prompt was put together from.
#[derive(Debug, Serialize)]
pub(in crate::api) struct GraphView {
    root: NodeView,
    /// By the id of the prompt that refers to them.
    dependencies: BTreeMap<String, Vec<NodeView>>,
}

#[derive(Debug, Clone, Serialize)]
struct NodeView {
    name: String,
    version: u32,
    id: String,
}

impl NodeView {
    fn new((name, version): &Node) -> Self {
        Self {
            name: name.to_string(),
            version: version.get(),
            id: prompt_view::id(name, *version),
        }
    }
}

/// A version of a prompt.
type Node = (PromptName, Version);

/// The template of `root` with every reference replaced; none where it has no references.
///
/// # Errors
///
/// 400 when a reference leads nowhere, to a chat, or back to where it came from, and when there are
/// more, deeper or longer ones than a prompt may have.
pub(in crate::api) async fn compose(
    store: &dyn Store,
    root: Node,
    template: &Template,
) -> Result<Option<(Template, GraphView)>, Refusal> {
    if references(template).is_empty() {
        return Ok(None);
    }
    let mut composer = Composer {
        store,
        texts: BTreeMap::new(),
        path: vec![root.clone()],
        dependencies: BTreeMap::new(),
        followed: 0,
    };
    let whole = composer.compose(template).await?;
    let graph = GraphView {
        root: NodeView::new(&root),
        dependencies: composer.dependencies,
    };
    Ok(Some((whole, graph)))
}

struct Composer<'s> {
    store: &'s dyn Store,
    /// What was put together already.
    texts: BTreeMap<Reference, String>,
    /// From the root to the prompt that is being put together.
    path: Vec<Node>,
    dependencies: BTreeMap<String, Vec<NodeView>>,
    followed: usize,
}

impl Composer<'_> {
    /// The template of the last prompt of the path, composed.
    async fn compose(&mut self, template: &Template) -> Result<Template, Refusal> {
        for reference in references(template) {
            let node = self.node(&reference).await?;
            if let Some(parent) = self.path.last() {
                let parent = prompt_view::id(&parent.0, parent.1);
                let parts = self.dependencies.entry(parent).or_default();
                if !parts
                    .iter()
                    .any(|part| part.id == prompt_view::id(&node.0, node.1))
                {
                    parts.push(NodeView::new(&node));
                }
            }
            if !self.texts.contains_key(&reference) {
                let text = self.text(&reference, node).await?;
                self.texts.insert(reference, text);
            }
        }
        let whole = composed(template, |reference| {
            self.texts.get(reference).map(String::as_str)
        });
        let bytes = crate::prompt::draft::template_bytes(&whole);
        if bytes > TEMPLATE_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "the composed prompt has {bytes} bytes: at most {TEMPLATE_BYTES_MAX} are taken"
            )));
        }
        Ok(whole)
    }

    async fn node(&mut self, reference: &Reference) -> Result<Node, Refusal> {
        self.followed += 1;
        if self.followed > REFERENCES_MAX {
            return Err(Refusal::invalid(format!(
                "the prompt refers to others more than {REFERENCES_MAX} times"
            )));
        }
        let found = match &reference.which {
            Which::Version(version) => Ok(*version),
            Which::Label(label) => match self.store.prompt(&reference.prompt).await {
                Ok(summary) => labelled(&summary, label),
                Err(error) => Err(error),
            },
        };
        let version = found.map_err(|error| missing(reference, error))?;
        Ok((reference.prompt.clone(), version))
    }

    async fn text(&mut self, reference: &Reference, node: Node) -> Result<String, Refusal> {
        if self.path.contains(&node) {
            return Err(circular(reference));
        }
        if self.path.len() >= DEPTH_MAX {
            return Err(Refusal::invalid(format!(
                "Maximum nesting depth exceeded: prompts refer to prompts at most {DEPTH_MAX} deep"
            )));
        }
        let version = self.store.version(&node.0, node.1).await;
        let version = version.map_err(|error| missing(reference, error))?;
        self.path.push(node);
        // The futures of a recursion have no size unless they are on the heap.
        let whole = Box::pin(self.compose(&version.draft.template)).await;
        self.path.pop();
        match whole? {
            Template::Text(text) => Ok(text.to_string()),
            Template::Chat(_) => Err(Refusal::invalid(format!(
                "Prompt dependency is not a text prompt: {reference}"
            ))),
        }
    }
}

/// The refusal of a prompt that would refer to itself.
pub(super) fn circular(reference: &Reference) -> Refusal {
    Refusal::invalid(format!(
        "Circular dependency detected involving prompt {reference}"
    ))
}

fn missing(reference: &Reference, error: PromptError) -> Refusal {
    match error {
        PromptError::UnknownPrompt(_)
        | PromptError::UnknownVersion { .. }
        | PromptError::UnknownLabel { .. } => {
            Refusal::invalid(format!("Prompt dependency not found: {reference}"))
        }
        PromptError::Protected { .. }
        | PromptError::Referred { .. }
        | PromptError::LabelElsewhere { .. }
        | PromptError::Stale { .. }
        | PromptError::Overtaken { .. }
        | PromptError::ReservedLabel(_)
        | PromptError::InvalidDraft(_)
        | PromptError::StoreAway(_)
        | PromptError::Store(_) => error.into(),
    }
}

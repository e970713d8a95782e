//! What caches of applications have to do when labels move.

use super::StoreError;
use crate::ids::{CacheName, Label, PromptName, RegistryName, Version};
use async_trait::async_trait;
use jiff::Timestamp;

/// The keys of a label that moved, in one cache, until they are cleared for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearing {
    /// The cache.
    pub cache: CacheName,
    /// Where the label is.
    pub label: SeenLabel,
    /// How often the label was seen to move: what came of an earlier move is not noted for a later one.
    pub moves: u64,
    /// When it moved, or was seen to have moved.
    pub moved_at: Timestamp,
    /// When its keys were last asked to be cleared, with whatever success.
    pub tried_at: Option<Timestamp>,
    /// How often they were cleared since the move.
    pub passes: u32,
    /// How often that failed since it last succeeded.
    pub failures: u32,
    /// Why it failed last.
    pub error: Option<String>,
    /// Whether nothing is left to do until the label moves again.
    pub is_over: bool,
}

/// A label, and where it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLabel {
    /// The registry.
    pub registry: RegistryName,
    /// The prompt.
    pub prompt: PromptName,
    /// The label.
    pub label: Label,
    /// Where it points; none when it is gone.
    pub version: Option<Version>,
}

/// Keeps what caches have to do.
#[async_trait]
pub trait ClearingStore: Send + Sync {
    /// Brings a cache up to date with every label, and gives what it has to do, the earliest move first; at
    /// most `limit`.
    ///
    /// The moves of the embedded registry are those of its journal since the last call; prompts that take in
    /// another by a label that moved count as moved, too. A label of another
    /// one has moved when `seen` has it elsewhere than the last `seen` that had it. What moved before a cache
    /// was first asked about is not its concern.
    async fn follow_labels(
        &self,
        cache: &CacheName,
        at: Timestamp,
        seen: Vec<SeenLabel>,
        limit: usize,
    ) -> Result<Vec<Clearing>, StoreError>;

    /// Notes what came of clearings; one whose label has moved since is left as it is.
    async fn save_clearings(&self, clearings: Vec<Clearing>) -> Result<(), StoreError>;
}

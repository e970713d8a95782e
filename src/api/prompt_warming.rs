//! Prompts that policies name are read before somebody asks for them.

use super::App;
use crate::ids::{PromptName, RegistryName};
use crate::prompt::composition::Which;
use crate::registry::RegistryError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is kept warm: a prompt, by label or by number.
type Warm = (RegistryName, PromptName, Which);

/// Reads the labels and versions of every policy whose registry is a Langfuse, at start and whenever they
/// move, until the server stops; so the first user of a new version waits for nobody.
pub async fn keep_warm(app: Arc<App>) {
    if app.langfuses.is_empty() {
        return;
    }
    let mut stopping = app.stopping.subscribe();
    tokio::select! {
        // A sender that is gone cannot ask any more, which is as good as asking.
        stopped = stopping.wait_for(|stopping| *stopping) => drop(stopped),
        () = warm(&app) => {}
    }
}

async fn warm(app: &App) {
    let mut changes = app.controller.changes();
    let mut read: BTreeSet<Warm> = BTreeSet::new();
    loop {
        let named = named(app);
        read.retain(|warm| named.contains(warm));
        for warm in named {
            let (registry, prompt, which) = &warm;
            let Some(langfuse) = app.langfuses.get(registry) else {
                continue;
            };
            if read.contains(&warm) {
                continue;
            }
            match langfuse.serve(prompt, which).await {
                Ok(_) | Err(RegistryError::NotFound(_)) => {
                    read.insert(warm);
                }
                // Tried again with the next change of the board, which every tick is.
                Err(RegistryError::Refused(_) | RegistryError::Unavailable(_)) => {}
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// What policies name, labels first: they bring their versions along.
fn named(app: &App) -> BTreeSet<Warm> {
    let board = app.controller.board();
    let mut named = BTreeSet::new();
    for status in board.policies.values() {
        let policy = &status.policy;
        if !app.langfuses.contains_key(&policy.registry) {
            continue;
        }
        let mut name = |which| named.insert((policy.registry.clone(), policy.prompt.clone(), which));
        for label in [&policy.labels.control, &policy.labels.treatment] {
            name(Which::Label(label.clone()));
        }
        if let Some(labels) = &status.labels {
            let versions = [labels.control.version, labels.treatment.version];
            for version in versions.into_iter().flatten() {
                name(Which::Version(version));
            }
        }
    }
    named
}

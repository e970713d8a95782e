//! Registries that tell of no composed prompts are looked through for them, beside everything else.

use super::App;
use crate::ids::RegistryName;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Time between two parts of a survey; each is as long as the registry's budget allows.
const SURVEY_BEAT: Duration = Duration::from_secs(2);

/// Looks through every Langfuse that a policy names, again and again, until the server stops.
pub async fn keep_surveyed(app: Arc<App>) {
    if app.langfuses.is_empty() {
        return;
    }
    let mut stopping = app.stopping.subscribe();
    let surveying = async {
        let mut beat = tokio::time::interval(SURVEY_BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            survey(&app).await;
        }
    };
    tokio::select! {
        // A sender that is gone cannot ask any more, which is as good as asking.
        stopped = stopping.wait_for(|stopping| *stopping) => drop(stopped),
        () = surveying => {}
    }
}

async fn survey(app: &App) {
    let board = app.controller.board();
    let policies = board.policies.values();
    let named: BTreeSet<&RegistryName> = policies.map(|status| &status.policy.registry).collect();
    for langfuse in named.into_iter().filter_map(|name| app.langfuses.get(name)) {
        langfuse.survey().await;
    }
}

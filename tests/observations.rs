//! Observations on their way from a request to the tallies; every answer is held against the OpenAPI
//! document.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "observations/arms.rs"]
mod arms;
#[path = "api/contract.rs"]
#[expect(dead_code, reason = "the suite of the API uses the rest")]
mod contract;
#[path = "observations/kinds.rs"]
mod kinds;
#[path = "observations/lines.rs"]
mod lines;
#[path = "observations/quality.rs"]
mod quality;
#[path = "observations/repeats.rs"]
mod repeats;
#[path = "api/world.rs"]
#[expect(dead_code, reason = "the suite of the API uses the rest")]
mod world;

use serde_json::Value;
use world::World;

/// How many observations of a metric each arm has, control first.
async fn counts(world: &mut World, metric: &str) -> (u64, u64) {
    world.tick(2).await;
    let evidence = world.get("/v1/rollouts/r1/evidence").await.ok(200);
    let metrics = evidence["assessment"]["metrics"].as_array().unwrap().clone();
    let found = metrics
        .iter()
        .find(|evidence| evidence["metric"] == metric)
        .unwrap();
    let count = |arm: &str| found[arm]["count"].as_u64().unwrap();
    (count("control"), count("treatment"))
}

/// Lines of NDJSON.
fn ndjson(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

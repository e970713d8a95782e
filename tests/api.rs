//! The HTTP API as clients see it; every answer is held against the OpenAPI document.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "api/access.rs"]
mod access;
#[path = "api/approvals.rs"]
mod approvals;
#[path = "api/assignments.rs"]
mod assignments;
#[path = "api/client.rs"]
mod client;
#[path = "api/composed.rs"]
mod composed;
#[path = "api/contract.rs"]
mod contract;
#[path = "api/cors.rs"]
mod cors;
#[path = "api/document.rs"]
mod document;
#[path = "api/elsewhere.rs"]
mod elsewhere;
#[path = "api/events.rs"]
mod events;
#[path = "api/fallbacks.rs"]
mod fallbacks;
#[path = "api/front.rs"]
mod front;
#[path = "api/gateway.rs"]
mod gateway;
#[path = "api/groups.rs"]
mod groups;
#[path = "api/hooks.rs"]
mod hooks;
#[path = "api/labels.rs"]
mod labels;
#[path = "api/linking.rs"]
mod linking;
#[path = "api/ofrep.rs"]
mod ofrep;
#[path = "api/prompts.rs"]
mod prompts;
#[path = "api/published.rs"]
mod published;
#[path = "api/refusals.rs"]
mod refusals;
#[path = "api/reserve.rs"]
mod reserve;
#[path = "api/rollouts.rs"]
mod rollouts;
#[path = "api/server.rs"]
mod server;
#[path = "api/targeting.rs"]
mod targeting;
#[path = "api/world.rs"]
mod world;

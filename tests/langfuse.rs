//! Langfuse's public API as its SDKs see it: recorded requests and replies, and behaviours.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "langfuse/access.rs"]
mod access;
#[path = "langfuse/composition.rs"]
mod composition;
#[path = "langfuse/contract.rs"]
mod contract;
#[path = "langfuse/deletion.rs"]
mod deletion;
#[path = "langfuse/prompts.rs"]
mod prompts;
#[path = "langfuse/scores.rs"]
mod scores;
#[path = "langfuse/vectors.rs"]
mod vectors;
#[expect(dead_code, reason = "the tests of the native API use more of it")]
#[path = "api/world.rs"]
mod world;

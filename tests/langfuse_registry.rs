//! Langfuse as a registry, over HTTP, against a model of its published contract.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "langfuse_registry/server.rs"]
mod server;

#[path = "langfuse_registry/moving.rs"]
mod moving;

#[path = "langfuse_registry/pacing.rs"]
mod pacing;

#[path = "langfuse_registry/reading.rs"]
mod reading;

#[path = "langfuse_registry/surveying.rs"]
mod surveying;

#[path = "langfuse_registry/serving.rs"]
mod serving;

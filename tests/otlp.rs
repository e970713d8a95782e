//! Exports of OpenTelemetry, from the request to what is counted.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "langfuse/contract.rs"]
#[expect(dead_code, reason = "the tests of Langfuse's API use more of it")]
mod contract;
#[path = "otlp/counting.rs"]
mod counting;
#[path = "otlp/exports.rs"]
mod exports;
#[path = "otlp/recorded.rs"]
mod recorded;
#[path = "otlp/scores.rs"]
mod scores;
#[path = "otlp/spans.rs"]
mod spans;
#[expect(dead_code, reason = "the tests of the native API use more of it")]
#[path = "api/world.rs"]
mod world;

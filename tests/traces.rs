//! Serin's own spans, as an endpoint of OTLP gets them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "traces/export.rs"]
mod export;
#[path = "traces/receiver.rs"]
mod receiver;
#[path = "traces/server.rs"]
mod server;

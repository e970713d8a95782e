//! Notifications: real receivers that fail, hang, refuse and accept, and a real store behind them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "notify/forms.rs"]
mod forms;
#[path = "notify/receiver.rs"]
mod receiver;
#[path = "notify/refusals.rs"]
mod refusals;
#[path = "notify/world.rs"]
mod world;

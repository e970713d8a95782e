//! The console as a browser meets it: pages, forms, sessions, headers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "console/access.rs"]
mod access;
#[path = "console/live.rs"]
mod live;
#[path = "console/pages.rs"]
mod pages;
#[path = "console/playground.rs"]
mod playground;
#[path = "console/prompts.rs"]
mod prompts;
#[path = "console/report.rs"]
mod report;
#[path = "console/rollouts.rs"]
mod rollouts;
#[path = "console/world.rs"]
mod world;

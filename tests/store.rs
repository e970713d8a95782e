//! One suite for every store: what the traits promise, whoever keeps the data.
//!
//! A test takes each [`World`](world::World) in turn. What belongs to one kind of store alone (files,
//! locks, sudden death) is in `sqlite.rs`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "store/access.rs"]
mod access;
#[path = "store/effects.rs"]
mod effects;
#[path = "store/labels.rs"]
mod labels;
#[path = "store/notices.rs"]
mod notices;
#[path = "store/observations.rs"]
mod observations;
#[path = "store/points.rs"]
mod points;
#[path = "store/prompts.rs"]
mod prompts;
#[path = "store/rollouts.rs"]
mod rollouts;
#[path = "store/scores.rs"]
mod scores;
#[path = "store/sights.rs"]
mod sights;
#[path = "store/sqlite.rs"]
mod sqlite;
#[path = "store/sudden_death.rs"]
mod sudden_death;
#[path = "store/tick_law.rs"]
mod tick_law;
#[path = "store/withdrawals.rs"]
mod withdrawals;
#[path = "store/world.rs"]
mod world;

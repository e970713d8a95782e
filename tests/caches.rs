//! Caches of applications that follow labels, with the real controller and a model of Redis.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "caches/following.rs"]
mod following;
#[path = "caches/model.rs"]
mod model;
#[path = "caches/world.rs"]
mod world;

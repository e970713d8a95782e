//! Registries: one suite for all that fence their moves, and the faults of the model.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "registry/suite.rs"]
mod suite;

#[path = "registry/faults.rs"]
mod faults;

#[path = "registry/embedded.rs"]
mod embedded;

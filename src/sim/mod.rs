//! A seeded world around the real controller, the real SQLite store and a model of a registry.
//!
//! Nothing here decides anything about a rollout: the world sends observations, moves the clock,
//! breaks things on schedule and looks on. Randomness comes from a seed alone and time from a clock
//! that is moved by hand, so that one seed is one run, byte for byte. `trials` leaves controller, store
//! and registry out, and rehearses one rollout by the thousand.

pub mod checker;
pub mod faults;
pub mod langfuse;
pub mod population;
pub mod senders;
pub mod stream;
pub mod traffic;
pub mod trials;
pub mod variates;
pub mod world;

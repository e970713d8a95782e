//! Serin takes a new prompt version to its users step by step, watches quality, and takes it back
//! by itself when quality degrades.

pub mod analysis;
pub mod assignment;
pub mod ids;
pub mod policy;
pub mod prompt;
pub mod rollout;

pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod registry;
mod spelling;
pub mod store;
pub mod telemetry;

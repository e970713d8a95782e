//! What goes wrong, and when: hazards that the controller's calls pass through, and seeded schedules.

pub mod hazards;
pub mod registry;
pub mod schedule;
pub mod store;
pub mod storm;
pub mod transport;

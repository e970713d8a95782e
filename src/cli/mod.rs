//! The verbs of the command line: one file per verb family.

pub mod lint;
pub mod policy_files;
pub mod schema;

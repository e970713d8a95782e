//! The rules of prompts: labels, drafts, templates, differences.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "prompts/labels.rs"]
mod labels;

#[path = "prompts/drafts.rs"]
mod drafts;

#[path = "prompts/templates.rs"]
mod templates;

#[path = "prompts/differences.rs"]
mod differences;

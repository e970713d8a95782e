//! Where observations come from; each source turns what it hears into what the store counts.

mod attribute;
pub mod ingest;
mod line;
pub mod refusal;
mod sight;

#[cfg(test)]
mod tests;

//! Where observations come from; each source turns what it hears into what the store counts.

mod attribute;
pub mod ingest;
mod line;
pub mod otlp;
pub mod refusal;
pub mod scored;
pub mod served;
mod sight;
pub mod traces;

#[cfg(test)]
mod tests;

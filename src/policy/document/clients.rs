//! How long applications keep a prompt that they fetched.

use super::read::Given;
use crate::policy::problem::Span;
use jiff::SignedDuration;
use schemars::JsonSchema;

/// How long applications keep a prompt that they fetched by label: what they may serve after a rollback.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Clients", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ClientsDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// How long each process keeps it, 0s to 1d; Langfuse's SDKs do for 60s.
    #[schemars(default, extend("default" = "60s"))]
    pub(crate) cache_ttl: Given<SignedDuration>,
    /// How long a Redis that processes share keeps it, 0s to 1d; without it, they share none.
    #[schemars(default)]
    pub(crate) redis_ttl: Given<SignedDuration>,
}

//! Gates: conditions before the start or in a step.

use super::read::Given;
use super::value::{Items, Named};
use super::words::{BeforeWord, ScopeWord, VersusWord};
use super::{APPROVERS_MAX, METRICS_MAX};
use crate::policy::problem::Span;
use schemars::JsonSchema;

/// Conditions before the start or in a step.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Gates", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct GatesDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// What the candidate's recorded evaluation must show before any user sees it.
    #[schemars(default)]
    pub(crate) evaluation: Given<EvaluationDocument>,
    /// Who must approve.
    #[schemars(default)]
    pub(crate) approval: Given<ApprovalDocument>,
}

/// What the candidate's recorded evaluation must show before any user sees it.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Evaluation", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct EvaluationDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// The dataset that the evaluation was made on.
    #[schemars(extend("maxLength" = 255))]
    pub(crate) dataset: Given<String>,
    /// Least score by metric.
    pub(crate) floor: Given<Named<f64, METRICS_MAX>>,
    /// Whether the candidate must also stand a comparison.
    #[schemars(default)]
    pub(crate) versus: Given<VersusWord>,
}

/// Who must approve.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Approval", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ApprovalDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// What waits for approval, besides the steps with `approval: required`.
    #[schemars(default)]
    pub(crate) before: Given<BeforeWord>,
    /// How many different people must approve.
    #[schemars(default, extend("default" = 1, "minimum" = 1, "maximum" = 10))]
    pub(crate) from: Given<u64>,
    /// Who may approve, by the names of their tokens; anybody with the scope when it is left out.
    #[schemars(default)]
    pub(crate) by: Given<Items<String, 1, APPROVERS_MAX>>,
    /// The scope that an approver's token needs.
    #[schemars(default)]
    pub(crate) scope: Given<ScopeWord>,
}

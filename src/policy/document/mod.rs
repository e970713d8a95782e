//! The policy file as it is written: the structs, the JSON Schema and the reader of the same keys.
//!
//! Nothing here judges what the values mean together; that is [`check`](super::check)'s part. Every
//! value keeps its place, and one that cannot be read is `Given::Broken`, so that the rest of the
//! file is still checked.

use super::problem::{Problems, Span};
use super::quantity::Percentage;
use super::{NotifyFormat, NotifyOn, OnFail, OnInconclusive, OnNoData};
use jiff::SignedDuration;
use node::Node;
use read::{Fields, Key, Value};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use value::Items;
use words::ApprovalWord;

pub(crate) use assignment::{AssignmentDocument, ForceDocument, GroupDocument};
pub(crate) use clients::ClientsDocument;
pub(crate) use gates::{ApprovalDocument, EvaluationDocument, GatesDocument};
pub(crate) use metric::MetricDocument;
use read::Section;
pub(crate) use read::{Given, Located};
pub(crate) use targeting::{CONDITION_VALUES_MAX, TargetingDocument};

pub use assignment::FORCED_USERS_MAX;
pub use node::FILE_BYTES_MAX;
pub use targeting::CONDITIONS_MAX;

mod assignment;
mod clients;
mod gates;
mod metric;
mod node;
mod read;
pub(crate) mod suggest;
pub(crate) mod targeting;
#[cfg(test)]
mod tests;
pub(crate) mod value;
pub(crate) mod words;

/// Most steps of a policy.
pub const STEPS_MAX: usize = 20;

/// Most metrics of a policy.
pub const METRICS_MAX: usize = 50;

/// Most people who are named as approvers.
pub const APPROVERS_MAX: usize = 50;

/// Most webhooks of a policy.
pub const WEBHOOKS_MAX: usize = 16;

/// The identifier of the JSON Schema.
pub const SCHEMA_ID: &str = "urn:serin:policy:v1";

/// The document of a policy file; none, and problems, where there is nothing that can be read.
pub(crate) fn read(text: &str, problems: &mut Problems) -> Option<PolicyDocument> {
    let root = node::parse(text, problems)?;
    read::section(&root, "a policy", problems)
}

/// The JSON Schema of the policy file (draft 2020-12).
pub fn schema() -> serde_json::Value {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<PolicyDocument>();
    schema.insert("$id".to_owned(), SCHEMA_ID.into());
    schema.insert("title".to_owned(), "Serin rollout policy".into());
    schema.to_value()
}

/// A section and its keys.
pub(crate) struct KnownSection {
    pub(crate) path: &'static str,
    pub(crate) keys: Vec<Key>,
}

/// Reads `$type` by asking for its keys in the order in which they are written.
macro_rules! section {
    ($($type:ident at $path:literal { $($ask:ident $field:ident $key:literal,)+ })+) => {
        $(
            impl Section for $type {
                const PATH: &'static str = $path;

                fn read(fields: &mut Fields<'_, '_>) -> Self {
                    Self {
                        span: fields.span(),
                        $($field: fields.$ask($key),)+
                    }
                }
            }

            impl Value for $type {
                fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
                    read::section(node, what, problems)
                }

                fn schema(generator: &mut SchemaGenerator) -> Schema {
                    generator.subschema_for::<Self>()
                }
            }
        )+

        /// Every section of the file.
        pub(crate) fn sections() -> Vec<KnownSection> {
            vec![$(KnownSection { path: $type::PATH, keys: read::keys::<$type>() }),+]
        }
    };
}

/// How a new version of a prompt reaches its users, and what takes it back.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "RolloutPolicy", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PolicyDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// Format of this file.
    #[schemars(extend("const" = "serin/v1"))]
    pub(crate) api_version: Given<String>,
    /// What the file describes.
    #[schemars(extend("const" = "RolloutPolicy"))]
    pub(crate) kind: Given<String>,
    /// Whose policy it is.
    pub(crate) metadata: Given<MetadataDocument>,
    /// The policy.
    pub(crate) spec: Given<SpecDocument>,
}

/// Whose policy it is.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Metadata", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MetadataDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// Name of the policy, in URLs and telemetry: a DNS label.
    #[schemars(extend("maxLength" = 63, "pattern" = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub(crate) name: Given<String>,
    /// The team that answers for it.
    #[schemars(default, extend("maxLength" = 128))]
    pub(crate) owner: Given<String>,
}

/// What is rolled out, in which steps, and what is watched.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Spec", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SpecDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// The prompt whose labels are steered.
    #[schemars(extend("maxLength" = 255))]
    pub(crate) prompt: Given<String>,
    /// A registry named in the server's settings; `embedded` is Serin's own.
    #[schemars(default, extend("default" = "embedded", "maxLength" = 63))]
    pub(crate) registry: Given<String>,
    /// The label that each arm is served.
    #[schemars(default)]
    pub(crate) labels: Given<LabelsDocument>,
    /// How users are split.
    #[schemars(default)]
    pub(crate) assignment: Given<AssignmentDocument>,
    /// The ladder: exposures rise, the last step is 100%.
    pub(crate) steps: Given<Items<StepDocument, 1, STEPS_MAX>>,
    /// How long the promoted version is watched, 0s to 90d; without it, the last step's `bake`.
    #[schemars(default)]
    pub(crate) watch: Given<SignedDuration>,
    /// When and how verdicts are drawn, and what follows from them.
    #[schemars(default)]
    pub(crate) analysis: Given<AnalysisDocument>,
    /// What is measured: at least one guardrail.
    pub(crate) metrics: Given<Items<MetricDocument, 1, METRICS_MAX>>,
    /// Conditions before the start or in a step.
    #[schemars(default)]
    pub(crate) gates: Given<GatesDocument>,
    /// How long applications keep a prompt that they fetched by label.
    #[schemars(default)]
    pub(crate) clients: Given<ClientsDocument>,
    /// Who is told.
    #[schemars(default)]
    pub(crate) notify: Given<Items<NotifyDocument, 0, WEBHOOKS_MAX>>,
}

/// The label that each arm is served; they differ, and neither is `latest`.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Labels", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct LabelsDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// Points at the stable version.
    #[schemars(default, extend("default" = "production", "pattern" = "^[a-z0-9_.-]{1,36}$"))]
    pub(crate) control: Given<String>,
    /// Points at the candidate while a rollout runs.
    #[schemars(default, extend("default" = "canary", "pattern" = "^[a-z0-9_.-]{1,36}$"))]
    pub(crate) treatment: Given<String>,
}

/// Rung of the ladder.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Step", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct StepDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// Share of users in treatment: above 0%, at most 100%, in steps of 0.0001%.
    pub(crate) exposure: Given<Percentage>,
    /// Least time in the step, 0s to 90d.
    pub(crate) bake: Given<SignedDuration>,
    /// Least treated observations of each guardrail in the step.
    #[schemars(default, extend("default" = 0, "maximum" = 1_000_000_000))]
    pub(crate) samples: Given<u64>,
    /// Whether people must approve before the step is left.
    #[schemars(default)]
    pub(crate) approval: Given<ApprovalWord>,
}

/// When and how verdicts are drawn, and what follows from them.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Analysis", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AnalysisDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// Chance of a false rollback over the whole rollout: above 0%, at most 50%.
    #[schemars(default, extend("default" = "5%"))]
    pub(crate) alpha: Given<Percentage>,
    /// Time between two verdicts, 1s to 1h.
    #[schemars(default, extend("default" = "5s"))]
    pub(crate) every: Given<SignedDuration>,
    /// What follows when a guardrail gets no observations.
    #[schemars(default)]
    pub(crate) no_data: Given<NoDataDocument>,
    /// What follows when the candidate is proved to be worse.
    #[schemars(default, extend("default" = "rollBack"))]
    pub(crate) on_fail: Given<OnFail>,
    /// What follows when a step stays undecided.
    #[schemars(default)]
    pub(crate) inconclusive: Given<InconclusiveDocument>,
}

/// What follows when a guardrail gets no observations.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "NoData", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NoDataDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// How long it may be silent, 1s to 90d.
    #[schemars(default, extend("default" = "30m"))]
    pub(crate) after: Given<SignedDuration>,
    /// What then happens.
    #[schemars(default, extend("default" = "hold"))]
    pub(crate) then: Given<OnNoData>,
}

/// What follows when a step stays undecided.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Inconclusive", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct InconclusiveDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// How long a step may be undecided, from its beginning, 1s to 90d.
    #[schemars(default, extend("default" = "72h"))]
    pub(crate) after: Given<SignedDuration>,
    /// What then happens.
    #[schemars(default, extend("default" = "pause"))]
    pub(crate) then: Given<OnInconclusive>,
}

/// Who is told of what.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Notify", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NotifyDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// An `http://` or `https://` URL; of Slack with `{secret}` where its secret part is.
    #[schemars(extend("pattern" = "^https?://", "maxLength" = 2048))]
    pub(crate) webhook: Given<String>,
    /// What is sent.
    #[schemars(default, extend("default" = "standard"))]
    pub(crate) format: Given<NotifyFormat>,
    /// The name of a secret in the server's settings, under `notify.secrets`.
    #[schemars(default, extend("pattern" = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength" = 63))]
    pub(crate) secret: Given<String>,
    /// Which transitions.
    pub(crate) on: Given<Items<NotifyOn, 1, 5>>,
}

section! {
    PolicyDocument at "" {
        required api_version "apiVersion",
        required kind "kind",
        required metadata "metadata",
        required spec "spec",
    }
    MetadataDocument at "metadata" {
        required name "name",
        optional owner "owner",
    }
    SpecDocument at "spec" {
        required prompt "prompt",
        optional registry "registry",
        optional labels "labels",
        optional assignment "assignment",
        required steps "steps",
        optional watch "watch",
        optional analysis "analysis",
        required metrics "metrics",
        optional gates "gates",
        optional clients "clients",
        optional notify "notify",
    }
    LabelsDocument at "spec.labels" {
        optional control "control",
        optional treatment "treatment",
    }
    AssignmentDocument at "spec.assignment" {
        optional hash "hash",
        optional salt "salt",
        optional holdback "holdback",
        optional force "force",
        optional sdks "sdks",
        optional targeting "targeting",
        optional group "group",
    }
    GroupDocument at "spec.assignment.group" {
        required name "name",
        required from "from",
        required to "to",
    }
    TargetingDocument at "spec.assignment.targeting[]" {
        optional attribute "attribute",
        optional one_of "in",
        optional none_of "notIn",
        optional number "number",
        optional version "version",
        optional share "share",
        optional salt "salt",
    }
    ForceDocument at "spec.assignment.force" {
        optional treatment "treatment",
        optional control "control",
    }
    StepDocument at "spec.steps[]" {
        required exposure "exposure",
        required bake "bake",
        optional samples "samples",
        optional approval "approval",
    }
    AnalysisDocument at "spec.analysis" {
        optional alpha "alpha",
        optional every "every",
        optional no_data "noData",
        optional on_fail "onFail",
        optional inconclusive "inconclusive",
    }
    NoDataDocument at "spec.analysis.noData" {
        optional after "after",
        optional then "then",
    }
    InconclusiveDocument at "spec.analysis.inconclusive" {
        optional after "after",
        optional then "then",
    }
    MetricDocument at "spec.metrics[]" {
        required name "name",
        required kind "kind",
        optional better "better",
        required margin "margin",
        optional role "role",
        optional range "range",
        optional floor "floor",
        optional ceiling "ceiling",
        optional baseline "baseline",
        optional weight "weight",
        optional quantile "quantile",
        optional quantiles "quantiles",
        optional scale "scale",
        optional cap "cap",
        optional unit "unit",
        optional critical "critical",
        optional from "from",
    }
    GatesDocument at "spec.gates" {
        optional evaluation "evaluation",
        optional approval "approval",
    }
    EvaluationDocument at "spec.gates.evaluation" {
        required dataset "dataset",
        required floor "floor",
        optional versus "versus",
    }
    ApprovalDocument at "spec.gates.approval" {
        optional before "before",
        optional from "from",
        optional by "by",
        optional scope "scope",
    }
    ClientsDocument at "spec.clients" {
        optional cache_ttl "cacheTtl",
        optional redis_ttl "redisTtl",
    }
    NotifyDocument at "spec.notify[]" {
        required webhook "webhook",
        optional format "format",
        optional secret "secret",
        required on "on",
    }
}

//! The names of Serin as OpenAPI schemas: the same rules that `ids` checks, as patterns.

use super::problem::Code;
use crate::ids::UserKey;
use crate::source::refusal::Ignored;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// Declares the schema of a string: name, what it is, builder.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $build:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let build: fn(ObjectBuilder) -> ObjectBuilder = $build;
                RefOr::T(Schema::Object(build(ObjectBuilder::new().schema_type(Type::String)).build()))
            }
        }

        impl ToSchema for $name {}
    };
}

/// Everything but control characters (Unicode category Cc).
const PRINTABLE: &str = r"[^\u0000-\u001F\u007F-\u009F]";

text!(
    /// Name of a policy or registry: a DNS label.
    DnsLabel,
    |it| it.max_length(Some(63)).min_length(Some(1)).pattern(Some(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))
);
text!(
    /// Name of a prompt.
    PromptNameText,
    |it| it
        .max_length(Some(255))
        .min_length(Some(1))
        .pattern(Some(r"^[^\s|\u0000-\u001F\u007F-\u009F]([^|\u0000-\u001F\u007F-\u009F]*[^\s|\u0000-\u001F\u007F-\u009F])?$"))
);
text!(
    /// Name of a label.
    LabelText,
    |it| it.max_length(Some(36)).min_length(Some(1)).pattern(Some(r"^[a-z0-9_.-]+$"))
);
text!(
    /// Name of a metric.
    MetricNameText,
    |it| it.max_length(Some(64)).min_length(Some(1)).pattern(Some(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"))
);
text!(
    /// Number of a rollout.
    RolloutIdText,
    |it| it.max_length(Some(19)).pattern(Some(r"^r[1-9][0-9]{0,17}$"))
);
text!(
    /// Whoever is assigned: any stable pseudonymous key of 1 to 256 bytes of UTF-8.
    UserKeyText,
    |it| it.max_length(Some(UserKey::BYTES_MAX)).min_length(Some(1))
);
text!(
    /// Why somebody does something, in their words.
    ReasonText,
    |it| it
        .max_length(Some(500))
        .min_length(Some(1))
        .pattern(Some(r"^[^\u0000-\u0008\u000B-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u0008\u000B-\u001F\u007F-\u009F]*$"))
);
text!(
    /// Who did something.
    ActorText,
    |it| it.max_length(Some(128)).min_length(Some(1)).pattern(Some(format!("^{PRINTABLE}+$")))
);
text!(
    /// Fingerprint of a policy file.
    RevisionText,
    |it| it.pattern(Some(r"^[0-9a-f]{16}$"))
);
text!(
    /// `MAJOR.MINOR.PATCH`.
    SemanticVersionText,
    |it| it.max_length(Some(32)).pattern(Some(
        r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$"
    ))
);
text!(
    /// A moment (RFC 3339, UTC).
    Moment,
    |it| it.format(Some(SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
);
text!(
    /// The group of a user.
    ArmText,
    |it| it.enum_values(Some(["control", "treatment"]))
);
text!(
    /// Why a user has their arm.
    AssignmentReasonText,
    |it| it.enum_values(Some(super::views::assignment::REASON_WORDS))
);
text!(
    /// What a person can ask of a rollout.
    VerbText,
    |it| it.enum_values(Some(crate::rollout::Verb::ALL.map(crate::rollout::Verb::as_str)))
);
text!(
    /// The code of a problem.
    CodeText,
    |it| it.enum_values(Some(Code::ALL.iter().map(|code| code.as_str())))
);
text!(
    /// Why an observation was ignored.
    IgnoredText,
    |it| it.enum_values(Some(Ignored::ALL.map(Ignored::as_str)))
);
text!(
    /// What a token may do.
    ScopeText,
    |it| it.enum_values(Some(crate::store::Scope::ALL.map(crate::store::Scope::as_str)))
);
text!(
    /// Name of a token.
    TokenNameText,
    |it| it.max_length(Some(64)).min_length(Some(1)).pattern(Some(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"))
);

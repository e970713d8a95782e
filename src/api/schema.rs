//! The names of Serin as OpenAPI schemas: the same rules that `ids` checks, as patterns.

use super::problem::Code;
use crate::ids::UserKey;
use crate::source::refusal::Ignored;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
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

/// Declares a schema that is no string: name, what it is, schema.
macro_rules! schema {
    ($(#[$doc:meta])* $name:ident, $build:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let build: fn(ObjectBuilder) -> ObjectBuilder = $build;
                RefOr::T(Schema::Object(build(ObjectBuilder::new()).build()))
            }
        }

        impl ToSchema for $name {}
    };
}

schema!(
    /// A version of a prompt.
    VersionNumber,
    |it| it
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1))
        .maximum(Some(u32::MAX))
);
schema!(
    /// A version of a prompt, or 0 for none.
    VersionOrNone,
    |it| it
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0))
        .maximum(Some(u32::MAX))
);
schema!(
    /// Scores by metric, 1 to 64 of them.
    Scores,
    |it| it
        .property_names(Some(plain(MetricNameText::schema())))
        .additional_properties(Some(ObjectBuilder::new().schema_type(Type::Number)))
        .min_properties(Some(1))
        .max_properties(Some(64))
);
schema!(
    /// Values by metric, 1 to 64 of them; for a rate 0, 1, true or false.
    MetricValues,
    |it| it
        .additional_properties(Some(
            ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Number, Type::Boolean]))
        ))
        .min_properties(Some(1))
        .max_properties(Some(64))
);
schema!(
    /// A user's attributes by name, at most 64 of them: texts of at most 256 bytes, numbers, true or false.
    AttributeValues,
    |it| it
        .property_names(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .max_length(Some(64))
                .pattern(Some(r"^[A-Za-z_][A-Za-z0-9_.-]*$"))
        ))
        .additional_properties(Some(
            ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Number, Type::Boolean]))
                .max_length(Some(256))
        ))
        .max_properties(Some(64))
);

/// The schema itself, where it is no reference.
fn plain(schema: RefOr<Schema>) -> Schema {
    match schema {
        RefOr::T(schema) => schema,
        RefOr::Ref(_) => Schema::default(),
    }
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
    |it| it.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
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
    /// Name of a dataset.
    DatasetText,
    |it| it
        .max_length(Some(256))
        .min_length(Some(1))
        .pattern(Some(format!("^{PRINTABLE}+$")))
);
text!(
    /// Name of a token.
    TokenNameText,
    |it| it.max_length(Some(64)).min_length(Some(1)).pattern(Some(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"))
);

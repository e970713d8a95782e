//! Why a line of observations was not counted: a closed set of codes, and a sentence for each case.

/// A line that was refused, for the sender to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Position in the request: the line of NDJSON, or the element of an array; from 1.
    pub line: usize,
    /// What is wrong.
    pub code: RefusalCode,
    /// What is wrong with this line: lower case, no full stop, with the mend.
    pub detail: String,
}

/// What can be wrong with a line; the words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalCode {
    /// No JSON object.
    Malformed,
    /// A key that does not exist.
    UnknownKey,
    /// A key that stands twice.
    DuplicateKey,
    /// A value of the wrong type, or beyond its bounds.
    BadField,
    /// No policy of that name.
    UnknownPolicy,
    /// Neither user nor receipt.
    NoUserOrReceipt,
    /// A user key that is empty or too long.
    BadUser,
    /// A receipt that this server did not issue.
    BadReceipt,
    /// A receipt that was issued for another policy.
    ReceiptOfOtherPolicy,
    /// Version 0: the application served a fallback of its own.
    FallbackVersion,
    /// No metric at all.
    NoMetrics,
    /// More metrics than a line may have.
    TooManyMetrics,
    /// No metric of that name in the policy.
    UnknownMetric,
    /// A value that is no number.
    NotANumber,
    /// A number outside of the metric's range.
    OutOfRange,
}

impl RefusalCode {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Malformed,
        Self::UnknownKey,
        Self::DuplicateKey,
        Self::BadField,
        Self::UnknownPolicy,
        Self::NoUserOrReceipt,
        Self::BadUser,
        Self::BadReceipt,
        Self::ReceiptOfOtherPolicy,
        Self::FallbackVersion,
        Self::NoMetrics,
        Self::TooManyMetrics,
        Self::UnknownMetric,
        Self::NotANumber,
        Self::OutOfRange,
    ];

    /// The word on the wire and in telemetry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::DuplicateKey => "duplicate_key",
            Self::BadField => "bad_field",
            Self::UnknownPolicy => "unknown_policy",
            Self::NoUserOrReceipt => "no_user_or_receipt",
            Self::BadUser => "bad_user",
            Self::BadReceipt => "bad_receipt",
            Self::ReceiptOfOtherPolicy => "receipt_of_other_policy",
            Self::FallbackVersion => "fallback_version",
            Self::NoMetrics => "no_metrics",
            Self::TooManyMetrics => "too_many_metrics",
            Self::UnknownMetric => "unknown_metric",
            Self::NotANumber => "not_a_number",
            Self::OutOfRange => "out_of_range",
        }
    }
}

/// Why a line that is right belongs to no running comparison; the words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// The policy has no rollout that exposes a candidate.
    NoRollout,
    /// The receipt is from a rollout that is over.
    RolloutEnded,
    /// The policy fixes this user's arm.
    ForcedUser,
    /// The receipt, or the user's key, is of somebody outside of the rollout.
    OutsideRollout,
    /// The policy has conditions on attributes, and only a receipt tells whether this user meets them.
    ReceiptNeeded,
    /// The version is neither the stable one nor the candidate.
    VersionNotInRollout,
    /// The label is neither of the policy's, or points at neither version.
    LabelNotInRollout,
    /// The metrics are in the policy, but not in the revision that the rollout runs under.
    MetricsNotInRollout,
}

impl Ignored {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::NoRollout,
        Self::RolloutEnded,
        Self::ForcedUser,
        Self::OutsideRollout,
        Self::ReceiptNeeded,
        Self::VersionNotInRollout,
        Self::LabelNotInRollout,
        Self::MetricsNotInRollout,
    ];

    /// The word on the wire and in telemetry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRollout => "no_rollout",
            Self::RolloutEnded => "rollout_ended",
            Self::ForcedUser => "forced_user",
            Self::OutsideRollout => "outside_rollout",
            Self::ReceiptNeeded => "receipt_needed",
            Self::VersionNotInRollout => "version_not_in_rollout",
            Self::LabelNotInRollout => "label_not_in_rollout",
            Self::MetricsNotInRollout => "metrics_not_in_rollout",
        }
    }
}

/// A refusal that does not know its line yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: RefusalCode,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

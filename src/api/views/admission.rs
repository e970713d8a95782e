//! Who may enter a rollout, for whoever assigns by themselves.

use crate::assignment::Admission;
use crate::assignment::admission::{GroupPart, Range, Segment};
use crate::assignment::bucket::SplitKey;
use crate::targeting::{Comparison, Condition, Number, SemanticVersion, Test, Values};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

/// Who may enter a rollout: whoever passes all of these, in this order. Everybody else is in control.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Admission)]
pub struct AdmissionView<'s> {
    /// The server's reserve, whose users enter no rollout; null where there is none.
    pub reserve: Option<SegmentView>,
    /// The part of a group's hash line that is the policy's; null where it is in no group.
    pub group: Option<GroupPartView<'s>>,
    /// The share of users among whom the rollout is; null for everybody.
    pub segment: Option<SegmentView>,
    /// What must hold of a user's attributes.
    pub conditions: Vec<ConditionView<'s>>,
}

/// A share of users: those who lie below it on a hash line of its own, which is Serin's.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Segment)]
pub struct SegmentView {
    /// How many, in parts per million.
    #[schema(maximum = 1_000_000)]
    pub share_ppm: u32,
    /// The 128-bit key of the line, as base64url.
    #[schema(min_length = 22, max_length = 22)]
    pub key: String,
}

/// The part of a group that belongs to one policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GroupPart)]
pub struct GroupPartView<'s> {
    /// The group.
    pub name: &'s str,
    /// The 128-bit key of its line, which is Serin's, as base64url.
    #[schema(min_length = 22, max_length = 22)]
    pub key: String,
    /// The part.
    pub range: RangeView,
    /// What others still have of it.
    pub taken: Vec<RangeView>,
}

/// A part of a hash line: from one share up to another, without it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HashRange)]
pub struct RangeView {
    /// Where it begins, in parts per million.
    #[schema(maximum = 1_000_000)]
    pub from_ppm: u32,
    /// Where it ends, likewise.
    #[schema(maximum = 1_000_000)]
    pub to_ppm: u32,
}

/// What an attribute must be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Condition)]
pub struct ConditionView<'s> {
    /// Which attribute; without it nobody enters.
    pub attribute: &'s str,
    /// What it must be.
    pub test: TestView<'s>,
}

/// What an attribute must be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AttributeTest)]
pub enum TestView<'s> {
    /// One of these.
    OneOf(ValuesView<'s>),
    /// Of their type, and none of these.
    NoneOf(ValuesView<'s>),
    /// A number for which every comparison holds.
    Number(Vec<NumberComparisonView>),
    /// A semantic version for which every comparison holds.
    Version(Vec<VersionComparisonView>),
}

/// Values of one type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConditionValues)]
pub enum ValuesView<'s> {
    /// Texts, compared byte for byte.
    Texts(Vec<&'s str>),
    /// Numbers.
    Numbers(Vec<f64>),
    /// Truth values.
    Truths(Vec<bool>),
}

/// A comparison with a number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NumberComparison)]
pub struct NumberComparisonView {
    /// How: `<`, `<=`, `=`, `!=`, `>=` or `>`.
    #[schema(value_type = String, pattern = "^(<|<=|=|!=|>=|>)$")]
    pub operator: &'static str,
    /// With what.
    pub operand: f64,
}

/// A comparison with a semantic version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VersionComparison)]
pub struct VersionComparisonView {
    /// How: `<`, `<=`, `=`, `!=`, `>=` or `>`.
    #[schema(value_type = String, pattern = "^(<|<=|=|!=|>=|>)$")]
    pub operator: &'static str,
    /// With what, without build metadata.
    pub operand: String,
}

fn key(key: &SplitKey) -> String {
    URL_SAFE_NO_PAD.encode(key.to_bytes())
}

impl<'s> From<&'s Admission> for AdmissionView<'s> {
    fn from(admission: &'s Admission) -> Self {
        Self {
            reserve: admission.reserve.as_ref().map(Into::into),
            group: admission.group.as_ref().map(Into::into),
            segment: admission.segment.as_ref().map(Into::into),
            conditions: admission.conditions.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Segment> for SegmentView {
    fn from(segment: &Segment) -> Self {
        Self {
            share_ppm: segment.share.ppm(),
            key: key(&segment.key),
        }
    }
}

impl<'s> From<&'s GroupPart> for GroupPartView<'s> {
    fn from(part: &'s GroupPart) -> Self {
        Self {
            name: part.name.as_str(),
            key: key(&part.key),
            range: part.range.into(),
            taken: part.taken.iter().copied().map(Into::into).collect(),
        }
    }
}

impl From<Range> for RangeView {
    fn from(range: Range) -> Self {
        Self {
            from_ppm: range.from.ppm(),
            to_ppm: range.to.ppm(),
        }
    }
}

impl<'s> From<&'s Condition> for ConditionView<'s> {
    fn from(condition: &'s Condition) -> Self {
        Self {
            attribute: condition.attribute.as_str(),
            test: (&condition.test).into(),
        }
    }
}

impl<'s> From<&'s Test> for TestView<'s> {
    fn from(test: &'s Test) -> Self {
        match test {
            Test::OneOf(values) => Self::OneOf(values.into()),
            Test::NoneOf(values) => Self::NoneOf(values.into()),
            Test::Number(comparisons) => Self::Number(comparisons.iter().map(Into::into).collect()),
            Test::Version(comparisons) => Self::Version(comparisons.iter().map(Into::into).collect()),
        }
    }
}

impl<'s> From<&'s Values> for ValuesView<'s> {
    fn from(values: &'s Values) -> Self {
        match values {
            Values::Texts(texts) => Self::Texts(texts.iter().map(AsRef::as_ref).collect()),
            Values::Numbers(numbers) => Self::Numbers(numbers.iter().map(|number| number.get()).collect()),
            Values::Truths(truths) => Self::Truths(truths.iter().copied().collect()),
        }
    }
}

impl From<&Comparison<Number>> for NumberComparisonView {
    fn from(comparison: &Comparison<Number>) -> Self {
        Self {
            operator: comparison.operator.sign(),
            operand: comparison.operand.get(),
        }
    }
}

impl From<&Comparison<SemanticVersion>> for VersionComparisonView {
    fn from(comparison: &Comparison<SemanticVersion>) -> Self {
        Self {
            operator: comparison.operator.sign(),
            operand: comparison.operand.to_string(),
        }
    }
}

//! Who may enter a rollout, as a route table says it.
//!
//! Everything here is read strictly: whoever passed over a condition that a newer server knows would let
//! users in whom the server keeps out. Such a policy is left to the server.

use super::wire::{Unread, bytes};
use crate::assignment::Admission;
use crate::assignment::admission::{GroupPart, Range, Segment};
use crate::assignment::bucket::SplitKey;
use crate::ids::{Exposure, GroupName};
use crate::targeting::{
    AttributeName, COMPARISONS_MAX, Comparison, Condition, Number, Operator, SemanticVersion, Test, Values,
};
use serde::Deserialize;

/// Most conditions of one policy: a reason tells which one was not met by its position.
const CONDITIONS_MAX: usize = u8::MAX as usize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdmissionWire {
    reserve: Option<SegmentWire>,
    group: Option<GroupPartWire>,
    segment: Option<SegmentWire>,
    conditions: Vec<ConditionWire>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SegmentWire {
    share_ppm: u32,
    key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupPartWire {
    name: String,
    key: String,
    range: RangeWire,
    taken: Vec<RangeWire>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RangeWire {
    from_ppm: u32,
    to_ppm: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionWire {
    attribute: String,
    test: TestWire,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum TestWire {
    OneOf(ValuesWire),
    NoneOf(ValuesWire),
    Number(Vec<ComparisonWire<f64>>),
    Version(Vec<ComparisonWire<String>>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ValuesWire {
    Texts(Vec<String>),
    Numbers(Vec<f64>),
    Truths(Vec<bool>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ComparisonWire<T> {
    operator: String,
    operand: T,
}

/// What a table says, as what it means.
pub(super) fn admission(wire: AdmissionWire) -> Result<Admission, Unread> {
    if wire.conditions.len() > CONDITIONS_MAX {
        return Err(Unread::Conditions);
    }
    Ok(Admission {
        conditions: wire
            .conditions
            .into_iter()
            .map(condition)
            .collect::<Result<_, _>>()?,
        segment: wire.segment.map(segment).transpose()?,
        group: wire.group.map(group).transpose()?,
        reserve: wire.reserve.map(segment).transpose()?,
    })
}

fn segment(wire: SegmentWire) -> Result<Segment, Unread> {
    Ok(Segment {
        share: Exposure::from_ppm(wire.share_ppm)?,
        key: SplitKey::from_bytes(bytes(&wire.key)?),
    })
}

fn group(wire: GroupPartWire) -> Result<GroupPart, Unread> {
    Ok(GroupPart {
        name: GroupName::new(&wire.name)?,
        key: SplitKey::from_bytes(bytes(&wire.key)?),
        range: range(&wire.range)?,
        taken: wire.taken.iter().map(range).collect::<Result<_, _>>()?,
    })
}

fn range(wire: &RangeWire) -> Result<Range, Unread> {
    Ok(Range {
        from: Exposure::from_ppm(wire.from_ppm)?,
        to: Exposure::from_ppm(wire.to_ppm)?,
    })
}

fn condition(wire: ConditionWire) -> Result<Condition, Unread> {
    let attribute = AttributeName::new(&wire.attribute);
    Ok(Condition {
        attribute: attribute.ok_or_else(|| Unread::Attribute(wire.attribute.clone()))?,
        test: test(wire.test)?,
    })
}

fn test(wire: TestWire) -> Result<Test, Unread> {
    let number = |operand: f64| Number::new(operand).ok_or_else(|| Unread::Operand(operand.to_string()));
    let version = |operand: String| SemanticVersion::parse(&operand).ok_or(Unread::Operand(operand));
    Ok(match wire {
        TestWire::OneOf(wire) => Test::OneOf(values(wire)?),
        TestWire::NoneOf(wire) => Test::NoneOf(values(wire)?),
        TestWire::Number(wire) => Test::Number(comparisons(wire, number)?),
        TestWire::Version(wire) => Test::Version(comparisons(wire, version)?),
    })
}

fn values(wire: ValuesWire) -> Result<Values, Unread> {
    let number = |number: f64| Number::new(number).ok_or_else(|| Unread::Operand(number.to_string()));
    Ok(match wire {
        ValuesWire::Texts(texts) => Values::Texts(texts.into_iter().map(Into::into).collect()),
        ValuesWire::Numbers(numbers) => {
            Values::Numbers(numbers.into_iter().map(number).collect::<Result<_, _>>()?)
        }
        ValuesWire::Truths(truths) => Values::Truths(truths.into_iter().collect()),
    })
}

fn comparisons<W, T>(
    wire: Vec<ComparisonWire<W>>,
    operand: impl Fn(W) -> Result<T, Unread>,
) -> Result<Vec<Comparison<T>>, Unread> {
    if !(1..=COMPARISONS_MAX).contains(&wire.len()) {
        return Err(Unread::Conditions);
    }
    let comparison = |wire: ComparisonWire<W>| {
        let operator = Operator::of_sign(&wire.operator);
        Ok(Comparison {
            operator: operator.ok_or(Unread::Operand(wire.operator))?,
            operand: operand(wire.operand)?,
        })
    };
    wire.into_iter().map(comparison).collect()
}

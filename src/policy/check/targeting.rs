//! Whom a rollout is for.

use super::super::code::Code;
use super::super::document::suggest::cut;
use super::super::document::targeting::Scalar;
use super::super::document::value::Items;
use super::super::document::{
    AssignmentDocument, CONDITION_VALUES_MAX, CONDITIONS_MAX, Given, Located, TargetingDocument,
};
use super::super::problem::{Problems, Span};
use super::super::{Segment, Targeting};
use super::refuse;
use crate::ids::{Exposure, Salt};
use crate::targeting::{
    AttributeName, COMPARISONS_MAX, Comparison, Condition, Number, SemanticVersion, Test, VALUE_BYTES_MAX,
    Values,
};
use std::mem::discriminant;

/// What one entry says.
enum Entry {
    Condition(Condition),
    Segment(Segment),
}

pub(super) fn check(document: &AssignmentDocument, problems: &mut Problems) -> Option<Targeting> {
    document.targeting.resolve(Targeting::default(), |located| {
        let mut segment: Option<Segment> = None;
        let mut twice = false;
        let entries = located.value.convert(|_, entry| {
            let read = self::entry(entry, problems)?;
            if let (Entry::Segment(_), Some(_)) = (&read, &segment) {
                let message = "there is a `share` already, and users are drawn once";
                problems.add_with_help(Code::TargetingTest, entry.span, message, "remove one of both");
                twice = true;
            }
            match read {
                Entry::Condition(condition) => Some(Some(condition)),
                Entry::Segment(share) => {
                    segment = Some(share);
                    Some(None)
                }
            }
        });
        let conditions: Vec<Condition> = entries?.into_iter().flatten().collect();
        (!twice && conditions.len() <= CONDITIONS_MAX).then_some(Targeting { conditions, segment })
    })
}

/// One entry: an attribute with one test, or a share.
fn entry(located: &Located<TargetingDocument>, problems: &mut Problems) -> Option<Entry> {
    let document = &located.value;
    let tests = [
        ("in", !document.one_of.is_absent()),
        ("notIn", !document.none_of.is_absent()),
        ("number", !document.number.is_absent()),
        ("version", !document.version.is_absent()),
        ("share", !document.share.is_absent()),
    ];
    let given: Vec<&str> = tests
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| *name)
        .collect();
    let [test] = given[..] else {
        let message = match given[..] {
            [] => "this entry tests nothing".to_owned(),
            _ => format!("this entry has {} at once", listed(&given)),
        };
        let help = "an entry has one of `in`, `notIn`, `number`, `version` and `share`";
        problems.add_with_help(Code::TargetingTest, located.span, message, help);
        return None;
    };
    let misplaced = match test {
        "share" => (
            &document.attribute,
            "`share` draws users by their key: it takes no `attribute`",
        ),
        _ => (&document.salt, "`salt` goes with `share` alone"),
    };
    if let Some(stray) = misplaced.0.located() {
        problems.add(Code::TargetingTest, stray.span, misplaced.1);
        return None;
    }
    if let Some(share) = document.share.located() {
        return segment(share, &document.salt, problems).map(Entry::Segment);
    }
    // Both are judged, so that both have their problems noted.
    let attribute = attribute(document, located.span, problems);
    let test = self::test(document, problems);
    Some(Entry::Condition(Condition {
        attribute: attribute?,
        test: test?,
    }))
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(" and ")
}

fn segment(
    share: &Located<super::super::quantity::Percentage>,
    salt: &Given<String>,
    problems: &mut Problems,
) -> Option<Segment> {
    let exposure = Exposure::from_ppm(share.value.ppm()).ok();
    let exposure = exposure.filter(|exposure| *exposure > Exposure::NOBODY);
    if exposure.is_none() {
        let message = "`share` must be above 0% and at most 100%";
        problems.add(Code::SegmentShare, share.span, message);
    }
    let salt = salt.resolve(None, |located| {
        let salt = Salt::new(&located.value).ok();
        if salt.is_none() {
            refuse(Code::Salt, located, "`salt`", Salt::RULE, None, problems);
        }
        salt.map(Some)
    });
    Some(Segment {
        share: exposure?,
        salt: salt?,
    })
}

fn attribute(document: &TargetingDocument, span: Span, problems: &mut Problems) -> Option<AttributeName> {
    let located = match &document.attribute {
        Given::Is(located) => located,
        Given::Broken => return None,
        Given::Absent => {
            let message = "this entry lacks `attribute`: what is tested";
            problems.add(Code::AttributeName, span, message);
            return None;
        }
    };
    let name = AttributeName::new(&located.value);
    if name.is_none() {
        let rule = AttributeName::RULE;
        refuse(Code::AttributeName, located, "`attribute`", rule, None, problems);
    }
    name
}

fn test(document: &TargetingDocument, problems: &mut Problems) -> Option<Test> {
    if let Some(list) = document.one_of.value() {
        return values(list, problems).map(Test::OneOf);
    }
    if let Some(list) = document.none_of.value() {
        return values(list, problems).map(Test::NoneOf);
    }
    if let Some(text) = document.number.located() {
        let example = "`\">=18 <65\"`";
        return comparisons(text, Number::parse, "a number", example, problems).map(Test::Number);
    }
    let text = document.version.located()?;
    let what = "a semantic version of three numbers";
    let example = "`\">=2.4.0 <3.0.0\"`";
    comparisons(text, SemanticVersion::parse, what, example, problems).map(Test::Version)
}

/// The values of a list, which are of one type; an empty list is one of text.
fn values(list: &Items<Scalar, 0, CONDITION_VALUES_MAX>, problems: &mut Problems) -> Option<Values> {
    let first = list.usable().next().map(|(_, first)| first.value.clone());
    let scalars = list.convert(|_, item| {
        if let Some(first) = first
            .as_ref()
            .filter(|first| discriminant(*first) != discriminant(&item.value))
        {
            let message = format!(
                "this is {}, and the first value is {}",
                item.value.kind(),
                first.kind()
            );
            let help =
                "compare an attribute with values of one type; text that looks like a number needs quotes";
            problems.add_with_help(Code::TargetingValue, item.span, message, help);
            return None;
        }
        let long = matches!(&item.value, Scalar::Text(text) if text.len() > VALUE_BYTES_MAX);
        if long {
            let message = format!("an attribute has at most {VALUE_BYTES_MAX} bytes of UTF-8");
            problems.add(Code::TargetingValue, item.span, message);
        }
        (!long).then(|| item.value.clone())
    })?;
    let mut values = match first {
        Some(Scalar::Number(_)) => Values::Numbers(Default::default()),
        Some(Scalar::Truth(_)) => Values::Truths(Default::default()),
        Some(Scalar::Text(_)) | None => Values::Texts(Default::default()),
    };
    for scalar in scalars {
        match (&mut values, scalar) {
            (Values::Texts(texts), Scalar::Text(text)) => texts.insert(text.into()),
            (Values::Numbers(numbers), Scalar::Number(number)) => numbers.insert(number),
            (Values::Truths(truths), Scalar::Truth(truth)) => truths.insert(truth),
            (Values::Texts(_) | Values::Numbers(_) | Values::Truths(_), _) => false,
        };
    }
    Some(values)
}

fn comparisons<T: Ord>(
    text: &Located<String>,
    operand: impl Fn(&str) -> Option<T>,
    what: &str,
    example: &str,
    problems: &mut Problems,
) -> Option<Vec<Comparison<T>>> {
    let comparisons = Comparison::parse_all(&text.value, operand);
    if comparisons.is_none() {
        problems.add_with_help(
            Code::Comparison,
            text.span,
            format!(
                "`{}` is not 1 to {COMPARISONS_MAX} comparisons with {what}",
                cut(&text.value)
            ),
            format!("write `<`, `<=`, `=`, `!=`, `>=` or `>` before each, such as {example}"),
        );
    }
    comparisons
}

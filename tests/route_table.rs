//! The law of the route table: whoever assigns by it gives every user what the server gives.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serin::api::views::route_table::{FORMAT, RouteTableView};
use serin::assignment::admission::{GroupPart, Range, Segment};
use serin::assignment::assign::assign;
use serin::assignment::bucket::{Purpose, SplitKey, SplitSalt};
use serin::assignment::line::Line;
use serin::assignment::{Admission, Idle, Reason, Route, Served, Treatment, Who};
use serin::client::{Table, User};
use serin::ids::{
    Exposure, Generation, GroupName, Label, PolicyName, PromptName, RolloutId, Scheme, UserKey, Version,
};
use serin::targeting::{
    Attribute, AttributeName, Attributes, Comparison, Condition, Number, Operator, SemanticVersion, Test,
    Values,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SECRET: [u8; 32] = *b"the secret of the table, fixed  ";
const NAMES: [&str; 3] = ["region", "app.version", "seats"];
const TEXTS: [&str; 9] = [
    "eu",
    "us",
    "é \"x\\",
    "true",
    "5",
    "5.0",
    "1.2.3",
    "1.2.3-rc.1",
    "2.0.0",
];
const NUMBERS: [f64; 7] = [0.0, 5.0, -5.5, 0.1, 1e300, 5e-324, 123_456_789.125];
const KEYS: [&str; 8] = [
    "anna",
    "bert",
    "é",
    "qa-7",
    "probe",
    "visitor-1",
    "visitor-2",
    "x y",
];
const VERSIONS: [&str; 4] = ["1.2.3", "1.2.3-rc.1", "2.0.0", "1.2.3-alpha.99999999999999999999"];
const OPERATORS: [&str; 6] = ["<", "<=", "=", "!=", ">=", ">"];

fn exposure() -> impl Strategy<Value = Exposure> {
    let ppm = prop_oneof![Just(0), Just(1_000_000), 0..=1_000_000_u32];
    ppm.prop_map(|ppm| Exposure::from_ppm(ppm).unwrap())
}

fn number() -> impl Strategy<Value = Number> {
    let any = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL;
    prop_oneof![3 => prop::sample::select(NUMBERS.to_vec()), 1 => any]
        .prop_map(|number| Number::new(number).unwrap())
}

fn comparisons<T: std::fmt::Debug + Clone>(
    operand: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<Comparison<T>>> {
    let comparison = (prop::sample::select(OPERATORS.to_vec()), operand);
    let comparison = comparison.prop_map(|(sign, operand)| Comparison {
        operator: Operator::of_sign(sign).unwrap(),
        operand,
    });
    prop::collection::vec(comparison, 1..4)
}

fn values() -> impl Strategy<Value = Values> {
    let texts = prop::collection::btree_set(prop::sample::select(TEXTS.to_vec()), 0..4);
    prop_oneof![
        texts.prop_map(|texts| Values::Texts(texts.into_iter().map(Into::into).collect())),
        prop::collection::btree_set(number(), 0..4).prop_map(Values::Numbers),
        prop::collection::btree_set(any::<bool>(), 0..3).prop_map(Values::Truths),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let version =
        prop::sample::select(VERSIONS.to_vec()).prop_map(|text| SemanticVersion::parse(text).unwrap());
    let test = prop_oneof![
        values().prop_map(Test::OneOf),
        values().prop_map(Test::NoneOf),
        comparisons(number()).prop_map(Test::Number),
        comparisons(version).prop_map(Test::Version),
    ];
    (prop::sample::select(NAMES.to_vec()), test).prop_map(|(name, test)| Condition {
        attribute: AttributeName::new(name).unwrap(),
        test,
    })
}

fn range() -> impl Strategy<Value = Range> {
    (exposure(), exposure()).prop_map(|(one, other)| Range {
        from: one.min(other),
        to: one.max(other),
    })
}

fn segment(purpose: Purpose) -> impl Strategy<Value = Option<Segment>> {
    prop::option::of((exposure(), "[a-z]{1,8}")).prop_map(move |drawn| {
        drawn.map(|(share, salt)| Segment {
            share,
            key: SplitKey::of_text(&SECRET, purpose, &salt),
        })
    })
}

fn group() -> impl Strategy<Value = Option<GroupPart>> {
    let part = (range(), prop::collection::vec(range(), 0..3));
    prop::option::of(part).prop_map(|drawn| {
        drawn.map(|(range, taken)| GroupPart {
            name: GroupName::new("page").unwrap(),
            key: SplitKey::of_text(&SECRET, Purpose::Group, "page"),
            range,
            taken,
        })
    })
}

fn admission() -> impl Strategy<Value = Admission> {
    let conditions = prop::collection::vec(condition(), 0..4);
    let reserve = segment(Purpose::Reserve);
    (conditions, segment(Purpose::Segment), group(), reserve).prop_map(
        |(conditions, segment, group, reserve)| Admission {
            conditions: conditions.into(),
            segment,
            group,
            reserve,
        },
    )
}

fn keys() -> impl Strategy<Value = Arc<BTreeSet<Arc<str>>>> {
    prop::collection::btree_set(prop::sample::select(KEYS.to_vec()), 0..3)
        .prop_map(|keys| Arc::new(keys.into_iter().map(Into::into).collect()))
}

fn served(label: &str, version: u32) -> Served {
    Served {
        label: Label::new(label).unwrap(),
        version: Version::new(version).ok(),
    }
}

fn treatment() -> impl Strategy<Value = Treatment> {
    let scheme = prop::sample::select(Scheme::ALL.to_vec());
    (scheme, exposure(), exposure(), admission(), keys(), keys()).prop_map(
        |(scheme, exposure, holdback, admission, forced_treatment, forced_control)| {
            let policy = PolicyName::new("greeting").unwrap();
            let salt = SplitSalt::of(None, &policy, Version::FIRST);
            Treatment {
                served: served("canary", 2),
                exposure,
                holdback,
                rollout: RolloutId::new(17),
                generation: Generation::new(3),
                line: Line::new(scheme, &policy, &salt, &SECRET),
                cluster_key: SplitKey::derive(&SECRET, Purpose::Cluster, &salt),
                admission,
                forced_treatment,
                forced_control,
            }
        },
    )
}

fn route() -> impl Strategy<Value = Route> {
    prop::option::weighted(0.95, treatment()).prop_map(|treatment| Route {
        policy: PolicyName::new("greeting").unwrap(),
        prompt: PromptName::new("team/greeting").unwrap(),
        control: served("production", 1),
        treatment,
        idle: Idle::RolledBack,
    })
}

fn attributes() -> impl Strategy<Value = Attributes<'static>> {
    let text = || prop::sample::select(TEXTS.to_vec());
    let attribute = prop_oneof![
        text().prop_map(|text| Attribute::Text(text.into())),
        text().prop_map(|text| Attribute::Raw(text.into())),
        prop::sample::select(NUMBERS.to_vec()).prop_map(Attribute::Number),
        any::<bool>().prop_map(Attribute::Truth),
    ];
    let named = prop::collection::btree_map(prop::sample::select(NAMES.to_vec()), attribute, 0..=NAMES.len());
    named.prop_map(|named: BTreeMap<&'static str, Attribute<'static>>| {
        let mut attributes = Attributes::default();
        for (name, attribute) in named {
            attributes.add(name.into(), attribute).unwrap();
        }
        attributes
    })
}

/// The table of these routes, as it is sent.
fn sent(routes: &[Route]) -> Vec<u8> {
    let view = RouteTableView {
        format: FORMAT,
        routes: routes.iter().map(Into::into).collect(),
    };
    serde_json::to_vec(&view).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_table_assigns_as_its_server_does(
        route in route(),
        users in prop::collection::vec(prop::sample::select(KEYS.to_vec()), 6),
        anonymous in prop::option::of(prop::sample::select(KEYS.to_vec())),
        attributes in attributes(),
    ) {
        let table = Table::parse(&sent(std::slice::from_ref(&route))).unwrap();
        for key in users {
            let who = Who {
                user: UserKey::new(key).unwrap(),
                anonymous: anonymous.map(|key| UserKey::new(key).unwrap()),
                attributes: &attributes,
            };
            let user = User::new(key).with_attributes(&attributes);
            let user = anonymous.map_or(user, |key| user.with_anonymous(key));
            prop_assert_eq!(table.assign("greeting", user).unwrap(), assign(&route, who));
        }
    }
}

/// The law would hold of tables in which nothing happens, too.
#[test]
fn every_reason_occurs() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reasons = BTreeSet::new();
    for _ in 0..600 {
        let route = route().new_tree(&mut runner).unwrap().current();
        let attributes = attributes().new_tree(&mut runner).unwrap().current();
        let who = Who {
            user: UserKey::new("qa-7").unwrap(),
            anonymous: None,
            attributes: &attributes,
        };
        reasons.insert(match assign(&route, who).reason {
            Reason::AttributeMissing(_) => "missing",
            Reason::NotTargeted(_) => "not targeted",
            Reason::Split => "split",
            Reason::Forced => "forced",
            Reason::Holdback => "holdback",
            Reason::OutsideSegment => "segment",
            Reason::OtherInGroup => "group",
            Reason::Reserved => "reserve",
            Reason::Idle(_) => "idle",
        });
    }
    assert_eq!(reasons.len(), 9, "{reasons:?}");
}

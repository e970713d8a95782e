//! The laws of who may enter a rollout, for every hash scheme.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::Timestamp;
use proptest::prelude::*;
use serin::assignment::admission::Segment;
use serin::assignment::assign::assign;
use serin::assignment::{Reason, Route, Who};
use serin::ids::{Arm, Exposure, RolloutId, Scheme, UserKey, Version};
use serin::policy::Policy;
use serin::policy::check::check;
use serin::rollout::route::route;
use serin::rollout::{Cause, Phase, PolicyCause, RolloutState};
use serin::targeting::{Attribute, Attributes};
use std::borrow::Cow;

const SECRET: [u8; 32] = *b"the secret of the laws, fixed   ";
const STEPS: usize = 4;

fn policy(name: &str, scheme: Scheme, assignment: &str) -> Policy {
    let text = format!(
        "apiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {{name: {name}}}\nspec:\n  prompt: {name}\n  \
         assignment: {{hash: {scheme}, {assignment}}}\n  steps:\n    - {{exposure: 5%, bake: 1h}}\n    - \
         {{exposure: 25%, bake: 1h}}\n    - {{exposure: 50%, bake: 1h}}\n    - {{exposure: 100%, bake: 1h}}\n  \
         metrics: [{{name: errors, kind: rate, better: lower, margin: 1pp}}]\n"
    );
    check("policy.yaml", &text).unwrap().policy
}

fn in_phase(policy: &Policy, phase: Phase) -> Route {
    let versions = (Version::FIRST, Version::new(2).unwrap());
    let mut state = RolloutState::pending(policy, versions.0, versions.1, Timestamp::UNIX_EPOCH);
    state.id = RolloutId::new(1);
    state.phase = phase;
    route(policy, Some(&state), None, &SECRET)
}

/// The routes of a rollout, step by step.
fn ladder(policy: &Policy) -> [Route; STEPS] {
    std::array::from_fn(|step| in_phase(policy, Phase::Ramping { step }))
}

fn reserved(mut route: Route, share: Exposure) -> Route {
    if let Some(treatment) = &mut route.treatment {
        treatment.admission.reserve = Some(Segment::reserve(share, "2026", &SECRET));
    }
    route
}

fn region(name: &'static str) -> Attributes<'static> {
    let mut attributes = Attributes::default();
    attributes
        .add("region".into(), Attribute::Text(Cow::Borrowed(name)))
        .unwrap();
    attributes
}

fn scheme() -> impl Strategy<Value = Scheme> {
    prop::sample::select(Scheme::ALL.to_vec())
}

fn is_treated(route: &Route, who: Who<'_>) -> bool {
    assign(route, who).arm == Arm::Treatment
}

proptest! {
    #[test]
    fn nobody_leaves_treatment_on_a_step_up_and_everybody_does_on_a_rollback(
        scheme in scheme(), name in "[a-zé0-9-]{1,24}", share in 1u32..=100, from in 0u32..100,
    ) {
        let assignment = format!(
            "targeting: [{{attribute: region, in: [eu]}}, {{share: {share}%}}], \
             group: {{name: page, from: {from}%, to: 100%}}"
        );
        let policy = policy("answer", scheme, &assignment);
        let user = UserKey::new(&name).unwrap();
        for attributes in [region("eu"), region("us"), Attributes::default()] {
            let who = Who { attributes: &attributes, ..Who::from(user) };
            let treated = ladder(&policy).map(|route| is_treated(&reserved(route, Exposure::from_ppm(20_000).unwrap()), who));
            prop_assert!(treated.is_sorted(), "{treated:?}");
            let targeted = attributes.get("region") == region("eu").get("region");
            prop_assert!(targeted || !treated[STEPS - 1]);
            let cause = Cause::Policy(PolicyCause::GatesPassed);
            for phase in [Phase::RollingBack { cause: cause.clone() }, Phase::RolledBack { cause }] {
                let after = in_phase(&policy, phase);
                prop_assert!(!is_treated(&after, who));
            }
        }
    }

    #[test]
    fn a_user_is_in_treatment_of_one_policy_of_a_group_at_most(
        scheme in scheme(), other in scheme(), name in "[a-z0-9]{1,24}", cut in 1u32..100,
    ) {
        let first = policy("first", scheme, &format!("group: {{name: page, from: 0%, to: {cut}%}}"));
        let second = policy("second", other, &format!("group: {{name: page, from: {cut}%, to: 100%}}"));
        let user = Who::from(UserKey::new(&name).unwrap());
        let everybody = Phase::Ramping { step: STEPS - 1 };
        let routes = [&first, &second].map(|policy| in_phase(policy, everybody.clone()));
        let treated = routes.each_ref().map(|route| is_treated(route, user));
        // At 100% of a group that is shared out whole, it is one of them and not both.
        prop_assert_eq!(treated.iter().filter(|treated| **treated).count(), 1);
        let reasons = routes.each_ref().map(|route| assign(route, user).reason);
        prop_assert!(reasons.contains(&Reason::OtherInGroup) && reasons.contains(&Reason::Split));
    }

    #[test]
    fn the_reserve_is_in_treatment_of_no_policy(scheme in scheme(), name in "[a-z0-9]{1,24}", ppm in 1u32..1_000_000) {
        let share = Exposure::from_ppm(ppm).unwrap();
        let user = Who::from(UserKey::new(&name).unwrap());
        let policies = ["first", "second"].map(|name| policy(name, scheme, "holdback: 0%"));
        let everybody = Phase::Ramping { step: STEPS - 1 };
        let routes = policies.each_ref().map(|policy| reserved(in_phase(policy, everybody.clone()), share));
        let assigned = routes.each_ref().map(|route| assign(route, user));
        prop_assert_eq!(assigned[0].reason, assigned[1].reason);
        prop_assert_eq!(assigned[0].reason == Reason::Reserved, assigned[0].arm == Arm::Control);
        prop_assert_eq!(assigned[0].arm, assigned[1].arm);
    }
}

proptest! {
    #[test]
    fn whoever_signs_in_keeps_what_they_had(scheme in scheme(), before in "[a-z0-9]{1,24}", after in "[a-z0-9]{1,24}") {
        let policy = policy("answer", scheme, "targeting: [{share: 50%}], group: {name: page, from: 10%, to: 100%}");
        let [anonymous, user] = [&before, &after].map(|key| UserKey::new(key).unwrap());
        let linked = Who { anonymous: Some(anonymous), ..Who::from(user) };
        for route in ladder(&policy) {
            let (was, is) = (assign(&route, anonymous), assign(&route, linked));
            prop_assert_eq!(was, is);
            // One person counts once: by one cluster and one hash.
            prop_assert_eq!(route.receipt(&was, anonymous), route.receipt(&is, linked));
        }
    }
}

/// Users are drawn apart from each other: of those of one part of a group, the share in the segment and in
/// treatment is that of all.
#[test]
fn segments_groups_reserve_and_arms_are_independent() {
    let whole = policy(
        "answer",
        Scheme::Serin,
        "group: {name: page, from: 0%, to: 50%}, targeting: [{share: 50%}]",
    );
    let route = reserved(
        in_phase(&whole, Phase::Ramping { step: 2 }),
        Exposure::from_ppm(500_000).unwrap(),
    );
    let names: Vec<String> = (0..16_000).map(|number| format!("user-{number}")).collect();
    let treated = names
        .iter()
        .filter(|name| is_treated(&route, Who::from(UserKey::new(name).unwrap())))
        .count();
    // One half of one half, four times over, is 1,000 of 16,000; the standard deviation is 31.
    assert!((850..=1_150).contains(&treated), "{treated}");
}

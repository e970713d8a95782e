//! The cost of an assignment in process: snapshot lookup, hash, comparison, label.

use criterion::{Criterion, criterion_group, criterion_main};
use serin::assignment::assign::assign;
use serin::assignment::bucket::{Purpose, SplitKey, SplitSalt};
use serin::assignment::line::Line;
use serin::assignment::receipt::ReceiptKey;
use serin::assignment::snapshot::Snapshot;
use serin::assignment::{Admission, Idle, Route, Served, Treatment};
use serin::ids::{
    Exposure, Generation, InvalidId, Label, PolicyName, PromptName, RolloutId, Scheme, UserKey, Version,
};
use std::hint::black_box;
use std::sync::Arc;

const SECRET: [u8; 32] = [7; 32];
const USERS: usize = 4096;

fn route(policy: &str) -> Result<Route, InvalidId> {
    let policy = PolicyName::new(policy)?;
    let candidate = Version::new(2)?;
    let salt = SplitSalt::of(None, &policy, candidate);
    let treatment = Treatment {
        served: Served {
            label: Label::new("canary")?,
            version: Some(candidate),
        },
        exposure: Exposure::from_ppm(250_000)?,
        holdback: Exposure::NOBODY,
        rollout: RolloutId::new(17),
        generation: Generation::new(3),
        line: Line::new(Scheme::Serin, &policy, &salt, &SECRET),
        cluster_key: SplitKey::derive(&SECRET, Purpose::Cluster, &salt),
        admission: Admission::default(),
        forced_treatment: Arc::default(),
        forced_control: Arc::default(),
    };
    Ok(Route {
        prompt: PromptName::new(policy.as_str())?,
        policy,
        control: Served {
            label: Label::new("production")?,
            version: Some(Version::FIRST),
        },
        treatment: Some(treatment),
        idle: Idle::NoRollout,
    })
}

fn policy_names(policies: usize) -> Vec<String> {
    (0..policies)
        .map(|number| format!("order-status-answer-{number}"))
        .collect()
}

fn snapshot(names: &[String]) -> Result<Snapshot, InvalidId> {
    let routes: Result<Vec<_>, _> = names.iter().map(|name| route(name).map(Arc::new)).collect();
    Ok(Snapshot::new(1, routes?))
}

fn benches(criterion: &mut Criterion) {
    let users: Vec<String> = (0..USERS).map(|number| format!("user-{number:07}")).collect();
    let users: Vec<UserKey<'_>> = users.iter().filter_map(|user| UserKey::new(user).ok()).collect();
    for policies in [1, 10, 10_000] {
        let names = policy_names(policies);
        let Ok(snapshot) = snapshot(&names) else {
            unreachable!("the names of the benchmark are valid");
        };
        criterion.bench_function(&format!("assign/{policies}_policies"), |bencher| {
            // Both strides are odd, so that users and policies are visited in no order that caches like.
            let mut at = 0_usize;
            bencher.iter(|| {
                at = at.wrapping_add(7919);
                let assignment = snapshot.assign(&names[at % names.len()], users[at % USERS]);
                black_box(assignment.map(|found| found.served.label.as_str()))
            });
        });
    }

    let Ok(route) = route("order-status-answer") else {
        unreachable!("the names of the benchmark are valid");
    };
    criterion.bench_function("assign/route_in_hand", |bencher| {
        let mut at = 0_usize;
        bencher.iter(|| {
            at = at.wrapping_add(7919);
            black_box(assign(&route, users[at % USERS]).arm)
        });
    });
    let key = ReceiptKey::derive(&SECRET);
    criterion.bench_function("receipt/assign_and_issue", |bencher| {
        let mut at = 0_usize;
        bencher.iter(|| {
            at = at.wrapping_add(7919);
            let user = users[at % USERS];
            let receipt = route.receipt(&assign(&route, user), user);
            black_box(receipt.map(|receipt| key.issue(&receipt)))
        });
    });
    let issued = route
        .receipt(&assign(&route, users[0]), users[0])
        .map(|receipt| key.issue(&receipt));
    criterion.bench_function("receipt/verify", |bencher| {
        bencher.iter(|| black_box(issued.as_ref().map(|text| key.verify(text.as_str()))));
    });
}

criterion_group!(assignment, benches);
criterion_main!(assignment);

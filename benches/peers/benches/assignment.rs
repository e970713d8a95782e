//! What a label costs in process: Serin beside the SDKs that evaluate by themselves, in one run.
//!
//! Everybody answers the same question, "which label has this user", for 4,096 users of a policy that gives a
//! quarter of them the candidate. Before anything is measured, each peer is held against Serin with that
//! peer's hash: they must give every user the same label. Users and contexts are made beforehand, and flags
//! are in hand where a store would clone them, which favours the peers.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench assignment`

use criterion::{Criterion, criterion_group, criterion_main};
use growthbook_rust::dto::GrowthBookFeature;
use growthbook_rust::growthbook::GrowthBook;
use growthbook_rust::model_public::GrowthBookAttribute;
use launchdarkly_server_sdk_evaluation as launchdarkly;
use serde_json::json;
use serin::assignment::bucket::{Purpose, SplitKey, SplitSalt};
use serin::assignment::line::Line;
use serin::assignment::snapshot::Snapshot;
use serin::assignment::{Admission, Idle, Route, Served, Treatment};
use serin::ids::{
    Exposure, Generation, Label, PolicyName, PromptName, RolloutId, Salt, Scheme, UserKey, Version,
};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use unleash_yggdrasil::{ClientFeatures, Context, EngineState};

type Failure = Box<dyn std::error::Error>;

const USERS: usize = 4096;
/// An odd stride, so that users are visited in no order that caches like.
const STRIDE: usize = 7919;
const POLICY: &str = "greeting";
const SALT: &str = "checkout";
const CANARY: &str = "canary";
const SECRET: [u8; 32] = [7; 32];

fn users() -> Vec<String> {
    (0..USERS).map(|number| format!("user-{number:07}")).collect()
}

/// A snapshot of one policy with this hash.
fn serin(scheme: Scheme) -> Result<Snapshot, Failure> {
    let policy = PolicyName::new(POLICY)?;
    let salt = match scheme {
        Scheme::LaunchDarkly => Salt::new(&format!("{POLICY}.{SALT}"))?,
        _ => Salt::new(SALT)?,
    };
    let salt = SplitSalt::Declared(&salt);
    let served = |label: &str, version| -> Result<Served, Failure> {
        let (label, version) = (Label::new(label)?, Some(Version::new(version)?));
        Ok(Served { label, version })
    };
    let route = Route {
        prompt: PromptName::new(POLICY)?,
        control: served("production", 1)?,
        treatment: Some(Treatment {
            served: served(CANARY, 2)?,
            exposure: Exposure::from_ppm(250_000)?,
            holdback: Exposure::NOBODY,
            rollout: RolloutId::new(1),
            generation: Generation::new(1),
            line: Line::new(scheme, &policy, &salt, &SECRET),
            cluster_key: SplitKey::derive(&SECRET, Purpose::Cluster, &salt),
            admission: Admission::default(),
            forced_treatment: Arc::default(),
            forced_control: Arc::default(),
        }),
        idle: Idle::NoRollout,
        policy,
    };
    Ok(Snapshot::new(1, [Arc::new(route)]))
}

fn serin_treats(snapshot: &Snapshot, user: &str) -> bool {
    let user = UserKey::new(user).ok();
    let assignment = user.and_then(|user| snapshot.assign(POLICY, user));
    assignment.is_some_and(|assignment| assignment.served.label.as_str() == CANARY)
}

/// Holds a peer against Serin with the peer's hash.
fn check(name: &str, scheme: Scheme, treats: impl Fn(usize) -> bool) -> Result<(), Failure> {
    let snapshot = serin(scheme)?;
    let users = users();
    let wrong = (0..USERS)
        .filter(|&at| treats(at) != serin_treats(&snapshot, &users[at]))
        .count();
    let treated = (0..USERS).filter(|&at| treats(at)).count();
    println!("{name}: treats {treated} of {USERS}; {wrong} otherwise than Serin with `hash: {scheme}`");
    if wrong > 0 || !(900..1150).contains(&treated) {
        return Err(format!("{name} does not do what is measured").into());
    }
    Ok(())
}

fn measure<T>(criterion: &mut Criterion, name: &str, label_of: impl Fn(usize) -> T) {
    criterion.bench_function(name, |bencher| {
        let mut at = 0_usize;
        bencher.iter(|| {
            at = at.wrapping_add(STRIDE);
            black_box(label_of(at % USERS))
        });
    });
}

fn measure_serin(criterion: &mut Criterion, scheme: Scheme) -> Result<(), Failure> {
    let snapshot = serin(scheme)?;
    let users = users();
    let users: Vec<UserKey<'_>> = users.iter().filter_map(|user| UserKey::new(user).ok()).collect();
    measure(criterion, &format!("serin/{scheme}"), |at| {
        let assignment = snapshot.assign(POLICY, users[at]);
        assignment.map(|assignment| assignment.served.label.as_str())
    });
    Ok(())
}

fn measure_yggdrasil(criterion: &mut Criterion) -> Result<(), Failure> {
    let variant = |label: &str, weight: u32| {
        let payload = json!({"type": "string", "value": label});
        json!({"name": label, "weight": weight, "stickiness": "userId", "payload": payload})
    };
    let strategy = |name: &str, rollout: &str, variants: serde_json::Value| {
        let parameters = json!({"rollout": rollout, "stickiness": "userId", "groupId": SALT});
        let strategy = json!({"name": "flexibleRollout", "constraints": [], "parameters": parameters, "variants": variants});
        json!({"name": name, "type": "release", "enabled": true, "strategies": [strategy], "variants": []})
    };
    let labels = json!([variant(CANARY, 250), variant("production", 750)]);
    let features = json!({"version": 2, "features": [strategy(POLICY, "100", labels), strategy("switch", "25", json!([]))]});
    let features: ClientFeatures = serde_json::from_value(features)?;
    let engine = EngineState::default();
    engine.apply_client_features(features);
    let contexts: Vec<Context> = users()
        .into_iter()
        .map(|user| Context {
            user_id: Some(user),
            ..Context::default()
        })
        .collect();
    check("yggdrasil", Scheme::Unleash, |at| {
        engine.get_variant(POLICY, &contexts[at], &None).name == CANARY
    })?;
    measure(criterion, "yggdrasil/get_variant", |at| {
        engine.get_variant(POLICY, &contexts[at], &None)
    });
    measure(criterion, "yggdrasil/is_enabled", |at| {
        engine.is_enabled("switch", &contexts[at], &None)
    });
    Ok(())
}

/// A store without anything: no flag here has prerequisites or segments.
struct Nothing;

impl launchdarkly::Store for Nothing {
    fn flag(&self, _: &str) -> Option<launchdarkly::Flag> {
        None
    }

    fn segment(&self, _: &str) -> Option<launchdarkly::Segment> {
        None
    }
}

fn measure_launchdarkly(criterion: &mut Criterion) -> Result<(), Failure> {
    let rollout =
        json!({"variations": [{"variation": 0, "weight": 25_000}, {"variation": 1, "weight": 75_000}]});
    let flag: launchdarkly::Flag = serde_json::from_value(json!({
        "key": POLICY, "version": 1, "on": true, "targets": [], "rules": [], "prerequisites": [],
        "fallthrough": {"rollout": rollout}, "offVariation": 1, "variations": [CANARY, "production"], "salt": SALT,
        "clientSideAvailability": {"usingMobileKey": false, "usingEnvironmentId": false},
    }))?;
    let contexts: Result<Vec<_>, _> = users()
        .into_iter()
        .map(|user| launchdarkly::ContextBuilder::new(user).build())
        .collect();
    let contexts = contexts?;
    let is_canary = |at: usize| {
        let detail = launchdarkly::evaluate(&Nothing, &flag, &contexts[at], None);
        matches!(detail.value, Some(launchdarkly::FlagValue::Str(label)) if label == CANARY)
    };
    check("launchdarkly", Scheme::LaunchDarkly, is_canary)?;
    measure(criterion, "launchdarkly/evaluate", |at| {
        launchdarkly::evaluate(&Nothing, &flag, &contexts[at], None).value
    });
    Ok(())
}

fn measure_eppo(criterion: &mut Criterion) -> Result<(), Failure> {
    let split = |label: &str, end: u32| {
        let ranges = json!([{"start": 0, "end": end}]);
        json!({"variationKey": label, "shards": [{"salt": SALT, "ranges": ranges}], "extraLogging": {}})
    };
    let splits = json!([split(CANARY, 2_500), split("production", 10_000)]);
    let config = json!({
        "createdAt": "2026-11-21T00:00:00.000Z", "format": "SERVER", "environment": {"name": "bench"}, "flags": {POLICY: {
            "key": POLICY, "enabled": true, "variationType": "STRING", "totalShards": 10_000,
            "variations": {CANARY: {"key": CANARY, "value": CANARY}, "production": {"key": "production", "value": "production"}},
            "allocations": [{"key": "all", "rules": [], "splits": splits, "doLog": false}],
        }},
    });
    let metadata = eppo_core::SdkMetadata {
        name: "bench",
        version: "1",
    };
    let config = eppo_core::ufc::UniversalFlagConfig::from_json(metadata, serde_json::to_vec(&config)?)?;
    let config = eppo_core::Configuration::from_server_response(config, None);
    let users: Vec<eppo_core::Str> = users().into_iter().map(Into::into).collect();
    let attributes = Arc::new(eppo_core::Attributes::default());
    let now = eppo_core::timestamp::now();
    let kind = eppo_core::ufc::VariationType::String;
    let assign = |at: usize| {
        eppo_core::eval::get_assignment(Some(&config), POLICY, &users[at], &attributes, Some(kind), now)
            .ok()
            .flatten()
    };
    check("eppo_core", Scheme::Eppo, |at| {
        let value = assign(at).map(|assignment| assignment.value);
        matches!(value, Some(eppo_core::ufc::AssignmentValue::String(label)) if <eppo_core::Str as AsRef<str>>::as_ref(&label) == CANARY)
    })?;
    measure(criterion, "eppo_core/get_assignment", assign);
    Ok(())
}

fn measure_growthbook(criterion: &mut Criterion) -> Result<(), Failure> {
    let rule = json!({
        "key": POLICY, "seed": SALT, "hashAttribute": "id", "hashVersion": 2, "variations": [CANARY, "production"],
        "ranges": [[0.0, 0.25], [0.25, 1.0]], "meta": [{"key": CANARY}, {"key": "production"}],
    });
    let features = json!({POLICY: {"defaultValue": "production", "rules": [rule]}});
    let features: HashMap<String, GrowthBookFeature> = serde_json::from_value(features)?;
    let growthbook = GrowthBook {
        forced_variations: None,
        features,
        attributes: None,
        sticky_bucket_service: None,
        saved_groups: HashMap::new(),
    };
    let attributes: Result<Vec<_>, _> = users()
        .into_iter()
        .map(|user| GrowthBookAttribute::from(json!({"id": user})).map(Some))
        .collect();
    let attributes = attributes?;
    check("growthbook-rust", Scheme::GrowthBookV2, |at| {
        growthbook.check(POLICY, &attributes[at]).value == CANARY
    })?;
    measure(criterion, "growthbook-rust/check", |at| {
        growthbook.check(POLICY, &attributes[at])
    });
    Ok(())
}

fn all(criterion: &mut Criterion) -> Result<(), Failure> {
    let schemes = [
        Scheme::Serin,
        Scheme::Unleash,
        Scheme::LaunchDarkly,
        Scheme::Eppo,
        Scheme::GrowthBookV2,
    ];
    for scheme in schemes {
        measure_serin(criterion, scheme)?;
    }
    measure_yggdrasil(criterion)?;
    measure_launchdarkly(criterion)?;
    measure_eppo(criterion)?;
    measure_growthbook(criterion)
}

fn benches(criterion: &mut Criterion) {
    if let Err(failure) = all(criterion) {
        panic!("{failure}");
    }
}

criterion_group!(assignment, benches);
criterion_main!(assignment);

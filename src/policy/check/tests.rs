//! What a sound policy means, and what several files must not share.

use super::super::lint::split_change;
use super::super::{
    Better, EvaluationGate, Margin, MetricKind, NotifyOn, OnFail, OnInconclusive, OnNoData, Role, Scheme,
};
use super::*;
use crate::ids::{Exposure, MetricName};
use jiff::SignedDuration;

/// A policy in which every key has a value that is not its default.
const WHOLE: &str = r#"
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: whole, owner: "the team"}
spec:
  prompt: folder/whole
  registry: langfuse
  labels: {control: prod-a, treatment: prod-b}
  assignment:
    salt: seeds
    holdback: 2.5%
    force: {treatment: [qa-7], control: [qa-8, qa-9]}
  steps:
    - {exposure: 0.0001%, bake: 1h30m, samples: 500}
    - {exposure: 33.3333%, bake: 2d, approval: required}
    - {exposure: 100%, bake: 0s}
  watch: 7d
  analysis:
    alpha: 1%
    every: 10s
    noData: {after: 10m, then: pause}
    onFail: stepBack
    inconclusive: {after: 5d, then: advance}
  metrics:
    - {name: rating, kind: score, range: [1, 5], margin: 0.1, floor: 3, baseline: 4, weight: 2}
    - {name: errors, kind: rate, better: lower, margin: 0.5pp, ceiling: 2%, baseline: 0.7%, role: goal}
    - {name: length, kind: score, better: lower, margin: 10%, role: watched}
  gates:
    evaluation: {dataset: golden.jsonl, floor: {rating: 3.5, relevance: 0.8}, versus: stable}
    approval: {before: start, from: 2}
  notify:
    - {webhook: "https://hooks.example.com/x", on: [rolledBack, promoted]}
"#;

fn ppm(exposure: Exposure) -> u32 {
    exposure.ppm()
}

#[test]
fn a_whole_policy_means_what_it_says() {
    let Sound { policy, warnings } = check("whole.yaml", WHOLE).unwrap();
    let codes: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, [Code::BakeShort.as_str()], "{warnings:?}");
    assert_eq!(policy.name.as_str(), "whole");
    assert_eq!(policy.owner.as_deref(), Some("the team"));
    assert_eq!(policy.revision, Revision::of(WHOLE));
    assert_eq!(&*policy.source, WHOLE);
    assert_eq!(policy.prompt.as_str(), "folder/whole");
    assert_eq!(policy.registry.as_str(), "langfuse");
    assert_eq!(policy.labels.control.as_str(), "prod-a");
    assert_eq!(policy.labels.treatment.as_str(), "prod-b");
    let assignment = &policy.assignment;
    assert_eq!(assignment.scheme, Scheme::Serin);
    assert_eq!(assignment.salt.as_ref().map(|salt| salt.as_str()), Some("seeds"));
    assert_eq!(ppm(assignment.holdback), 25_000);
    assert!(assignment.force.treatment.contains("qa-7"));
    assert_eq!(assignment.force.control.len(), 2);
    let steps: Vec<_> = policy
        .steps
        .iter()
        .map(|step| {
            (
                ppm(step.exposure),
                step.bake.as_secs(),
                step.samples,
                step.approval,
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            (1, 5_400, 500, false),
            (333_333, 172_800, 0, true),
            (1_000_000, 0, 0, false)
        ]
    );
    assert_eq!(policy.watch, SignedDuration::from_hours(7 * 24));
    let gates = &policy.gates;
    assert_eq!(
        gates.evaluation,
        Some(EvaluationGate {
            dataset: "golden.jsonl".into(),
            floor: vec![
                (MetricName::new("rating").unwrap(), 3.5),
                (MetricName::new("relevance").unwrap(), 0.8)
            ],
            versus_stable: true,
        })
    );
    assert_eq!((gates.approval.before_start, gates.approval.from), (true, 2));
    assert_eq!(&*policy.notify[0].webhook, "https://hooks.example.com/x");
    assert_eq!(policy.notify[0].on, [NotifyOn::RolledBack, NotifyOn::Promoted]);
}

#[test]
fn the_rules_of_a_whole_policy_mean_what_they_say() {
    let policy = check("whole.yaml", WHOLE).unwrap().policy;
    let analysis = &policy.analysis;
    assert_eq!(analysis.alpha.get().to_bits(), 0.01_f64.to_bits());
    assert_eq!(analysis.every, SignedDuration::from_secs(10));
    assert_eq!(analysis.no_data.then, OnNoData::Pause);
    assert_eq!(analysis.no_data.after, SignedDuration::from_mins(10));
    assert_eq!(analysis.on_fail, OnFail::StepBack);
    assert_eq!(analysis.inconclusive.then, OnInconclusive::Advance);
    assert_eq!(analysis.inconclusive.after, SignedDuration::from_hours(120));
    let [rating, errors, length] = policy.metrics.as_slice() else {
        panic!("three metrics");
    };
    assert_eq!(rating.kind, MetricKind::Score { min: 1.0, max: 5.0 });
    assert_eq!((rating.better, rating.role), (Better::Higher, Role::Guardrail));
    assert_eq!(rating.margin, Margin::Absolute(0.1));
    assert_eq!((rating.limit, rating.baseline), (Some(3.0), Some(4.0)));
    assert_eq!(rating.weight.to_bits(), 2.0_f64.to_bits());
    assert_eq!(errors.kind, MetricKind::Rate);
    assert_eq!((errors.better, errors.role), (Better::Lower, Role::Goal));
    assert_eq!(errors.margin, Margin::Absolute(0.005));
    assert_eq!((errors.limit, errors.baseline), (Some(0.02), Some(0.007)));
    assert_eq!(length.kind, MetricKind::Score { min: 0.0, max: 1.0 });
    assert_eq!((length.better, length.role), (Better::Lower, Role::Watched));
    assert_eq!(length.margin, Margin::Relative(0.1));
    assert_eq!((length.limit, length.baseline), (None, None));
}

#[test]
fn the_watch_is_the_last_bake_unless_it_says_otherwise() {
    let text = WHOLE.replace("  watch: 7d\n", "").replace("bake: 0s", "bake: 3h");
    let policy = check("whole.yaml", &text).unwrap().policy;
    assert_eq!(policy.watch, SignedDuration::from_hours(3));
}

/// The codes of the errors of each file.
fn errors_of(files: &[(&str, &str)]) -> Vec<Vec<&'static str>> {
    let files: Vec<PolicyFile<'_>> = files
        .iter()
        .map(|(name, text)| PolicyFile {
            name,
            bytes: text.as_bytes(),
        })
        .collect();
    let errors = |problems: Vec<Problem>| {
        let errors = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error);
        errors.map(|problem| problem.code).collect()
    };
    check_all(&files)
        .into_iter()
        .map(|result| result.map_or_else(errors, |_| Vec::new()))
        .collect()
}

#[test]
fn policies_with_labels_of_their_own_go_together() {
    let other = WHOLE
        .replace("name: whole", "name: other")
        .replace("prod-a", "prod-c")
        .replace("prod-b", "prod-d");
    let elsewhere = WHOLE
        .replace("name: whole", "name: elsewhere")
        .replace("registry: langfuse", "registry: langfuse-2");
    let another = WHOLE
        .replace("name: whole", "name: another")
        .replace("prompt: folder/whole", "prompt: folder/half");
    let files = [
        ("a", WHOLE),
        ("b", other.as_str()),
        ("c", &elsewhere),
        ("d", &another),
    ];
    assert_eq!(errors_of(&files), [[""; 0]; 4]);
}

#[test]
fn a_shared_name_or_label_is_an_error_in_every_file() {
    let same_name = WHOLE.replace("folder/whole", "folder/other");
    let same_labels = WHOLE.replace("name: whole", "name: third");
    let (name, label) = (Code::PolicyTwice.as_str(), Code::LabelShared.as_str());
    assert_eq!(
        errors_of(&[("a", WHOLE), ("b", &same_name), ("c", &same_labels)]),
        [vec![name, label, label], vec![name], vec![label, label]]
    );
}

#[test]
fn the_control_label_of_one_policy_is_not_the_treatment_label_of_another() {
    let crossed = WHOLE.replace("name: whole", "name: crossed").replace(
        "{control: prod-a, treatment: prod-b}",
        "{control: prod-b, treatment: c}",
    );
    let files = [("a.yaml", WHOLE), ("b.yaml", &crossed)].map(|(name, text)| PolicyFile {
        name,
        bytes: text.as_bytes(),
    });
    let results = check_all(&files);
    for (result, other) in results.into_iter().zip(["`b.yaml`, line 8", "`a.yaml`, line 8"]) {
        let problems = result.unwrap_err();
        let shared: Vec<_> = problems
            .iter()
            .filter(|problem| problem.code == Code::LabelShared.as_str())
            .collect();
        assert_eq!(shared.len(), 1);
        assert!(shared[0].message.contains("`prod-b`"), "{}", shared[0].message);
        assert!(shared[0].message.ends_with(other), "{}", shared[0].message);
    }
}

#[test]
fn the_first_byte_that_is_not_utf8_is_shown() {
    let files = [PolicyFile {
        name: "latin1.yaml",
        bytes: b"a: 1\nk: \"\xc3\xa4 \xe4\"\n",
    }];
    let problems = check_all(&files).remove(0).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, Code::NotUtf8.as_str());
    let span = problems[0].span;
    assert_eq!((span.line, span.column, span.offset), (2, 7, 12));
}

#[test]
fn a_changed_split_tells_how_many_users_it_moves() {
    let running = check("whole.yaml", WHOLE).unwrap().policy;
    let at = |percent: u32| Exposure::from_ppm(percent * 10_000).unwrap();
    assert_eq!(split_change("whole.yaml", &running, &running, at(5)), None);

    let edited = check("whole.yaml", &WHOLE.replace("salt: seeds", "salt: pips"))
        .unwrap()
        .policy;
    let problem = split_change("whole.yaml", &running, &edited, at(5)).unwrap();
    assert_eq!((problem.code, problem.severity), ("SRN913", Severity::Warning));
    assert_eq!((problem.span.line, problem.span.column), (10, 11));
    assert!(
        problem.message.contains("`salt`") && problem.message.contains("about 9.5% of the users"),
        "{}",
        problem.message
    );

    let edited = check("whole.yaml", &WHOLE.replace("holdback: 2.5%", "holdback: 10%"))
        .unwrap()
        .policy;
    let problem = split_change("whole.yaml", &running, &edited, at(100)).unwrap();
    assert!(
        problem.message.contains("`holdback`") && problem.message.contains("about 7.5% of the users"),
        "{}",
        problem.message
    );
    assert!(
        split_change("whole.yaml", &running, &edited, at(5))
            .unwrap()
            .message
            .contains("about 0% of the users")
    );
}

/// The codes of the errors of [`WHOLE`] with one place changed.
fn errors_with(old: &str, new: &str) -> Vec<&'static str> {
    assert_eq!(WHOLE.matches(old).count(), 1, "`{old}`");
    errors_of(&[("whole.yaml", &WHOLE.replace(old, new))]).remove(0)
}

/// A place in [`WHOLE`], the last value that is allowed there, the first that is not, and what says so.
const BOUNDS: &[(&str, &str, &str, Code)] = &[
    (
        "samples: 500",
        "samples: 1000000000",
        "samples: 1000000001",
        Code::Samples,
    ),
    ("bake: 1h30m", "bake: 90d", "bake: 90d1s", Code::Bake),
    ("watch: 7d", "watch: 90d", "watch: 90d1s", Code::Watch),
    ("alpha: 1%", "alpha: 50%", "alpha: 50.0001%", Code::Alpha),
    ("alpha: 1%", "alpha: 0.0001%", "alpha: 0%", Code::Alpha),
    ("every: 10s", "every: 1s", "every: 0s", Code::Every),
    ("every: 10s", "every: 1h", "every: 1h1s", Code::Every),
    ("after: 10m", "after: 1s", "after: 0s", Code::Patience),
    ("after: 5d", "after: 90d", "after: 90d1s", Code::Patience),
    (
        "holdback: 2.5%",
        "holdback: 66.6666%",
        "holdback: 100%",
        Code::Holdback,
    ),
    ("0.0001%", "33.3332%", "33.3333%", Code::ExposureNotRising),
    ("from: 2", "from: 10", "from: 11", Code::ApprovalCount),
    ("from: 2", "from: 1", "from: 0", Code::ApprovalCount),
    ("weight: 2", "weight: 1000", "weight: 1000.1", Code::Weight),
    ("weight: 2", "weight: 1e-9", "weight: 0", Code::Weight),
    (
        "margin: 0.1,",
        "margin: 3.99,",
        "margin: 4,",
        Code::MarginTooLarge,
    ),
    (
        "margin: 0.5pp",
        "margin: 99.9pp",
        "margin: 100pp",
        Code::MarginTooLarge,
    ),
    (
        "margin: 10%",
        "margin: 99.9%",
        "margin: 100%",
        Code::MarginTooLarge,
    ),
    ("floor: 3,", "floor: 1.01,", "floor: 1,", Code::LimitOutside),
    ("floor: 3,", "floor: 4.99,", "floor: 5,", Code::LimitOutside),
    (
        "baseline: 4",
        "baseline: 5",
        "baseline: 5.1",
        Code::BaselineOutside,
    ),
    (
        "baseline: 0.7%",
        "baseline: 0%",
        "baseline: -1%",
        Code::BaselineOutside,
    ),
    ("rating: 3.5", "rating: 5", "rating: 5.1", Code::EvaluationFloor),
    (
        "relevance: 0.8",
        "relevance: 0",
        "relevance: -0.1",
        Code::EvaluationFloor,
    ),
];

#[test]
fn bounds_are_where_they_are_said_to_be() {
    for (place, last, first, code) in BOUNDS {
        assert_eq!(errors_with(place, last), [""; 0], "{last}");
        assert_eq!(errors_with(place, first), [code.as_str()], "{first}");
    }
}

#[test]
fn texts_may_be_so_long_and_no_longer() {
    let long = |letters: usize| "x".repeat(letters);
    let user = |bytes: usize| format!("[\"{}\"]", long(bytes));
    let lengths = [
        ("\"the team\"", long(128), long(129), Code::Owner),
        ("golden.jsonl", long(255), long(256), Code::Dataset),
        ("seeds", long(128), long(129), Code::Salt),
        ("[qa-7]", user(256), user(257), Code::UserKey),
    ];
    for (place, last, first, code) in lengths {
        assert_eq!(errors_with(place, &last), [""; 0], "{last}");
        assert_eq!(errors_with(place, &first), [code.as_str()], "{first}");
    }
}

#[test]
fn a_range_has_a_width() {
    let range = Code::Range.as_str();
    assert_eq!(errors_with("range: [1, 5]", "range: [1, 1]"), [range]);
    assert_eq!(errors_with("range: [1, 5]", "range: [-1e308, 1e308]"), [range]);
}

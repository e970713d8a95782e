//! The rules of the house that the compiler does not know: walls between rooms, a pure core, sizes,
//! words. Each rule says why it is there, and a failure names file and line.
//!
//! A rule that must give way somewhere does so in [`EXEMPTIONS`], with a reason; an exemption that
//! nothing needs any more is a failure as well.

mod dashboards;
mod migrations;
mod purity;
mod scan;
mod schemas;
mod shape;
mod telemetry;
mod tree;
mod walls;
mod words;
mod writing;

use std::path::Path;
use std::sync::OnceLock;
use tree::Tree;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// Counted from 1.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        let path = path.to_owned();
        let what = what.into();
        Self { path, line, what }
    }
}

/// A rule of the house.
struct Rule {
    name: &'static str,
    why: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

/// A place where a rule gives way.
struct Exemption {
    rule: &'static str,
    /// A file, or a folder with `/` at its end.
    path: &'static str,
    #[expect(dead_code, reason = "whoever adds one has to write it down")]
    reason: &'static str,
}

const EXEMPTIONS: &[Exemption] = &[
    Exemption {
        rule: shape::FUNCTIONS.name,
        path: "src/rollout/transition.rs",
        reason: "the whole state machine is one match, so that it can be read, and checked, as a table",
    },
    Exemption {
        rule: purity::NO_WIRE.name,
        path: "src/policy/document/",
        reason: "the policy file's own wire types, with the schema that editors use; `Policy` is the core's",
    },
    Exemption {
        rule: telemetry::USERS.name,
        path: "src/telemetry/board/data.rs",
        reason: "it shows how many users came to each arm, as numbers; it never has a user",
    },
];

const RULES: &[&Rule] = &[
    &walls::IMPORTS,
    &walls::FACE,
    &walls::CLIMBING,
    &purity::PURE,
    &purity::NO_WIRE,
    &purity::CLOCK,
    &shape::FILES,
    &shape::FUNCTIONS,
    &shape::DRAWERS,
    &shape::GLOBS,
    &words::VOCABULARY,
    &writing::DEBTS,
    &writing::ATTRIBUTES,
    &writing::TEST_HOOKS,
    &writing::DEAD_TEXT,
    &writing::MACHINES,
    &writing::NUMBERS,
    &writing::LOCK_FILE,
    &telemetry::NAMES,
    &telemetry::LABELS,
    &telemetry::ONE_PLACE,
    &telemetry::USERS,
    &dashboards::NAMES,
    &dashboards::SHOWN,
    &dashboards::RUNBOOK,
    &migrations::NUMBERED,
    &migrations::DEFAULTS,
    &schemas::ONE_EACH,
];

fn house() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tree = Tree::read(root);
        assert!(tree.is_ok(), "{} cannot be read: {tree:?}", root.display());
        tree.unwrap_or(Tree { files: Vec::new() })
    })
}

fn exempt(rule: &Rule, finding: &Finding) -> bool {
    EXEMPTIONS
        .iter()
        .any(|exemption| exemption.rule == rule.name && covers(exemption, finding))
}

fn covers(exemption: &Exemption, finding: &Finding) -> bool {
    if exemption.path.ends_with('/') {
        finding.path.starts_with(exemption.path)
    } else {
        finding.path == exemption.path
    }
}

/// What to print for the findings of a rule; empty when there are none.
fn report(rule: &Rule, findings: &[Finding]) -> String {
    findings
        .iter()
        .enumerate()
        .map(|(at, Finding { path, line, what })| {
            let head = if at == 0 {
                format!("rule `{}`: {}\n", rule.name, rule.why)
            } else {
                String::new()
            };
            format!("{head}  {path}:{line}: {what}\n")
        })
        .collect()
}

#[test]
fn the_house_is_tidy() {
    let report: String = RULES
        .iter()
        .map(|rule| {
            let mut findings = (rule.check)(house());
            findings.retain(|finding| !exempt(rule, finding));
            report(rule, &findings)
        })
        .collect();
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_exemption_is_needed() {
    for exemption in EXEMPTIONS {
        let rule = RULES.iter().find(|rule| rule.name == exemption.rule);
        let findings = rule.map_or_else(Vec::new, |rule| (rule.check)(house()));
        assert!(
            findings.iter().any(|finding| covers(exemption, finding)),
            "nothing in {} needs its exemption from `{}`",
            exemption.path,
            exemption.rule,
        );
    }
}

#[test]
fn the_tree_was_really_read() {
    assert!(house().sources().count() > 20);
    assert!(house().sources().all(|file| !file.tokens.is_empty()));
    assert!(house().files.iter().any(|file| file.path == "Cargo.lock"));
}

#[test]
fn a_report_names_rule_reason_file_and_line() {
    let rule = Rule {
        name: "quiet",
        why: "noise hides signals",
        check: |_| Vec::new(),
    };
    let findings = [
        Finding::new("src/a.rs", 3, "loud"),
        Finding::new("src/b.rs", 4, "louder"),
    ];
    assert_eq!(
        report(&rule, &findings),
        "rule `quiet`: noise hides signals\n  src/a.rs:3: loud\n  src/b.rs:4: louder\n"
    );
    assert_eq!(report(&rule, &[]), "");
}

/// The findings of a rule in a tree of these paths and texts, as `path:line`.
fn found(rule: &Rule, texts: &[(&str, &str)]) -> Vec<String> {
    (rule.check)(&Tree::of(texts.iter().copied()))
        .iter()
        .map(|finding| format!("{}:{}", finding.path, finding.line))
        .collect()
}

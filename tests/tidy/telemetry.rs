//! Names and labels of Serin's own counters.

use crate::scan::Kind;
use crate::tree::{File, Tree};
use crate::{Finding, Rule};
use std::collections::BTreeSet;

/// Labels whose values come from closed sets, from policies and settings, or from route templates.
const LABELS_KNOWN: &[&str] = &[
    "policy", "phase", "from", "to", "cause", "outcome", "arm", "reason", "metric", "bound", "verdict",
    "registry", "label", "source", "severity", "method", "route", "status", "version", "step", "test",
    "cache",
];

/// Names under which a user key goes.
const USER_NAMES: &[&str] = &[
    "user",
    "users",
    "user_key",
    "user_keys",
    "targeting_key",
    "UserKey",
];

/// Macros that write to the log.
const LOGGERS: &[&str] = &[
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "event",
    "span",
    "info_span",
    "debug_span",
];

pub(crate) const NAMES: Rule = Rule {
    name: "telemetry names",
    why: "dashboards and alerts of other systems see Serin's series among theirs",
    check: names,
};

pub(crate) const LABELS: Rule = Rule {
    name: "telemetry labels",
    why: "a label with unbounded values grows until the monitoring falls over",
    check: labels,
};

pub(crate) const ONE_PLACE: Rule = Rule {
    name: "telemetry in one place",
    why: "whoever looks for a series finds all of them in one folder",
    check: one_place,
};

pub(crate) const USERS: Rule = Rule {
    name: "no user in telemetry or logs",
    why: "a user key is hashed and dropped: it is never stored, logged or exported",
    check: users,
};

fn telemetry(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.sources()
        .filter(|file| file.room() == "telemetry" && !file.test)
}

fn names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for file in telemetry(tree) {
        // A declaration is a call that begins with a name and a help text.
        for (at, _) in file.tokens.iter().enumerate().filter(|(_, token)| token.is("(")) {
            let Some([name, comma, help]) = file.tokens.get(at + 1..at + 4) else {
                continue;
            };
            if name.kind != Kind::Text || !comma.is(",") || help.kind != Kind::Text || file.is_test(name.line)
            {
                continue;
            }
            let own = name.text.strip_prefix("serin_").is_some_and(|rest| {
                !rest.is_empty()
                    && rest
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            });
            if !own {
                findings.push(Finding::new(
                    &file.path,
                    name.line,
                    format!("`{}` is not `serin_…`", name.text),
                ));
            }
            if !seen.insert(name.text.as_str()) {
                findings.push(Finding::new(
                    &file.path,
                    name.line,
                    format!("`{}` is declared twice", name.text),
                ));
            }
        }
    }
    findings
}

fn labels(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in telemetry(tree) {
        for at in 0..file.tokens.len() {
            let values = at >= 2 && file.reads(at - 2, &["with_label_values", "("]);
            if !file.reads(at, &["&", "["]) || values || file.is_test(file.tokens[at].line) {
                continue;
            }
            for token in &file.tokens[at + 2..file.closing(at + 1)] {
                if token.kind == Kind::Text && !LABELS_KNOWN.contains(&token.text.as_str()) {
                    findings.push(Finding::new(
                        &file.path,
                        token.line,
                        format!("`{}` is not a known label", token.text),
                    ));
                }
            }
        }
    }
    findings
}

fn one_place(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources().filter(|file| file.room() != "telemetry") {
        for path in file.shipped_paths() {
            if path.segments[0] == "prometheus" && path.segments[1..] != ["Error"] {
                findings.push(Finding::new(
                    &file.path,
                    path.line,
                    "a series is declared or kept here",
                ));
            }
        }
    }
    findings
}

fn users(tree: &Tree) -> Vec<Finding> {
    let is_user = |text: &str| USER_NAMES.contains(&text);
    let mut findings = Vec::new();
    for file in telemetry(tree) {
        for token in file
            .shipped()
            .filter(|token| token.kind != Kind::Text && is_user(&token.text))
        {
            findings.push(Finding::new(
                &file.path,
                token.line,
                format!("`{}` in telemetry", token.text),
            ));
        }
    }
    for file in tree.sources() {
        for (at, token) in file.tokens.iter().enumerate() {
            let logs = LOGGERS.iter().any(|name| token.is(name)) && file.reads(at + 1, &["!", "("]);
            let spans = token.is("instrument") && file.reads(at + 1, &["("]);
            let end = if logs {
                file.closing(at + 2)
            } else if spans {
                file.closing(at + 1)
            } else {
                continue;
            };
            let inside = &file.tokens[at..end];
            let names_user = inside
                .iter()
                .any(|token| token.kind == Kind::Word && is_user(&token.text));
            let takes_all = spans && !inside.iter().any(|token| token.is("skip_all"));
            if names_user || takes_all {
                findings.push(Finding::new(
                    &file.path,
                    token.line,
                    "a user key may be logged here",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found;

    #[test]
    fn foreign_and_repeated_names_are_found() {
        let text = "fn f() {\n    counter(\"serin_ticks_total\", \"Ticks.\", &[]);\n    counter(\"ticks\", \"Ticks.\", &[]);\n\
                    \x20   Opts::new(\"serin_ticks_total\", \"Again.\");\n}\n";
        let lines = ["src/telemetry/mod.rs:3", "src/telemetry/mod.rs:4"];
        assert_eq!(found(&NAMES, &[("src/telemetry/mod.rs", text)]), lines);
    }

    #[test]
    fn labels_without_a_bound_are_found() {
        let text = "fn f() {\n    counter(\"serin_a\", \"A.\", &[\"policy\", \"user\"]);\n    a.with_label_values(&[\"x\"]);\n}\n";
        assert_eq!(
            found(&LABELS, &[("src/telemetry/mod.rs", text)]),
            ["src/telemetry/mod.rs:2"]
        );
    }

    #[test]
    fn series_elsewhere_are_found() {
        let texts = [
            ("src/api/mod.rs", "use prometheus::IntCounter;"),
            ("src/source/prometheus.rs", "use crate::ids;"),
        ];
        assert_eq!(found(&ONE_PLACE, &texts), ["src/api/mod.rs:1"]);
    }

    #[test]
    fn users_in_logs_are_found() {
        let text = "fn f(user: &str) {\n    tracing::info!(%user, \"assigned\");\n    tracing::info!(\"user assigned\");\n}\n\
                    #[tracing::instrument(skip_all)]\nfn g(user: &str) {}\n#[instrument(level = \"debug\")]\nfn h(user: &str) {}\n";
        assert_eq!(
            found(&USERS, &[("src/api/mod.rs", text)]),
            ["src/api/mod.rs:2", "src/api/mod.rs:7"]
        );
        let kept = [("src/telemetry/mod.rs", "fn assigned(user: UserKey<'_>) {}")];
        assert_eq!(
            found(&USERS, &kept),
            ["src/telemetry/mod.rs:1", "src/telemetry/mod.rs:1"]
        );
    }
}

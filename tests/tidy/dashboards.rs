//! Dashboards, rules and Serin's own series: one set of names.

use crate::scan::Kind;
use crate::tree::Tree;
use crate::{Finding, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// What Prometheus adds to the name of a histogram.
const HISTOGRAM_ENDINGS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Where queries are: dashboards and rules, without the text about them.
const QUERIES: [&str; 2] = [".json", "_rules.yml"];

pub(crate) const NAMES: Rule = Rule {
    name: "names in dashboards",
    why: "a query for a series that does not exist shows nothing, and an alert on it never fires",
    check: names,
};

pub(crate) const SHOWN: Rule = Rule {
    name: "series in dashboards",
    why: "a series that nobody shows is one that nobody looks at when it matters",
    check: shown,
};

pub(crate) const RUNBOOK: Rule = Rule {
    name: "alerts in the runbook",
    why: "whoever is woken by an alert must find what to do",
    check: runbook,
};

/// Every declared series, with its file and line.
fn declared(tree: &Tree) -> BTreeMap<&str, (&str, usize)> {
    let mut names = BTreeMap::new();
    for file in tree.sources().filter(|file| file.room() == "telemetry") {
        for (at, token) in file.tokens.iter().enumerate() {
            let declares = token.kind == Kind::Text && token.text.starts_with("serin_") && at > 0;
            if declares && file.tokens[at - 1].is("(") && !file.is_test(token.line) {
                names.insert(token.text.as_str(), (file.path.as_str(), token.line));
            }
        }
    }
    names
}

/// Every name of a series in queries, with where it is.
fn used(tree: &Tree) -> BTreeMap<&str, Vec<(&str, usize)>> {
    let mut names: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    let queries =
        |path: &str| path.starts_with("dashboards/") && QUERIES.iter().any(|ending| path.ends_with(ending));
    for file in tree.files.iter().filter(|file| queries(&file.path)) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for word in line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))) {
                let group = line.trim_start().starts_with("- name:");
                if word.starts_with("serin_") && !group {
                    names.entry(word).or_default().push((&file.path, number));
                }
            }
        }
    }
    names
}

/// The series that a name in a query belongs to.
fn series<'n>(name: &'n str, declared: &BTreeMap<&str, (&str, usize)>) -> Option<&'n str> {
    let stems = HISTOGRAM_ENDINGS
        .iter()
        .filter_map(|ending| name.strip_suffix(ending));
    std::iter::once(name)
        .chain(stems)
        .find(|stem| declared.contains_key(stem))
}

fn names(tree: &Tree) -> Vec<Finding> {
    let declared = declared(tree);
    let unknown = used(tree)
        .into_iter()
        .filter(|(name, _)| series(name, &declared).is_none());
    unknown
        .flat_map(|(name, places)| places.into_iter().map(move |place| (name, place)))
        .map(|(name, (path, line))| Finding::new(path, line, format!("there is no series `{name}`")))
        .collect()
}

fn shown(tree: &Tree) -> Vec<Finding> {
    let declared = declared(tree);
    let used: BTreeSet<&str> = used(tree)
        .into_keys()
        .filter_map(|name| series(name, &declared))
        .collect();
    declared
        .iter()
        .filter(|(name, _)| !used.contains(*name))
        .map(|(name, (path, line))| {
            Finding::new(path, *line, format!("nothing in dashboards shows `{name}`"))
        })
        .collect()
}

fn runbook(tree: &Tree) -> Vec<Finding> {
    let text = |path: &str| tree.files.iter().find(|file| file.path == path);
    let (Some(rules), Some(runbook)) = (text("dashboards/alert_rules.yml"), text("docs/runbook.md")) else {
        return Vec::new();
    };
    let sections: BTreeSet<&str> = runbook
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let mut alerts = BTreeSet::new();
    let mut findings = Vec::new();
    let mut last = "";
    for (number, line) in (1..).zip(rules.text.lines()) {
        let line = line.trim_start();
        if let Some(alert) = line.strip_prefix("- alert: ") {
            last = alert;
            alerts.insert(alert);
            if !sections.contains(alert) {
                findings.push(Finding::new(
                    &rules.path,
                    number,
                    format!("no section for `{alert}`"),
                ));
            }
        }
        let anchor = line.strip_prefix("runbook: docs/runbook.md#");
        if anchor.is_some_and(|anchor| anchor != last.to_ascii_lowercase()) {
            findings.push(Finding::new(
                &rules.path,
                number,
                format!("not the section of `{last}`"),
            ));
        }
    }
    for section in sections.difference(&alerts) {
        findings.push(Finding::new(
            &runbook.path,
            1,
            format!("there is no alert `{section}`"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found;

    const SOURCE: (&str, &str) = (
        "src/telemetry/mod.rs",
        "fn f() {\n    counter(\"serin_ticks_total\", \"Ticks.\", &[]);\n    histogram(\"serin_tick_seconds\", \"T.\", &[]);\n}\n",
    );

    #[test]
    fn unknown_names_are_found_and_endings_of_histograms_are_known() {
        let query = "rate(serin_ticks_total[5m]) + serin_tick_seconds_bucket\nserin_tocks_total\nserin:ticks:rate5m\n";
        let board = ("dashboards/a.json", query);
        assert_eq!(found(&NAMES, &[SOURCE, board]), ["dashboards/a.json:2"]);
        assert!(found(&SHOWN, &[SOURCE, board]).is_empty());
    }

    #[test]
    fn series_that_nothing_shows_are_found() {
        let rules = (
            "dashboards/a_rules.yml",
            "  - name: serin_ticks_total\n    expr: serin_tick_seconds_sum\n",
        );
        assert_eq!(found(&SHOWN, &[SOURCE, rules]), ["src/telemetry/mod.rs:2"]);
    }

    #[test]
    fn alerts_without_a_section_and_sections_without_an_alert_are_found() {
        let rules =
            "- alert: A\n    runbook: docs/runbook.md#a\n- alert: B\n    runbook: docs/runbook.md#a\n";
        let texts = [
            ("dashboards/alert_rules.yml", rules),
            ("docs/runbook.md", "# Runbook\n## A\n## C\n"),
        ];
        let lines = [
            "dashboards/alert_rules.yml:3",
            "dashboards/alert_rules.yml:4",
            "docs/runbook.md:1",
        ];
        assert_eq!(found(&RUNBOOK, &texts), lines);
    }
}

//! The core takes time, chance and the world as arguments, and has no form on any wire.

use crate::tree::{File, Tree};
use crate::{Finding, Rule};

/// Rooms without effects.
const CORE: &[&str] = &[
    "ids",
    "spelling",
    "targeting",
    "policy",
    "analysis",
    "assignment",
    "prompt",
    "rollout",
    "rehearsal",
];

/// Paths that lead to the clock, to chance, to the world, or to a task.
const EFFECTS: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::process",
    "std::thread",
    "std::io",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "axum",
    "reqwest",
    "rusqlite",
    "tracing",
    "prometheus",
    "clap",
    "rand",
    "rand_chacha",
    "getrandom",
    "arc_swap",
];

/// Macros that print.
const PRINTERS: &[&str] = &["print", "println", "eprint", "eprintln"];

/// Files that may read the clock, chance or the environment although clippy forbids it.
const READERS: &[&str] = &["src/clock.rs", "src/config/mod.rs"];

pub(crate) const PURE: Rule = Rule {
    name: "pure core",
    why: "the core does no I/O, reads no clock, draws no random number: the same input gives the same answer",
    check: pure,
};

pub(crate) const NO_WIRE: Rule = Rule {
    name: "core off the wire",
    why: "a core type that is `Serialize` is a contract by accident; each boundary has wire types of its own",
    check: no_wire,
};

pub(crate) const CLOCK: Rule = Rule {
    name: "one clock",
    why: "time, environment and chance enter in one file each, so that a simulation can replace them",
    check: clock,
};

fn core(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.sources()
        .filter(|file| CORE.contains(&file.room()) && !file.test)
}

fn pure(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in core(tree) {
        for path in file.shipped_paths() {
            let whole = path.segments.join("::");
            let effect = EFFECTS.iter().find(|effect| {
                whole
                    .strip_prefix(**effect)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            });
            if let Some(effect) = effect {
                findings.push(Finding::new(
                    &file.path,
                    path.line,
                    format!("`{effect}` is an effect"),
                ));
            }
        }
        for (at, token) in file
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| !file.is_test(token.line))
        {
            let reads_clock = token.is("now") && file.reads(at + 1, &["(", ")"]);
            let prints = PRINTERS.iter().any(|name| token.is(name)) && file.reads(at + 1, &["!"]);
            let waits = file.reads(at, &[".", "await"]) || file.reads(at, &["async", "move"]);
            if reads_clock || prints || waits {
                findings.push(Finding::new(
                    &file.path,
                    token.line,
                    format!("`{}` is an effect", token.text),
                ));
            }
        }
    }
    findings
}

fn no_wire(tree: &Tree) -> Vec<Finding> {
    let wire = [
        "serde",
        "schemars",
        "utoipa",
        "Serialize",
        "Deserialize",
        "JsonSchema",
        "ToSchema",
    ];
    let mut findings = Vec::new();
    for file in core(tree) {
        for token in file
            .shipped()
            .filter(|token| wire.iter().any(|name| token.is(name)))
        {
            findings.push(Finding::new(
                &file.path,
                token.line,
                format!("`{}` in the core", token.text),
            ));
        }
    }
    findings
}

fn clock(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree
        .sources()
        .filter(|file| !READERS.contains(&file.path.as_str()))
    {
        for token in file.shipped().filter(|token| token.is("disallowed_methods")) {
            findings.push(Finding::new(
                &file.path,
                token.line,
                "a second file that reads what clippy forbids",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found;

    #[test]
    fn effects_in_the_core_are_found() {
        for effect in [
            "use std::{fmt, fs};",
            "fn f() { let t = jiff::Timestamp::now(); }",
            "fn f(c: &Clock) { c.now(); }",
            "fn f() { tracing::info!(\"moved\"); }",
            "fn f() { println!(\"moved\"); }",
            "async fn f() { g().await; }",
            "use rand::Rng;",
            "fn f() -> u64 { rand::random() }",
        ] {
            assert_eq!(
                found(&PURE, &[("src/rollout/decide.rs", effect)]),
                ["src/rollout/decide.rs:1"],
                "{effect}"
            );
            assert_eq!(
                found(&PURE, &[("src/controller/tick.rs", effect)]),
                [""; 0],
                "{effect}"
            );
        }
    }

    #[test]
    fn words_that_only_look_like_effects_are_left_alone() {
        let text = "//! `std::fs` is for the shell.\nfn decide(now: Timestamp) { run(now) }\nuse random::rand_like;\n\
                    #[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(found(&PURE, &[("src/rollout/decide.rs", text)]), [""; 0]);
    }

    #[test]
    fn wire_forms_in_the_core_are_found() {
        let text = "#[derive(Debug, Serialize)]\nstruct A;\n#[serde(untagged)]\nenum B {}\n";
        assert_eq!(
            found(&NO_WIRE, &[("src/ids.rs", text)]),
            ["src/ids.rs:1", "src/ids.rs:3"]
        );
        assert_eq!(found(&NO_WIRE, &[("src/api/view.rs", text)]), [""; 0]);
    }

    #[test]
    fn a_second_reader_of_the_clock_is_found() {
        let text = "#[expect(clippy::disallowed_methods, reason = \"haste\")]\nfn f() {}\n";
        assert_eq!(found(&CLOCK, &[("src/api/mod.rs", text)]), ["src/api/mod.rs:1"]);
        assert_eq!(found(&CLOCK, &[("src/clock.rs", text)]), [""; 0]);
    }
}

//! Sizes, and names that say nothing.

use crate::scan::Kind;
use crate::tree::{File, Tree};
use crate::{Finding, Rule};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Endings of files that people write, and that have to stay readable.
const WRITTEN: &[&str] = &[".rs", ".py", ".sh", ".mjs", ".ts", ".sql"];

/// Names under which anything can be put.
const DRAWER_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "stuff"];

pub(crate) const FILES: Rule = Rule {
    name: "file length",
    why: "a file of more than 500 lines holds more than one idea: split it along them",
    check: files,
};

pub(crate) const FUNCTIONS: Rule = Rule {
    name: "function length",
    why: "a function of more than 70 lines does not fit on a screen, nor in a head",
    check: functions,
};

pub(crate) const DRAWERS: Rule = Rule {
    name: "no drawers",
    why: "a module is named after what it holds; into a drawer goes what has no place",
    check: drawers,
};

pub(crate) const GLOBS: Rule = Rule {
    name: "no glob re-exports",
    why: "a name that is part of a module's face is written there",
    check: globs,
};

fn files(tree: &Tree) -> Vec<Finding> {
    let written = |file: &&File| WRITTEN.iter().any(|ending| file.path.ends_with(ending));
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(written) {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            findings.push(Finding::new(
                &file.path,
                FILE_LINES_MAX + 1,
                format!("{lines} lines"),
            ));
        }
    }
    findings
}

fn functions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for at in 0..file.tokens.len() {
            if !file.tokens[at].is("fn") {
                continue;
            }
            let Some((name, body)) = file.tokens.get(at + 1).zip(body(file, at)) else {
                continue;
            };
            let first = file.tokens[at].line;
            let lines = file.tokens[file.closing(body)].line - first + 1;
            if lines > FUNCTION_LINES_MAX {
                findings.push(Finding::new(
                    &file.path,
                    first,
                    format!("`{}` has {lines} lines", name.text),
                ));
            }
        }
    }
    findings
}

/// The position of the brace that opens the body of the function at `at`, where it has one.
fn body(file: &File, at: usize) -> Option<usize> {
    let mut next = at + 1;
    // A function type, `fn(u8) -> u8`, has no name.
    if file.tokens.get(next)?.kind != Kind::Word && !file.tokens[next].is("$") {
        return None;
    }
    loop {
        let token = file.tokens.get(next)?;
        if token.is("{") {
            return Some(next);
        }
        if token.is(";") {
            return None;
        }
        let opens = token.is("(") || token.is("[");
        next = if opens { file.closing(next) + 1 } else { next + 1 };
    }
}

fn drawers(tree: &Tree) -> Vec<Finding> {
    let is_drawer = |name: &str| DRAWER_NAMES.contains(&name);
    let mut findings = Vec::new();
    for file in &tree.files {
        let named = file
            .path
            .split('/')
            .any(|part| is_drawer(part.split('.').next().unwrap_or(part)));
        if named {
            findings.push(Finding::new(&file.path, 1, "this path is a drawer"));
        }
        for (at, token) in file
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.is("mod"))
        {
            if file.tokens.get(at + 1).is_some_and(|name| is_drawer(&name.text)) {
                findings.push(Finding::new(&file.path, token.line, "this module is a drawer"));
            }
        }
    }
    findings
}

fn globs(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources() {
        for (at, token) in file
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.is("pub"))
        {
            let scope = if file.reads(at + 1, &["("]) {
                file.closing(at + 1)
            } else {
                at
            };
            let statement = file.tokens[scope + 1..].iter().take_while(|token| !token.is(";"));
            if file.reads(scope + 1, &["use"]) && statement.into_iter().any(|token| token.is("*")) {
                findings.push(Finding::new(&file.path, token.line, "name what is shown"));
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
    fn long_files_are_found() {
        let (fits, long) = ("x\n".repeat(500), "x\n".repeat(501));
        let texts = [
            ("src/a.rs", fits.as_str()),
            ("tests/real/b.py", long.as_str()),
            ("c.json", long.as_str()),
        ];
        assert_eq!(found(&FILES, &texts), ["tests/real/b.py:501"]);
    }

    #[test]
    fn long_functions_are_found_and_only_those() {
        let function = |lines: usize| {
            format!(
                "fn f(g: fn(u8) -> [u8; 2]) -> u8 {{\n{}}}\n",
                "    1;\n".repeat(lines - 2)
            )
        };
        let text = format!(
            "const F: fn() = g;\ntrait T {{ fn h(&self); }}\n{}{}",
            function(70),
            function(71)
        );
        assert_eq!(found(&FUNCTIONS, &[("src/a.rs", &text)]), ["src/a.rs:73"]);
        let hidden = format!(
            "fn f() {{\n    let s = \"}}\";\n    let c = '}}'; // }}\n{}}}\n",
            "    1;\n".repeat(70)
        );
        assert_eq!(found(&FUNCTIONS, &[("tests/a.rs", &hidden)]), ["tests/a.rs:1"]);
    }

    #[test]
    fn drawers_are_found() {
        let texts = [
            ("src/store/utils.rs", ""),
            ("tests/common/mod.rs", ""),
            ("src/a.rs", "mod helpers {}"),
            ("src/commonplace.rs", "mod utilisation;"),
        ];
        assert_eq!(
            found(&DRAWERS, &texts),
            ["src/store/utils.rs:1", "tests/common/mod.rs:1", "src/a.rs:1"]
        );
    }

    #[test]
    fn glob_re_exports_are_found() {
        let text = "pub use code::Code;\npub(crate) use problem::*;\nuse super::*;\npub fn f(a: u8) -> u8 { a * a }\n";
        assert_eq!(found(&GLOBS, &[("src/a.rs", text)]), ["src/a.rs:2"]);
    }
}

//! What is not left in the text of the project.

use crate::tree::{File, Tree};
use crate::{Finding, Rule};

pub(crate) const DEBTS: Rule = Rule {
    name: "no debts",
    why: "what is not done is either not there or said in prose; a mark in the code is read by nobody",
    check: debts,
};

pub(crate) const ATTRIBUTES: Rule = Rule {
    name: "no silencing",
    why: "a lint is answered by `#[expect(…, reason = …)]`, which ends with its cause; a test runs or is gone",
    check: attributes,
};

pub(crate) const TEST_HOOKS: Rule = Rule {
    name: "no test hooks",
    why: "what is tested is what runs: `cfg(test)` stands before modules of tests alone",
    check: test_hooks,
};

pub(crate) const DEAD_TEXT: Rule = Rule {
    name: "no dead text",
    why: "code that is commented out is kept by the history, not by the file",
    check: dead_text,
};

pub(crate) const MACHINES: Rule = Rule {
    name: "no machine paths",
    why: "the project builds and reads the same on every machine",
    check: machines,
};

pub(crate) const NUMBERS: Rule = Rule {
    name: "no ticket numbers",
    why: "a number means something only to who can look it up: say the reason itself",
    check: numbers,
};

pub(crate) const LOCK_FILE: Rule = Rule {
    name: "public registries",
    why: "a lock file that points at a mirror can be used by one network alone",
    check: lock_files,
};

const DEBT_WORDS: &[&str] = &["TODO", "FIXME", "XXX", "HACK", "WIP"];
const DEBT_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];

/// Files whose lines are read as prose or comments.
const PROSE: &[&str] = &[
    ".md",
    ".py",
    ".sh",
    ".sql",
    ".toml",
    ".yaml",
    ".yml",
    ".html",
    ".mjs",
    "Dockerfile",
];

fn is_prose(file: &File) -> bool {
    PROSE.iter().any(|ending| file.path.ends_with(ending))
}

/// Comments of Rust files, and all lines of those that are prose.
fn remarks(file: &File) -> Vec<(usize, &str)> {
    let comments = file
        .comments
        .iter()
        .map(|comment| (comment.line, comment.text.as_str()));
    let prose = is_prose(file).then(|| lines(file));
    comments.chain(prose.into_iter().flatten()).collect()
}

fn lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.text.lines().enumerate().map(|(at, line)| (at + 1, line))
}

fn debts(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (line, text) in remarks(file) {
            let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let Some(debt) = words.find(|word| DEBT_WORDS.contains(word)) {
                findings.push(Finding::new(&file.path, line, format!("`{debt}`")));
            }
        }
        for (at, token) in file.tokens.iter().enumerate() {
            if DEBT_MACROS.iter().any(|name| token.is(name)) && file.reads(at + 1, &["!"]) {
                findings.push(Finding::new(&file.path, token.line, format!("`{}!`", token.text)));
            }
        }
    }
    findings
}

fn attributes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (open, close) in file.attributes() {
            for at in open..close {
                let token = &file.tokens[at];
                let silences = token.is("allow") && file.reads(at + 1, &["("]);
                let hides = at == open + 1 && (token.is("ignore") || token.is("should_panic"));
                let keeps_dead = token.is("expect")
                    && (file.reads(at + 1, &["(", "dead_code"]) || file.reads(at + 1, &["(", "unused"]))
                    && file
                        .item_after(close)
                        .is_some_and(|item| file.tokens[item].is("fn"))
                    && !file.is_test(token.line);
                if silences || hides || keeps_dead {
                    findings.push(Finding::new(&file.path, token.line, format!("`{}`", token.text)));
                }
            }
        }
    }
    findings
}

fn test_hooks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources() {
        for (open, close) in file.attributes() {
            let mentions_test = file.reads(open + 1, &["cfg", "("])
                && file.tokens[open..close].iter().any(|token| token.is("test"));
            let before_module = file
                .item_after(close)
                .is_some_and(|item| file.tokens[item].is("mod"));
            if mentions_test && !before_module {
                findings.push(Finding::new(
                    &file.path,
                    file.tokens[open].line,
                    "production code that knows of tests",
                ));
            }
        }
    }
    findings
}

fn dead_text(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for comment in file
            .comments
            .iter()
            .filter(|comment| !comment.doc && is_code(&comment.text))
        {
            findings.push(Finding::new(
                &file.path,
                comment.line,
                format!("`{}`", comment.text),
            ));
        }
    }
    findings
}

/// Whether a comment reads as Rust: no sentence ends like this.
fn is_code(comment: &str) -> bool {
    let ends_as_code = [");", "};", "];", "?;", ") {", "} else {"]
        .iter()
        .any(|end| comment.ends_with(end));
    let assigns = comment.ends_with(';') && (comment.starts_with("let ") || comment.starts_with("use "));
    let is_brace = matches!(comment, "{" | "}" | "})" | "});");
    let is_attribute = comment.starts_with("#[") && comment.ends_with(']');
    ends_as_code || assigns || is_brace || is_attribute
}

fn machines(tree: &Tree) -> Vec<Finding> {
    // Taken apart, so that this file does not find itself.
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/tmp", "/wt"),
        concat!("C:", "\\"),
    ];
    let mut findings = Vec::new();
    for file in &tree.files {
        for (line, text) in lines(file) {
            let own = |place: &str| {
                text.match_indices(place).any(|(at, _)| {
                    let before = text[..at].chars().next_back();
                    before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_' | '}'))
                })
            };
            if let Some(place) = places.into_iter().find(|place| own(place)) {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("`{place}` is a place on one machine"),
                ));
            }
        }
    }
    findings
}

fn numbers(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (line, text) in remarks(file) {
            if let Some(ticket) = ticket(text) {
                findings.push(Finding::new(&file.path, line, format!("`{ticket}`")));
            }
        }
    }
    findings
}

/// The first thing in a line that reads as the number of a ticket: digits behind a hash, which may stand
/// behind a project's name, or behind `GH-`.
fn ticket(text: &str) -> Option<&str> {
    ["#", "GH-"].into_iter().find_map(|mark| {
        text.match_indices(mark).find_map(|(at, _)| {
            let digits = text[at + mark.len()..]
                .bytes()
                .take_while(u8::is_ascii_digit)
                .count();
            let end = at + mark.len() + digits;
            let before = text[..at].chars().next_back().unwrap_or(' ');
            let after = text[end..].chars().next().unwrap_or(' ');
            let stands_alone =
                before.is_alphanumeric() || before.is_whitespace() || matches!(before, '(' | '[');
            ((1..=6).contains(&digits) && stands_alone && !after.is_alphanumeric() && after != '-')
                .then(|| &text[at..end])
        })
    })
}

fn lock_files(tree: &Tree) -> Vec<Finding> {
    let locks = [
        (
            "Cargo.lock",
            "source = ",
            "registry+https://github.com/rust-lang/crates.io-index",
        ),
        (
            "package-lock.json",
            "\"resolved\": ",
            "https://registry.npmjs.org/",
        ),
    ];
    let mut findings = Vec::new();
    for file in &tree.files {
        for (name, key, public) in locks {
            if !file.path.ends_with(name) {
                continue;
            }
            for (line, text) in lines(file).filter(|(_, text)| text.trim_start().starts_with(key)) {
                if !text.contains(public) {
                    findings.push(Finding::new(&file.path, line, text.trim()));
                }
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
    fn debts_are_found() {
        let texts = [
            (
                "src/a.rs",
                "// TODO later\nfn f() { todo!() }\nconst S: &str = \"TODO\";\nfn todo() {}\n",
            ),
            ("tests/b.py", "x = 1  # FIXME\n"),
            ("c.json", "TODO"),
        ];
        assert_eq!(
            found(&DEBTS, &texts),
            ["src/a.rs:1", "src/a.rs:2", "tests/b.py:1"]
        );
    }

    #[test]
    fn silenced_lints_and_tests_are_found() {
        let silent = "#[allow(dead_code)]\nfn f() {}\n#[cfg_attr(test, allow(unused))]\nfn g() {}\n#[test]\n#[ignore]\n\
                      fn h() {}\n#[expect(dead_code, reason = \"one day\")]\nfn i() {}\n";
        let lines = ["src/a.rs:1", "src/a.rs:3", "src/a.rs:6", "src/a.rs:8"];
        assert_eq!(found(&ATTRIBUTES, &[("src/a.rs", silent)]), lines);
        let fine = "#[expect(clippy::panic, reason = \"shown\")]\n#[arg(allow_hyphen_values = true)]\nfn allow(x: u8) {}\n";
        assert_eq!(found(&ATTRIBUTES, &[("src/a.rs", fine)]), [""; 0]);
    }

    #[test]
    fn test_hooks_are_found() {
        let text = "#[cfg(test)]\nfn f() {}\n#[cfg(not(test))]\nfn g() {}\n#[cfg(test)]\npub(crate) mod h {}\n#[cfg(unix)]\nfn i() {}\n";
        assert_eq!(
            found(&TEST_HOOKS, &[("src/a.rs", text)]),
            ["src/a.rs:1", "src/a.rs:3"]
        );
    }

    #[test]
    fn code_in_comments_is_found_and_prose_is_not() {
        let text = "// let x = 1;\n// f(x);\n// }\n// Held for one answer;\n// let it be.\n/// `f(x);`\n// (see above)\n";
        assert_eq!(
            found(&DEAD_TEXT, &[("src/a.rs", text)]),
            ["src/a.rs:1", "src/a.rs:2", "src/a.rs:3"]
        );
    }

    #[test]
    fn machine_paths_are_found() {
        let own = format!(
            "cd {}you\nsee https://example.org{}you\n",
            concat!("/ho", "me/"),
            concat!("/ho", "me/")
        );
        assert_eq!(found(&MACHINES, &[("README.md", &own)]), ["README.md:1"]);
    }

    #[test]
    fn ticket_numbers_are_found() {
        let text = "# 1. First\nas in #12\nproject#7, too\n[a](b.md#12-x)\n&#39; #333333px\nGH-4\n";
        assert_eq!(
            found(&NUMBERS, &[("README.md", text)]),
            ["README.md:2", "README.md:3", "README.md:6"]
        );
        assert_eq!(
            found(&NUMBERS, &[("src/a.rs", "const C: &str = \"#12\"; // (#3)\n")]),
            ["src/a.rs:1"]
        );
        assert_eq!(ticket("no number"), None);
    }

    #[test]
    fn private_registries_are_found() {
        let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"registry+https://mirror.example/\"\n";
        assert_eq!(found(&LOCK_FILE, &[("Cargo.lock", lock)]), ["Cargo.lock:2"]);
    }
}

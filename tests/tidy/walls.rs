//! Who may know whom.

use crate::tree::Tree;
use crate::{Finding, Rule};

/// The rooms of `src`, innermost first, and the rooms that each may import.
const ROOMS: &[(&str, &[&str])] = &[
    // The core. It knows nothing of the shell.
    ("ids", &[]),
    ("spelling", &[]),
    ("targeting", &[]),
    ("policy", &["ids", "spelling", "targeting"]),
    ("analysis", &["ids", "policy"]),
    ("assignment", &["ids", "targeting"]),
    ("prompt", &["ids", "spelling"]),
    ("rollout", &["ids", "policy", "analysis", "assignment"]),
    (
        "rehearsal",
        &["ids", "policy", "analysis", "assignment", "rollout"],
    ),
    // What every part of the shell may use; telemetry draws the controller's board.
    ("clock", &[]),
    ("figures", &["policy"]),
    ("outbound", &[]),
    ("config", &["ids", "spelling", "store", "telemetry"]),
    (
        "telemetry",
        &[
            "ids",
            "policy",
            "analysis",
            "rollout",
            "clock",
            "outbound",
            "controller",
        ],
    ),
    // Adapters know the core, and not each other's insides (rule `face`): sources hand what they hear
    // to any store, by what the board says.
    (
        "store",
        &["ids", "policy", "analysis", "prompt", "rollout", "clock"],
    ),
    ("registry", &["ids", "prompt", "rollout", "clock", "outbound"]),
    (
        "source",
        &[
            "ids",
            "policy",
            "analysis",
            "assignment",
            "rollout",
            "spelling",
            "clock",
            "store",
            "controller",
        ],
    ),
    ("gate", &["ids", "policy", "prompt", "clock"]),
    // The controller knows the adapters, by their traits.
    (
        "controller",
        &[
            "ids",
            "policy",
            "analysis",
            "assignment",
            "prompt",
            "rollout",
            "clock",
            "telemetry",
            "store",
            "registry",
            "gate",
        ],
    ),
    // It follows the board and the journal as a page does, and fetches versions from any registry.
    (
        "caches",
        &[
            "ids",
            "prompt",
            "rollout",
            "clock",
            "telemetry",
            "store",
            "registry",
            "controller",
        ],
    ),
    // Tells people what the store holds for them, beside the controller.
    (
        "notify",
        &[
            "ids",
            "policy",
            "rollout",
            "clock",
            "outbound",
            "telemetry",
            "store",
            "controller",
        ],
    ),
    // What people and programs see.
    (
        "api",
        &[
            "ids",
            "targeting",
            "policy",
            "analysis",
            "assignment",
            "prompt",
            "rollout",
            "spelling",
            "clock",
            "config",
            "telemetry",
            "store",
            "registry",
            "source",
            "controller",
        ],
    ),
    // What a service in Rust embeds; it meets the API over HTTP alone.
    ("client", &["ids", "targeting", "assignment", "clock", "outbound"]),
    // Pages beside the API: the same access, the same edge, the same problems.
    (
        "console",
        &[
            "ids",
            "policy",
            "analysis",
            "prompt",
            "rollout",
            "spelling",
            "clock",
            "config",
            "figures",
            "outbound",
            "store",
            "controller",
            "api",
        ],
    ),
    (
        "replay",
        &[
            "ids",
            "policy",
            "analysis",
            "assignment",
            "rollout",
            "rehearsal",
            "store",
            "source",
            "controller",
        ],
    ),
    // Outermost.
    ("sim", BELOW_CLI),
    ("cli", EVERYTHING),
    ("lib", EVERYTHING),
    ("main", EVERYTHING),
];

const BELOW_CLI: &[&str] = &[
    "ids",
    "policy",
    "analysis",
    "assignment",
    "prompt",
    "rollout",
    "rehearsal",
    "spelling",
    "clock",
    "config",
    "telemetry",
    "store",
    "registry",
    "source",
    "gate",
    "controller",
    "notify",
];

const EVERYTHING: &[&str] = &[
    "figures",
    "outbound",
    "ids",
    "targeting",
    "policy",
    "analysis",
    "assignment",
    "prompt",
    "rollout",
    "rehearsal",
    "spelling",
    "clock",
    "config",
    "telemetry",
    "store",
    "registry",
    "source",
    "gate",
    "controller",
    "caches",
    "notify",
    "api",
    "client",
    "console",
    "replay",
    "sim",
    "cli",
];

/// Rooms with a face, which is what their `mod.rs` shows; their modules are their own.
const FACED: &[&str] = &["controller", "store", "registry"];

/// Rooms that look behind a face, because they take the parts and put them together.
const ASSEMBLERS: &[&str] = &["sim", "cli", "lib", "main"];

pub(crate) const IMPORTS: Rule = Rule {
    name: "walls",
    why: "data goes one way: the core knows no shell, adapters never know each other, cli is outermost",
    check: imports,
};

pub(crate) const FACE: Rule = Rule {
    name: "face",
    why: "traits, `Board` and `ControllerHandle` are what others see; which store it is, or how a tick works, is not",
    check: face,
};

pub(crate) const CLIMBING: Rule = Rule {
    name: "climbing",
    why: "another room is reached through `crate::`, where the rule `walls` sees it",
    check: climbing,
};

fn imports(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources() {
        let room = file.room();
        let Some((_, known)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            findings.push(Finding::new(
                &file.path,
                1,
                format!("`{room}` is not in the table of rooms"),
            ));
            continue;
        };
        for path in file.shipped_paths() {
            let [root, other, ..] = path.segments[..] else {
                continue;
            };
            let inside = root == "crate" || root == env!("CARGO_PKG_NAME");
            let is_room = ROOMS.iter().any(|(name, _)| *name == other);
            if inside && is_room && other != room && !known.contains(&other) {
                findings.push(Finding::new(
                    &file.path,
                    path.line,
                    format!("`{room}` may not know `{other}`"),
                ));
            }
        }
    }
    findings
}

fn face(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources().filter(|file| !ASSEMBLERS.contains(&file.room())) {
        for path in file.shipped_paths() {
            let ["crate", room, inner, _, ..] = path.segments[..] else {
                continue;
            };
            if FACED.contains(&room) && room != file.room() && inner.starts_with(char::is_lowercase) {
                findings.push(Finding::new(
                    &file.path,
                    path.line,
                    format!("`{room}::{inner}` is internal"),
                ));
            }
        }
    }
    findings
}

fn climbing(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources() {
        for path in file.paths() {
            let supers = path
                .segments
                .iter()
                .take_while(|segment| **segment == "super")
                .count();
            // One level more for a module that is written inside the file.
            let depth = file.depth() + usize::from(file.is_test(path.line) && !file.test);
            if supers > 0 && supers >= depth {
                findings.push(Finding::new(
                    &file.path,
                    path.line,
                    "this path leaves its room by `super`",
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
    fn imports_against_the_direction_are_found() {
        let policy = "use crate::ids::Arm;\nuse crate::{rollout::Phase, ids};\n";
        let analysis = "fn f() -> crate::policy::Policy { crate::assignment::snapshot::x() }";
        let texts = [("src/policy/mod.rs", policy), ("src/analysis/mod.rs", analysis)];
        assert_eq!(
            found(&IMPORTS, &texts),
            ["src/policy/mod.rs:2", "src/analysis/mod.rs:1"]
        );
        let adapters = [("src/store/sqlite.rs", "use crate::registry::Registry;")];
        assert_eq!(found(&IMPORTS, &adapters), ["src/store/sqlite.rs:1"]);
    }

    #[test]
    fn imports_in_the_direction_comments_and_tests_are_left_alone() {
        let text = "//! See [`crate::rollout`].\nuse crate::ids::Arm;\nconst S: &str = \"crate::store::x\";\n\
                    #[cfg(test)]\nmod tests {\n    use crate::rollout::Phase;\n}\n";
        assert_eq!(found(&IMPORTS, &[("src/policy/mod.rs", text)]), [""; 0]);
        let files = [
            (
                "src/policy/mod.rs",
                "#[cfg(test)]\nmod cases;\nmod cases_of_law;\n",
            ),
            ("src/policy/cases/deep.rs", "use crate::rollout::Phase;"),
            ("src/policy/cases_of_law.rs", "use crate::rollout::Phase;"),
        ];
        assert_eq!(found(&IMPORTS, &files), ["src/policy/cases_of_law.rs:1"]);
    }

    #[test]
    fn a_room_without_a_place_in_the_table_is_found() {
        assert_eq!(
            found(&IMPORTS, &[("src/attic/mod.rs", "")]),
            ["src/attic/mod.rs:1"]
        );
    }

    #[test]
    fn the_inside_of_another_room_is_found() {
        let text =
            "use crate::controller::{Board, channel, tick::Pass};\nuse crate::controller::Board as B;\n";
        assert_eq!(found(&FACE, &[("src/api/mod.rs", text)]), ["src/api/mod.rs:1"]);
        assert_eq!(found(&FACE, &[("src/sim/mod.rs", text)]), [""; 0]);
        let store = "use crate::store::{Store, sqlite::Sqlite};";
        assert_eq!(
            found(&FACE, &[("src/controller/mod.rs", store)]),
            ["src/controller/mod.rs:1"]
        );
        assert_eq!(found(&FACE, &[("src/store/mod.rs", store)]), [""; 0]);
    }

    #[test]
    fn a_path_that_climbs_out_of_its_room_is_found() {
        let text = "use super::code::Code;\nuse super::super::store::Store;\n";
        assert_eq!(
            found(&CLIMBING, &[("src/policy/check.rs", text)]),
            ["src/policy/check.rs:2"]
        );
        assert_eq!(found(&CLIMBING, &[("src/policy/check/deep.rs", text)]), [""; 0]);
        let inline = "#[cfg(test)]\nmod tests {\n    use super::*;\n    use super::super::ids;\n}\n";
        assert_eq!(found(&CLIMBING, &[("src/clock.rs", inline)]), ["src/clock.rs:4"]);
    }
}

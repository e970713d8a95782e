//! One name for each idea.

use crate::scan::Kind;
use crate::tree::{File, Tree};
use crate::{Finding, Rule};

/// A word that is not used for an idea that has a name.
struct Avoided {
    /// In lower case; names are split into words before they are compared.
    word: &'static str,
    /// The name of the idea.
    write: &'static str,
    /// The rooms in which the word can mean nothing else; none for everywhere.
    rooms: &'static [&'static str],
}

const fn everywhere(word: &'static str, write: &'static str) -> Avoided {
    Avoided {
        word,
        write,
        rooms: &[],
    }
}

const fn within(rooms: &'static [&'static str], word: &'static str, write: &'static str) -> Avoided {
    Avoided { word, write, rooms }
}

/// Rooms that decide and act.
const HEART: &[&str] = &["ids", "assignment", "rollout", "controller", "registry"];
/// Rooms that speak of steps to people.
const LADDER: &[&str] = &["policy", "rollout", "controller", "api", "console"];

/// Only words whose other meanings do not occur where they are looked for: `weight` is fine in
/// `analysis`, where evidence has one, and `baseline` in `policy`, where a metric has one. Words with
/// an honest use in most rooms (`threshold` of a hash, `event` of a stream, `job`, `flag` of a command
/// line) are not looked for at all.
const AVOIDED: &[Avoided] = &[
    everywhere("experiment", "Rollout"),
    everywhere("deployment", "Rollout"),
    everywhere("variant", "Arm"),
    everywhere("variation", "Arm"),
    everywhere("cohort", "Arm"),
    everywhere("soak", "bake"),
    everywhere("milestone", "Step"),
    everywhere("holdout", "holdback"),
    everywhere("kpi", "Metric"),
    everywhere("reconcile", "tick"),
    everywhere("finalise", "promote"),
    everywhere("finalize", "promote"),
    within(HEART, "baseline", "stable"),
    within(HEART, "subject", "User"),
    within(HEART, "coverage", "Exposure"),
    within(HEART, "traffic", "Exposure"),
    within(HEART, "weight", "Exposure"),
    within(HEART, "revert", "roll_back"),
    within(HEART, "abort", "roll_back"),
    within(&["rollout", "controller"], "epoch", "Generation"),
    within(HEART, "alias", "Label"),
    within(&["assignment"], "slot", "Bucket"),
    within(&["assignment"], "shard", "Bucket"),
    within(&["policy"], "tolerance", "margin"),
    within(&["policy", "analysis"], "significance", "alpha"),
    within(LADDER, "stage", "Step"),
];

/// Systems whose files speak their own language, because their protocols or hashes do.
const FOREIGN: &[&str] = &[
    "ofrep",
    "growthbook",
    "unleash",
    "flagd",
    "launchdarkly",
    "eppo",
    "optimizely",
    "statsig",
    "langfuse",
    "langsmith",
    "promptlayer",
    "otlp",
    "prometheus",
];

/// What a definition begins with.
const DEFINERS: &[&str] = &[
    "struct", "enum", "union", "trait", "type", "fn", "mod", "const", "static",
];

pub(crate) const VOCABULARY: Rule = Rule {
    name: "vocabulary",
    why: "each idea has one name; a second one makes the reader look for a second idea",
    check: vocabulary,
};

fn vocabulary(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources().filter(|file| !is_foreign(file)) {
        let room = file.room();
        for (at, name) in file.tokens.iter().enumerate().skip(1) {
            let defined =
                name.kind == Kind::Word && DEFINERS.iter().any(|definer| file.tokens[at - 1].is(definer));
            if !defined {
                continue;
            }
            let words = words(&name.text);
            for avoided in AVOIDED {
                let applies = avoided.rooms.is_empty() || avoided.rooms.contains(&room);
                if applies
                    && words
                        .iter()
                        .any(|word| word == avoided.word || *word == format!("{}s", avoided.word))
                {
                    let what = format!("`{}`: write {} for {}", name.text, avoided.write, avoided.word);
                    findings.push(Finding::new(&file.path, name.line, what));
                }
            }
        }
    }
    findings
}

fn is_foreign(file: &File) -> bool {
    FOREIGN.iter().any(|system| file.path.contains(system))
}

/// The words of a name in any case, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    for character in name.chars() {
        if character == '_' || (character.is_uppercase() && before_is_lower) {
            words.push(String::new());
        }
        before_is_lower = character.is_lowercase();
        if character != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found;

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(words("BaselineVersion"), ["baseline", "version"]);
        assert_eq!(words("STAGES_MAX"), ["stages", "max"]);
        assert_eq!(words("soak_seconds"), ["soak", "seconds"]);
    }

    #[test]
    fn second_names_are_found() {
        let text = "struct ExperimentState;\nfn baseline_version() {}\nconst STAGES_MAX: u8 = 1;\n";
        let expected = [
            "src/rollout/state.rs:1",
            "src/rollout/state.rs:2",
            "src/rollout/state.rs:3",
        ];
        assert_eq!(found(&VOCABULARY, &[("src/rollout/state.rs", text)]), expected);
        assert_eq!(
            found(&VOCABULARY, &[("src/analysis/mod.rs", text)]),
            ["src/analysis/mod.rs:1"]
        );
    }

    #[test]
    fn other_meanings_and_other_systems_are_left_alone() {
        let text = "fn invariant() {}\nfn variance() {}\n// An experiment.\nlet stage = variant();\n";
        assert_eq!(found(&VOCABULARY, &[("src/rollout/state.rs", text)]), [""; 0]);
        assert_eq!(
            found(&VOCABULARY, &[("src/api/ofrep.rs", "struct Variant;")]),
            [""; 0]
        );
    }
}

//! Differences of versions.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use serin::ids::{Actor, Justification, PromptName, Version};
use serin::prompt::diff::{Line, Part, VersionDiff, diff};
use serin::prompt::{ChatItem, Draft, PromptVersion, Template};
use std::collections::BTreeSet;

fn version(number: u32, template: Template) -> PromptVersion {
    PromptVersion {
        prompt: PromptName::new("greeting").unwrap(),
        version: Version::new(number).unwrap(),
        created_at: Timestamp::from_second(i64::from(number)).unwrap(),
        author: Actor::new(&format!("author-{number}")).unwrap(),
        draft: Draft {
            template,
            semantic_version: None,
            reason: Justification::new(&format!("reason {number}")).unwrap(),
            config: serde_json::Map::new(),
            owner: None,
            tags: BTreeSet::new(),
        },
        evaluations: Vec::new(),
    }
}

fn texts(from: &str, to: &str) -> VersionDiff {
    diff(
        &version(1, Template::Text(from.into())),
        &version(2, Template::Text(to.into())),
    )
}

#[test]
fn author_time_and_reason_are_no_difference() {
    let same = texts("a\nb", "a\nb");
    assert_eq!(same.parts, []);
    assert_eq!(same.unified(), "");
}

#[test]
fn changed_lines_stand_between_their_neighbours() {
    let from = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12";
    let to = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n11\n12\n";
    assert_eq!(
        texts(from, to).unified(),
        "--- version 1 template\n+++ version 2 template\n\
         @@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n\
         @@ -10,3 +10,4 @@\n 10\n 11\n 12\n+\n"
    );
}

#[test]
fn a_message_that_comes_between_is_added_alone() {
    let message = |role: &str, content: &str| ChatItem::Message {
        role: role.into(),
        content: content.into(),
    };
    let placeholder = ChatItem::Placeholder {
        name: "history".into(),
    };
    let (system, user) = (message("system", "Be brief."), message("user", "{{question}}"));
    let from = version(1, Template::Chat(vec![system.clone(), user.clone()]));
    let to = version(
        2,
        Template::Chat(vec![system, placeholder, message("user", "An example."), user]),
    );
    assert_eq!(
        diff(&from, &to).unified(),
        "--- version 1 template\n+++ version 2 template\n\
         @@ -1,4 +1,7 @@\n [system]\n Be brief.\n+[placeholder history]\n+[user]\n+An example.\n [user]\n {{question}}\n"
    );
}

#[test]
fn config_is_compared_by_value_and_metadata_by_line() {
    let mut from = version(1, Template::Text("a".into()));
    let mut to = version(2, Template::Text("a".into()));
    from.draft.config = json!({"model": "m", "tools": {"b": 1, "a": [1]}})
        .as_object()
        .unwrap()
        .clone();
    to.draft.config = json!({"tools": {"a": [1], "b": 1}, "model": "m"})
        .as_object()
        .unwrap()
        .clone();
    to.draft.owner = Some("support".into());
    to.draft.semantic_version = Some("1.1.0".parse().unwrap());
    let found = diff(&from, &to);
    assert_eq!(
        found.parts.iter().map(|part| part.part).collect::<Vec<_>>(),
        [Part::Metadata]
    );
    assert_eq!(
        found.unified(),
        "--- version 1 metadata\n+++ version 2 metadata\n@@ -0,0 +1,2 @@\n+semantic version: 1.1.0\n+owner: support\n"
    );
    to.draft.config.insert("model".to_owned(), json!("n"));
    let found = diff(&from, &to);
    let changed: Vec<String> = found.parts[0]
        .lines
        .iter()
        .filter(|line| !matches!(line, Line::Same(_)))
        .map(Line::to_string)
        .collect();
    assert_eq!(changed, [r#"-  "model": "m","#, r#"+  "model": "n","#]);
}

#[test]
fn texts_that_share_too_little_are_replaced_whole() {
    let numbered = |word: &str, lines: usize| {
        let lines: Vec<String> = (0..lines).map(|number| format!("{word} {number}")).collect();
        format!(
            "same first\n{}\nshared\n{}\nsame last",
            lines.join("\n"),
            lines.join("\n")
        )
    };
    let kept = |lines: usize| {
        let found = texts(&numbered("old", lines), &numbered("new", lines));
        let lines = &found.parts[0].lines;
        lines.iter().filter(|line| matches!(line, Line::Same(_))).count()
    };
    assert_eq!(kept(100), 3);
    assert_eq!(kept(20_000), 2);
}

/// Both texts, put together again from a difference.
fn sides(found: &VersionDiff) -> (Vec<&str>, Vec<&str>) {
    let (mut from, mut to) = (Vec::new(), Vec::new());
    for line in found.parts.iter().flat_map(|part| &part.lines) {
        match line {
            Line::Same(text) => {
                from.push(text.as_str());
                to.push(text.as_str());
            }
            Line::Removed(text) => from.push(text),
            Line::Added(text) => to.push(text),
        }
    }
    (from, to)
}

/// Applies a unified diff of one part to `from`, checking context and line numbers.
fn patched<'t>(from: &[&'t str], unified: &'t str) -> Vec<&'t str> {
    let (mut result, mut read) = (Vec::new(), 0);
    for line in unified.lines().skip(2) {
        let (mark, text) = line.split_at(1);
        match mark {
            "@" => {
                let [first, count] = ["-", ","].map(|before| {
                    let digits = line.split(before).nth(1).unwrap();
                    digits
                        .split(|c: char| !c.is_ascii_digit())
                        .next()
                        .unwrap()
                        .parse::<usize>()
                        .unwrap()
                });
                let next = if count == 0 { first } else { first - 1 };
                result.extend(&from[read..next]);
                read = next;
            }
            "+" => result.push(text),
            _ => {
                assert_eq!(from[read], text);
                read += 1;
                if mark == " " {
                    result.push(text);
                }
            }
        }
    }
    result.extend(&from[read..]);
    result
}

proptest! {
    #[test]
    fn a_difference_holds_both_texts_and_patches_one_into_the_other(
        from in "[abc\n]{0,60}", to in "[abc\n]{0,60}",
    ) {
        let found = texts(&from, &to);
        let (from_lines, to_lines): (Vec<&str>, Vec<&str>) = (from.split('\n').collect(), to.split('\n').collect());
        if from == to {
            prop_assert!(found.parts.is_empty());
        } else {
            prop_assert_eq!(sides(&found), (from_lines.clone(), to_lines.clone()));
        }
        let unified = found.unified();
        prop_assert_eq!(patched(&from_lines, &unified), to_lines);
    }

    #[test]
    fn no_common_line_is_missed(
        from in prop::collection::vec("[ab]", 0..8), to in prop::collection::vec("[ab]", 0..8),
    ) {
        /// The longest common subsequence by its definition.
        fn common(from: &[String], to: &[String]) -> usize {
            match (from, to) {
                ([a, from @ ..], [b, to @ ..]) if a == b => 1 + common(from, to),
                ([_, from_rest @ ..], [_, to_rest @ ..]) => common(from_rest, to).max(common(from, to_rest)),
                _ => 0,
            }
        }
        // A first line that both have makes the texts differ in nothing else than the lists.
        let joined = |lines: &[String]| ["first"].into_iter().chain(lines.iter().map(String::as_str)).collect::<Vec<_>>().join("\n");
        let found = texts(&joined(&from), &joined(&to));
        if let Some(part) = found.parts.first() {
            let same = part.lines.iter().filter(|line| matches!(line, Line::Same(_))).count();
            prop_assert_eq!(same, 1 + common(&from, &to));
        } else {
            prop_assert_eq!(from, to);
        }
    }
}

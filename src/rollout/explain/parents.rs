//! Prompts that change with a label of another, in words.

use crate::ids::Label;
use crate::rollout::{LabelMove, Parents};

/// What stands after a label move: "; prompt `a` (label `production`) takes in label `canary`, …".
pub(super) fn clause(label_move: &LabelMove) -> String {
    sentence(&label_move.label, &label_move.parents).map_or_else(String::new, |told| format!("; {told}"))
}

/// What else changes when `label` moves; none where nothing does.
pub fn sentence(label: &Label, parents: &Parents) -> Option<String> {
    let Parents { labels, more, gap } = parents;
    let named = labels
        .iter()
        .map(|(prompt, label)| format!("`{prompt}` (label `{label}`)"));
    let mut named: Vec<String> = named.collect();
    if *more > 0 {
        named.push(format!("{more} more"));
    }
    let found = match named.as_slice() {
        [] => None,
        [one] => Some(format!(
            "prompt {one} takes in label `{label}`, and changes for all of its users when it moves"
        )),
        [first @ .., last] => Some(format!(
            "prompts {} and {last} take in label `{label}`, and change for all of their users when it moves",
            first.join(", ")
        )),
    };
    match (found, gap) {
        (found, None) => found,
        (Some(found), Some(gap)) => Some(format!("{found}, and maybe others: {gap}")),
        (None, Some(gap)) => Some(format!(
            "prompts that take in label `{label}` change with it, and none is known: {gap}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PromptName;

    fn told(names: &[&str], gap: Option<&str>) -> Option<String> {
        let label = Label::new("production").unwrap();
        let labels = names
            .iter()
            .map(|name| (PromptName::new(name).unwrap(), label.clone()));
        sentence(&Label::new("canary").unwrap(), &Parents::new(labels, gap))
    }

    #[test]
    fn parents_are_named_and_what_is_not_known_is_said() {
        let gap = "the project has not been looked through yet";
        insta::assert_snapshot!(
            [
                told(&["a"], None),
                told(&["a", "b", "c"], None),
                told(&["a"], Some(gap)),
                told(&[], Some(gap)),
            ]
            .map(Option::unwrap)
            .join("\n"),
            @"
        prompt `a` (label `production`) takes in label `canary`, and changes for all of its users when it moves
        prompts `a` (label `production`), `b` (label `production`) and `c` (label `production`) take in label `canary`, and change for all of their users when it moves
        prompt `a` (label `production`) takes in label `canary`, and changes for all of its users when it moves, and maybe others: the project has not been looked through yet
        prompts that take in label `canary` change with it, and none is known: the project has not been looked through yet
        "
        );
        assert_eq!(told(&[], None), None);
    }

    #[test]
    fn very_many_are_counted() {
        let names: Vec<String> = (0..25).map(|number| format!("prompt-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(
            told(&names, None).unwrap().contains("and 5 more take in"),
            "{:?}",
            told(&names, None)
        );
    }
}

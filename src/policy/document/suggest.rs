//! "Did you mean": the nearest of the words that would be right.

use super::sections;

/// Longest part of a value that a message repeats, in characters.
const SHOWN_CHARS_MAX: usize = 48;

/// Words of other tools, and the key or word that says it here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("soak", "bake"),
    ("wait", "bake"),
    ("pause", "bake"),
    ("duration", "bake"),
    ("hold", "bake"),
    ("weight", "exposure"),
    ("setweight", "exposure"),
    ("traffic", "exposure"),
    ("percentage", "exposure"),
    ("percent", "exposure"),
    ("coverage", "exposure"),
    ("minsamples", "samples"),
    ("count", "samples"),
    ("approve", "approval"),
    ("tolerance", "margin"),
    ("delta", "margin"),
    ("threshold", "margin"),
    ("min", "floor"),
    ("minimum", "floor"),
    ("max", "ceiling"),
    ("maximum", "ceiling"),
    ("direction", "better"),
    ("type", "kind"),
    ("severity", "role"),
    ("seed", "salt"),
    ("holdout", "holdback"),
    ("overrides", "force"),
    ("significance", "alpha"),
    ("confidence", "alpha"),
    ("interval", "every"),
    ("stages", "steps"),
    ("ladder", "steps"),
    ("checks", "metrics"),
    ("team", "owner"),
    ("url", "webhook"),
    ("events", "on"),
    ("stable", "control"),
    ("canary", "treatment"),
    ("candidate", "treatment"),
    ("true", "required"),
    ("yes", "required"),
    ("manual", "required"),
    ("up", "higher"),
    ("increase", "higher"),
    ("down", "lower"),
    ("decrease", "lower"),
    ("ratio", "rate"),
    ("binary", "rate"),
    ("boolean", "rate"),
    ("mean", "score"),
    ("gauge", "score"),
    ("monitor", "watched"),
    ("info", "watched"),
    ("primary", "goal"),
    ("wait", "hold"),
    ("ignore", "hold"),
    ("abort", "rollBack"),
    ("promote", "advance"),
];

/// `given` in a form in which `rollBack`, `rollback` and `roll_back` are the same.
fn folded(given: &str) -> String {
    given
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' ' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// How far `given` is from `wanted`, if it is near: at most a third of the letters.
fn distance(given: &str, wanted: &str) -> Option<usize> {
    let (given, wanted) = (folded(given), folded(wanted));
    // Long texts cannot be near, and comparing them costs the product of their lengths.
    if given.len() > 2 * wanted.len() + 2 {
        return None;
    }
    let distance = strsim::damerau_levenshtein(&given, &wanted);
    (distance * 3 <= wanted.chars().count()).then_some(distance)
}

/// The one of `wanted` that `given` was probably meant to be.
pub(crate) fn nearest(given: &str, wanted: &[&'static str]) -> Option<&'static str> {
    let mistyped = wanted
        .iter()
        .filter_map(|word| distance(given, word).map(|distance| (distance, *word)))
        .min();
    if let Some((_, word)) = mistyped {
        return Some(word);
    }
    let given = folded(given);
    ELSEWHERE
        .iter()
        .filter(|(elsewhere, _)| *elsewhere == given)
        .map(|(_, here)| *here)
        .find(|here| wanted.contains(here))
}

/// Where `key` is at home, if that is not at `path`.
pub(crate) fn home_of(key: &str, path: &str) -> Option<String> {
    let homes: Vec<&'static str> = sections()
        .into_iter()
        .filter(|section| section.path != path && section.keys.iter().any(|known| known.name == key))
        .map(|section| section.path)
        .collect();
    match homes.as_slice() {
        [""] => Some(format!("`{key}` belongs at the top of the file")),
        [home] => Some(format!("`{key}` belongs in `{home}`")),
        _ => None,
    }
}

/// "`a`, `b` and `c`".
pub(crate) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [most @ .., last] => {
            let most: Vec<_> = most.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", most.join(", "))
        }
    }
}

/// "`a`, `b` or `c`".
pub(crate) fn alternatives(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [most @ .., last] => {
            let most: Vec<_> = most.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", most.join(", "))
        }
    }
}

/// `text` on one line and not longer than a message bears.
pub(crate) fn cut(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

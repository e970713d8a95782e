//! "Did you mean": the nearest of the words that would be right.

use super::sections;
use crate::spelling;

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
    ("setWeight", "exposure"),
    ("traffic", "exposure"),
    ("percentage", "exposure"),
    ("percent", "exposure"),
    ("coverage", "exposure"),
    ("minSamples", "samples"),
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

/// The one of `wanted` that `given` was probably meant to be: a slip, or another tool's word.
pub(crate) fn nearest(given: &str, wanted: &[&'static str]) -> Option<&'static str> {
    let elsewhere = || {
        let here = ELSEWHERE
            .iter()
            .filter(|(elsewhere, _)| given.eq_ignore_ascii_case(elsewhere));
        here.map(|(_, here)| *here).find(|here| wanted.contains(here))
    };
    spelling::nearest(given, wanted.iter().copied()).or_else(elsewhere)
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

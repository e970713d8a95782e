//! Names of caches, and of the keys in them.

use super::{InvalidId, Label, PromptName, RegistryName, is_dns_label};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

name!(
    /// Name of a cache of applications in the server's settings.
    CacheName, "cache name",
    "must be 1 to 63 of `a`-`z`, `0`-`9` and `-`, with a letter or digit at both ends",
    |v| is_dns_label(v)
);
name!(
    /// How a cache names the key of a prompt and label, such as `prompt:{name}:{label}`.
    KeyPattern, "pattern of keys",
    "must be at most 512 bytes and hold `{name}` and `{label}`, and no braces besides but `{registry}`",
    |v| is_key_pattern(v)
);

/// Whether each prompt and label has a key of its own by a pattern.
fn is_key_pattern(text: &str) -> bool {
    let known = ["{name}", "{label}", "{registry}"];
    let rest = known
        .iter()
        .fold(text.to_owned(), |rest, part| rest.replace(part, " "));
    text.len() <= 512
        && text.contains("{name}")
        && text.contains("{label}")
        && !rest.contains(['{', '}'])
        && !text.chars().any(char::is_control)
}

impl KeyPattern {
    /// The key of a prompt and label.
    pub fn key(&self, registry: &RegistryName, prompt: &PromptName, label: &Label) -> String {
        // Registry and label cannot hold braces; the name of a prompt can, and comes last.
        self.0
            .replace("{registry}", registry.as_str())
            .replace("{label}", label.as_str())
            .replace("{name}", prompt.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_gives_each_prompt_and_label_a_key_of_its_own() {
        let key = |pattern: &str, name: &str| {
            KeyPattern::new(pattern).unwrap().key(
                &RegistryName::new("ours").unwrap(),
                &PromptName::new(name).unwrap(),
                &Label::new("canary").unwrap(),
            )
        };
        assert_eq!(
            key("prompt:{name}:{label}", "folder/greet me"),
            "prompt:folder/greet me:canary"
        );
        assert_eq!(key("{registry}/{label}/{name}", "{label}"), "ours/canary/{label}");
        for bad in [
            "prompt:{name}",
            "prompt:{label}",
            "{name}:{label}:{version}",
            "{{name}}{label}",
            "{name}\n{label}",
        ] {
            assert!(KeyPattern::new(bad).is_err(), "{bad}");
        }
    }
}

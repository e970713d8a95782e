//! How help looks: verbs in groups, and an example for each.

use clap::Command;
use clap::builder::StyledStr;
use std::fmt::Write as _;

/// The block of examples under a verb's help: a heading like clap's own, then the lines.
macro_rules! examples {
    ($($line:literal)+) => {
        concat!("\u{1b}[1m\u{1b}[4mExample:\u{1b}[0m", $("\n  ", $line),+)
    };
}
pub(super) use examples;

/// The verbs by what they are about, in the order in which they are met.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Server", &["serve", "demo", "token"]),
    ("Policy files", &["lint", "schema", "plan", "simulate", "replay"]),
    (
        "Rollouts",
        &[
            "start", "status", "explain", "approve", "pause", "resume", "step", "promote", "rollback",
        ],
    ),
    ("Users", &["assign", "hash"]),
    ("Prompts", &["prompt", "why"]),
];

/// Puts the verbs of `command` into groups.
pub(super) fn grouped(command: Command) -> Command {
    let width = GROUPS
        .iter()
        .flat_map(|(_, verbs)| *verbs)
        .map(|verb| verb.len())
        .max()
        .unwrap_or(0);
    let (heading, literal) = (
        *command.get_styles().get_header(),
        *command.get_styles().get_literal(),
    );
    let mut list = String::new();
    for (group, verbs) in GROUPS {
        // Writing to a `String` cannot fail.
        writeln!(list, "{heading}{group}:{heading:#}").ok();
        for verb in verbs {
            let about = command.find_subcommand(verb).and_then(Command::get_about);
            let about = about.map(StyledStr::to_string).unwrap_or_default();
            writeln!(list, "  {literal}{verb:width$}{literal:#}  {about}").ok();
        }
        list.push('\n');
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}{heading}Options:{heading:#}\n{{options}}{{after-help}}"
    );
    command.help_template(template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_verb_is_in_one_group_and_has_an_example() {
        let command = super::super::command();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, verbs)| *verbs).copied().collect();
        let verbs: BTreeSet<&str> = command.get_subcommands().map(Command::get_name).collect();
        assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), verbs);
        assert_eq!(grouped.len(), verbs.len(), "a verb is in two groups");
        for verb in command.get_subcommands() {
            check_example(verb);
        }
    }

    fn check_example(verb: &Command) {
        let name = verb.get_name();
        assert!(verb.get_about().is_some(), "{name} has no about");
        if verb.has_subcommands() {
            return verb.get_subcommands().for_each(check_example);
        }
        let example = verb
            .get_after_help()
            .map(StyledStr::to_string)
            .unwrap_or_default();
        assert!(
            example.contains("Example:") && example.contains("$ serin "),
            "{name} has no example"
        );
    }
}

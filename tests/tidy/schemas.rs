//! Names in the description of the API.

use crate::scan::Token;
use crate::tree::Tree;
use crate::{Finding, Rule};
use std::collections::BTreeMap;

pub(crate) const ONE_EACH: Rule = Rule {
    name: "one schema for a name",
    why: "of two schemas with one name the description keeps one, and says it of both",
    check: one_each,
};

/// The name that a schema is given here: `schema(as = NAME)`, or `schema!(NAME, …)`.
fn given(tokens: &[Token]) -> Option<&Token> {
    let (_, rest) = tokens.split_first().filter(|(head, _)| head.is("schema"))?;
    match rest {
        [open, word, equals, name, ..] if open.is("(") && word.is("as") && equals.is("=") => Some(name),
        [bang, open, name, ..] if bang.is("!") && open.is("(") => Some(name),
        _ => None,
    }
}

fn one_each(tree: &Tree) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for file in tree.sources() {
        for at in 0..file.tokens.len() {
            let Some(name) = given(&file.tokens[at..]) else {
                continue;
            };
            if let Some(other) = first.insert(&name.text, &file.path) {
                let what = format!("`{}` is the name of a schema in {other}, too", name.text);
                findings.push(Finding::new(&file.path, name.line, what));
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
    fn a_name_that_is_given_twice_is_found() {
        let views = "#[schema(as = Values)]\npub struct ValuesView;";
        let texts = "schema!(\n    /// Some.\n    Values,\n    |it| it\n);";
        let files = [("src/api/schema.rs", texts), ("src/api/views/a.rs", views)];
        assert_eq!(found(&ONE_EACH, &files), ["src/api/views/a.rs:1"]);
        assert!(found(&ONE_EACH, &files[1..]).is_empty());
    }
}

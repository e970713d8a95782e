//! Prompts that are put together from others.
//!
//! A text may refer to another prompt by Langfuse's tag
//! `@@@langfusePrompt:name=NAME|label=LABEL@@@` or `…|version=NUMBER@@@`, which is replaced by that
//! prompt's text when it is fetched (Langfuse, "Prompt Composability"). What stands between the marks
//! and is no such reference stays as it is.

use super::{ChatItem, Template};
use crate::ids::{Label, PromptName, Version};
use std::collections::BTreeSet;

/// Deepest nesting: prompts in prompts in a prompt.
pub const DEPTH_MAX: usize = 5;
/// Most references that are followed for one prompt, those of its parts included.
pub const REFERENCES_MAX: usize = 100;

/// What a tag begins with.
const OPENING: &str = "@@@langfusePrompt:";
/// What a tag ends with.
const CLOSING: &str = "@@@";

/// Another prompt, as a text refers to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The prompt.
    pub prompt: PromptName,
    /// Which version of it.
    pub which: Which,
}

/// Which version of a prompt a reference means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// The one that the label points at.
    Label(Label),
    /// This one.
    Version(Version),
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.which {
            Which::Label(label) => write!(f, "'{}' with label '{label}'", self.prompt),
            Which::Version(version) => write!(f, "'{}' with version {version}", self.prompt),
        }
    }
}

/// Every reference in a template, each once.
pub fn references(template: &Template) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    let mut read = |text: &str| {
        pieces(text, |piece| {
            if let Piece::Reference(reference) = piece {
                found.insert(reference);
            }
        });
    };
    match template {
        Template::Text(text) => read(text),
        Template::Chat(items) => {
            for item in items {
                match item {
                    ChatItem::Message { content, .. } => read(content),
                    ChatItem::Placeholder { .. } => {}
                }
            }
        }
    }
    found
}

/// The template with each reference replaced by what `text_of` has for it; one that it has nothing for
/// stays. What is put in is not read for references again.
pub fn composed<'t>(template: &Template, text_of: impl Fn(&Reference) -> Option<&'t str>) -> Template {
    let fill = |text: &str| {
        let mut filled = String::with_capacity(text.len());
        pieces(text, |piece| match piece {
            Piece::Literal(literal) => filled.push_str(literal),
            Piece::Reference(reference) => match text_of(&reference) {
                Some(text) => filled.push_str(text),
                None => filled.push_str(&tag(&reference)),
            },
        });
        filled.into()
    };
    match template {
        Template::Text(text) => Template::Text(fill(text)),
        Template::Chat(items) => Template::Chat(
            items
                .iter()
                .map(|item| match item {
                    ChatItem::Message { role, content } => ChatItem::Message {
                        role: role.clone(),
                        content: fill(content),
                    },
                    ChatItem::Placeholder { name } => ChatItem::Placeholder { name: name.clone() },
                })
                .collect(),
        ),
    }
}

fn tag(Reference { prompt, which }: &Reference) -> String {
    match which {
        Which::Label(label) => format!("{OPENING}name={prompt}|label={label}{CLOSING}"),
        Which::Version(version) => format!("{OPENING}name={prompt}|version={version}{CLOSING}"),
    }
}

/// Part of a text, in order.
enum Piece<'t> {
    Literal(&'t str),
    Reference(Reference),
}

fn pieces<'t>(text: &'t str, mut take: impl FnMut(Piece<'t>)) {
    let mut rest = text;
    while let Some(start) = rest.find(OPENING) {
        let inside = &rest[start + OPENING.len()..];
        let Some(length) = inside.find(CLOSING) else { break };
        let end = start + OPENING.len() + length + CLOSING.len();
        match reference(&inside[..length]) {
            Some(reference) => {
                take(Piece::Literal(&rest[..start]));
                take(Piece::Reference(reference));
            }
            None => take(Piece::Literal(&rest[..end])),
        }
        rest = &rest[end..];
    }
    take(Piece::Literal(rest));
}

/// What stands in a tag, `name` first.
fn reference(inside: &str) -> Option<Reference> {
    let (name, which) = inside.split_once('|')?;
    let prompt = PromptName::new(name.strip_prefix("name=")?).ok()?;
    let which = match which.split_once('=')? {
        ("label", label) => Which::Label(Label::new(label).ok()?),
        ("version", number) => Which::Version(Version::new(number.parse().ok()?).ok()?),
        _ => return None,
    };
    Some(Reference { prompt, which })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Template {
        Template::Text(text.into())
    }

    fn shown(template: &Template) -> Vec<String> {
        references(template).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn references_are_found_wherever_text_is() {
        let one = "Be kind. @@@langfusePrompt:name=team/rules|label=production@@@ @@@langfusePrompt:name=tone|version=2@@@";
        let expected = ["'team/rules' with label 'production'", "'tone' with version 2"];
        assert_eq!(shown(&text(one)), expected);
        let chat = Template::Chat(vec![
            ChatItem::Placeholder {
                name: "history".into(),
            },
            ChatItem::Message {
                role: "system".into(),
                content: one.into(),
            },
        ]);
        assert_eq!(shown(&chat), expected);
    }

    #[test]
    fn what_is_no_reference_stays() {
        for odd in [
            "@@@langfusePrompt:name=a@@@",
            "@@@langfusePrompt:name=a|label=NOT A LABEL@@@",
            "@@@langfusePrompt:name=a|version=0@@@",
            "@@@langfusePrompt:label=x|name=a@@@",
            "@@@langfusePrompt:name=a|label=x",
            "an @@@ alone",
        ] {
            assert_eq!(shown(&text(odd)), [""; 0], "{odd}");
            assert_eq!(composed(&text(odd), |_| Some("!")), text(odd), "{odd}");
        }
    }

    #[test]
    fn what_is_put_in_is_not_read_again() {
        let tag = "@@@langfusePrompt:name=a|label=x@@@";
        let filled = composed(&text(&format!("1 {tag} 2 {tag}")), |_| {
            Some("@@@langfusePrompt:name=b|label=x@@@")
        });
        assert_eq!(shown(&filled), ["'b' with label 'x'"]);
        assert_eq!(composed(&text(tag), |_| None), text(tag));
        assert_eq!(
            composed(&text(&format!("1 {tag} 2")), |_| Some("and")),
            text("1 and 2")
        );
    }
}

//! Prompts that change when a label of another moves, because their texts take that one in.

use super::Template;
use super::composition::{Reference, Which, references};
use crate::ids::{Label, PromptName, Version};
use std::collections::{BTreeMap, BTreeSet};

/// A label of a prompt.
pub type Place = (PromptName, Label);

/// The texts of a registry that take in other prompts, and the labels by which applications get them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compositions {
    texts: BTreeMap<(PromptName, Version), BTreeSet<Reference>>,
    labels: BTreeMap<Place, Version>,
    /// Why there may be others; none when these are all.
    pub gap: Option<Gap>,
}

/// Why not everything is known that takes in other prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// Not everything has been looked at yet, or it could not be.
    Unread(String),
    /// There is more than is looked at.
    Limit(String),
}

impl Gap {
    /// Its words.
    pub fn words(&self) -> &str {
        match self {
            Self::Unread(words) | Self::Limit(words) => words,
        }
    }
}

impl Compositions {
    /// Those of a registry of which nothing is known yet.
    pub fn unread(why: &str) -> Self {
        Self {
            gap: Some(Gap::Unread(why.to_owned())),
            ..Self::default()
        }
    }

    /// Notes what a text takes in, where it takes in anything.
    pub fn add_text(&mut self, prompt: &PromptName, version: Version, template: &Template) {
        self.add_references(prompt, version, references(template));
    }

    /// The same, where it is known already what the text takes in.
    pub fn add_references(&mut self, prompt: &PromptName, version: Version, refers: BTreeSet<Reference>) {
        if !refers.is_empty() {
            self.texts.insert((prompt.clone(), version), refers);
        }
    }

    /// Notes where a label points, where that is a text that was noted.
    pub fn add_label(&mut self, prompt: &PromptName, label: &Label, version: Version) {
        if self.texts.contains_key(&(prompt.clone(), version)) {
            self.labels.insert((prompt.clone(), label.clone()), version);
        }
    }

    /// Versions that texts take in by their numbers, and of which no text is noted.
    pub fn numbered_elsewhere(&self) -> BTreeSet<(PromptName, Version)> {
        let numbered = self.texts.values().flatten().filter_map(|reference| {
            let version = match &reference.which {
                Which::Version(version) => *version,
                Which::Label(_) => return None,
            };
            Some((reference.prompt.clone(), version))
        });
        numbered
            .filter(|numbered| !self.texts.contains_key(numbered))
            .collect()
    }

    /// Every label that some text takes in.
    pub fn taken_in(&self) -> BTreeSet<Place> {
        let places = self.texts.values().flatten().filter_map(|reference| {
            let label = match &reference.which {
                Which::Label(label) => label.clone(),
                Which::Version(_) => return None,
            };
            Some((reference.prompt.clone(), label))
        });
        places.collect()
    }

    /// The labels whose texts change with those of `moved`, through whatever is between them, and where
    /// they point; not those themselves.
    pub fn parents(&self, moved: &BTreeSet<Place>) -> BTreeMap<Place, Version> {
        let mut places = moved.clone();
        let mut texts: BTreeSet<&(PromptName, Version)> = BTreeSet::new();
        loop {
            let known = texts.len();
            for (text, refers) in &self.texts {
                let changes = |reference: &Reference| match &reference.which {
                    Which::Label(label) => places.contains(&(reference.prompt.clone(), label.clone())),
                    Which::Version(version) => texts.contains(&(reference.prompt.clone(), *version)),
                };
                if !texts.contains(text) && refers.iter().any(changes) {
                    texts.insert(text);
                }
            }
            let holds = |(place, version): &(&Place, &Version)| texts.contains(&(place.0.clone(), **version));
            places.extend(self.labels.iter().filter(holds).map(|(place, _)| place.clone()));
            if texts.len() == known {
                break;
            }
        }
        let found = self.labels.iter();
        let found = found.filter(|(place, _)| places.contains(*place) && !moved.contains(*place));
        found.map(|(place, version)| (place.clone(), *version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(name: &str) -> PromptName {
        PromptName::new(name).unwrap()
    }

    fn label(name: &str) -> Label {
        Label::new(name).unwrap()
    }

    fn version(number: u32) -> Version {
        Version::new(number).unwrap()
    }

    /// `rules` is taken in by `tone`, that by number by `greeting`, and that by label by `page`.
    fn four() -> Compositions {
        let mut all = Compositions::default();
        for (name, number, text) in [
            ("tone", 2, "@@@langfusePrompt:name=rules|label=production@@@"),
            ("greeting", 1, "@@@langfusePrompt:name=tone|version=2@@@"),
            ("page", 7, "@@@langfusePrompt:name=greeting|label=production@@@"),
            ("other", 1, "@@@langfusePrompt:name=rules|label=canary@@@"),
            ("plain", 1, "no reference"),
        ] {
            all.add_text(&prompt(name), version(number), &Template::Text(text.into()));
            all.add_label(&prompt(name), &label("production"), version(number));
        }
        all
    }

    fn parents(all: &Compositions, name: &str, of: &str) -> Vec<String> {
        let moved = BTreeSet::from([(prompt(name), label(of))]);
        let found = all.parents(&moved).into_iter();
        found
            .map(|((prompt, label), version)| format!("{prompt} {label} {version}"))
            .collect()
    }

    #[test]
    fn parents_are_found_through_whatever_is_between() {
        let all = four();
        let expected = ["greeting production 1", "page production 7", "tone production 2"];
        assert_eq!(parents(&all, "rules", "production"), expected);
        assert_eq!(parents(&all, "rules", "canary"), ["other production 1"]);
        assert_eq!(parents(&all, "greeting", "production"), ["page production 7"]);
        assert_eq!(parents(&all, "page", "production"), [""; 0]);
    }

    #[test]
    fn texts_that_take_each_other_in_end() {
        let mut all = Compositions::default();
        for (name, other) in [("a", "b"), ("b", "a")] {
            let text = format!("@@@langfusePrompt:name={other}|label=x@@@");
            all.add_text(&prompt(name), version(1), &Template::Text(text.as_str().into()));
            all.add_label(&prompt(name), &label("x"), version(1));
        }
        assert_eq!(parents(&all, "a", "x"), ["b x 1"]);
    }

    #[test]
    fn what_is_taken_in_by_number_is_to_be_read() {
        let mut all = four();
        assert!(all.numbered_elsewhere().is_empty());
        let text = Template::Text("@@@langfusePrompt:name=rules|version=3@@@".into());
        all.add_text(&prompt("new"), version(1), &text);
        assert_eq!(
            all.numbered_elsewhere(),
            BTreeSet::from([(prompt("rules"), version(3))])
        );
        let canary = (prompt("rules"), label("canary"));
        assert!(all.taken_in().contains(&canary));
        assert!(!all.taken_in().contains(&(prompt("page"), label("production"))));
    }
}

//! Semantic versions, in their order of precedence.
//!
//! Source: Semantic Versioning 2.0.0 (semver.org), items 2, 9, 10 and 11. Build metadata has no part in
//! precedence, so that `1.0.0+a` equals `1.0.0+b` here. A leading `v` or a missing number is no version.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A semantic version without its build metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SemanticVersion {
    /// Major, minor and patch.
    core: [u64; 3],
    /// The identifiers of the pre-release with their dots; empty for a release.
    pre: Arc<str>,
}

impl SemanticVersion {
    /// Reads a version; none where it breaks the rules, or where a number is beyond 2⁶⁴ − 1.
    pub fn parse(text: &str) -> Option<Self> {
        let (version, build) = match text.split_once('+') {
            Some((version, build)) => (version, Some(build)),
            None => (text, None),
        };
        let (core, pre) = match version.split_once('-') {
            Some((core, pre)) => (core, Some(pre)),
            None => (version, None),
        };
        let identifiers = |text: &str| text.split('.').all(is_identifier);
        let ordered = |text: &str| text.split('.').all(|part| !has_leading_zero(part));
        if build.is_some_and(|build| !identifiers(build))
            || pre.is_some_and(|pre| !identifiers(pre) || !ordered(pre))
        {
            return None;
        }
        let mut parts = core.split('.').map(number);
        let core = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then(|| Self {
            core,
            pre: pre.unwrap_or_default().into(),
        })
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !has_leading_zero(text))
        .then(|| text.parse().ok())
        .flatten()
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_numeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_leading_zero(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && is_numeric(text)
}

impl Ord for SemanticVersion {
    /// Precedence (item 11).
    fn cmp(&self, other: &Self) -> Ordering {
        self.core
            .cmp(&other.core)
            .then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => pre_releases(&self.pre, &other.pre),
            })
    }
}

impl PartialOrd for SemanticVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Identifier by identifier; the longer list wins where all before are the same.
fn pre_releases(one: &str, other: &str) -> Ordering {
    let mut others = other.split('.');
    for mine in one.split('.') {
        let Some(theirs) = others.next() else {
            return Ordering::Greater;
        };
        let order = match (is_numeric(mine), is_numeric(theirs)) {
            // Without leading zeros, the longer number is the larger one, however many digits it has.
            (true, true) => mine.len().cmp(&theirs.len()).then_with(|| mine.cmp(theirs)),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => mine.cmp(theirs),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    match others.next() {
        Some(_) => Ordering::Less,
        None => Ordering::Equal,
    }
}

impl fmt::Display for SemanticVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.core;
        write!(f, "{major}.{minor}.{patch}")?;
        if self.pre.is_empty() {
            Ok(())
        } else {
            write!(f, "-{}", self.pre)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> SemanticVersion {
        SemanticVersion::parse(text).unwrap()
    }

    #[test]
    fn precedence_is_that_of_the_specification() {
        // The chains of item 11, and what they leave open.
        let ascending = [
            "0.0.0-0",
            "1.0.0-0",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-99999999999999999999999",
            "1.0.0--",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.1.0",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "2.0.0",
            "2.1.0",
            "2.1.1",
            "2.10.0",
            "10.0.0",
        ];
        for (at, lower) in ascending.iter().enumerate() {
            for higher in &ascending[at + 1..] {
                assert_eq!(
                    version(lower).cmp(&version(higher)),
                    Ordering::Less,
                    "{lower} {higher}"
                );
                assert_eq!(
                    version(higher).cmp(&version(lower)),
                    Ordering::Greater,
                    "{higher} {lower}"
                );
            }
        }
        assert_eq!(version("1.0.0+a").cmp(&version("1.0.0+b.1")), Ordering::Equal);
    }

    #[test]
    fn what_breaks_the_rules_is_no_version() {
        for text in [
            "1.0.0-0A.is.legal",
            "1.2.3----RC-SNAPSHOT.12.9.1--.12+788",
            "1.1.2+meta-valid.01",
        ] {
            let version = version(text);
            let (shown, _) = text.split_once('+').unwrap_or((text, ""));
            assert_eq!(version.to_string(), shown);
        }
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "01.1.1",
            "1.01.1",
            "1.1.01",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3+",
            "1.2.3-a..b",
            "1.2.3-é",
            " 1.2.3",
            "1.2.3 ",
            "-1.0.3",
            "1.2.-3",
            "+1.2.3",
            "99999999999999999999.0.0",
        ] {
            assert_eq!(SemanticVersion::parse(text), None, "{text}");
        }
    }
}

//! From a policy file to a [`Policy`], or to every problem that stands against it.
//!
//! The reader has already noted what cannot be read; each file of this folder judges one part of
//! what could be, in the order of the file. A part that is broken is left out, so that one mistake
//! is one problem, and the parts around it are judged all the same.

use super::code::Code;
use super::document::suggest::cut;
use super::document::{self, FILE_BYTES_MAX, Given, Located, PolicyDocument, SpecDocument};
use super::problem::{Problem, Problems, Severity, Span};
use super::quantity::show_duration;
use super::{Policy, lint};
use crate::ids::Revision;
use across::Claims;
use jiff::SignedDuration;
use std::ops::RangeInclusive;
use std::sync::Arc;

mod across;
mod analysis;
mod assignment;
mod clients;
mod feed;
mod gates;
mod kind;
mod measure;
mod metrics;
mod names;
mod notify;
pub(in crate::policy) mod steps;
mod targeting;
#[cfg(test)]
mod tests;

/// A policy that is used, and what there is to think about.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound<P = Policy> {
    /// The policy.
    pub policy: P,
    /// Its problems, all of them [`Severity::Warning`], in the order of the file.
    pub warnings: Vec<Problem>,
}

/// A policy file that has been read.
#[derive(Debug, Clone, Copy)]
pub struct PolicyFile<'a> {
    /// The name that problems carry.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// Checks one policy file that people know as `file`.
///
/// # Errors
/// Every problem of the file in its order, at least one of them [`Severity::Error`].
pub fn check(file: &str, text: &str) -> Result<Sound, Vec<Problem>> {
    let Examined { policy, problems, .. } = examined(file, text);
    finish(policy, problems).map(unshared)
}

/// Checks policy files one by one, and against each other.
///
/// The results are in the order of `files`.
pub fn check_all(files: &[PolicyFile<'_>]) -> Vec<Result<Sound, Vec<Problem>>> {
    let examined: Vec<Examined> = files.iter().map(examine).collect();
    let compared = compare(&examined.iter().collect::<Vec<_>>());
    drop(examined);
    compared
        .into_iter()
        .map(|checked| checked.map(unshared))
        .collect()
}

/// What is known of one file before it has been compared with others; it stays true while the file does.
#[derive(Debug, Clone)]
pub struct Examined {
    file: Arc<str>,
    policy: Option<Arc<Policy>>,
    claims: Claims,
    problems: Problems,
}

/// Checks one policy file by itself.
pub fn examine(file: &PolicyFile<'_>) -> Examined {
    match std::str::from_utf8(file.bytes) {
        Ok(text) => examined(file.name, text),
        // The reader may have cut a large file off inside a character.
        Err(_) if file.bytes.len() > FILE_BYTES_MAX => {
            examined(file.name, &String::from_utf8_lossy(file.bytes))
        }
        Err(error) => not_utf8(file, error.valid_up_to()),
    }
}

/// Checks against each other policy files that were checked by themselves.
///
/// The results are in the order of `examined`.
pub fn compare(examined: &[&Examined]) -> Vec<Result<Sound<Arc<Policy>>, Vec<Problem>>> {
    let own = examined.iter().map(|examined| examined.problems.clone());
    let mut problems: Vec<Problems> = own.collect();
    across::check(examined, &mut problems);
    let policies = examined.iter().map(|examined| examined.policy.clone());
    let checked = policies.zip(problems);
    checked
        .map(|(policy, problems)| finish(policy, problems))
        .collect()
}

fn finish(policy: Option<Arc<Policy>>, problems: Problems) -> Result<Sound<Arc<Policy>>, Vec<Problem>> {
    let problems = problems.into_sorted();
    let refused = problems.iter().any(|problem| problem.severity == Severity::Error);
    match policy {
        Some(policy) if !refused => Ok(Sound {
            policy,
            warnings: problems,
        }),
        Some(_) | None => Err(problems),
    }
}

fn unshared(sound: Sound<Arc<Policy>>) -> Sound {
    Sound {
        policy: Arc::unwrap_or_clone(sound.policy),
        warnings: sound.warnings,
    }
}

fn examined(file: &str, text: &str) -> Examined {
    let mut problems = Problems::of(file);
    let document = document::read(text, &mut problems);
    let (policy, claims) = match &document {
        Some(document) => policy(document, text, &mut problems),
        None => (None, Claims::default()),
    };
    Examined {
        file: file.into(),
        policy: policy.map(Arc::new),
        claims,
        problems,
    }
}

fn not_utf8(file: &PolicyFile<'_>, offset: usize) -> Examined {
    let mut problems = Problems::of(file.name);
    let before = String::from_utf8_lossy(file.bytes.get(..offset).unwrap_or_default());
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let span = Span {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        offset,
        length: 1,
    };
    problems.add_with_help(
        Code::NotUtf8,
        span,
        "the file is not UTF-8 from this place on",
        "save it in that encoding",
    );
    Examined {
        file: file.name.into(),
        policy: None,
        claims: Claims::default(),
        problems,
    }
}

/// Judges every part, and then puts the policy together from those that are all there.
fn policy(document: &PolicyDocument, text: &str, problems: &mut Problems) -> (Option<Policy>, Claims) {
    names::check_header(document, problems);
    let metadata = document.metadata.value();
    let name = metadata.and_then(|metadata| names::policy_name(metadata, problems));
    let owner = metadata.map_or(Given::Broken, |metadata| metadata.owner.clone());
    let owner = owner.resolve(None, |owner| names::owner(owner, problems).map(Some));
    let mut claims = Claims::default();
    if let (Some(name), Some(metadata)) = (&name, metadata) {
        claims.name = metadata.name.located().map(|located| located.at(name.clone()));
    }
    let Some(spec) = document.spec.value() else {
        return (None, claims);
    };
    let steered = names::steered(spec, problems);
    claims.steered = across::steered(&steered, spec);
    if let Some(labels) = &steered.labels {
        lint::labels(labels, spec, problems);
    }
    let parts = Parts::of(spec, problems);
    let written = spec
        .assignment
        .value()
        .and_then(|written| written.group.located());
    let group = parts.assignment.as_ref().and_then(|rules| rules.group.clone());
    claims.group = written.zip(group).map(|(located, group)| located.at(group));
    let policy = (|| {
        Some(Policy {
            name: name?,
            owner: owner?,
            revision: Revision::of(text),
            source: text.into(),
            prompt: steered.prompt?,
            registry: steered.registry?,
            labels: steered.labels?,
            assignment: parts.assignment?,
            steps: parts.ladder.steps?,
            watch: parts.ladder.watch?,
            analysis: parts.analysis?,
            metrics: parts.metrics?,
            gates: parts.gates?,
            clients: parts.clients?,
            notify: parts.notify?,
        })
    })();
    (policy, claims)
}

/// The parts of a policy that are judged apart from each other; a broken one is absent.
struct Parts {
    assignment: Option<super::AssignmentRules>,
    ladder: steps::Ladder,
    analysis: Option<super::AnalysisRules>,
    metrics: Option<Vec<super::Metric>>,
    gates: Option<super::Gates>,
    clients: Option<super::Clients>,
    notify: Option<Vec<super::Notify>>,
}

impl Parts {
    fn of(spec: &SpecDocument, problems: &mut Problems) -> Self {
        let scheme = assignment::scheme(&spec.assignment);
        let holdback = assignment::holdback(&spec.assignment, scheme, problems);
        let assignment = assignment::check(&spec.assignment, holdback, problems);
        let ladder = steps::check(spec, scheme, problems);
        if let Some(holdback) = holdback {
            steps::check_holdback(&ladder, holdback, spec, problems);
        }
        let analysis = analysis::check(&spec.analysis, problems);
        let metrics = metrics::check(&spec.metrics, problems);
        let gates = gates::check(&spec.gates, &metrics.kinds, problems);
        let clients = clients::check(&spec.clients, problems);
        let notify = notify::check(&spec.notify, problems);
        if let Some(rules) = &analysis {
            lint::analysis(spec, rules, problems);
        }
        lint::steps(spec, analysis.as_ref(), problems);
        lint::scheme(spec, problems);
        lint::sdks(spec, problems);
        if let Some(rules) = &assignment {
            lint::targeting(spec, rules, problems);
        }
        lint::approval(spec, problems);
        Self {
            assignment,
            ladder,
            analysis,
            metrics: metrics.metrics,
            gates,
            clients,
            notify,
        }
    }
}

/// Notes that a name breaks its rule.
fn refuse(
    code: Code,
    located: &Located<String>,
    what: &str,
    rule: &str,
    suggestion: Option<String>,
    problems: &mut Problems,
) {
    let message = match located.value.as_str() {
        "" => format!("{what} {rule}, and is empty"),
        value => format!("{what} {rule}, unlike `{}`", cut(value)),
    };
    match suggestion {
        Some(meant) => {
            problems.add_with_help(code, located.span, message, format!("did you mean `{meant}`?"));
        }
        None => problems.add(code, located.span, message),
    }
}

/// A duration within bounds, or a problem; `what` names it.
fn within(
    bounds: RangeInclusive<SignedDuration>,
    code: Code,
    located: &Located<SignedDuration>,
    what: &str,
    problems: &mut Problems,
) -> Option<SignedDuration> {
    if bounds.contains(&located.value) {
        return Some(located.value);
    }
    problems.add(
        code,
        located.span,
        format!(
            "{what} is {}, and must be {} to {}",
            show_duration(located.value),
            show_duration(*bounds.start()),
            show_duration(*bounds.end())
        ),
    );
    None
}

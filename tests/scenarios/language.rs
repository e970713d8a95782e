//! The words of a scenario.
//!
//! A line is a command (see [`Step`]); lines that begin with `#` are comments, and indented lines
//! belong to the command before them.

use jiff::SignedDuration;
use serin::rollout::Verb;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Nothing: a comment or an empty line.
    Comment,
    /// Write a policy file.
    Policy { file: String, text: String },
    /// Delete a policy file.
    RemovePolicy { file: String },
    /// Create versions of the prompt, up to this one.
    Versions { newest: u32 },
    /// Record an evaluation of a version.
    Evaluate {
        version: u32,
        dataset: String,
        scores: Vec<(String, f64)>,
    },
    /// Point a label at a version as a person would; to none removes it.
    Label {
        label: String,
        version: Option<u32>,
        by: String,
    },
    /// Start a rollout.
    Start { candidate: Option<u32>, by: String },
    /// Hand a person's command to the rollout.
    Command { verb: Verb, by: String },
    /// People come for a while, and are observed.
    Observe {
        per_second: f64,
        metrics: Vec<Contrast>,
        length: SignedDuration,
    },
    /// One user is observed.
    ObserveUser {
        user: String,
        metrics: Vec<(String, f64)>,
    },
    /// Nobody comes for a while.
    Wait { length: SignedDuration },
    /// Something goes wrong.
    Break(Breakage),
    /// Show what users are assigned.
    Assign { users: Vec<String> },
    /// Show where the rollout stands, and why.
    Explain,
    /// Show where labels point, and who moved them there.
    Labels,
    /// Show how users divide.
    Split,
    /// Show what is wrong with policy files.
    Problems,
}

/// A metric in both arms: its mean under the stable version, and under the candidate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contrast {
    pub(crate) metric: String,
    pub(crate) control: f64,
    pub(crate) treatment: f64,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breakage {
    /// The registry does not answer any more.
    RegistryAway,
    /// The registry answers again.
    RegistryBack,
    /// The next label move is done, and its answer is lost.
    ReplyLost,
    /// The server dies now.
    Crash,
    /// The server dies when it is about to move a label.
    CrashBeforeMove,
    /// The server dies when it has moved a label.
    CrashAfterMove,
    /// The next call to the store fails.
    StoreFails,
}

/// A command with the lines as they are written, and what it asks for.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) written: String,
    pub(crate) step: Step,
}

/// Reads a whole scenario; the error names the line.
pub(crate) fn parse(text: &str) -> Result<Vec<Line>, String> {
    let mut lines: Vec<(usize, String, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match lines.last_mut().filter(|_| line.starts_with(' ')) {
            Some((_, _, block)) => {
                block.push_str(line.strip_prefix("  ").unwrap_or(line));
                block.push('\n');
            }
            None => lines.push((index + 1, line.to_owned(), String::new())),
        }
    }
    lines
        .into_iter()
        .map(|(number, written, block)| {
            let step = command(&written, &block).ok_or(format!("line {number}: cannot read `{written}`"))?;
            let indented: String = block.lines().map(|line| format!("\n  {line}")).collect();
            Ok(Line {
                written: written + indented.trim_end(),
                step,
            })
        })
        .collect()
}

fn command(line: &str, block: &str) -> Option<Step> {
    if line.is_empty() || line.starts_with('#') {
        return Some(Step::Comment);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let by = |name: &str| name.to_owned();
    Some(match words.as_slice() {
        ["policy", file] => Step::Policy {
            file: by(file),
            text: block.to_owned(),
        },
        ["remove", file] => Step::RemovePolicy { file: by(file) },
        ["versions", newest] => Step::Versions {
            newest: newest.parse().ok()?,
        },
        ["evaluate", version, "on", dataset, scores @ ..] => Step::Evaluate {
            version: version.parse().ok()?,
            dataset: by(dataset),
            scores: pairs(scores)?,
        },
        ["label", label, "none", "by", actor] => Step::Label {
            label: by(label),
            version: None,
            by: by(actor),
        },
        ["label", label, version, "by", actor] => Step::Label {
            label: by(label),
            version: Some(version.parse().ok()?),
            by: by(actor),
        },
        ["start", "by", actor] => Step::Start {
            candidate: None,
            by: by(actor),
        },
        ["start", version, "by", actor] => Step::Start {
            candidate: Some(version.parse().ok()?),
            by: by(actor),
        },
        [verb, "by", actor] => Step::Command {
            verb: self::verb(verb)?,
            by: by(actor),
        },
        ["observe", "as", user, metrics @ ..] => Step::ObserveUser {
            user: by(user),
            metrics: pairs(metrics)?,
        },
        ["observe", rate, metrics @ .., "for", length] => Step::Observe {
            per_second: rate.strip_suffix("/s")?.parse().ok()?,
            metrics: contrasts(metrics)?,
            length: duration(length)?,
        },
        ["wait", length] => Step::Wait {
            length: duration(length)?,
        },
        ["assign", users @ ..] if !users.is_empty() => Step::Assign {
            users: users.iter().map(|user| by(user)).collect(),
        },
        ["explain"] => Step::Explain,
        ["labels"] => Step::Labels,
        ["split"] => Step::Split,
        ["problems"] => Step::Problems,
        words => Step::Break(breakage(words)?),
    })
}

fn breakage(words: &[&str]) -> Option<Breakage> {
    Some(match words {
        ["registry", "away"] => Breakage::RegistryAway,
        ["registry", "back"] => Breakage::RegistryBack,
        ["registry", "loses", "reply"] => Breakage::ReplyLost,
        ["crash"] => Breakage::Crash,
        ["crash", "before", "move"] => Breakage::CrashBeforeMove,
        ["crash", "after", "move"] => Breakage::CrashAfterMove,
        ["store", "fails"] => Breakage::StoreFails,
        _ => return None,
    })
}

fn verb(word: &str) -> Option<Verb> {
    let verbs = [
        Verb::Pause,
        Verb::Resume,
        Verb::Step,
        Verb::Promote,
        Verb::RollBack,
        Verb::Approve,
    ];
    verbs.into_iter().find(|verb| verb.as_str() == word)
}

/// `score 0.8 errors 0`.
fn pairs(words: &[&str]) -> Option<Vec<(String, f64)>> {
    let (pairs, rest) = words.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[name, value]| Some(((*name).to_owned(), value.parse().ok()?)))
        .collect()
}

/// `score 0.80 vs 0.74 errors 0.01 vs 0.01`.
fn contrasts(words: &[&str]) -> Option<Vec<Contrast>> {
    let (contrasts, rest) = words.as_chunks::<4>();
    if contrasts.is_empty() || !rest.is_empty() {
        return None;
    }
    contrasts
        .iter()
        .map(|[metric, control, vs, treatment]| {
            (*vs == "vs").then_some(())?;
            let metric = (*metric).to_owned();
            Some(Contrast {
                metric,
                control: control.parse().ok()?,
                treatment: treatment.parse().ok()?,
            })
        })
        .collect()
}

/// `90s`, `5m`, `1h` or `2d`.
fn duration(word: &str) -> Option<SignedDuration> {
    let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(SignedDuration::from_secs(
        number.parse::<i64>().ok()?.checked_mul(seconds)?,
    ))
}

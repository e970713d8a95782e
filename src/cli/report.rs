//! How a failure is told: one printer for every verb.

use super::screen::harmless;
use anstyle::{AnsiColor, Style};
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

/// Exit code of a verb that was refused or that failed.
const REFUSED_OR_FAILED: u8 = 1;
/// Exit code of a command line that makes no sense.
const USAGE: u8 = 2;

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const HINT: Style = AnsiColor::BrightCyan.on_default().bold();

/// An error that knows its mend.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Hinted {
    message: String,
    hint: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Hinted {
    /// Without a cause of its own.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
            source: None,
        }
    }

    /// With what caused it.
    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Arguments that each are well formed, but make no sense together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// What a verb has said already, where only the exit code is left to give.
#[derive(Debug, thiserror::Error)]
#[error("the verb has reported its failure")]
pub(crate) struct Reported;

/// Tells `failure` on standard error and gives the exit code that belongs to it.
///
/// A reader that went away (`serin … | head`) is no failure.
pub(crate) fn report(failure: &anyhow::Error) -> ExitCode {
    if failure.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    if !failure.chain().any(|cause| cause.is::<Reported>()) {
        anstream::eprint!("{}", render(failure));
    }
    if failure.chain().any(|cause| cause.is::<Usage>()) {
        ExitCode::from(USAGE)
    } else {
        ExitCode::from(REFUSED_OR_FAILED)
    }
}

fn is_broken_pipe(cause: &(dyn Error + 'static)) -> bool {
    cause
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The whole chain of causes, each said once, and every hint after a blank line.
fn render(failure: &anyhow::Error) -> String {
    let mut said = failure.to_string();
    let mut text = format!("{ERROR}error:{ERROR:#} {}\n", sentence(&said));
    for cause in failure.chain().skip(1) {
        let cause = cause.to_string();
        // Some libraries repeat the inner message in the outer one.
        if said.contains(&cause) {
            continue;
        }
        // Writing to a `String` cannot fail.
        writeln!(text, "  caused by: {}", sentence(&cause)).ok();
        said.push_str(&cause);
    }
    let hints = failure.chain().filter_map(|cause| cause.downcast_ref::<Hinted>());
    for (at, hinted) in hints.enumerate() {
        let gap = if at == 0 { "\n" } else { "" };
        writeln!(text, "{gap}{HINT}hint:{HINT:#} {}", harmless(&hinted.hint)).ok();
    }
    text
}

/// A message as it stands after a colon: servers and libraries wrote it.
fn sentence(text: &str) -> String {
    lower_first(&harmless(text))
}

/// Lower case as the first letter, unless the word is an abbreviation (`HTTP`).
fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        (Some(_), _) | (None, _) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    fn shown(failure: &anyhow::Error) -> String {
        anstream::adapter::strip_str(&render(failure)).to_string()
    }

    #[test]
    fn every_cause_is_said_once_and_hints_come_last() {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "Connection refused");
        let hinted = Hinted::new("no server at `x`", "start one with `serin serve`").because(refused);
        let failure = anyhow::Error::new(hinted).context("cannot read the status: no server at `x`");
        insta::assert_snapshot!(shown(&failure), @r"
        error: cannot read the status: no server at `x`
          caused by: connection refused

        hint: start one with `serin serve`
        ");
    }

    #[test]
    fn abbreviations_keep_their_letters() {
        assert_eq!(lower_first("HTTP is spoken here"), "HTTP is spoken here");
        assert_eq!(lower_first("No such file"), "no such file");
        assert_eq!(lower_first("A"), "a");
        assert_eq!(lower_first(""), "");
    }

    #[test]
    fn exit_codes_tell_usage_from_failure() {
        let code = |failure: anyhow::Error| format!("{:?}", report(&failure));
        let expected = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(code(Reported.into()), expected(1));
        let usage: anyhow::Result<()> = Err(Usage("two of one".into()).into());
        assert_eq!(code(usage.context("outer").unwrap_err()), expected(2));
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(
            code(anyhow::Error::new(pipe).context("cannot print")),
            expected(0)
        );
    }
}

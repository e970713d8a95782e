//! The user keys that a verb is asked about: from arguments, a file, or standard input.

use super::report::Usage;
use crate::ids::UserKey;
use anyhow::Context as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// Where user keys come from.
#[derive(Debug, clap::Args)]
pub(crate) struct UserArgs {
    /// User keys; `-` reads them from standard input, one a line
    #[arg(value_name = "USER")]
    user: Vec<String>,
    /// File with one user key a line
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    users: Option<PathBuf>,
}

/// Reads user keys a piece at a time, so that a list may be longer than memory.
pub(crate) type UserKeys = Box<dyn Iterator<Item = anyhow::Result<String>>>;

impl UserArgs {
    /// Whether no users are named.
    pub(crate) fn is_empty(&self) -> bool {
        self.user.is_empty() && self.users.is_none()
    }

    /// The keys, each checked. Lines lose their line break and nothing else; empty ones are skipped.
    pub(crate) fn keys(&self) -> anyhow::Result<UserKeys> {
        if self.is_empty() {
            return Err(Usage("name users, `-` to read them, or a file with `--users`".into()).into());
        }
        if let Some(file) = &self.users {
            let shown = file.display().to_string();
            let open = File::open(file).with_context(|| format!("cannot read `{shown}`"))?;
            return Ok(lines(BufReader::new(open), shown));
        }
        if self.user.iter().any(|user| user == "-") {
            if self.user.len() > 1 {
                return Err(
                    Usage("`-` reads every user key from standard input: give it alone".into()).into(),
                );
            }
            return Ok(lines(std::io::stdin().lock(), "standard input".into()));
        }
        Ok(Box::new(self.user.clone().into_iter().map(|user| {
            checked(user).map_err(|error| Usage(error.to_string()).into())
        })))
    }
}

fn lines(reader: impl BufRead + 'static, from: String) -> UserKeys {
    let numbered = reader.lines().enumerate();
    let filled = numbered.filter(|(_, line)| !matches!(line, Ok(line) if line.is_empty()));
    Box::new(filled.map(move |(at, line)| {
        let place = || format!("cannot use line {} of `{from}`", at + 1);
        checked(line.with_context(place)?).with_context(place)
    }))
}

fn checked(key: String) -> anyhow::Result<String> {
    UserKey::new(&key)?;
    Ok(key)
}

//! `serin status --watch`: the same table, kept up to date.
//!
//! On a terminal it is drawn in place; elsewhere it is printed once, and then one line for each change.

use super::{StatusArgs, look, render};
use crate::cli::client::Client;
use crate::cli::screen::{self, CAUTION, FAINT, paint};
use crate::cli::wire::{Rollout, Status};
use crate::clock::Clock;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// Time between two looks while nothing is told: verdicts and troubles change without an event.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Least time between two looks, however much is told.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// First and longest wait before a server that went away is asked again.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(15);

/// Watches until Ctrl-C, which is no failure.
pub(super) async fn run(client: &Client, args: &StatusArgs) -> anyhow::Result<()> {
    // The first look tells of a wrong address or policy at once, as without `--watch`.
    let (_, first) = look(client, args).await?;
    let mut page = Page::new();
    page.show(&first)?;
    tokio::select! {
        ended = follow(client, args, &mut page) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Follows the server, and looks for it again whenever it goes.
async fn follow(client: &Client, args: &StatusArgs, page: &mut Page) -> anyhow::Result<()> {
    let mut retry = RETRY_FIRST;
    loop {
        let broken = match client.events().await {
            Ok(mut events) => loop {
                match look(client, args).await {
                    Ok((_, status)) => page.show(&status)?,
                    Err(error) => break error,
                }
                retry = RETRY_FIRST;
                tokio::time::sleep(LOOK_PAUSE).await;
                match tokio::time::timeout(LOOK_EVERY, events.next()).await {
                    // Silence is no news: troubles come without an event.
                    Ok(Ok(())) | Err(_) => {}
                    Ok(Err(error)) => break error,
                }
            },
            Err(error) => error,
        };
        page.lost(&broken)?;
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(RETRY_MAX);
    }
}

/// What is on the screen.
#[derive(Debug)]
enum Page {
    /// Drawn in place; so many rows of it are there.
    Live { drawn: usize, last: String },
    /// One line after the other, against what was told.
    Log(Option<Told>),
}

/// What was told of each policy, and what does not answer.
type Told = (BTreeMap<String, String>, Vec<String>);

impl Page {
    fn new() -> Self {
        if io::stdout().is_terminal() {
            Self::Live {
                drawn: 0,
                last: String::new(),
            }
        } else {
            Self::Log(None)
        }
    }

    fn show(&mut self, status: &Status) -> io::Result<()> {
        match self {
            Self::Live { drawn, last } => {
                *last = render(status, screen::width());
                draw(drawn, last, &clock(), screen::height())
            }
            Self::Log(told) => {
                let now = told_of(status);
                match told.replace(now.clone()) {
                    None => screen::print(&render(status, None)),
                    Some(before) => changes(&before, &now)
                        .iter()
                        .try_for_each(|line| screen::print(&format!("{}  {line}\n", clock()))),
                }
            }
        }
    }

    /// Says that the server is away, and leaves what was last seen of it.
    fn lost(&mut self, error: &anyhow::Error) -> io::Result<()> {
        let said = screen::harmless(&error.to_string());
        match self {
            Self::Live { drawn, last } => {
                let note = format!(
                    "{}  {}",
                    clock(),
                    paint(CAUTION, &format!("{said}; trying again"))
                );
                draw(drawn, last, &note, screen::height())
            }
            Self::Log(_) => screen::print(&format!("{}  {said}; trying again\n", clock())),
        }
    }
}

fn clock() -> String {
    Clock::System.now().strftime("%H:%M:%S UTC").to_string()
}

/// Draws `page` with `note` below it in the place of the `drawn` rows before.
fn draw(drawn: &mut usize, page: &str, note: &str, height: Option<usize>) -> io::Result<()> {
    // Styles where they are wanted: positions are always.
    let styled = |text: &str| match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        anstream::ColorChoice::Auto | anstream::ColorChoice::AlwaysAnsi | anstream::ColorChoice::Always => {
            text.to_owned()
        }
    };
    let (text, rows) = frame(*drawn, &styled(page), &styled(&paint(FAINT, note)), height);
    *drawn = rows;
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What draws the page, and how many rows it then has: never more than the terminal, which would roll.
fn frame(drawn: usize, page: &str, note: &str, height: Option<usize>) -> (String, usize) {
    let most = height.map_or(usize::MAX, |height| height.saturating_sub(2).max(1));
    let lines: Vec<&str> = page.lines().collect();
    // No cursor that jumps about, and lines that are too long are cut: a line is a row.
    let mut text = String::from("\x1b[?25l\x1b[?7l");
    if drawn > 0 {
        // Writing to a `String` cannot fail.
        write!(text, "\x1b[{drawn}A").ok();
    }
    let shown = lines.len().min(most);
    for line in &lines[..shown] {
        write!(text, "\r{line}\x1b[K\n").ok();
    }
    let hidden = lines.len() - shown;
    let more = if hidden > 0 {
        format!(", {hidden} lines more")
    } else {
        String::new()
    };
    write!(text, "\r{note}{more}\x1b[K\n\x1b[J\x1b[?7h\x1b[?25h").ok();
    (text, shown + 1)
}

fn told_of(status: &Status) -> Told {
    let line = |rollout: Option<&Rollout>| match rollout {
        None => "no rollout".to_owned(),
        Some(rollout) => {
            let waits = rollout.stay.as_ref().filter(|stay| stay.code != "ended");
            let waits = waits.map(|stay| format!("; {}", stay.text)).unwrap_or_default();
            screen::harmless(&format!("{} {}{waits}", rollout.id, rollout.phase.text))
        }
    };
    let policies = status.policies.iter();
    let policies = policies
        .map(|it| (it.policy.clone(), line(it.rollout.as_ref())))
        .collect();
    let troubles = status.troubles.iter();
    let troubles = troubles
        .map(|it| {
            let what = match (it.registry.as_ref().or(it.cache.as_ref()), &it.policy) {
                (Some(named), _) => format!("{named} does not answer"),
                (None, Some(policy)) => format!("notifications of {policy} are not taken"),
                (None, None) => format!("{} does not answer", it.code),
            };
            screen::harmless(&format!("{what}: {}", it.error))
        })
        .collect();
    (policies, troubles)
}

/// What is new, one line each.
fn changes((before, were_away): &Told, (now, are_away): &Told) -> Vec<String> {
    let moved = now
        .iter()
        .filter(|(policy, line)| before.get(*policy) != Some(*line))
        .map(|(policy, line)| format!("{policy}: {line}"));
    let gone = before
        .keys()
        .filter(|policy| !now.contains_key(*policy))
        .map(|policy| format!("{policy}: the policy is gone"));
    let fell = are_away
        .iter()
        .filter(|trouble| !were_away.contains(trouble))
        .cloned();
    let rose = were_away
        .iter()
        .filter(|trouble| !are_away.contains(trouble))
        .map(|trouble| format!("over: {trouble}"));
    moved.chain(gone).chain(fell).chain(rose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(policies: &[(&str, &str)], troubles: &[&str]) -> Told {
        let policies = policies
            .iter()
            .map(|(policy, line)| ((*policy).to_owned(), (*line).to_owned()))
            .collect();
        (policies, troubles.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn only_what_is_new_is_told() {
        let before = told(
            &[("a", "r1 in step 1"), ("b", "no rollout"), ("c", "r2 paused")],
            &["store"],
        );
        let now = told(
            &[("a", "r1 in step 2"), ("b", "no rollout"), ("d", "no rollout")],
            &["embedded"],
        );
        let lines = [
            "a: r1 in step 2",
            "d: no rollout",
            "c: the policy is gone",
            "embedded",
            "over: store",
        ];
        assert_eq!(changes(&before, &now), lines);
        assert!(changes(&now, &now).is_empty());
    }

    #[test]
    fn a_page_is_drawn_over_the_one_before_and_never_higher_than_the_terminal() {
        let plain = |text: &str| anstream::adapter::strip_str(text).to_string().replace('\r', "");
        let (first, rows) = frame(0, "one\ntwo\n", "now", Some(24));
        assert_eq!((plain(&first).as_str(), rows), ("one\ntwo\nnow\n", 3));
        let (second, rows) = frame(rows, "one\n", "later", Some(24));
        assert!(second.contains("\x1b[3A"), "{second:?}");
        assert_eq!((plain(&second).as_str(), rows), ("one\nlater\n", 2));
        let (cut, rows) = frame(0, "1\n2\n3\n4\n5\n", "now", Some(4));
        assert_eq!((plain(&cut).as_str(), rows), ("1\n2\nnow, 3 lines more\n", 3));
    }
}

//! The command line: one file for each family of verbs.
//!
//! Exit codes are 0 for done, 1 for refused or failed, 2 for a command line that makes no sense.

mod assign;
mod caches;
mod cautions;
mod client;
pub mod conditions;
mod demo;
mod explain;
mod hash;
mod help;
mod ladder;
pub mod lint;
mod plan;
pub mod policy_files;
mod prompt;
mod replay;
mod report;
mod rollouts;
pub mod schema;
mod screen;
mod serve;
pub mod server;
mod simulate;
mod status;
mod taken_in;
mod token;
mod users;
mod why;
mod wire;

use self::help::examples;
use crate::figures;
use crate::ids::Version;
use crate::rollout;
use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _};
use std::process::ExitCode;

/// Takes a new prompt version to its users step by step, watches quality, and takes it back by
/// itself when quality degrades
#[derive(Debug, clap::Parser)]
#[command(name = "serin", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Serve(serve::Serve),
    Demo(demo::Demo),
    #[command(subcommand)]
    Token(token::TokenVerb),
    Lint(lint::LintArgs),
    Schema(schema::SchemaArgs),
    Plan(plan::PlanArgs),
    Simulate(simulate::SimulateArgs),
    Hash(hash::Hash),
    Replay(Box<replay::ReplayArgs>),
    #[command(flatten)]
    Remote(Box<RemoteVerb>),
}

/// What is asked of a running server.
#[derive(Debug, clap::Subcommand)]
enum RemoteVerb {
    /// Start a rollout: try a version on a policy's users, step by step
    #[command(after_help = examples!(
        "$ serin start order-status-answer --candidate 4 --reason 'shorter answers'"
    ))]
    Start(rollouts::Start),
    Status(status::StatusArgs),
    Explain(explain::Explain),
    /// Open the gate that a rollout waits for: its start, or the way out of a step
    #[command(after_help = examples!(
        "$ serin approve order-status-answer --reason 'looks good in review'"
    ))]
    Approve(rollouts::Move),
    /// Stay at the present exposure until somebody resumes the rollout
    #[command(after_help = examples!(
        "$ serin pause order-status-answer --reason 'the on-call team asked'"
    ))]
    Pause(rollouts::Move),
    /// Go on with a paused rollout
    #[command(after_help = examples!(
        "$ serin resume r17 --reason 'the incident is over'"
    ))]
    Resume(rollouts::Move),
    /// Go to the next step now, without waiting for bake, samples and verdict
    #[command(after_help = examples!(
        "$ serin step order-status-answer --reason 'checked by hand'"
    ))]
    Step(rollouts::Move),
    /// Make the candidate the stable version now
    #[command(after_help = examples!(
        "$ serin promote order-status-answer --reason 'the old one names a closed office'"
    ))]
    Promote(rollouts::Move),
    /// Take the candidate back now: nobody gets it any more, and the labels go back
    #[command(after_help = examples!(
        "$ serin rollback order-status-answer --reason 'support hears complaints'"
        "$ serin rollback r17 --reason 'wrong tone' --json"
    ))]
    Rollback(rollouts::Move),
    Assign(assign::Assign),
    #[command(subcommand)]
    Prompt(prompt::Prompt),
    Why(why::Why),
}

/// Reads the command line of this process, does what it asks, and tells how that went.
pub fn main() -> ExitCode {
    let parsed = command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version come this way too. A reader that went away is no failure.
            told.print().ok();
            return u8::try_from(told.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    run(cli.verb).unwrap_or_else(|failure| report::report(&failure))
}

fn command() -> clap::Command {
    help::grouped(Cli::command())
}

fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Serve(args) => serve::run(args)?,
        Verb::Demo(args) => demo::run(&args)?,
        Verb::Token(verb) => block_on(token::run(&verb))?,
        Verb::Lint(args) => return lint::run(&args, &mut std::io::stdout().lock()),
        Verb::Schema(args) => return Ok(schema::run(&args, &mut std::io::stdout().lock())?),
        Verb::Plan(args) => plan::run(&args)?,
        Verb::Simulate(args) => simulate::run(&args)?,
        Verb::Hash(args) => hash::run(&args)?,
        Verb::Replay(args) => replay::run(&args)?,
        Verb::Remote(verb) => block_on(ask(*verb))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(verb: RemoteVerb) -> anyhow::Result<()> {
    match verb {
        RemoteVerb::Start(args) => rollouts::start(&args).await,
        RemoteVerb::Status(args) => status::run(&args).await,
        RemoteVerb::Explain(args) => explain::run(&args).await,
        RemoteVerb::Approve(args) => rollouts::command(rollout::Verb::Approve, &args).await,
        RemoteVerb::Pause(args) => rollouts::command(rollout::Verb::Pause, &args).await,
        RemoteVerb::Resume(args) => rollouts::command(rollout::Verb::Resume, &args).await,
        RemoteVerb::Step(args) => rollouts::command(rollout::Verb::Step, &args).await,
        RemoteVerb::Promote(args) => rollouts::command(rollout::Verb::Promote, &args).await,
        RemoteVerb::Rollback(args) => rollouts::command(rollout::Verb::RollBack, &args).await,
        RemoteVerb::Assign(args) => assign::run(&args).await,
        RemoteVerb::Prompt(verb) => prompt::run(&verb).await,
        RemoteVerb::Why(args) => why::run(&args).await,
    }
}

/// Runs a conversation on this thread: one person waits for one answer after the other.
fn block_on(conversation: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .context("cannot set up the runtime")?
        .block_on(conversation)
}

/// A version's number, as an argument.
fn parse_version(text: &str) -> Result<Version, String> {
    text.parse()
        .ok()
        .and_then(|number| Version::new(number).ok())
        .ok_or_else(|| "must be a whole number from 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}

//! `serin replay`: what a policy would have done with observations that were recorded.

mod progress;
mod reading;
mod told;
mod view;

use self::progress::Progress;
use self::reading::Lines;
use self::view::{BadLineView, EndView, MoveView, ReplayView};
use super::help::examples;
use super::report::{Hinted, Usage};
use super::screen;
use super::{lint, parse_version};
use crate::config;
use crate::ids::{Exposure, RolloutId, Version};
use crate::policy::Policy;
use crate::policy::quantity;
use crate::rehearsal::Approvals;
use crate::replay::{BadLine, Outcome, Planned, Replay, Settings};
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;

/// Wrong lines that are told one by one; the others are counted.
const BAD_LINES_TOLD_MAX: usize = 20;

/// Run recorded observations through a policy: what it would have done, at which line, and why
///
/// The engine and the rules are those of the server, tick by tick: the same observations give the same
/// moves, for the same reasons. Labels are taken to move at once, and the evaluation gate to be open.
///
/// OBSERVATIONS has one JSON object a line, as it is sent to a server, and `time`: when it was (RFC 3339,
/// or seconds since 1970), as in {"time": "2026-10-02T08:15:00Z", "user": "u-17", "arm": "treatment",
/// "metrics": {"score": 0.9}}. A line without `policy` is about this policy; lines of others are passed
/// over.
///
/// What was served is a fact of the record: `arm`, `label`, `version` (with --stable and --candidate) or a
/// `receipt` (with the server's secret). A line with `user` alone is refused, unless the secret is there:
/// then its arm is what the hash says at the exposure of that moment, which is right as long as the recorded
/// rollout went the way that this one goes, or as long as everybody was served the same.
///
/// Whether users came to the arms as planned can be told only against a plan, and the record's exposure is
/// not the policy's when another policy ran then: --planned says what was planned.
///
/// One pass, in bounded memory: users are told apart up to 7 million of them, an `id` is known again for 3
/// million lines at least, and lines wait for their turn in at most 256 MiB.
///
/// Exit codes: 0 replayed, whatever came of it; 1 something cannot be read, or no line counts; 2 wrong usage.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin replay policies/order-status-answer.yaml october.ndjson.zst"
    "$ zcat logs/*.gz | serin replay policy.yaml - --stable 3 --candidate 4 --planned 10%"
    "$ serin replay policy.yaml rollout.ndjson --rollout r17 --stable 3 --candidate 4 --secret-file secret.hex"
    "$ serin replay policy.yaml october.ndjson --json | jq '.moves[] | {line, text}'"
))]
pub(crate) struct ReplayArgs {
    /// The policy file
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// One observation a line, plain or compressed by gzip or zstd; `-` for standard input
    #[arg(value_name = "OBSERVATIONS")]
    observations: PathBuf,
    /// The version that control was served
    #[arg(long, value_name = "VERSION", requires = "candidate", value_parser = parse_version)]
    stable: Option<Version>,
    /// The version that treatment was served; others are passed over
    #[arg(long, value_name = "VERSION", requires = "stable", value_parser = parse_version)]
    candidate: Option<Version>,
    /// File with the server's secret, as 64 hexadecimal digits; SERIN_SECRET is read as well
    #[arg(long, env = "SERIN_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The rollout that receipts are of, such as r17
    #[arg(long, value_name = "ROLLOUT")]
    rollout: Option<RolloutId>,
    /// Share of users that was planned for treatment in the record: a percentage, `policy` for the exposure
    /// of this rollout's own steps, or `none`; `policy` with a secret, else `none`
    #[arg(long, value_name = "SHARE", value_parser = parse_planned)]
    planned: Option<Planned>,
    /// What happens where the policy asks for approval
    #[arg(long, value_enum, default_value_t = ApprovalsArg::Given, value_name = "HOW")]
    approvals: ApprovalsArg,
    /// How far a line may stand behind one with a later time
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    disorder: SignedDuration,
    /// When the rollout begins; by default with the first line that counts
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// When the replay ends; by default with the last line
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Print one JSON document, for programs
    #[arg(long)]
    json: bool,
}

/// What happens where the policy asks for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ApprovalsArg {
    /// People approve at once
    Given,
    /// Nobody approves, and the rollout waits
    Withheld,
}

fn parse_planned(text: &str) -> Result<Planned, String> {
    match text {
        "none" => Ok(Planned::Nothing),
        "policy" => Ok(Planned::Policy),
        share => quantity::percentage(share)
            .ok()
            .and_then(|share| Exposure::from_ppm(share.ppm()).ok())
            .map(Planned::Share)
            .ok_or_else(|| "must be a percentage such as `5%`, `policy` or `none`".to_owned()),
    }
}

fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    quantity::duration(text).ok_or_else(|| "must be a duration such as `30s`, `5m` or `1h30m`".to_owned())
}

/// Runs the verb.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    if args.policy.as_os_str() == "-" && args.observations.as_os_str() == "-" {
        return Err(
            Usage("`-` is standard input, which is the policy or the record: give it once".into()).into(),
        );
    }
    let policy = Arc::new(lint::policy_in(&args.policy)?);
    let settings = settings(args, Arc::clone(&policy))?;
    let mut lines = Lines::open(&args.observations)?;
    let mut session = Session {
        is_told: !args.json,
        has_moved: false,
        numbers: told::Numbers::default(),
        progress: Progress::new(),
        moves: Vec::new(),
        bad: Vec::new(),
    };
    if session.is_told {
        screen::print(&told::heading(&settings))?;
    }
    let mut replay = Replay::new(settings.clone());
    let mut number = 0;
    let place = || format!("cannot read `{}`", args.observations.display());
    while !replay.is_over()
        && let Some(line) = lines.next().with_context(place)?
    {
        number += 1;
        let outcome = replay.push(number, line);
        session.note(outcome)?;
        session.progress.show(&replay, lines.share_read());
    }
    let outcome = replay.finish();
    session.note(outcome)?;
    session.progress.clear();
    session.end(&replay, &settings)?;
    if replay.rehearsal().is_none() {
        let nothing = format!(
            "no line of `{}` counts for `{}`",
            args.observations.display(),
            policy.name
        );
        let hint = "lines need `time`, `user`, `metrics` and what was served; `serin help replay` shows one";
        return Err(Hinted::new(nothing, hint).into());
    }
    Ok(())
}

/// What the arguments ask for.
fn settings(args: &ReplayArgs, policy: Arc<Policy>) -> anyhow::Result<Settings> {
    let environment = config::secret_from_environment();
    let secret = config::secret(environment.as_deref(), args.secret_file.as_deref())?;
    let versions = args.stable.zip(args.candidate);
    let usage = |told: &str| Err(Usage(told.to_owned()).into());
    if versions.is_some_and(|(stable, candidate)| stable == candidate) {
        return usage("`--stable` and `--candidate` must be two versions");
    }
    if secret.is_some() && versions.is_none() && policy.assignment.salt.is_none() {
        return usage(
            "the split of this policy is drawn from the candidate version: with a secret, give `--stable` and \
             `--candidate`",
        );
    }
    let default = if secret.is_some() {
        Planned::Policy
    } else {
        Planned::Nothing
    };
    let planned = args.planned.unwrap_or(default);
    if planned == Planned::Policy && secret.is_none() && policy.assignment.holdback > Exposure::NOBODY {
        return usage(
            "who is in the policy's holdback is known with the server's secret alone: name it with \
             `--secret-file`, or give `--planned` a percentage of all users",
        );
    }
    Ok(Settings {
        policy,
        versions,
        secret: secret.map(|secret| secret.0),
        rollout: args.rollout,
        planned,
        approvals: match args.approvals {
            ApprovalsArg::Given => Approvals::Given,
            ApprovalsArg::Withheld => Approvals::Withheld,
        },
        disorder: args.disorder,
        from: args.from,
        until: args.until,
    })
}

/// What is told, and what is kept to be told at the end.
struct Session {
    /// Whether a person reads along.
    is_told: bool,
    has_moved: bool,
    numbers: told::Numbers,
    progress: Progress,
    moves: Vec<MoveView>,
    bad: Vec<BadLine>,
}

impl Session {
    fn note(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        for bad in outcome.bad {
            if self.bad.len() == BAD_LINES_TOLD_MAX {
                break;
            }
            if self.is_told {
                self.progress.clear();
                anstream::eprintln!("{}", told::bad_line(&bad));
            }
            self.bad.push(bad);
        }
        for moved in outcome.moves {
            if self.is_told {
                self.progress.clear();
                if !std::mem::replace(&mut self.has_moved, true) {
                    screen::print(&told::heading_of_moves())?;
                }
                screen::print(&told::moved(&moved, &mut self.numbers)?)?;
            } else {
                self.moves.push(MoveView::from(&moved));
            }
        }
        Ok(())
    }

    fn end(mut self, replay: &Replay, settings: &Settings) -> anyhow::Result<()> {
        let remarks = told::remarks(replay, settings);
        if self.is_told {
            let bad_told = self.bad.len();
            screen::print(&told::end(replay, &mut self.numbers, bad_told, &remarks)?)?;
            return Ok(());
        }
        let (stable, candidate) = settings.versions.unzip();
        let view = ReplayView {
            policy: settings.policy.name.to_string(),
            revision: settings.policy.revision.to_string(),
            stable: stable.map(Version::get),
            candidate: candidate.map(Version::get),
            moves: self.moves,
            end: EndView::of(replay),
            lines: replay.counts().into(),
            users: replay.counts().users.into(),
            bad: self.bad.iter().map(BadLineView::from).collect(),
            remarks,
        };
        screen::print_json(&serde_json::to_value(view).context("cannot write the document")?)?;
        Ok(())
    }
}

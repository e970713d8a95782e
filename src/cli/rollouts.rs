//! Verbs that start and move rollouts.

use super::client::{Client, Connection, view};
use super::figures;
use super::report::Hinted;
use super::screen::{self, FAINT, STRONG, paint};
use super::wire::{Rollout, Rollouts, Status};
use crate::ids::{Justification, PolicyName, RolloutId, Version};
use crate::rollout::Verb;
use crate::spelling;
use serde_json::{Value, json};

/// The rollout that a verb is about.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// By its id, such as `r17`.
    Rollout(RolloutId),
    /// The running rollout of a policy, or its last one.
    Policy(PolicyName),
}

impl Target {
    /// Reads an id or a policy's name; what could be both is an id.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(rollout) = text.parse() {
            return Ok(Self::Rollout(rollout));
        }
        match PolicyName::new(text) {
            Ok(policy) => Ok(Self::Policy(policy)),
            Err(refused) => Err(format!(
                "give a rollout's id such as `r17`, or a policy's name: it {}",
                refused.rule()
            )),
        }
    }

    /// Asks the server which rollout it is.
    pub(crate) async fn resolve(&self, client: &Client) -> anyhow::Result<String> {
        let policy = match self {
            Self::Rollout(id) => return Ok(id.to_string()),
            Self::Policy(policy) => policy,
        };
        let newest = [("policy", policy.as_str()), ("limit", "1")];
        let found: Rollouts = view(&client.get(&["v1", "rollouts"], &newest).await?)?;
        if let Some(rollout) = found.rollouts.into_iter().next() {
            return Ok(rollout.id);
        }
        let status: Status = view(&client.get(&["v1", "status"], &[]).await?)?;
        let known = || status.policies.iter().map(|line| line.policy.as_str());
        if known().any(|name| name == policy.as_str()) {
            let hint = format!("start one with `serin start {policy}`");
            return Err(Hinted::new(format!("policy `{policy}` has had no rollout"), hint).into());
        }
        Err(unknown_policy(policy.as_str(), known()))
    }
}

/// There is no such policy, but perhaps one that was meant.
pub(crate) fn unknown_policy<'n>(policy: &str, known: impl IntoIterator<Item = &'n str>) -> anyhow::Error {
    let message = format!("there is no policy `{policy}`{}", spelling::hint(policy, known));
    Hinted::new(message, "`serin status` lists what there is").into()
}

/// Who asks, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Why {
    /// Why, in a sentence; it goes into the history
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) reason: Justification,
    #[command(flatten)]
    pub(crate) who: Who,
}

/// Who asks.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// Your name, for a server that asks for no token; with one, the token's name counts
    #[arg(long, env = "USER", value_name = "NAME", help_heading = "Server")]
    pub(crate) actor: Option<String>,
}

/// What starts a rollout.
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// The policy
    #[arg(value_name = "POLICY")]
    policy: PolicyName,
    /// The version to try [default: the one that the treatment label points at]
    #[arg(long, value_name = "VERSION", value_parser = super::parse_version)]
    candidate: Option<Version>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    connection: Connection,
}

/// What a person asks of a rollout.
#[derive(Debug, clap::Args)]
pub(crate) struct Move {
    /// The rollout's id, such as `r17`, or its policy's name for the running or last one
    #[arg(value_name = "ROLLOUT", value_parser = Target::parse)]
    rollout: Target,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    connection: Connection,
}

/// Starts a rollout.
pub(crate) async fn start(args: &Start) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, args.why.who.actor.as_deref())?;
    let mut body = json!({"policy": args.policy.as_str(), "reason": args.why.reason.as_str()});
    if let Some(candidate) = args.candidate {
        body["candidate"] = candidate.get().into();
    }
    let answer = client.post(&["v1", "rollouts"], &body).await?;
    show(&args.connection, &answer)
}

/// Hands a command to a rollout.
pub(crate) async fn command(verb: Verb, args: &Move) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, args.why.who.actor.as_deref())?;
    let rollout = args.rollout.resolve(&client).await?;
    let body = json!({"reason": args.why.reason.as_str()});
    let answer = client
        .post(&["v1", "rollouts", &rollout, verb.as_str()], &body)
        .await?;
    show(&args.connection, &answer)
}

fn show(connection: &Connection, answer: &Value) -> anyhow::Result<()> {
    if connection.json {
        screen::print_json(answer)?;
    } else {
        screen::print(&summary(&view(answer)?))?;
    }
    Ok(())
}

/// A rollout in two or three lines: which, where it stands, and what it waits for.
pub(crate) fn summary(rollout: &Rollout) -> String {
    let Rollout {
        id,
        policy,
        stable,
        candidate,
        phase,
        exposure,
        stay,
        ..
    } = rollout;
    let title = paint(STRONG, &format!("{policy} {id}"));
    let mut text = format!(
        "{title}  version {stable} → {candidate}\n  {}",
        screen::harmless(&phase.text)
    );
    if let Some(exposure) = exposure.filter(|exposure| *exposure > 0.0) {
        text.push_str(&format!(
            "; {} of users have the candidate",
            figures::percentage(exposure)
        ));
    }
    text.push('\n');
    // The phase of what is over, or paused, says all that the reason to stay could.
    let said = |stay: &str| stay.ends_with(&phase.text) || phase.text.contains(stay);
    if let Some(stay) = stay
        .as_ref()
        .filter(|stay| stay.code != "ended" && stay.code != "paused" && !said(&stay.text))
    {
        text.push_str(&format!("  {}\n", paint(FAINT, &screen::harmless(&stay.text))));
    }
    text
}

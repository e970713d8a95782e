//! `serin demo`: a bad candidate is taken back, a good one is promoted, by the real server.

use self::chapter::{CHAPTERS, Outcome};
use self::crowd::{Crowd, Quality};
use self::scene::Row;
use self::stage::Stage;
use super::client::{Client, Connection};
use super::help::examples;
use super::report::Reported;
use super::screen::{FAINT, STRONG};
use super::server::Server;
use crate::clock::Clock;
use crate::config::{AllowedOrigins, Limits, RegistryKind, Settings};
use crate::ids::RegistryName;
use crate::policy::{Policy, check};
use crate::sim::population::Law;
use crate::store::Secret;
use crate::telemetry::log::LogFormat;
use anyhow::Context as _;
use reqwest::Url;
use serde_json::json;
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

mod chapter;
mod crowd;
mod ending;
mod ledger;
mod scene;
mod stage;

/// The policy of the demo, as a server reads it from its folder.
const POLICY: &str = include_str!("policy.yaml");
/// Its name, and that of its prompt.
const NAME: &str = "order-status-answer";
/// Who writes prompts and starts rollouts.
const ACTOR: &str = "demo";
/// What is drawn from when nobody names another seed.
const SEED_DEFAULT: u64 = 7;
/// How long requests may go on at the end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Watch a bad candidate being taken back and a good one being promoted, in a minute
///
/// Starts a server in this process, on a free port of this machine and with a store that is deleted
/// afterwards; writes three versions of a prompt, and sends a seeded crowd to it over HTTP. Nothing is
/// staged: what decides is the server, by the policy that is shown. Exits with 0 when the bad candidate
/// was rolled back and the good one promoted.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin demo"
    "$ serin demo --seed 42 --plain"
    "$ serin demo --keep"
))]
pub(crate) struct Demo {
    /// What the crowd is drawn from
    #[arg(long, default_value_t = SEED_DEFAULT, value_name = "NUMBER")]
    seed: u64,
    /// Leave the server running, to look around in; Ctrl-C ends it
    #[arg(long, conflicts_with = "json")]
    keep: bool,
    /// Print one line after the other, even on a terminal
    #[arg(long)]
    plain: bool,
    /// Print what came of it as JSON, and nothing else
    #[arg(long)]
    json: bool,
}

/// The versions: text, reason, and the means of faithfulness and of errors.
const VERSIONS: [(&str, &str, f64, f64); 3] = [
    (
        "Answer the question about this order: {{question}}\nOrder: {{order}}",
        "first version",
        0.86,
        0.02,
    ),
    (
        "Answer in one cheerful sentence: {{question}}\nOrder: {{order}}",
        "shorter answers",
        0.81,
        0.02,
    ),
    (
        "Quote the line of the order that answers: {{question}}\nOrder: {{order}}",
        "answers that can be checked",
        0.88,
        0.02,
    ),
];

/// Runs the verb.
pub(crate) fn run(args: &Demo) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot set up the runtime")?;
    let outcome = runtime.block_on(perform(args));
    runtime.shutdown_background();
    outcome
}

async fn perform(args: &Demo) -> anyhow::Result<()> {
    let policy = policy()?;
    let mut stage = if args.json {
        Stage::silent()
    } else {
        Stage::new(args.plain)
    };
    let home = tempfile::Builder::new()
        .prefix("serin-demo-")
        .tempdir()
        .context("cannot make a folder for the demo")?;
    let server = start_server(home.path(), args.seed).await?;
    let url = Url::parse(&format!("http://{}/", server.address()))?;
    let client = Client::new(&Connection::to(url.clone()), Some(ACTOR))?;
    introduce(&mut stage, &url, args.seed)?;
    for (text, reason, ..) in VERSIONS {
        create_version(&client, text, reason).await?;
    }
    let crowd = Crowd::gather(&url, NAME, args.seed, qualities()?)?;
    let outcomes = tokio::select! {
        outcomes = play(&mut stage, &client, &crowd, &policy) => outcomes?,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    };
    ending::conclude(&mut stage, args, &policy, &outcomes)?;
    if args.keep {
        ending::invite(&mut stage, &url)?;
        // The crowd goes on, so that there is something to see.
        tokio::signal::ctrl_c()
            .await
            .context("cannot listen for Ctrl-C")?;
    }
    drop(crowd);
    server.stop().await?;
    if outcomes.iter().all(Outcome::is_as_expected) {
        return Ok(());
    }
    Err(Reported.into())
}

async fn play(
    stage: &mut Stage,
    client: &Client,
    crowd: &Crowd,
    policy: &Policy,
) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(CHAPTERS.len());
    for (number, chapter) in (1..).zip(&CHAPTERS) {
        stage.tell(&Row::default())?;
        stage.tell(&Row::default().with(STRONG, format!("{number}. {}", chapter.headline)))?;
        outcomes.push(chapter::watch(stage, client, crowd, policy, chapter).await?);
    }
    Ok(outcomes)
}

fn policy() -> anyhow::Result<Policy> {
    match check::check("policy.yaml", POLICY) {
        Ok(sound) => Ok(sound.policy),
        Err(problems) => {
            let first = problems
                .into_iter()
                .next()
                .map(|problem| problem.message)
                .unwrap_or_default();
            Err(anyhow::anyhow!("the demo's own policy is not good: {first}"))
        }
    }
}

async fn start_server(home: &Path, seed: u64) -> anyhow::Result<Server> {
    let policies = home.join("policies");
    std::fs::create_dir(&policies).context("cannot make the policy folder")?;
    std::fs::write(policies.join(format!("{NAME}.yaml")), POLICY).context("cannot write the policy")?;
    let embedded = RegistryName::new("embedded")?;
    let settings = Settings {
        policies,
        data: home.join("data"),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        insecure: false,
        log_format: LogFormat::Text,
        log_filter: "off".to_owned(),
        // The same seed draws the same users into treatment.
        secret: Some(Secret(sha2::Sha256::digest(seed.to_le_bytes()).into())),
        traces: None,
        notify_secrets: BTreeMap::new(),
        registries: BTreeMap::from([(embedded, RegistryKind::Embedded)]),
        redis: Vec::new(),
        playground: None,
        allowed_origins: AllowedOrigins::default(),
        reserve: None,
        limits: Limits::default(),
        shutdown_grace: SHUTDOWN_GRACE,
    };
    Server::start(&settings, Clock::System).await
}

async fn create_version(client: &Client, text: &str, reason: &str) -> anyhow::Result<()> {
    let first = reason == VERSIONS[0].1;
    let labels: &[&str] = if first { &["production"] } else { &[] };
    let body = json!({"name": NAME, "type": "text", "prompt": text, "reason": reason, "labels": labels});
    client.post(&["v1", "prompts"], &body).await.map(drop)
}

fn qualities() -> anyhow::Result<BTreeMap<u32, Quality>> {
    let quality = |(index, (_, _, faithfulness, errors)): (u32, &(&str, &str, f64, f64))| {
        let quality = Quality {
            faithfulness: Law::score(*faithfulness)?,
            errors: Law::rate(*errors)?,
        };
        Some((index, quality))
    };
    let qualities = (1..).zip(&VERSIONS).map(quality);
    qualities
        .collect::<Option<_>>()
        .context("the demo's own qualities are not good")
}

fn introduce(stage: &mut Stage, url: &Url, seed: u64) -> anyhow::Result<()> {
    stage.tell(
        &Row::plain("Serin runs in this process, with a temporary store: ").with(STRONG, url.as_str()),
    )?;
    stage.tell(&Row::plain(
        "It follows this policy, in which a second stands for an hour:",
    ))?;
    stage.tell(&Row::default())?;
    for line in POLICY.lines() {
        stage.tell(&Row::default().with(FAINT, format!("    {line}")))?;
    }
    stage.tell(&Row::default())?;
    stage.tell(&Row::plain(format!(
        "Some 500 people a second (seed {seed}) ask for their assignments over HTTP; what is"
    )))?;
    stage.tell(&Row::plain(
        "observed of each answer comes back with its receipt.",
    ))?;
    Ok(())
}

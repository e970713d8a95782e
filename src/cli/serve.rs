//! `serin serve`: the server as a process, from settings to signals.

use super::help::examples;
use super::screen;
use super::server::Server;
use crate::clock::Clock;
use crate::config::{ServeArgs, Settings, environment};
use crate::telemetry::log;
use anyhow::Context as _;
use std::io;

/// Run the server: assign users, take observations, watch rollouts and move labels
///
/// Settings come from flags, then from the environment, then from a file; `-h` lists them shortly.
/// When it is ready, its address is printed on standard output; logs go to standard error. It ends in
/// good order on SIGINT or SIGTERM, and at once on the second one.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin serve --policies policies --data serin-data"
    "$ SERIN_LOG_FORMAT=json serin serve --listen 0.0.0.0:8080"
))]
pub(crate) struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

/// Runs the verb.
pub(crate) fn run(verb: Serve) -> anyhow::Result<()> {
    let settings = Settings::resolve(verb.args, &environment)?;
    log::init(settings.log_format, &settings.log_filter)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot set up the runtime")?;
    let outcome = runtime.block_on(serve(&settings));
    // What still runs after a second signal is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn serve(settings: &Settings) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let mut server = Server::start(settings, Clock::System).await?;
    let address = server.address();
    screen::print_exactly(&format!(
        "serin {} listens on http://{address}, and http://{address}/docs tells what it can be asked\n",
        env!("CARGO_PKG_VERSION")
    ))?;
    tokio::select! {
        ended = server.ended() => return ended,
        () = signals.next() => tracing::info!("stopping: requests that are worked on may finish"),
    }
    tokio::select! {
        stopped = server.stop() => {
            tracing::info!("stopped");
            stopped
        }
        () = signals.next() => anyhow::bail!("stopped at once by a second signal"),
    }
}

/// Signals that ask the process to stop.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Signals that ask the process to stop.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}

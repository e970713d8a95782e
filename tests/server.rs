//! The server as one value, from start to stop.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serin::cli::server::Server;
use serin::clock::Clock;
use serin::config::{ServeArgs, Settings};
use std::net::{Ipv4Addr, SocketAddr};
use tempfile::TempDir;

/// How often it is started and stopped: parts that end in the wrong order do so only now and then.
const ROUNDS: usize = 40;

/// Settings of a server with folders of its own, without policies, on a free port.
fn settings() -> (TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    let args = ServeArgs {
        policies: Some(folder.path().join("policies")),
        data: Some(folder.path().join("data")),
        listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        ..ServeArgs::default()
    };
    let settings = Settings::resolve(args, &|_| None).unwrap();
    (folder, settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_asked_to_stop_ends_well() {
    let (_folder, settings) = settings();
    for round in 0..ROUNDS {
        let server = Server::start(&settings, Clock::System).await.unwrap();
        let stopped = server.stop().await;
        assert!(stopped.is_ok(), "round {round}: {stopped:?}");
    }
}

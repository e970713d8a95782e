//! A service that assigns by itself: it follows a server's route table, and tells what a few users get.
//!
//! ```sh
//! cargo run -- serve --policies policies --data serin-data
//! cargo run --example assign_locally -- http://127.0.0.1:8080 order-status-answer
//! ```
//!
//! Stop the server, and it goes on; start the example again, and it goes on from its file.

use anyhow::Context as _;
use serin::client::{Client, Settings};
use std::io::Write as _;
use std::time::Duration;

/// How long a service waits for its first table before it serves what users have without Serin.
const READY_SECONDS_MAX: u64 = 2;
/// The label that users have without Serin.
const FALLBACK: &str = "production";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments
        .next()
        .context("the first argument is the address of a server")?;
    let policy = arguments
        .next()
        .context("the second argument is the name of a policy")?;

    let mut settings = Settings::new(&server)?.with_file(std::env::temp_dir().join("assign-locally.json"));
    if let Some(token) = arguments.next() {
        settings = settings.with_token(&token);
    }
    let client = Client::start(settings)?;
    let patience = Duration::from_secs(READY_SECONDS_MAX);
    if tokio::time::timeout(patience, client.ready()).await.is_err() {
        writeln!(
            std::io::stderr(),
            "no table after {READY_SECONDS_MAX} s: {:?}",
            client.status()
        )?;
    }

    let mut changes = client.changes();
    loop {
        for number in 0..10 {
            let user = format!("user-{number}");
            let label = match client.assign(&policy, &user) {
                Ok(assigned) => assigned.label.to_string(),
                Err(why) => format!("{FALLBACK} ({why})"),
            };
            writeln!(std::io::stdout(), "{user}: {label}")?;
        }
        let tag = client.status().tag;
        changes.wait_for(|status| status.tag != tag).await?;
        writeln!(std::io::stdout(), "the table has changed")?;
    }
}

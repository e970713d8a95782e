//! A process that is killed, and a disk that is full: what was acknowledged is there, once.
//!
//! The test runs itself as another process, which is the only way to die without a last word.

use crate::world::{Closed, World, counted, start};
use serin::clock::{Clock, ManualClock};
use serin::ids::RolloutId;
use serin::store::sqlite::SqliteStore;
use serin::store::{Batch, BatchReceipt, Store};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// Names the data directory to the process that is to die.
const DIRECTORY: &str = "SERIN_TEST_STORE_DIRECTORY";

/// Observations in each batch.
const BATCH: u128 = 16;

/// The rollout that [`World::begin`] makes first.
const ROLLOUT: u64 = 1;

/// The directory, in the process that is to die.
fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Runs the test of that name alone, in a process of its own; `shell` may set limits first.
fn run_again(test: &str, world: &Closed, shell: &str) -> Child {
    let executable: OsString = std::env::current_exe().unwrap().into();
    Command::new("sh")
        .arg("-c")
        .arg(format!("{shell} exec \"$0\" --exact {test} --nocapture"))
        .arg(executable)
        .env(DIRECTORY, world.directory())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn store(directory: &std::path::Path) -> SqliteStore {
    SqliteStore::open(directory, Clock::Manual(ManualClock::starting_at(start()))).unwrap()
}

fn batch(number: u128) -> Batch {
    let rollout = RolloutId::new(ROLLOUT);
    Batch {
        key: None,
        observations: (0..BATCH)
            .map(|id| counted(rollout, Some(number * BATCH + id)))
            .collect(),
        exclusions: Vec::new(),
    }
}

/// Says something to the parent, at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// A world whose data the other process takes over.
async fn prepared() -> Closed {
    let world = World::sqlite_file();
    assert_eq!(world.begin("greeting").await.id.get(), ROLLOUT);
    world.close()
}

/// Sends every batch up to `last` again: those that were acknowledged are repeats, the others are whole
/// or absent. In the end everything is counted once.
async fn hold_to_account(world: &World, acknowledged: &[u128], last: u128) {
    for number in 0..=last {
        let receipt = world.store.ingest(batch(number)).await.unwrap();
        let BatchReceipt::Counted { duplicates } = receipt else {
            panic!("the batch has no key");
        };
        let whole = duplicates.len() as u128 == BATCH;
        assert!(
            whole || duplicates.is_empty(),
            "batch {number} was torn: {duplicates:?}"
        );
        assert!(whole || !acknowledged.contains(&number), "batch {number} is lost");
    }
    let total = world.total(RolloutId::new(ROLLOUT)).await;
    assert_eq!(u128::from(total), (last + 1) * BATCH);
}

/// Sends batches from several tasks and says which are acknowledged, until killed.
async fn send_for_ever(store: SqliteStore) {
    let store = Arc::new(store);
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..8 {
        let store = Arc::clone(&store);
        senders.spawn(async move {
            for round in 0.. {
                let number = round * 8 + sender;
                store.ingest(batch(number)).await.unwrap();
                say(&format!("acknowledged {number}"));
            }
        });
    }
    while senders.join_next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    if let Some(directory) = directory() {
        return send_for_ever(store(&directory)).await;
    }
    for lines in [1, 40, 400] {
        let world = prepared().await;
        let mut child = run_again("sudden_death::what_was_acknowledged_survives_a_kill", &world, "");
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged: Vec<u128> = Vec::new();
        for line in said {
            acknowledged.extend(number_in(&line.unwrap()));
            if acknowledged.len() == lines {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(acknowledged.len() >= lines);
        let last = acknowledged.iter().max().unwrap() + 100;
        hold_to_account(&world.open(), &acknowledged, last).await;
    }
}

fn number_in(line: &str) -> Option<u128> {
    let (_, number) = line.rsplit_once("acknowledged ")?;
    Some(number.parse().unwrap())
}

/// Sends batches until one is refused, and says what still works.
async fn send_until_full(store: SqliteStore) {
    let mut number = 0;
    let refused = loop {
        match store.ingest(batch(number)).await {
            Ok(_) => say(&format!("acknowledged {number}")),
            Err(error) => break error,
        }
        number += 1;
    };
    say(&format!("refused {}", refused.chain()));
    let rollout = store.rollout(RolloutId::new(ROLLOUT)).await.unwrap();
    say(&format!("reads {}", rollout.is_some()));
    let again = store.ingest(batch(number)).await;
    say(&format!("again {}", again.is_ok()));
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    if let Some(directory) = directory() {
        return send_until_full(store(&directory)).await;
    }
    let world = prepared().await;
    // A file may not grow beyond a limit; the signal that says so is ignored, so that writing fails.
    let limit = "trap '' XFSZ; ulimit -f 1500;";
    let child = run_again(
        "sudden_death::a_full_disk_refuses_and_loses_nothing",
        &world,
        limit,
    );
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let acknowledged: Vec<u128> = said.lines().filter_map(number_in).collect();
    assert!(acknowledged.len() > 10, "{said}");
    let refused =
        "refused the store failed: the transaction was not committed: disk I/O error (SQLite code 778)";
    for line in [refused, "reads true", "again false"] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    let last = acknowledged.len() as u128 + 5;
    hold_to_account(&world.open(), &acknowledged, last).await;
}

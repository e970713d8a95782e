//! What is SQLite's own: the directory, its lock, the file's rows.

use crate::prompts::{create, prompt, text};
use crate::world::{World, counted, quality, start, transition};
use jiff::SignedDuration;
use rusqlite::Connection;
use serin::clock::{Clock, ManualClock};
use serin::ids::{Arm, Cluster};
use serin::prompt::PromptStore as _;
use serin::rollout::{Cause, Phase, VerdictCause};
use serin::store::sqlite::SqliteStore;
use serin::store::{Batch, Counted, Store as _, StoreError};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn clock() -> Clock {
    Clock::Manual(ManualClock::starting_at(start()))
}

/// The file, as another program sees it.
fn file(directory: &Path) -> Connection {
    Connection::open(directory.join("serin.db")).unwrap()
}

pub(crate) fn rows(directory: &Path, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    file(directory).query_row(&count, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_second_server_is_refused_at_once_and_told_where() {
    let folder = TempDir::new().unwrap();
    let directory = folder.path().join("some/data");
    let first = SqliteStore::open(&directory, clock()).unwrap();
    let refused = SqliteStore::open(&directory, clock()).err().unwrap();
    assert!(matches!(&refused, StoreError::Busy { path } if path == directory.to_str().unwrap()));
    assert_eq!(
        refused.to_string(),
        format!(
            "the data in `{}` is in use by another `serin serve`",
            directory.display()
        )
    );
    first.secret().await.unwrap();
    drop(first);
    SqliteStore::open(&directory, clock()).unwrap();
}

#[tokio::test]
async fn closing_answers_what_waits_and_frees_the_directory() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path(), clock()).unwrap());
    let waiting: Vec<_> = (0..50)
        .map(|name| {
            let store = Arc::clone(&store);
            let name = format!("p{name}");
            tokio::spawn(async move {
                let name = prompt(&name);
                store
                    .create_version(&name, text("hi"), crate::world::actor("a"), Vec::new())
                    .await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    store.close().await;
    let mut kept = 0;
    for answer in waiting {
        match answer.await.unwrap() {
            Ok(_) => kept += 1,
            Err(error) => assert_eq!(error.to_string(), "the store failed: the store is closed"),
        }
    }
    let refused = store.secret().await.unwrap_err();
    assert!(matches!(refused, StoreError::Closed), "{refused}");
    let refused = store.tokens().await.unwrap_err();
    assert!(matches!(refused, StoreError::Closed), "{refused}");
    // The old value still lives, but the directory is free.
    let next = SqliteStore::open(folder.path(), clock()).unwrap();
    assert_eq!(next.prompts(None, 100).await.unwrap().len(), kept);
}

#[tokio::test]
async fn after_closing_the_file_alone_is_a_copy_of_everything() {
    let (folder, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = SqliteStore::open(folder.path(), clock()).unwrap();
    let secret = store.secret().await.unwrap();
    store.close().await;
    let names = |directory: &TempDir| ["serin.db", "serin.db-wal"].map(|name| directory.path().join(name));
    let ([database, log], [copied, _]) = (names(&folder), names(&copy));
    assert!(std::fs::metadata(log).map_or(0, |log| log.len()) == 0);
    std::fs::copy(database, copied).unwrap();
    let restored = SqliteStore::open(copy.path(), clock()).unwrap();
    assert_eq!(restored.secret().await.unwrap().0, secret.0);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_data() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = TempDir::new().unwrap();
    let directory = folder.path().join("data");
    let store = SqliteStore::open(&directory, clock()).unwrap();
    store.secret().await.unwrap();
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for path in files {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(store);
    let database = directory.join("serin.db");
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    SqliteStore::open(&directory, clock()).unwrap();
    assert_eq!(mode(&database), 0o600);
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "not a directory").unwrap();
    let refused = SqliteStore::open(&path, clock()).err().unwrap().chain();
    let expected = format!(
        "the store failed: cannot make the directory `{}`: ",
        path.display()
    );
    assert!(refused.starts_with(&expected), "{refused}");

    let directory = folder.path().join("data");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(
        directory.join("serin.db"),
        "this is text, not a database".repeat(100),
    )
    .unwrap();
    let refused = SqliteStore::open(&directory, clock()).err().unwrap().chain();
    let expected = format!(
        "cannot open `{}`: file is not a database (SQLite code 26)",
        directory.join("serin.db").display()
    );
    assert!(refused.ends_with(&expected), "{refused}");
}

#[test]
fn data_of_a_newer_program_are_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(SqliteStore::open(folder.path(), clock()).unwrap());
    file(folder.path())
        .pragma_update(None, "user_version", 1_000)
        .unwrap();
    let refused = SqliteStore::open(folder.path(), clock()).err().unwrap().chain();
    assert!(
        refused.contains("the data were written by a newer Serin (schema 1000"),
        "{refused}"
    );
}

#[tokio::test]
async fn history_versions_and_journal_refuse_to_be_changed() {
    let world = World::sqlite_file();
    world.begin("greeting").await;
    create(&world, "greeting", text("hi")).await;
    let request = serin::prompt::LabelRequest {
        prompt: prompt("greeting"),
        label: "canary".parse().unwrap(),
        expect: None,
        to: Some(serin::ids::Version::FIRST),
        actor: crate::world::actor("alice"),
        reason: crate::world::reason("because"),
        rollout: None,
        may_move_protected: false,
    };
    world.store.change_label(request).await.unwrap();
    let file = file(world.directory());
    for (table, words) in [
        ("audit", "the history is append-only"),
        ("prompt_versions", "versions are immutable"),
        ("label_changes", "the journal is append-only"),
    ] {
        for statement in [
            format!("DELETE FROM {table}"),
            format!("UPDATE {table} SET rowid = 9"),
        ] {
            let refused = file.execute(&statement, []).unwrap_err();
            assert_eq!(refused.to_string(), words, "{statement}");
        }
        assert_eq!(rows(world.directory(), table), 1, "{table}");
    }
}

#[tokio::test]
async fn ten_thousand_batches_fold_into_few_rows() {
    let world = World::sqlite_file();
    let rollout = world.begin("greeting").await.id;
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..100_u8 {
        let store = Arc::clone(&world.store);
        senders.spawn(async move {
            for batch in 0..100_u8 {
                let arm = if batch % 2 == 0 {
                    Arm::Control
                } else {
                    Arm::Treatment
                };
                let observations = vec![Counted {
                    arm,
                    cluster: Cluster::new((sender + batch) % 128).unwrap(),
                    ..counted(rollout, None)
                }];
                let batch = Batch {
                    key: None,
                    observations,
                    exclusions: Vec::new(),
                };
                store.ingest(batch).await.unwrap();
            }
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    assert_eq!(rows(world.directory(), "tallies"), 1);
    assert_eq!(world.total(rollout).await, 10_000);
    let ticks = world.store.closed_ticks(rollout, None).await.unwrap().ticks;
    let arms = &ticks[0].metrics[&quality()];
    assert_eq!((arms.control.count, arms.treatment.count), (5_000, 5_000));
}

#[tokio::test]
async fn a_rollout_that_is_over_leaves_no_tallies_in_the_file() {
    let world = World::sqlite_file();
    let (one, other) = (world.begin("greeting").await, world.begin("farewell").await);
    for state in [&one, &other] {
        for _ in 0..3 {
            world.ingest(vec![counted(state.id, None)]).await.unwrap();
            world.advance(1);
        }
        world.ingest(vec![counted(state.id, None)]).await.unwrap();
    }
    let cause = Cause::Verdict(VerdictCause::Passed);
    let over = transition(&one, Phase::RolledBack { cause: cause.clone() }, cause);
    world.store.commit(start(), &over, None).await.unwrap();
    world
        .ingest(vec![counted(one.id, None), counted(other.id, None)])
        .await
        .unwrap();
    assert_eq!(rows(world.directory(), "tallies"), 4);
}

#[tokio::test]
async fn what_a_damaged_row_holds_is_named() {
    let world = World::sqlite_file();
    let rollout = world.begin("greeting").await.id;
    create(&world, "greeting", text("hi")).await;
    world.ingest(vec![counted(rollout, None)]).await.unwrap();
    world.clock.advance(SignedDuration::from_secs(1));
    let damage = |statement: &str| assert_eq!(file(world.directory()).execute(statement, []).unwrap(), 1);
    let corrupt = |error: StoreError| {
        let StoreError::Corrupt { what, .. } = error else {
            panic!("{error}");
        };
        what
    };
    damage("UPDATE tallies SET arms = x'0102'");
    assert_eq!(
        corrupt(world.store.closed_ticks(rollout, None).await.unwrap_err()),
        "a tally"
    );
    damage("UPDATE rollouts SET phase = '{}'");
    assert_eq!(
        corrupt(world.store.rollout(rollout).await.unwrap_err()),
        "a rollout's phase"
    );
    damage("UPDATE rollouts SET phase = '{\"phase\":\"watching\"}', policy = 'Not A Name'");
    assert_eq!(corrupt(world.store.load().await.unwrap_err()), "a policy's name");
    file(world.directory())
        .execute("DROP TRIGGER audit_not_updated", [])
        .unwrap();
    damage("UPDATE audit SET event = 'nothing'");
    assert_eq!(
        corrupt(world.store.audit(rollout, None, 9).await.unwrap_err()),
        "an audit record"
    );
    damage("UPDATE prompts SET name = 'greeting|'");
    let refused = world.store.prompts(None, 9).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the store failed: the store holds a prompt's name that cannot be read: `greeting|` is not a prompt \
         name: must be 1 to 255 characters without `|`, control characters or spaces at the ends"
    );
    // The server goes on.
    world.begin("farewell").await;
}

#[tokio::test]
async fn another_program_that_holds_the_file_is_waited_for() {
    let world = World::sqlite_file();
    let rollout = world.begin("greeting").await.id;
    let backup = file(world.directory());
    backup.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = Arc::clone(&world.store);
    let sending = tokio::spawn(async move {
        let batch = Batch {
            key: None,
            observations: vec![counted(rollout, None)],
            exclusions: Vec::new(),
        };
        store.ingest(batch).await
    });
    // Reading goes on meanwhile.
    assert_eq!(world.store.rollout(rollout).await.unwrap().unwrap().id, rollout);
    backup.execute_batch("ROLLBACK").unwrap();
    sending.await.unwrap().unwrap();
    assert_eq!(world.total(rollout).await, 1);
}

#[tokio::test]
async fn a_flood_is_refused_at_once_and_does_not_hold_up_the_controller() {
    const BATCH: usize = 60_000;
    let world = World::sqlite_file();
    let rollout = world.begin("greeting").await.id;
    let backup = file(world.directory());
    backup.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = Arc::clone(&world.store);
        senders.spawn(async move {
            let batch = Batch {
                key: None,
                observations: vec![counted(rollout, None); BATCH],
                exclusions: Vec::new(),
            };
            store.ingest(batch).await
        });
    }
    // The first answers are refusals: the others wait for the file.
    let refused = senders.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(matches!(refused, StoreError::Overloaded), "{refused}");
    let store = Arc::clone(&world.store);
    let controller = tokio::spawn(async move { store.secret().await });
    backup.execute_batch("ROLLBACK").unwrap();
    controller.await.unwrap().unwrap();
    let mut kept = 0;
    while let Some(answer) = senders.join_next().await {
        match answer.unwrap() {
            Ok(_) => kept += 1,
            Err(error) => assert!(matches!(error, StoreError::Overloaded), "{error}"),
        }
    }
    assert!((1..6).contains(&kept), "{kept}");
    assert_eq!(world.total(rollout).await, kept * BATCH as u64);
}

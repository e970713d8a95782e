//! Behaviours as text: each `NAME.txt` is a script, and `NAME.out` is everything that it prints.
//!
//! After a change that is meant, write the new outputs and read their difference:
//!
//! ```sh
//! SERIN_SCENARIOS=write cargo test --test scenarios && git diff tests/scenarios
//! ```
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

mod language;
mod stage;
mod telling;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut scripts: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    scripts.sort();
    scripts
}

/// Plays one script; what is wrong with what it prints.
fn check(script: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(script).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    let printed = runtime
        .block_on(stage::play(&text, folder.path()))
        .map_err(|error| format!("{}: {error}", script.display()))?;
    let expected = script.with_extension("out");
    #[expect(clippy::disallowed_methods, reason = "only whoever runs the tests sets it")]
    if std::env::var("SERIN_SCENARIOS").is_ok_and(|word| word == "write") {
        std::fs::write(expected, printed).unwrap();
        return Ok(());
    }
    let known = std::fs::read_to_string(&expected).unwrap_or_default();
    if known == printed {
        return Ok(());
    }
    let mut difference = format!("{} prints something else:\n", script.display());
    for change in TextDiff::from_lines(&known, &printed).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => continue,
        };
        write!(difference, "{sign}{change}").unwrap();
    }
    Err(difference)
}

#[test]
fn every_scenario_prints_what_it_is_known_to_print() {
    let (scripts, failures) = (Mutex::new(scripts()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let script = scripts.lock().unwrap().pop();
                    let Some(script) = script else { break };
                    if let Err(failure) = check(&script) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_output_has_its_script() {
    let scripts = scripts();
    assert!(scripts.len() >= 14, "{}", scripts.len());
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "out") {
            assert!(
                scripts.contains(&path.with_extension("txt")),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = language::parse("wait 5s\nfly to the moon").unwrap_err();
    assert_eq!(error, "line 2: cannot read `fly to the moon`");
}

//! The policies in force: what the folder's files say, or said when they were last good.

use crate::ids::PolicyName;
use crate::policy::Policy;
use crate::policy::check::{self, Examined, PolicyFile, Sound};
use crate::policy::problem::{Problem, Severity};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Files that a policy folder may hold.
pub const POLICY_FILES_MAX: usize = 20_000;

/// Files that are checked in one go while assignments are answered: a millisecond's work.
const FILES_AT_ONCE: usize = 32;

/// How long the reader stands aside then.
const BREATH: Duration = Duration::from_millis(1);

/// The policies in force.
#[derive(Debug, Default)]
pub struct PolicyBook {
    folder: Option<PathBuf>,
    files: Arc<Files>,
    in_force: BTreeMap<Arc<Path>, Arc<Policy>>,
    problems: Arc<[Problem]>,
    loaded_at: Option<Timestamp>,
}

/// The files of a folder, as they were last read.
type Files = BTreeMap<Arc<Path>, File>;

/// A file as it was last read.
#[derive(Debug, Clone)]
struct File {
    facts: Facts,
    examined: Arc<Examined>,
}

/// What tells that a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl PolicyBook {
    /// The policies of a folder's `*.yaml` and `*.yml` files, from the first [`Self::refresh`] on.
    pub fn of_folder(folder: PathBuf) -> Self {
        Self {
            folder: Some(folder),
            ..Self::default()
        }
    }

    /// Policies that never change.
    pub fn of_policies(policies: impl IntoIterator<Item = Policy>) -> Self {
        let in_force = policies
            .into_iter()
            .map(|policy| (Path::new(policy.name.as_str()).into(), Arc::new(policy)))
            .collect();
        Self {
            in_force,
            ..Self::default()
        }
    }

    /// Reads the folder again; true when a file came, changed or went.
    ///
    /// A file that is not good any more changes nothing: its last good policy stays in force, and
    /// [`Self::problems`] says why.
    pub async fn refresh(&mut self, now: Timestamp) -> io::Result<bool> {
        let Some(folder) = self.folder.clone() else {
            return Ok(false);
        };
        let known = Arc::clone(&self.files);
        let reading = tokio::task::spawn_blocking(move || read(&folder, &known))
            .await
            .map_err(io::Error::other)??;
        let Some(reading) = reading else {
            self.loaded_at = self.loaded_at.or(Some(now));
            return Ok(false);
        };
        self.apply(reading);
        self.loaded_at = Some(now);
        Ok(true)
    }

    fn apply(&mut self, reading: Reading) {
        self.in_force.retain(|path, _| reading.files.contains_key(path));
        let mut found = Vec::new();
        let mut fresh = BTreeSet::new();
        for (path, checked) in reading.files.keys().zip(reading.checked) {
            match checked {
                Ok(Sound { policy, warnings }) => {
                    fresh.insert(policy.name.clone());
                    self.in_force.insert(Arc::clone(path), policy);
                    found.extend(warnings);
                }
                Err(problems) => found.extend(problems),
            }
        }
        self.problems = found.into();
        // A policy that is in force only as the last good text of a broken file gives way to a good
        // file that has taken its name.
        let broken: BTreeSet<Arc<str>> = self.errors().map(|problem| Arc::clone(&problem.file)).collect();
        self.in_force.retain(|path, policy| {
            !broken.contains(path.to_string_lossy().as_ref()) || !fresh.contains(&policy.name)
        });
        self.files = Arc::new(reading.files);
    }

    fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
    }

    /// The policies in force, by name.
    pub fn policies(&self) -> BTreeMap<PolicyName, Arc<Policy>> {
        self.in_force
            .values()
            .map(|policy| (policy.name.clone(), Arc::clone(policy)))
            .collect()
    }

    /// The file that each policy in force comes from.
    pub fn files(&self) -> BTreeMap<&PolicyName, &Path> {
        let in_force = self.in_force.iter();
        in_force.map(|(file, policy)| (&policy.name, &**file)).collect()
    }

    /// What is wrong with the files.
    pub fn problems(&self) -> &Arc<[Problem]> {
        &self.problems
    }

    /// When the folder was last read with a difference.
    pub fn loaded_at(&self) -> Option<Timestamp> {
        self.loaded_at
    }

    /// Whether every file is good: only then is a missing policy known to be gone.
    pub fn is_whole(&self) -> bool {
        self.errors().next().is_none()
    }
}

/// The folder as it is now.
struct Reading {
    files: Files,
    /// In the order of `files`.
    checked: Vec<Result<Sound<Arc<Policy>>, Vec<Problem>>>,
}

/// Reads and checks what has changed, and compares everything with everything when something has.
fn read(folder: &Path, known: &Files) -> io::Result<Option<Reading>> {
    let mut present = Vec::new();
    for path in policy_files(folder)? {
        // A file that goes while the folder is read is one that is gone.
        let Ok(metadata) = std::fs::metadata(&path) else {
            continue;
        };
        let facts = Facts {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
        };
        present.push((path, facts));
    }
    let is_known =
        |(path, facts): &(PathBuf, Facts)| known.get(path.as_path()).is_some_and(|file| file.facts == *facts);
    if present.len() == known.len() && present.iter().all(is_known) {
        return Ok(None);
    }
    let files = if known.is_empty() {
        // Nobody is answered before this, so that every core may help.
        examine_at_once(&present)?
    } else {
        examine(&present, known)?
    };
    let examined: Vec<&Examined> = files.values().map(|file| file.examined.as_ref()).collect();
    let checked = check::compare(&examined);
    Ok(Some(Reading { files, checked }))
}

/// Checks those files by themselves that are not the `known` ones.
fn examine(present: &[(PathBuf, Facts)], known: &Files) -> io::Result<Files> {
    let mut files = Files::new();
    let mut changed: usize = 0;
    for (path, facts) in present {
        let file = known.get_key_value(path.as_path());
        let (path, examined) = match file.filter(|(_, file)| file.facts == *facts) {
            Some((path, file)) => (Arc::clone(path), Arc::clone(&file.examined)),
            None => {
                changed += 1;
                if !known.is_empty() && changed.is_multiple_of(FILES_AT_ONCE) {
                    // Somebody is answered meanwhile, and waits for a core.
                    std::thread::sleep(BREATH);
                }
                let bytes = std::fs::read(path)?;
                let file = PolicyFile {
                    name: &path.to_string_lossy(),
                    bytes: &bytes,
                };
                (path.as_path().into(), Arc::new(check::examine(&file)))
            }
        };
        let facts = *facts;
        files.insert(path, File { facts, examined });
    }
    Ok(files)
}

/// Checks all of them by themselves, in as many parts as there are cores.
fn examine_at_once(present: &[(PathBuf, Facts)]) -> io::Result<Files> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let part = present.len().div_ceil(cores).max(1);
    let parts: Vec<io::Result<Files>> = std::thread::scope(|scope| {
        let parts = present.chunks(part);
        let helpers: Vec<_> = parts
            .map(|part| scope.spawn(move || examine(part, &Files::new())))
            .collect();
        let broken = |_| Err(io::Error::other("checking the policies broke off"));
        helpers
            .into_iter()
            .map(|helper| helper.join().unwrap_or_else(broken))
            .collect()
    });
    let mut files = Files::new();
    for part in parts {
        files.append(&mut part?);
    }
    Ok(files)
}

fn policy_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if yaml && !hidden {
            paths.push(path);
        }
        if paths.len() > POLICY_FILES_MAX {
            return Err(io::Error::other(format!(
                "more than {POLICY_FILES_MAX} policy files"
            )));
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: answer}
spec:
  prompt: answer
  steps:
    - {exposure: 5%, bake: 1h, samples: 100}
    - {exposure: 100%, bake: 1h}
  metrics:
    - {name: faithfulness, kind: score, margin: 0.02}
";

    struct Folder {
        folder: tempfile::TempDir,
        book: PolicyBook,
    }

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let book = PolicyBook::of_folder(folder.path().to_path_buf());
            Self { folder, book }
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }

        async fn refresh(&mut self) -> Vec<String> {
            self.book.refresh(Timestamp::UNIX_EPOCH).await.unwrap();
            self.book.policies().keys().map(ToString::to_string).collect()
        }
    }

    #[tokio::test]
    async fn a_bad_file_leaves_its_last_good_policy_in_force() {
        let mut folder = Folder::new();
        folder.write("answer.yaml", GOOD);
        assert_eq!(folder.refresh().await, ["answer"]);
        let revision = folder.book.policies().values().next().unwrap().revision;
        folder.write("answer.yaml", &GOOD.replace("bake: 1h", "bake: soon"));
        assert_eq!(folder.refresh().await, ["answer"]);
        assert_eq!(folder.book.policies().values().next().unwrap().revision, revision);
        assert!(!folder.book.is_whole());
        assert!(!folder.book.problems().is_empty());
        folder.write("answer.yaml", &GOOD.replace("bake: 1h", "bake: 2h"));
        folder.refresh().await;
        assert_ne!(folder.book.policies().values().next().unwrap().revision, revision);
        assert!(folder.book.is_whole());
    }

    #[tokio::test]
    async fn a_file_that_goes_takes_its_policy_along() {
        let mut folder = Folder::new();
        folder.write("answer.yaml", GOOD);
        folder.write("other.yml", &GOOD.replace("answer", "other"));
        folder.write("notes.txt", "not a policy");
        assert_eq!(folder.refresh().await, ["answer", "other"]);
        std::fs::remove_file(folder.folder.path().join("other.yml")).unwrap();
        assert_eq!(folder.refresh().await, ["answer"]);
        assert!(
            !folder.book.refresh(Timestamp::UNIX_EPOCH).await.unwrap(),
            "nothing has changed since"
        );
    }

    #[tokio::test]
    async fn a_file_that_stays_is_not_checked_again() {
        let mut folder = Folder::new();
        folder.write("answer.yaml", GOOD);
        folder.write("other.yaml", &GOOD.replace("answer", "other"));
        folder.refresh().await;
        let before = folder.book.policies();
        folder.write("other.yaml", &GOOD.replace("answer", "another"));
        assert_eq!(folder.refresh().await, ["another", "answer"]);
        let after = folder.book.policies();
        let answer = PolicyName::new("answer").unwrap();
        assert!(Arc::ptr_eq(&before[&answer], &after[&answer]));
        // What stays is compared with what comes.
        folder.write("other.yaml", GOOD);
        folder.refresh().await;
        // One name and two labels, in each of both files.
        assert_eq!(folder.book.errors().count(), 6, "{:?}", folder.book.problems());
        assert!(Arc::ptr_eq(&before[&answer], &folder.book.policies()[&answer]));
    }

    #[tokio::test]
    async fn two_files_do_not_take_a_name_from_each_other() {
        let mut folder = Folder::new();
        folder.write("answer.yaml", GOOD);
        folder.refresh().await;
        folder.write("copy.yaml", &GOOD.replace("5%", "10%"));
        folder.refresh().await;
        let policies = folder.book.policies();
        assert_eq!(
            policies.values().next().unwrap().steps[0].exposure.ppm(),
            50_000,
            "the first one stays"
        );
        assert!(!folder.book.is_whole());
        std::fs::remove_file(folder.folder.path().join("answer.yaml")).unwrap();
        folder.refresh().await;
        let policies = folder.book.policies();
        assert_eq!(policies.values().next().unwrap().steps[0].exposure.ppm(), 100_000);
    }
}

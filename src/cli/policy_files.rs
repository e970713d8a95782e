//! Policy files as people name them: files, folders, standard input.

use crate::policy::document::FILE_BYTES_MAX;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Deepest folder inside a named one that is looked into.
const FOLDER_LEVELS_MAX: usize = 16;

/// Most files that are read at once.
pub const FILES_MAX: usize = 20_000;

/// A file, or why there is none.
#[derive(Debug)]
pub struct PolicyText {
    /// The path as it was named, or `-`.
    pub name: String,
    /// What is in it, cut off one byte after [`FILE_BYTES_MAX`].
    pub bytes: Result<Vec<u8>, String>,
}

/// Reads every file that `paths` name, each once; folders are walked for `*.yaml` and `*.yml`.
///
/// Hidden entries are skipped, links to files are followed, links to folders are not. `-` is
/// `stdin`. What cannot be read is in the result, too, with the reason.
pub fn read(paths: &[PathBuf], stdin: &mut dyn Read) -> Vec<PolicyText> {
    let mut found = Vec::new();
    for path in paths {
        if path.as_os_str() != "-" && path.is_dir() {
            let before = found.len();
            walk(path, 0, &mut found);
            if found.len() == before {
                found.push(Err((
                    path.clone(),
                    "no `*.yaml` or `*.yml` is in this folder".to_owned(),
                )));
            }
        } else {
            found.push(Ok(path.clone()));
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|entry| match entry {
        Ok(path) => seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())),
        Err(_) => true,
    });
    let too_many = found.len() > FILES_MAX;
    found.truncate(FILES_MAX);
    let mut texts: Vec<PolicyText> = found.into_iter().map(|entry| text_of(entry, stdin)).collect();
    if too_many {
        texts.push(PolicyText {
            name: "…".to_owned(),
            bytes: Err(format!("only {FILES_MAX} files are read at once")),
        });
    }
    texts
}

type Found = Result<PathBuf, (PathBuf, String)>;

fn walk(folder: &Path, level: usize, found: &mut Vec<Found>) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            found.push(Err((folder.to_path_buf(), error.to_string())));
            return;
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if hidden || found.len() > FILES_MAX {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if level < FOLDER_LEVELS_MAX {
                walk(&path, level + 1, found);
            } else {
                found.push(Err((path, "the folder is nested too deeply".to_owned())));
            }
        } else if is_yaml(&path) && path.is_file() {
            found.push(Ok(path));
        }
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn text_of(found: Found, stdin: &mut dyn Read) -> PolicyText {
    match found {
        Ok(path) => {
            let bytes = if path.as_os_str() == "-" {
                bounded(stdin)
            } else {
                fs::File::open(&path).and_then(|mut file| bounded(&mut file))
            };
            PolicyText {
                name: path.display().to_string(),
                bytes: bytes.map_err(|error| error.to_string()),
            }
        }
        Err((path, reason)) => PolicyText {
            name: path.display().to_string(),
            bytes: Err(reason),
        },
    }
}

fn bounded(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

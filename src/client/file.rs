//! The copy of the last good table that outlives the process.

use super::table::{Table, TableError};
use super::trouble::Trouble;
use super::wire::{self, KeptWire};
use reqwest::Url;
use serde_json::value::RawValue;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file with the last good table of one server.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    path: PathBuf,
    server: String,
}

impl Copy {
    pub(super) fn new(path: PathBuf, server: &Url) -> Self {
        let server = server.to_string();
        Self { path, server }
    }

    /// The tag and the table that an earlier run left; none where there is no file.
    pub(super) fn read(&self) -> Result<Option<(String, Table)>, Trouble> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.trouble(error)),
        };
        let kept: KeptWire<'_> = serde_json::from_slice(&text).map_err(|error| self.damaged(error))?;
        if kept.server != self.server {
            return Err(Trouble::OtherServer {
                path: self.path.clone(),
                server: kept.server,
            });
        }
        let table = wire::table(kept.table.get().as_bytes())?;
        Ok(Some((kept.tag, table)))
    }

    /// Replaces the file as a whole: whoever reads it finds the table before or this one.
    ///
    /// A temporary file is readable by its owner alone, and so is what it becomes.
    pub(super) fn write(&self, tag: &str, table: &[u8]) -> Result<(), Trouble> {
        let table: &RawValue = serde_json::from_slice(table).map_err(TableError::NotUnderstood)?;
        let kept = KeptWire {
            server: self.server.clone(),
            tag: tag.to_owned(),
            table,
        };
        let text = serde_json::to_vec(&kept).map_err(|error| self.damaged(error))?;
        self.replace(&text).map_err(|error| self.trouble(error))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }

    fn trouble(&self, why: io::Error) -> Trouble {
        let path = self.path.clone();
        Trouble::File { path, why }
    }

    fn damaged(&self, why: serde_json::Error) -> Trouble {
        let path = self.path.clone();
        Trouble::Damaged { path, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = br#"{"format":"serin/route-table/v1","routes":[]}"#;

    fn copy(folder: &tempfile::TempDir, server: &str) -> Copy {
        Copy::new(folder.path().join("serin.json"), &server.parse().unwrap())
    }

    #[test]
    fn what_was_written_is_read_by_whoever_follows_the_same_server() {
        let folder = tempfile::tempdir().unwrap();
        let ours = copy(&folder, "http://a");
        assert!(ours.read().unwrap().is_none());
        ours.write("\"1\"", TABLE).unwrap();
        ours.write("\"2\"", TABLE).unwrap();
        let (tag, table) = ours.read().unwrap().unwrap();
        assert_eq!((tag.as_str(), table.len()), ("\"2\"", 0));
        let others = copy(&folder, "http://b").read();
        assert!(matches!(others, Err(Trouble::OtherServer { .. })), "{others:?}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[cfg(unix)]
    #[test]
    fn its_owner_alone_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(&folder, "http://a");
        copy.write("\"1\"", TABLE).unwrap();
        let mode = std::fs::metadata(&copy.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn a_damaged_file_is_no_table() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(&folder, "http://a");
        for text in ["", "{", r#"{"server":"http://a/","tag":"x"}"#] {
            std::fs::write(&copy.path, text).unwrap();
            assert!(matches!(copy.read(), Err(Trouble::Damaged { .. })), "{text}");
        }
        let other =
            r#"{"server":"http://a/","tag":"x","table":{"format":"serin/route-table/v9","routes":[]}}"#;
        std::fs::write(&copy.path, other).unwrap();
        assert!(matches!(
            copy.read(),
            Err(Trouble::NoTable(TableError::OtherFormat(_)))
        ));
    }
}

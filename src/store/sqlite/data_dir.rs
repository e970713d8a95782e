//! The directory that the data live in, and the lock that keeps a second server out of it.

use super::error::OpenError;
use crate::store::StoreError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// The database's file in the data directory.
const DATABASE_FILE: &str = "serin.db";

/// The file whose lock says that a server uses the directory.
const LOCK_FILE: &str = "serin.lock";

/// A data directory that no other process uses for as long as this value lives.
///
/// The operating system drops the lock with the process, however that ends.
#[derive(Debug)]
pub(super) struct DataDir {
    database: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory (0700) and an empty database file (0600) where there are none, and locks it.
    ///
    /// [`StoreError::Busy`] at once when another process holds the lock.
    pub(super) fn lock(directory: &Path) -> Result<Self, StoreError> {
        make_private_directory(directory)?;
        let path = directory.join(LOCK_FILE);
        let lock = open_private(&path).map_err(OpenError::path("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Busy {
                    path: directory.display().to_string(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(OpenError::path("lock", &path)(source).into()),
        }
        let database = directory.join(DATABASE_FILE);
        // SQLite gives its other files the permissions of this one.
        open_private(&database).map_err(OpenError::path("open", &database))?;
        Ok(Self {
            database,
            _lock: lock,
        })
    }

    /// Where the database is.
    pub(super) fn database(&self) -> &Path {
        &self.database
    }
}

fn make_private_directory(directory: &Path) -> Result<(), OpenError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(directory)
        .map_err(OpenError::path("make the directory", directory))
}

fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // A file that was there before, a restored copy perhaps, may be readable by others.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

//! A lock on a file, between processes (`flock(2)`).
//!
//! # Limitations
//! The lock is advisory: it keeps out only those who ask for it. It belongs to the *open file
//! description*: descriptors that were duplicated or inherited are one holder together, so every
//! process opens its own, close-on-exec, and no process should fork while it holds the lock, or the
//! copy keeps it. Over NFS it is a lock of the server's, or none, as the mount says.

use fs2::FileExt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A lock file that this process has opened for itself; it holds nothing yet.
///
/// ```
/// use proclab::sync::file_lock::FileLock;
/// # let dir = std::env::temp_dir().join(format!("proclab-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// # let path = dir.join("stock.lock");
/// let lock = FileLock::open(&path)?;
/// {
///     let held = lock.lock()?;
///     assert!(FileLock::open(&path)?.try_lock()?.is_none(), "another opening is refused");
///     drop(held);
/// }
/// assert!(FileLock::open(&path)?.try_lock()?.is_some());
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

/// A file lock could not be used.
#[derive(Debug, thiserror::Error)]
#[error("the lock file {path} cannot be {operation}")]
pub struct FileLockError {
    path: String,
    operation: &'static str,
    source: io::Error,
}

/// The lock is held until this is dropped, or its process ends in whatever way.
#[derive(Debug)]
#[must_use = "the lock is given back at once if this is dropped"]
pub struct FileLockGuard<'lock> {
    lock: &'lock FileLock,
}

impl FileLock {
    /// Opens the lock file, and makes it if it is not there. It is never removed: whoever deletes a
    /// lock file lets two holders in, one on the old file and one on the new.
    ///
    /// # Errors
    /// When the file can be neither opened nor made.
    pub fn open(path: impl AsRef<Path>) -> Result<FileLock, FileLockError> {
        let path = path.as_ref().to_owned();
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        match opened {
            Ok(file) => Ok(FileLock { file, path }),
            Err(source) => {
                Err(FileLockError { path: path.display().to_string(), operation: "opened", source })
            }
        }
    }

    /// Waits until nobody else holds the lock, and takes it. A holder that is killed lets go.
    ///
    /// # Errors
    /// `ENOLCK` when the kernel has no memory for locks.
    pub fn lock(&self) -> Result<FileLockGuard<'_>, FileLockError> {
        self.take()?;
        Ok(FileLockGuard { lock: self })
    }

    /// As [`lock`](FileLock::lock), without a guard: whoever calls this gives it back by hand.
    pub(crate) fn take(&self) -> Result<(), FileLockError> {
        loop {
            match self.file.lock_exclusive() {
                Ok(()) => return Ok(()),
                // A signal came and its handler has run: the wait goes on.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.error("locked", source)),
            }
        }
    }

    /// Takes the lock if nobody else holds it; `None` if somebody does, and then nothing has happened.
    ///
    /// # Errors
    /// As [`lock`](FileLock::lock).
    pub fn try_lock(&self) -> Result<Option<FileLockGuard<'_>>, FileLockError> {
        Ok(self.try_take()?.then_some(FileLockGuard { lock: self }))
    }

    /// As [`try_lock`](FileLock::try_lock), without a guard; whether it was taken.
    pub(crate) fn try_take(&self) -> Result<bool, FileLockError> {
        match self.file.try_lock_exclusive() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(source) => Err(self.error("locked", source)),
        }
    }

    /// Gives it back.
    pub(crate) fn give_back(&self) {
        // It cannot fail for an open file; and if it did, closing the file gives the lock back.
        let _ = FileExt::unlock(&self.file);
    }

    fn error(&self, operation: &'static str, source: io::Error) -> FileLockError {
        FileLockError { path: self.path.display().to_string(), operation, source }
    }
}

impl Drop for FileLockGuard<'_> {
    fn drop(&mut self) {
        self.lock.give_back();
    }
}

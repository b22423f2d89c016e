//! A lock on a file, between processes (`flock(2)`).
//!
//! # Limitations
//! The lock is advisory: it excludes only processes that take it. It belongs to the *open file description*:
//! descriptors that were duplicated or inherited are one holder together, so each process opens its own,
//! close-on-exec, and no process should fork while it holds the lock, or the copy keeps it. Threads that share one
//! `FileLock` exclude each other too, by a flag inside it. Over NFS it depends on the mount whether the server keeps
//! the lock or it has no effect.

use fs2::FileExt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

/// A lock file that this process has opened. Opening it does not lock it.
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
    /// Whether a thread of this process holds the lock through this value. The kernel regards all of them as one
    /// holder, which may take the lock again.
    is_held: Mutex<bool>,
    freed: Condvar,
}

/// A file lock could not be used.
#[derive(Debug, thiserror::Error)]
#[error("the lock file {path} cannot be {operation}")]
pub struct FileLockError {
    path: String,
    operation: &'static str,
    source: io::Error,
}

/// The lock is held until this is dropped or its process ends.
#[derive(Debug)]
#[must_use = "the lock is given back at once if this is dropped"]
pub struct FileLockGuard<'lock> {
    lock: &'lock FileLock,
}

impl FileLock {
    /// Opens the lock file, and creates it if it does not exist. It is never removed: deleting a lock file allows two
    /// holders, one of the old file and one of the new.
    ///
    /// ```no_run
    /// let lock = proclab::sync::file_lock::FileLock::open("stock.lock")?;
    /// let _held = lock.lock()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the file cannot be opened or created.
    pub fn open(path: impl AsRef<Path>) -> Result<FileLock, FileLockError> {
        let path = path.as_ref().to_owned();
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        match opened {
            Ok(file) => Ok(FileLock { file, path, is_held: Mutex::new(false), freed: Condvar::new() }),
            Err(source) => {
                Err(FileLockError { path: path.display().to_string(), operation: "opened", source })
            }
        }
    }

    /// Waits until no other process, and no other thread that shares this value, holds the lock, and takes
    /// it. A holder that is killed releases it. A thread that already holds it waits for itself forever.
    ///
    /// ```no_run
    /// let lock = proclab::sync::file_lock::FileLock::open("stock.lock")?;
    /// let held = lock.lock()?;
    /// // Read the file that it guards, and write it.
    /// drop(held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `ENOLCK` when the kernel has no memory for locks.
    pub fn lock(&self) -> Result<FileLockGuard<'_>, FileLockError> {
        self.take()?;
        Ok(FileLockGuard { lock: self })
    }

    /// As [`lock`](FileLock::lock), without a guard: the caller releases it with `give_back`.
    pub(crate) fn take(&self) -> Result<(), FileLockError> {
        let held = self.is_held.lock().unwrap_or_else(PoisonError::into_inner);
        *self.freed.wait_while(held, |is_held| *is_held).unwrap_or_else(PoisonError::into_inner) = true;
        loop {
            match self.file.lock_exclusive() {
                Ok(()) => return Ok(()),
                // A signal handler has run: the wait continues.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    self.let_the_next_thread_in();
                    return Err(self.error("locked", source));
                }
            }
        }
    }

    fn let_the_next_thread_in(&self) {
        *self.is_held.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.freed.notify_one();
    }

    /// Takes the lock if it is free; `None`, without any effect, if it is held.
    ///
    /// ```no_run
    /// let lock = proclab::sync::file_lock::FileLock::open("stock.lock")?;
    /// match lock.try_lock()? {
    ///     Some(_held) => println!("taken"),
    ///     None => println!("another process holds it"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`lock`](FileLock::lock).
    pub fn try_lock(&self) -> Result<Option<FileLockGuard<'_>>, FileLockError> {
        Ok(self.try_take()?.then(|| FileLockGuard { lock: self }))
    }

    /// As [`try_lock`](FileLock::try_lock), without a guard. Returns whether it was taken.
    pub(crate) fn try_take(&self) -> Result<bool, FileLockError> {
        {
            let mut is_held = self.is_held.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::replace(&mut *is_held, true) {
                return Ok(false);
            }
        }
        let taken = match self.file.try_lock_exclusive() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(source) => Err(self.error("locked", source)),
        };
        if !matches!(taken, Ok(true)) {
            self.let_the_next_thread_in();
        }
        taken
    }

    /// Releases it.
    pub(crate) fn give_back(&self) {
        // It cannot fail for an open file; and if it did, closing the file releases the lock.
        let _ = FileExt::unlock(&self.file);
        self.let_the_next_thread_in();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A lock file that is removed at the end of the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            Scratch(std::env::temp_dir().join(format!("proclab-{name}-{}.lock", std::process::id())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn threads_that_share_one_value_exclude_each_other() {
        let file = Scratch::new("threads");
        let lock = FileLock::open(&file.0).unwrap();
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _held = lock.lock().unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn a_held_lock_is_not_taken_twice_through_one_value() {
        let file = Scratch::new("twice");
        let lock = FileLock::open(&file.0).unwrap();
        let held = lock.try_lock().unwrap().unwrap();
        assert!(lock.try_lock().unwrap().is_none());
        let other = FileLock::open(&file.0).unwrap();
        assert!(other.try_lock().unwrap().is_none());
        drop(held);
        drop(other.try_lock().unwrap().unwrap());
        assert!(lock.try_lock().unwrap().is_some());
    }
}

//! Where a received file grows until it is whole: aside, without its name, and gone when it fails.

use crate::sys::tmpfile::Folder;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file could not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("the folder cannot be used")]
    Folder(#[source] io::Error),
    /// Something has that name already, and it is not to be replaced.
    #[error("{0:?} is there already; --overwrite replaces it")]
    Exists(String),
    /// Another transfer is at the same unfinished file.
    #[error("another transfer of the same file is under way")]
    UnderWay,
    /// The file cannot be written.
    #[error("the file cannot be written")]
    Write(#[source] io::Error),
    /// The whole file could not be given its name.
    #[error("the file cannot be given its name")]
    Publish(#[source] io::Error),
}

/// A folder that files are received into.
#[derive(Debug)]
pub struct Store {
    folder: Folder,
    overwrite: bool,
}

impl Store {
    /// Opens the folder at `path`. What an earlier receiver left there when it was killed, on a file
    /// system without nameless files, is removed.
    ///
    /// # Errors
    /// When it is no folder or may not be written.
    pub fn open(path: &Path, overwrite: bool) -> Result<Self, StoreError> {
        let store = Self { folder: Folder::open(path).map_err(StoreError::Folder)?, overwrite };
        // A folder that may not be written is found out now, not by the first sender.
        drop(store.make("").map_err(StoreError::Folder)?);
        for entry in std::fs::read_dir(path).map_err(StoreError::Folder)?.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|n| n.starts_with(ASIDE) && n.ends_with(".part")) else {
                continue;
            };
            // Its lock is free when its receiver is gone; an unlocked one is nobody's.
            if store.folder.open_or_create(name).is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = store.folder.remove(name);
            }
        }
        Ok(store)
    }

    /// Begins a file that will be called `name`, which [`judge_name`](super::header::judge_name) must
    /// have passed.
    ///
    /// # Errors
    /// When the name is taken, or no file can be made.
    pub fn begin(&self, name: &str) -> Result<Incoming<'_>, StoreError> {
        self.check_free(name)?;
        self.make(name).map_err(StoreError::Write)
    }

    fn make(&self, name: &str) -> io::Result<Incoming<'_>> {
        let (file, aside) = match self.folder.nameless()? {
            Some(file) => (file, None),
            None => {
                let aside = aside_name();
                let file = self.folder.open_or_create(&aside)?;
                // Nobody else knows the name, so the lock is free.
                file.try_lock()?;
                (file, Some(aside))
            }
        };
        Ok(Incoming { store: self, file, aside, name: name.to_owned(), keep: false })
    }

    /// Begins or goes on with a file whose SHA-256 will be `digest`; it is kept when it fails.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and when another transfer is at it.
    pub fn resume(&self, name: &str, digest: &str) -> Result<Incoming<'_>, StoreError> {
        self.check_free(name)?;
        // Named by its content, so that bytes of another file are never gone on with.
        let aside = format!(".proclab-{}.resume", &digest[..32]);
        let open = || self.folder.open_or_create(&aside).map_err(StoreError::Write);
        let file = open()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::UnderWay),
            Err(TryLockError::Error(error)) => return Err(StoreError::Write(error)),
        }
        if !file.metadata().map_err(StoreError::Write)?.is_file() {
            return Err(StoreError::Write(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is no regular file",
            )));
        }
        // Between the open and the lock, the transfer that held it may have published this very file:
        // then the name is another file's by now, and this one must not be touched.
        let number = |file: &File| file.metadata().map(|about| (about.dev(), about.ino()));
        if number(&file).map_err(StoreError::Write)? != number(&open()?).map_err(StoreError::Write)? {
            return Err(StoreError::UnderWay);
        }
        Ok(Incoming { store: self, file, aside: Some(aside), name: name.to_owned(), keep: true })
    }

    fn check_free(&self, name: &str) -> Result<(), StoreError> {
        if !self.overwrite && self.folder.contains(name).map_err(StoreError::Folder)? {
            return Err(StoreError::Exists(name.to_owned()));
        }
        Ok(())
    }
}

const ASIDE: &str = ".proclab-";

fn aside_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{ASIDE}{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A file that is being received. Dropped before [`publish`](Self::publish) it leaves nothing, unless
/// it is to be resumed. A nameless one leaves nothing under SIGKILL either.
#[derive(Debug)]
pub struct Incoming<'a> {
    store: &'a Store,
    file: File,
    /// Its name until it is whole, if it has one.
    aside: Option<String>,
    name: String,
    keep: bool,
}

impl Incoming<'_> {
    /// The file itself, to read what is there and to go on behind it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// When the file system is full, or a limit is reached.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), StoreError> {
        (&self.file).write_all(bytes).map_err(StoreError::Write)
    }

    /// Leaves nothing even of a file that was to be resumed: its bytes are wrong.
    pub fn discard(mut self) {
        self.keep = false;
    }

    /// Gives the file its name, in one step: whoever looks sees the old state or the whole file.
    ///
    /// The bytes are in the kernel's hands then; a power cut may still lose them.
    ///
    /// # Errors
    /// When the name was taken meanwhile, or the folder cannot be written.
    pub fn publish(mut self) -> Result<(), StoreError> {
        let folder = &self.store.folder;
        let taken = |name: &str, error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Exists(name.to_owned()),
            _ => StoreError::Publish(error),
        };
        if self.store.overwrite {
            // A link cannot replace a name, a rename can: it gets a name aside first.
            let aside = match self.aside.clone() {
                Some(aside) => aside,
                None => {
                    let aside = aside_name();
                    // Held until the rename, so that a receiver that starts now leaves it alone.
                    self.file.try_lock().map_err(|_| StoreError::UnderWay)?;
                    folder.publish(&self.file, &aside).map_err(StoreError::Publish)?;
                    self.aside = Some(aside.clone());
                    aside
                }
            };
            folder.rename(&aside, &self.name).map_err(StoreError::Publish)?;
            self.aside = None;
            return Ok(());
        }
        match &self.aside {
            None => folder.publish(&self.file, &self.name).map_err(|error| taken(&self.name, error)),
            Some(aside) => {
                folder.link(aside, &self.name).map_err(|error| taken(&self.name, error))?;
                self.keep = false;
                Ok(())
            }
        }
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        if let Some(aside) = self.aside.take().filter(|_| !self.keep) {
            let _ = self.store.folder.remove(&aside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("proclab-store-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(&self.0).unwrap();
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_not_there_until_it_is_whole() {
        let scratch = Scratch::new("whole");
        let store = Store::open(&scratch.0, false).unwrap();
        let incoming = store.begin("a").unwrap();
        incoming.write_all(b"bytes").unwrap();
        assert_eq!(scratch.names(), [""; 0]);
        incoming.publish().unwrap();
        assert_eq!(scratch.names(), ["a"]);
        assert_eq!(std::fs::read(scratch.0.join("a")).unwrap(), b"bytes");
    }

    #[test]
    fn a_name_that_is_taken_meanwhile_is_not_replaced_unless_asked() {
        let scratch = Scratch::new("taken");
        for (overwrite, content) in [(false, "other"), (true, "mine")] {
            let store = Store::open(&scratch.0, overwrite).unwrap();
            let _ = std::fs::remove_file(scratch.0.join("a"));
            let incoming = store.begin("a").unwrap();
            incoming.write_all(b"mine").unwrap();
            std::fs::write(scratch.0.join("a"), "other").unwrap();
            assert_eq!(incoming.publish().is_ok(), overwrite);
            assert_eq!(std::fs::read_to_string(scratch.0.join("a")).unwrap(), content);
            assert_eq!(scratch.names(), ["a"]);
        }
        assert!(matches!(Store::open(&scratch.0, false).unwrap().begin("a"), Err(StoreError::Exists(_))));
    }

    #[test]
    fn a_transfer_that_is_to_be_resumed_keeps_its_bytes_for_one_transfer_at_a_time() {
        let scratch = Scratch::new("resume");
        let store = Store::open(&scratch.0, false).unwrap();
        let digest = "0".repeat(64);
        let first = store.resume("a", &digest).unwrap();
        first.write_all(b"by").unwrap();
        assert!(matches!(store.resume("a", &digest), Err(StoreError::UnderWay)));
        drop(first);
        let second = store.resume("a", &digest).unwrap();
        assert_eq!(second.file().metadata().unwrap().len(), 2);
        second.publish().unwrap();
        assert_eq!(scratch.names(), ["a"]);
    }

    #[test]
    fn what_a_killed_receiver_left_is_removed_and_what_a_living_one_holds_is_not() {
        let scratch = Scratch::new("stale");
        std::fs::write(scratch.0.join(".proclab-1-1.part"), "stale").unwrap();
        let held = File::create(scratch.0.join(".proclab-1-2.part")).unwrap();
        held.lock().unwrap();
        Store::open(&scratch.0, false).unwrap();
        assert_eq!(scratch.names(), [".proclab-1-2.part"]);
    }
}

//! Storage of received files: a file has no name until it is whole, and is removed if the transfer fails.

use crate::sys::tmpfile::Folder;
use std::cell::Cell;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file cannot be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum StoreError {
    /// The folder cannot be used.
    #[error("the folder cannot be used")]
    Folder(#[source] io::Error),
    /// The name is in use and must not be replaced.
    #[error("{0:?} already exists; --overwrite replaces it")]
    Exists(String),
    /// Another transfer is writing the same unfinished file.
    #[error("another transfer of the same file is under way")]
    UnderWay,
    /// The file cannot be written.
    #[error("the file cannot be written")]
    Write(#[source] io::Error),
    /// The complete file cannot be given its name.
    #[error("the file cannot be given its name")]
    Publish(#[source] io::Error),
}

/// A folder that files are received into.
#[derive(Debug)]
pub(super) struct Store {
    folder: Folder,
    path: PathBuf,
    overwrite: bool,
    limit: u64,
}

impl Store {
    /// Opens the folder at `path`, and removes unfinished files that a killed receiver left there on a file system
    /// without nameless files. Those kept for a later transfer take up to `limit` bytes in total.
    ///
    /// # Errors
    /// If it is not a folder or cannot be written.
    pub(super) fn open(path: &Path, overwrite: bool, limit: u64) -> Result<Self, StoreError> {
        let folder = Folder::open(path).map_err(StoreError::Folder)?;
        let store = Self { folder, path: path.to_owned(), overwrite, limit };
        // An unwritable folder is reported now, not to the first sender.
        drop(store.make("").map_err(StoreError::Folder)?);
        for (name, _) in store.unheld(PART) {
            let _ = store.folder.remove(&name);
        }
        store.trim(KEPT, limit);
        Ok(store)
    }

    /// Begins a file that will be called `name`, which [`judge_name`](super::header::judge_name) must have accepted.
    ///
    /// # Errors
    /// If the name is in use, or no file can be created.
    pub(super) fn begin(&self, name: &str) -> Result<Incoming<'_>, StoreError> {
        self.check_free(name)?;
        self.make(name).map_err(StoreError::Write)
    }

    fn make(&self, name: &str) -> io::Result<Incoming<'_>> {
        let (file, aside) = match self.folder.nameless()? {
            Some(file) => (file, None),
            None => {
                let (file, aside) = self.make_aside()?;
                (file, Some(aside))
            }
        };
        let name = name.to_owned();
        Ok(Incoming { store: self, file, aside, name, keep: Cell::new(false) })
    }

    /// A new locked file under a random name. A receiver that starts between the creation and the lock may mistake the file
    /// for a leftover and remove it; then another one is created.
    fn make_aside(&self) -> io::Result<(File, String)> {
        for _ in 0..16 {
            let aside = aside_name();
            let file = self.folder.create(&aside)?;
            if file.try_lock().is_ok() && self.is_named(&file, &aside) {
                return Ok((file, aside));
            }
        }
        Err(io::Error::other("other receivers keep removing its temporary files"))
    }

    /// Begins or continues a file whose digest will be `digest`; it is kept if the transfer fails.
    ///
    /// # Errors
    /// Those of [`begin`](Self::begin), and if another transfer holds it.
    pub(super) fn resume(&self, name: &str, digest: &str) -> Result<Incoming<'_>, StoreError> {
        self.check_free(name)?;
        // Named after its content, so that bytes of another file are never continued.
        let aside = format!("{PREFIX}{}{RESUME}", &digest[..32]);
        let file = self.folder.open_or_create(&aside).map_err(StoreError::Write)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::UnderWay),
            Err(TryLockError::Error(error)) => return Err(StoreError::Write(error)),
        }
        // Between the open and the lock, the transfer that held the file may have published it. The temporary name then
        // belongs to another file, and this one must not be changed.
        if !self.is_named(&file, &aside) {
            return Err(StoreError::UnderWay);
        }
        Ok(Incoming { store: self, file, aside: Some(aside), name: name.to_owned(), keep: Cell::new(true) })
    }

    fn is_named(&self, file: &File, name: &str) -> bool {
        let number = |file: &File| file.metadata().map(|about| (about.dev(), about.ino()));
        match (number(file), self.folder.open_existing(name).and_then(|named| number(&named))) {
            (Ok(ours), Ok(named)) => ours == named,
            _ => false,
        }
    }

    fn check_free(&self, name: &str) -> Result<(), StoreError> {
        if !self.overwrite && self.folder.contains(name).map_err(StoreError::Folder)? {
            return Err(StoreError::Exists(name.to_owned()));
        }
        Ok(())
    }

    /// The unfinished files that no receiver holds, each locked now. The kernel frees the lock of a receiver that has
    /// ended.
    fn unheld(&self, ending: &str) -> Vec<(String, File)> {
        let names = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        names
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(PREFIX) && name.ends_with(ending))
            .filter_map(|name| {
                let file = self.folder.open_existing(&name).ok()?;
                file.try_lock().is_ok().then_some((name, file))
            })
            .collect()
    }

    /// Removes the oldest files kept for a later transfer until at most `files` files with `bytes` in total are left.
    /// Returns whether any was removed.
    fn trim(&self, files: usize, bytes: u64) -> bool {
        let mut kept: Vec<_> = self
            .unheld(RESUME)
            .into_iter()
            .filter_map(|(name, file)| {
                let about = file.metadata().ok()?;
                Some((about.modified().ok()?, about.len(), name, file))
            })
            .collect();
        kept.sort_by_key(|(modified, ..)| std::cmp::Reverse(*modified));
        let (mut total, mut removed) = (0_u64, false);
        for (n, (_, length, name, _locked)) in kept.iter().enumerate() {
            total = total.saturating_add(*length);
            if n >= files || total > bytes {
                removed |= self.folder.remove(name).is_ok();
            }
        }
        removed
    }
}

const PREFIX: &str = ".proclab-";
/// The ending of files that are removed when their transfer fails.
const PART: &str = ".part";
/// The ending of files that a later transfer can continue.
const RESUME: &str = ".resume";
/// The maximum number of such files.
const KEPT: usize = 16;

/// A name that no other user of the folder can predict.
fn aside_name() -> String {
    format!("{PREFIX}{:032x}{PART}", rand::random::<u128>())
}

/// A file that is being received. If dropped before [`publish`](Self::publish), it leaves nothing, unless it can be
/// resumed. A nameless file leaves nothing after SIGKILL either.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    store: &'a Store,
    file: File,
    /// Its temporary name, if it has one.
    aside: Option<String>,
    name: String,
    keep: Cell<bool>,
}

impl Incoming<'_> {
    /// The file itself, to read its content and to continue after it.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Appends bytes. On a full disk, files kept for later transfers are removed; if that is not enough, this one is not
    /// kept either.
    ///
    /// # Errors
    /// If the disk is full, or a limit is reached.
    pub(super) fn write_all(&self, mut bytes: &[u8]) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            match (&self.file).write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
                    if !is_full || !self.store.trim(0, 0) {
                        self.keep.set(self.keep.get() && !is_full);
                        return Err(StoreError::Write(error));
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes even a file that could be resumed: its bytes are wrong.
    pub(super) fn discard(self) {
        self.keep.set(false);
    }

    /// Gives the file its name in one step: the name refers either to the previous file or to the complete new one.
    ///
    /// The bytes are then in the kernel's cache; a power failure may still lose them.
    ///
    /// # Errors
    /// If the name is now in use, or the folder cannot be written.
    pub(super) fn publish(mut self) -> Result<(), StoreError> {
        let folder = &self.store.folder;
        let taken = |name: &str, error: io::Error| match error.kind() {
            ErrorKind::AlreadyExists => StoreError::Exists(name.to_owned()),
            _ => StoreError::Publish(error),
        };
        if self.store.overwrite {
            // A link cannot replace a name, but a rename can: so the file first gets a temporary name.
            let aside = match self.aside.clone() {
                Some(aside) => aside,
                None => {
                    let aside = aside_name();
                    // Held until the rename, so that a receiver that starts now does not remove it.
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
                self.keep.set(false);
                Ok(())
            }
        }
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        let Some(aside) = self.aside.take() else { return };
        let is_empty = self.file.metadata().is_ok_and(|about| about.len() == 0);
        if self.keep.get() && !is_empty {
            // Counted with the others; as the newest it is removed last.
            let _ = self.file.unlock();
            self.store.trim(KEPT, self.store.limit);
        } else {
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
    fn a_file_is_invisible_until_it_is_whole() {
        let scratch = Scratch::new("whole");
        let store = Store::open(&scratch.0, false, u64::MAX).unwrap();
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
            let store = Store::open(&scratch.0, overwrite, u64::MAX).unwrap();
            let _ = std::fs::remove_file(scratch.0.join("a"));
            let incoming = store.begin("a").unwrap();
            incoming.write_all(b"mine").unwrap();
            std::fs::write(scratch.0.join("a"), "other").unwrap();
            assert_eq!(incoming.publish().is_ok(), overwrite);
            assert_eq!(std::fs::read_to_string(scratch.0.join("a")).unwrap(), content);
            assert_eq!(scratch.names(), ["a"]);
        }
        assert!(matches!(
            Store::open(&scratch.0, false, u64::MAX).unwrap().begin("a"),
            Err(StoreError::Exists(_))
        ));
    }

    #[test]
    fn a_transfer_that_is_to_be_resumed_keeps_its_bytes_for_one_transfer_at_a_time() {
        let scratch = Scratch::new("resume");
        let store = Store::open(&scratch.0, false, u64::MAX).unwrap();
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
        Store::open(&scratch.0, false, u64::MAX).unwrap();
        assert_eq!(scratch.names(), [".proclab-1-2.part"]);
    }

    #[test]
    fn unfinished_files_are_kept_up_to_a_number_and_a_size() {
        let scratch = Scratch::new("kept");
        let store = Store::open(&scratch.0, false, 250).unwrap();
        let fail = |n: usize, bytes: &[u8]| {
            store
                .resume("a", &format!("{n:064x}").chars().rev().collect::<String>())
                .unwrap()
                .write_all(bytes)
                .unwrap();
        };
        (0..40).for_each(|n| fail(n, b"x"));
        assert_eq!(scratch.names().len(), KEPT);
        (0..5).for_each(|n| fail(n, &[0; 100]));
        assert_eq!(scratch.names().len(), 2, "of 100 bytes each");
        store.resume("a", &"0".repeat(64)).unwrap();
        assert_eq!(scratch.names().len(), 2, "nothing is kept of nothing");
    }

    #[test]
    fn a_file_that_another_planted_is_not_continued() {
        let scratch = Scratch::new("planted");
        let store = Store::open(&scratch.0, false, u64::MAX).unwrap();
        let digest = "0".repeat(64);
        let aside = scratch.0.join(format!(".proclab-{}.resume", &digest[..32]));
        let victim = scratch.0.join("victim");
        std::fs::write(&victim, "mine").unwrap();
        std::fs::hard_link(&victim, &aside).unwrap();
        assert!(store.resume("a", &digest).is_err());
        std::fs::remove_file(&aside).unwrap();
        std::os::unix::fs::symlink(&victim, &aside).unwrap();
        assert!(store.resume("a", &digest).is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
    }
}

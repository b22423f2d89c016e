//! The description of a lock: how it is created, used and reset, and what to expect of it.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::scenario::world::Lock;
use crate::shm::region::Region;

/// Creates a free lock.
pub(super) type Make = for<'a> fn(&'a Shop) -> io::Result<Box<dyn Lock + 'a>>;

/// The description of a lock.
pub struct Recipe {
    /// Its name on the command line.
    pub name: &'static str,
    /// Two lower-case letters for tokens.
    pub code: &'static str,
    /// Why it works or fails, in two sentences.
    pub why: &'static str,
    /// What exploration must find if the store is atomic and no buyer searches outside the lock.
    pub promise: Promise,
    /// How a buyer uses it.
    pub discipline: Discipline,
    /// What the parent opens before the buyers are started.
    pub opens: Opens,
    /// Creates a free lock.
    pub(super) make: Make,
    /// Frees the lock, whatever a killed buyer left behind.
    pub(super) reset: fn(&Shop) -> io::Result<()>,
}

impl Recipe {
    /// A lock around the read and the write that may be broken, needs nothing opened in advance, and leaves nothing
    /// behind when its holder dies.
    pub(super) const fn guarded(name: &'static str, code: &'static str, make: Make) -> Self {
        let (promise, discipline, opens) = (Promise::Broken, Discipline::Guarded, Opens::Nothing);
        Self { name, code, why: "", promise, discipline, opens, make, reset: nothing_to_reset }
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What exploration must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Every schedule is right, even if a buyer is killed.
    Right,
    /// Every schedule is right until a buyer is killed: the lock of a killed holder stays locked.
    RightUntilKilled,
    /// Some schedules sell too many tickets.
    Broken,
    /// No schedule ever ends.
    Deadlocks,
}

/// How a buyer uses its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// It does not lock.
    Unguarded,
    /// It locks, reads, writes and unlocks.
    Guarded,
    /// It reads, then locks for the write only.
    ReadFirst,
    /// It locks twice.
    Twice,
    /// It publishes a version unless another buyer was first.
    Versions,
}

/// What the parent opens for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// Nothing: buyers open what they need.
    Nothing,
    /// The lock file.
    LockFile,
    /// Shared memory.
    Memory,
}

/// The shared files and lock of a sale, as one process sees them.
#[derive(Debug)]
pub struct Shop {
    /// The file with the stock.
    pub stock: PathBuf,
    /// The lock file.
    pub lock: PathBuf,
    /// What the parent opened.
    pub opened: Option<Opened>,
    /// The index of this buyer; the parent has the index after the last buyer.
    pub process: usize,
}

/// What the parent opened for the buyers to share.
#[derive(Debug)]
pub enum Opened {
    /// A descriptor of the lock file.
    LockFile(File),
    /// The memory that contains the lock.
    Memory(Region),
}

impl Shop {
    pub(super) fn region(&self) -> io::Result<&Region> {
        match &self.opened {
            Some(Opened::Memory(region)) => Ok(region),
            _ => Err(io::Error::other("the lock's memory is not open")),
        }
    }

    pub(super) fn lock_file(&self) -> io::Result<&File> {
        match &self.opened {
            Some(Opened::LockFile(file)) => Ok(file),
            _ => Err(io::Error::other("the lock file is not open")),
        }
    }
}

/// Opens a lock file, creating it if necessary.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

pub(super) fn taken(result: Result<(), TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// For a lock that leaves nothing behind when its holder dies.
fn nothing_to_reset(_: &Shop) -> io::Result<()> {
    Ok(())
}

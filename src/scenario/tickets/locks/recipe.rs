//! What a lock of the sale is: a way to keep two buyers apart, and what it needs.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::scenario::world::Lock;
use crate::shm::region::Region;

/// Makes a lock that is free.
pub(super) type Make = for<'a> fn(&'a Shop) -> io::Result<Box<dyn Lock + 'a>>;

/// A way to keep two buyers apart.
pub struct Recipe {
    /// Its name on the command line.
    pub name: &'static str,
    /// Two small letters for tokens.
    pub code: &'static str,
    /// Why it works, or why not, in two sentences.
    pub why: &'static str,
    /// What exploration must find, if the store is atomic and no buyer searches outside the lock.
    pub promise: Promise,
    /// How a buyer uses it.
    pub discipline: Discipline,
    /// What the parent opens before the buyers are started.
    pub opens: Opens,
    /// Makes one that is free.
    pub(super) make: Make,
    /// Frees it, whatever a killed buyer has left.
    pub(super) reset: fn(&Shop) -> io::Result<()>,
}

impl Recipe {
    /// A lock around reading and writing that may be wrong, for which nothing is opened before and nothing
    /// is left when its holder is dead.
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
    /// Every schedule is right, also if a buyer is killed.
    Right,
    /// Every schedule is right until a buyer is killed: the lock of a killed holder stays locked.
    RightUntilKilled,
    /// Some schedules sell too much.
    Broken,
    /// No schedule comes to an end.
    Deadlocks,
}

/// How a buyer uses its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Not at all.
    Unguarded,
    /// It locks, reads, writes and unlocks.
    Guarded,
    /// It reads, and locks for the writing only.
    ReadFirst,
    /// It locks twice.
    Twice,
    /// It publishes a version, unless another buyer was first.
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

/// Where a sale takes place, as one process sees it.
#[derive(Debug)]
pub struct Shop {
    /// The file with the stock.
    pub stock: PathBuf,
    /// The lock file.
    pub lock: PathBuf,
    /// What the parent has opened.
    pub opened: Option<Opened>,
    /// Which buyer this is; the parent counts as one more than there are.
    pub process: usize,
}

/// What the parent opens before the buyers share it.
#[derive(Debug)]
pub enum Opened {
    /// A descriptor of the lock file.
    LockFile(File),
    /// The memory in which the lock lies.
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

/// Opens a lock file, and makes it if it is not there.
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

/// Of a lock of which nothing is left when its holder is dead.
fn nothing_to_reset(_: &Shop) -> io::Result<()> {
    Ok(())
}

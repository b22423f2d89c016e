//! The locks of the sale: right ones, and those that people have believed to be. A file each, and a line of
//! `LOCKS`.

mod check_outside;
mod compare_and_swap;
mod exclusive_file;
mod flock;
mod inherited;
mod mutex;
mod none;
mod posix;
mod posix_closed;
mod thread_mutex;
mod twice;
mod unlinked_file;

pub use compare_and_swap::{publish, versioned};

use std::borrow::Cow;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::scenario::world::Lock;
use crate::shm::region::Region;

/// Every lock, in the order in which they are shown.
pub static LOCKS: &[&Recipe] = &[
    &none::RECIPE,
    &flock::RECIPE,
    &posix::RECIPE,
    &posix_closed::RECIPE,
    &exclusive_file::RECIPE,
    &unlinked_file::RECIPE,
    &inherited::RECIPE,
    &thread_mutex::RECIPE,
    &check_outside::RECIPE,
    &twice::RECIPE,
    &mutex::RECIPE,
    &compare_and_swap::RECIPE,
];

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
    make: for<'a> fn(&'a Shop) -> io::Result<Box<dyn Lock + 'a>>,
    /// Frees it, whatever a killed buyer has left.
    reset: fn(&Shop) -> io::Result<()>,
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
    fn region(&self) -> io::Result<&Region> {
        match &self.opened {
            Some(Opened::Memory(region)) => Ok(region),
            _ => Err(io::Error::other("the lock's memory is not open")),
        }
    }

    fn lock_file(&self) -> io::Result<&File> {
        match &self.opened {
            Some(Opened::LockFile(file)) => Ok(file),
            _ => Err(io::Error::other("the lock file is not open")),
        }
    }
}

/// One of `LOCKS`.
#[derive(Clone, Copy)]
pub struct LockKind(&'static Recipe);

impl LockKind {
    /// All of them, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Self> {
        LOCKS.iter().map(|recipe| Self(recipe))
    }

    /// The lock that has these letters in a token.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::all().find(|kind| kind.code == code)
    }

    /// A lock of this kind, not yet held.
    ///
    /// # Errors
    /// When the parent has not opened what the lock needs.
    pub fn make(self, shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
        (self.0.make)(shop)
    }

    /// Frees it, whatever a killed buyer has left.
    ///
    /// # Errors
    /// What the system says.
    pub fn reset(self, shop: &Shop) -> io::Result<()> {
        (self.0.reset)(shop)
    }
}

impl std::ops::Deref for LockKind {
    type Target = Recipe;

    fn deref(&self) -> &Recipe {
        self.0
    }
}

impl PartialEq for LockKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for LockKind {}

impl fmt::Debug for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// There is no such lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no lock called `{0}`")]
pub struct UnknownLock(String);

impl FromStr for LockKind {
    type Err = UnknownLock;

    fn from_str(name: &str) -> Result<Self, UnknownLock> {
        Self::all().find(|kind| kind.name == name).ok_or_else(|| UnknownLock(name.to_owned()))
    }
}

impl Serialize for LockKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for LockKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for LockKind {
    fn schema_name() -> Cow<'static, str> {
        "LockKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::all().map(|kind| kind.0.name).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

/// Opens a lock file, and makes it if it is not there.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn taken(result: Result<(), TryLockError>) -> io::Result<bool> {
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

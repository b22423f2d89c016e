//! The locks of the sale: correct ones, and ones that people mistake for correct. Each is a file and a line of
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
mod recipe;
mod thread_mutex;
mod twice;
mod unlinked_file;

pub use compare_and_swap::{publish, versioned};
pub use recipe::{Discipline, Opened, Opens, Promise, Recipe, Shop};

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::str::FromStr;

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::scenario::world::Lock;

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

/// One of `LOCKS`.
#[derive(Clone, Copy)]
pub struct LockKind(&'static Recipe);

impl LockKind {
    /// All of them, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Self> {
        LOCKS.iter().map(|recipe| Self(recipe))
    }

    /// The lock with this code in a token.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::all().find(|kind| kind.code == code)
    }

    /// Creates a free lock of this kind.
    ///
    /// # Errors
    /// If the parent has not opened what the lock needs.
    pub fn make(self, shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
        (self.0.make)(shop)
    }

    /// Frees the lock, whatever a killed buyer left behind.
    ///
    /// # Errors
    /// The system's error.
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
#[error("there is no lock `{0}`")]
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

//! The ticket sale of the notes: search, then buy under a lock, on one file with a number in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::explore::step::Observation;
use crate::scenario::tickets::cabinet::LockKind;
use crate::scenario::tickets::locks::Shared;
use crate::scenario::world::{Access, Lock, Seen, Step, World, encode};

/// How a buyer puts the new number into the file.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// As the notes do: open it for writing, which empties it, then write. Two steps.
    #[default]
    Truncate,
    /// Write another file and rename it over the first. One step.
    Rename,
}

/// What is sold, by whom, and how carefully.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sale {
    /// How many buyers there are.
    pub buyers: usize,
    /// How many tickets there are at first.
    pub stock: i64,
    /// What keeps the buyers apart.
    pub lock: LockKind,
    /// Whether everybody first looks at the stock outside the lock.
    pub search: bool,
    /// How the number is written.
    pub store: Store,
    /// How long a buyer thinks before it reads, and again before it writes; at the gate time does not
    /// pass.
    #[serde(rename = "think_us", with = "microseconds")]
    #[schemars(rename = "think_us", with = "u64")]
    pub think: Duration,
}

/// A duration as a number in a report.
mod microseconds {
    use super::Duration;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}

const READ: Step = Step { name: "read", resource: "stock", access: Access::Read };
const SEARCH: Step = Step { name: "search", ..READ };
const TRUNCATE: Step = Step { name: "truncate", resource: "stock", access: Access::Write };
const WRITE: Step = Step { name: "write", ..TRUNCATE };

/// What a buyer reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A number, and the version that it belongs to (0 unless versions are published).
    Count(i64, u64),
    /// A file that is empty, or holds no number: somebody is still writing it.
    Torn(String),
}

/// What a step of a buyer tells the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// It has read a half-written file.
    TornRead,
    /// It has written, and sold a ticket by that.
    Sold,
}

impl Seen for Reading {
    fn observation(&self) -> Observation {
        match self {
            Self::Count(..) => Observation::default(),
            Self::Torn(_) => encode(&Fact::TornRead),
        }
    }

    fn seen(&self) -> String {
        match self {
            Self::Count(count, 0) => format!("{count} left"),
            Self::Count(count, version) => format!("{count} left (version {version})"),
            Self::Torn(text) if text.is_empty() => "an empty file: torn read".to_owned(),
            Self::Torn(text) => format!("`{text}`: torn read"),
        }
    }
}

/// What a buyer has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// The new number, and whether a ticket was sold.
    Done(i64, bool),
    /// Somebody has published a newer version meanwhile.
    Outdated,
}

impl Seen for Writing {
    fn observation(&self) -> Observation {
        match self {
            Self::Done(_, true) => encode(&Fact::Sold),
            Self::Done(_, false) | Self::Outdated => Observation::default(),
        }
    }

    fn seen(&self) -> String {
        match self {
            Self::Done(left, true) => format!("{left} left, 1 sold"),
            Self::Done(left, false) => format!("{left} left, none sold"),
            Self::Outdated => "somebody was first: again".to_owned(),
        }
    }
}

/// How a buyer's visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visit {
    /// With a ticket.
    Bought,
    /// Without: nothing was left.
    SoldOut,
    /// Early: it read a half-written file.
    Torn,
}

/// The whole visit of one buyer.
///
/// # Errors
/// When a file or a lock fails; the world is then as it was left.
pub fn buy<W: World>(world: &mut W, sale: &Sale, shared: &Shared) -> io::Result<Visit> {
    if sale.search && matches!(world.step(SEARCH, || read(shared, sale.lock))?, Reading::Torn(_)) {
        return Ok(Visit::Torn);
    }
    if sale.lock == LockKind::CompareAndSwap {
        return swap(world, sale, shared);
    }
    let mut locks: Vec<Box<dyn Lock + '_>> = match sale.lock {
        LockKind::None => Vec::new(),
        LockKind::Twice => vec![shared.make(sale.lock)?, shared.make(sale.lock)?],
        kind => vec![shared.make(kind)?],
    };
    let early = sale.lock == LockKind::CheckOutside;
    let outside = if early { Some(look(world, sale, shared)?) } else { None };
    for lock in &mut locks {
        world.lock(lock.as_mut())?;
    }
    let reading = match outside {
        Some(reading) => reading,
        None => look(world, sale, shared)?,
    };
    // Dropping the locks gives them back, as `with lock:` does when the reading fails.
    let Reading::Count(count, _) = reading else { return Ok(Visit::Torn) };
    world.think(sale.think);
    let wanted = count > 0;
    let left = if wanted { count - 1 } else { count };
    match sale.store {
        Store::Truncate => {
            let mut file = world.step(TRUNCATE, || File::create(&shared.stock))?;
            world.step(WRITE, || {
                file.write_all(text(left).as_bytes()).map(|()| Writing::Done(left, wanted))
            })?;
        }
        Store::Rename => {
            let write = || replace(shared, left).map(|()| Writing::Done(left, wanted));
            world.step(WRITE, write)?;
        }
    }
    for lock in locks.iter_mut().rev() {
        world.unlock(lock.as_mut())?;
    }
    Ok(if wanted { Visit::Bought } else { Visit::SoldOut })
}

fn look<W: World>(world: &mut W, sale: &Sale, shared: &Shared) -> io::Result<Reading> {
    world.think(sale.think);
    world.step(READ, || read(shared, sale.lock))
}

/// Reads, and publishes what follows from it if nobody else has published meanwhile.
fn swap<W: World>(world: &mut W, sale: &Sale, shared: &Shared) -> io::Result<Visit> {
    loop {
        let Reading::Count(count, version) = look(world, sale, shared)? else { return Ok(Visit::Torn) };
        world.think(sale.think);
        let wanted = count > 0;
        let left = if wanted { count - 1 } else { count };
        let publish = || {
            publish(shared, left, version + 1)
                .map(|first| if first { Writing::Done(left, wanted) } else { Writing::Outdated })
        };
        if let Writing::Done(..) = world.step(WRITE, publish)? {
            return Ok(if wanted { Visit::Bought } else { Visit::SoldOut });
        }
    }
}

/// The content of a file that says how many tickets are left.
pub fn text(count: i64) -> String {
    format!("{{\"count\": {count}}}")
}

#[derive(Deserialize)]
struct Stock {
    count: i64,
}

/// The number in such a content; `None` if it is half-written.
pub fn count(content: &[u8]) -> Option<i64> {
    serde_json::from_slice(content).ok().map(|stock: Stock| stock.count)
}

/// Reads the stock, of the newest version if versions are published.
///
/// # Errors
/// When the file cannot be read.
pub fn read(shared: &Shared, lock: LockKind) -> io::Result<Reading> {
    let mut version = 0;
    let mut path = shared.stock.clone();
    if lock == LockKind::CompareAndSwap {
        // Versions are published in order and never taken back, so the last one there is the newest.
        while fs::exists(versioned(&shared.stock, version + 1))? {
            version += 1;
            path = versioned(&shared.stock, version);
        }
    }
    let content = fs::read(&path)?;
    Ok(match count(&content) {
        Some(count) => Reading::Count(count, version),
        None => Reading::Torn(String::from_utf8_lossy(&content).into_owned()),
    })
}

/// Where version `version` of the stock is published.
pub fn versioned(stock: &Path, version: u64) -> PathBuf {
    stock.with_extension(format!("v{version}"))
}

fn write_aside(shared: &Shared, left: i64) -> io::Result<PathBuf> {
    let aside = shared.stock.with_extension(format!("new{}", shared.process));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&aside)?;
    file.write_all(text(left).as_bytes())?;
    Ok(aside)
}

fn replace(shared: &Shared, left: i64) -> io::Result<()> {
    fs::rename(write_aside(shared, left)?, &shared.stock)
}

/// Publishes a version, if nobody was first: `link(2)` makes a name or fails, in one step.
fn publish(shared: &Shared, left: i64, version: u64) -> io::Result<bool> {
    let aside = write_aside(shared, left)?;
    let first = match fs::hard_link(&aside, versioned(&shared.stock, version)) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    fs::remove_file(&aside)?;
    Ok(first)
}

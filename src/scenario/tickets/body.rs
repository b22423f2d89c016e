//! A buyer's code: search, then buy under a lock, on a file that contains a number.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::locks::{Discipline, LockKind, Shop, publish, versioned};
use super::params::{Sale, Store};
use super::stock_file::{parse, text};
use crate::explore::step::Observation;
use crate::said::Said;
use crate::scenario::world::{Access, Lock, News, Seen, Step, World, encode};

const READ: Step = Step { name: "read", resource: "stock", access: Access::Read };
const SEARCH: Step = Step { name: "search", ..READ };
const TRUNCATE: Step = Step { name: "truncate", resource: "stock", access: Access::Write };
const WRITE: Step = Step { name: "write", ..TRUNCATE };

/// What a buyer's step did, for the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaleFact {
    /// Read this number.
    Read(i64),
    /// Read a half-written file.
    TornRead,
    /// Emptied the file.
    Emptied,
    /// Wrote this number and thereby sold a ticket.
    Sold(i64),
    /// Wrote the same number back, because no ticket was left.
    NoneSold(i64),
}

impl SaleFact {
    /// It as a sentence.
    pub(super) fn said(self) -> Said {
        match self {
            Self::Read(left) => Say::Left { left },
            Self::TornRead => Say::TornRead,
            Self::Emptied => Say::Emptied,
            Self::Sold(left) => Say::Sold { left },
            Self::NoneSold(left) => Say::NoneSold { left },
        }
        .into()
    }
}

sentences! {
    /// What a buyer's step did.
    enum Say {
        Left { left: i64 } => "{left} left", "剩 {left} 张";
        TornRead => "no number: torn read", "没有数字：撕裂读";
        Emptied => "the file is empty now", "文件现在是空的";
        Sold { left: i64 } => "{left} left, 1 sold", "剩 {left} 张，卖出 1 张";
        NoneSold { left: i64 } => "{left} left, none sold", "剩 {left} 张，没有卖出";
    }
}

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A number and its version (0 unless versions are published).
    Count(i64, u64),
    /// A file that is empty or contains no number: another buyer is still writing it.
    Torn(String),
}

impl Reading {
    /// The number, if there is one.
    pub fn count(&self) -> Option<i64> {
        match self {
            Self::Count(count, _) => Some(*count),
            Self::Torn(_) => None,
        }
    }

    /// The file's content, for a person who acts as the scheduler.
    pub fn state(&self) -> String {
        match self {
            Self::Count(count, 0) => count.to_string(),
            Self::Count(count, version) => format!("{count} (version {version})"),
            Self::Torn(text) if text.is_empty() => "an empty file".to_owned(),
            Self::Torn(text) => format!("no number: `{text}`"),
        }
    }
}

impl Seen for Reading {
    fn seen(&self) -> String {
        match self {
            Self::Count(count, 0) => SaleFact::Read(*count).said().text,
            Self::Count(count, version) => format!("{count} left (version {version})"),
            Self::Torn(text) if text.is_empty() => "an empty file: torn read".to_owned(),
            Self::Torn(text) => format!("`{text}`: torn read"),
        }
    }

    fn observation(&self) -> Observation {
        match self {
            Self::Count(count, _) => encode(&SaleFact::Read(*count)),
            Self::Torn(_) => encode(&SaleFact::TornRead),
        }
    }
}

/// The stock file, opened for writing.
struct Emptied(File);

impl Seen for Emptied {
    fn seen(&self) -> String {
        SaleFact::Emptied.said().text
    }

    fn observation(&self) -> Observation {
        encode(&SaleFact::Emptied)
    }
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// The new number, and whether a ticket was sold.
    Done(i64, bool),
    /// Another buyer has already published a newer version.
    Outdated,
}

impl Seen for Writing {
    fn seen(&self) -> String {
        match self {
            Self::Done(left, true) => SaleFact::Sold(*left).said().text,
            Self::Done(left, false) => SaleFact::NoneSold(*left).said().text,
            Self::Outdated => "another buyer was first: try again".to_owned(),
        }
    }

    fn observation(&self) -> Observation {
        match self {
            Self::Done(left, true) => encode(&SaleFact::Sold(*left)),
            Self::Done(left, false) => encode(&SaleFact::NoneSold(*left)),
            Self::Outdated => Observation::default(),
        }
    }
}

/// How a buyer's visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visit {
    /// With a ticket.
    Bought,
    /// Without a ticket, because none was left.
    SoldOut,
    /// Early, because it read a half-written file.
    Torn,
}

impl Visit {
    fn news(self) -> News {
        match self {
            Visit::Bought => News::new("bought", "has a ticket"),
            Visit::SoldOut => News::new("none", "gets no ticket"),
            Visit::Torn => News::new("torn", "has read a half-written file and gives up"),
        }
    }
}

/// The whole visit of one buyer.
///
/// # Errors
/// If a file or a lock fails; the files then remain as they are.
pub fn buy<W: World>(world: &mut W, sale: &Sale, shop: &Shop) -> io::Result<Visit> {
    let visit = visit(world, sale, shop)?;
    world.tell(|| visit.news());
    Ok(visit)
}

fn visit<W: World>(world: &mut W, sale: &Sale, shop: &Shop) -> io::Result<Visit> {
    if sale.search && matches!(world.step(SEARCH, || read(shop, sale.lock))?, Reading::Torn(_)) {
        return Ok(Visit::Torn);
    }
    let lock = || sale.lock.make(shop);
    let mut locks: Vec<Box<dyn Lock + '_>> = match sale.lock.discipline {
        Discipline::Versions => return swap(world, sale, shop),
        Discipline::Unguarded => Vec::new(),
        Discipline::Guarded | Discipline::ReadFirst => vec![lock()?],
        Discipline::Twice => vec![lock()?, lock()?],
    };
    let early = sale.lock.discipline == Discipline::ReadFirst;
    let outside = if early { Some(think_and_read(world, sale, shop)?) } else { None };
    for lock in &mut locks {
        world.lock(lock.as_mut())?;
    }
    let reading = match outside {
        Some(reading) => reading,
        None => think_and_read(world, sale, shop)?,
    };
    // Dropping the locks releases them, like Python's `with lock:` when a read raises.
    let Reading::Count(count, _) = reading else { return Ok(Visit::Torn) };
    world.think(sale.think);
    let wanted = count > 0;
    let left = if wanted { count - 1 } else { count };
    match sale.store {
        Store::Truncate => {
            let mut file = world.step(TRUNCATE, || File::create(&shop.stock).map(Emptied))?.0;
            world.step(WRITE, || {
                file.write_all(text(left).as_bytes()).map(|()| Writing::Done(left, wanted))
            })?;
        }
        Store::Rename => {
            let write = || replace(shop, left).map(|()| Writing::Done(left, wanted));
            world.step(WRITE, write)?;
        }
    }
    for lock in locks.iter_mut().rev() {
        world.unlock(lock.as_mut())?;
    }
    Ok(if wanted { Visit::Bought } else { Visit::SoldOut })
}

fn think_and_read<W: World>(world: &mut W, sale: &Sale, shop: &Shop) -> io::Result<Reading> {
    world.think(sale.think);
    world.step(READ, || read(shop, sale.lock))
}

/// Reads, and publishes the new stock unless another buyer has published in the meantime; then tries again.
fn swap<W: World>(world: &mut W, sale: &Sale, shop: &Shop) -> io::Result<Visit> {
    loop {
        let Reading::Count(count, version) = think_and_read(world, sale, shop)? else {
            return Ok(Visit::Torn);
        };
        world.think(sale.think);
        let wanted = count > 0;
        let left = if wanted { count - 1 } else { count };
        let publish = || {
            let first = publish(&write_aside(shop, left)?, &shop.stock, version + 1)?;
            Ok::<_, io::Error>(if first { Writing::Done(left, wanted) } else { Writing::Outdated })
        };
        if let Writing::Done(..) = world.step(WRITE, publish)? {
            return Ok(if wanted { Visit::Bought } else { Visit::SoldOut });
        }
    }
}

/// Reads the stock, or its newest version if versions are published.
///
/// # Errors
/// If the file cannot be read.
pub fn read(shop: &Shop, lock: LockKind) -> io::Result<Reading> {
    let mut version = 0;
    let mut path = shop.stock.clone();
    if lock.discipline == Discipline::Versions {
        // Versions are published in order and never removed, so the last one is the newest.
        while fs::exists(versioned(&shop.stock, version + 1))? {
            version += 1;
            path = versioned(&shop.stock, version);
        }
    }
    let content = fs::read(&path)?;
    Ok(match parse(&content) {
        Some(count) => Reading::Count(count, version),
        None => Reading::Torn(String::from_utf8_lossy(&content).into_owned()),
    })
}

fn write_aside(shop: &Shop, left: i64) -> io::Result<PathBuf> {
    let aside = shop.stock.with_extension(format!("new{}", shop.process));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&aside)?;
    file.write_all(text(left).as_bytes())?;
    Ok(aside)
}

fn replace(shop: &Shop, left: i64) -> io::Result<()> {
    fs::rename(write_aside(shop, left)?, &shop.stock)
}

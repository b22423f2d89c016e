//! The parameters of a sale: as a value, as options, and as a code.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::locks::{LOCKS, LockKind};
use super::stock_file::{self, MAX_STOCK};
use crate::explore::schedule::MAX_PROCESSES;
use crate::process::StartMethod;
use crate::scenario::contract::{Method, Params, ParamsError, Verb};

/// The maximum number of buyers of a free run.
const MAX_BUYERS: u64 = 1000;
/// The maximum thinking time of a buyer, in milliseconds.
const MAX_THINK_MS: f64 = 60_000.0;

/// How a buyer writes the new number to the file.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// Empty the file, then write: two steps
    #[default]
    Truncate,
    /// Write another file, then rename it over the first: one step
    Rename,
}

/// The parameters of a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sale {
    /// The number of buyers.
    pub buyers: usize,
    /// The initial number of tickets.
    pub stock: i64,
    /// The lock that the buyers use.
    pub lock: LockKind,
    /// Whether each buyer first reads the stock outside the lock.
    pub search: bool,
    /// How the number is written.
    pub store: Store,
    /// How long a buyer thinks before it reads and again before it writes. No time passes at the gate.
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

impl Params for Sale {
    /// For example `t2k1.no.qr`.
    fn code(&self) -> String {
        let search = if self.search { "" } else { "q" };
        let store = if self.store == Store::Rename { "r" } else { "" };
        let dot = if search.len() + store.len() > 0 { "." } else { "" };
        format!("t{}k{}.{}{dot}{search}{store}", self.buyers, self.stock, self.lock.code)
    }

    fn from_code(code: &str) -> Option<Sale> {
        let mut parts = code.strip_prefix('t')?.split('.');
        let (buyers, stock) = parts.next()?.split_once('k')?;
        let lock = LockKind::from_code(parts.next()?)?;
        let flags = parts.next().unwrap_or("");
        Some(Sale {
            buyers: buyers.parse().ok().filter(|buyers| (1..=MAX_PROCESSES).contains(buyers))?,
            stock: stock.parse().ok().filter(|stock| (0..=MAX_STOCK).contains(stock))?,
            lock,
            search: !flags.contains('q'),
            store: if flags.contains('r') { Store::Rename } else { Store::Truncate },
            think: Duration::ZERO,
        })
    }

    fn options(&self) -> String {
        let search = if self.search { "" } else { " --no-search" };
        let store = if self.store == Store::Rename { " --store rename" } else { "" };
        let Sale { buyers, stock, lock, think, .. } = self;
        let think =
            if think.is_zero() { String::new() } else { format!(" --think {}", think.as_secs_f64() * 1e3) };
        format!("--buyers {buyers} --stock {stock} --lock {lock}{search}{store}{think}")
    }
}

/// The scenario's name on the command line.
pub const NAME: &str = "tickets";

/// A free run: one sale per lock, with the same buyers and the same seed.
#[derive(Debug, Clone)]
pub struct FreeSale {
    /// The sale; its lock is overridden by each of `locks`.
    pub sale: Sale,
    /// The locks, one sale for each.
    pub locks: Vec<LockKind>,
    /// How buyers are started.
    pub start_method: StartMethod,
    /// Determines the order in which buyers start, and how long each of them thinks.
    pub seed: u64,
}

/// The options that every verb takes; `None` if not given.
#[derive(Args, Clone, Debug, Default)]
struct SaleArgs {
    /// How many buyers there are; each is a process
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_BUYERS))]
    buyers: Option<u64>,
    /// How many tickets there are
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(i64).range(0..=MAX_STOCK))]
    stock: Option<i64>,
    /// The lock that the buyers use
    #[arg(long, value_name = "LOCK", value_parser = lock_parser())]
    lock: Option<LockKind>,
    /// Do not read the stock outside the lock before buying
    #[arg(long)]
    no_search: bool,
    /// How the new stock is written [default: truncate]
    #[arg(long, value_enum, value_name = "STORE")]
    store: Option<Store>,
}

/// The options of `trials`.
#[derive(Args, Clone, Debug)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  proclab trials tickets -n 200 --lock flock\n  proclab trials tickets --sweep lock=none,flock,mutex --html page.html"
)]
struct TrialsArgs {
    #[command(flatten)]
    sale: SaleArgs,
    /// How long a buyer thinks before it reads and again before it writes
    #[arg(long, value_name = "MS", default_value = "1", value_parser = milliseconds)]
    think: Duration,
}

/// The options of `explore`.
#[derive(Args, Clone, Debug)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  proclab explore tickets --lock none --no-search --store rename\n  proclab explore tickets --cabinet            every lock, in one table"
)]
struct ExploreArgs {
    #[command(flatten)]
    sale: SaleArgs,
}

/// The options of `run`.
#[derive(Args, Clone, Debug)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  proclab run tickets --buyers 4 --stock 1 --lock flock\n  proclab run tickets --no-search --store rename --seed 7\n  proclab run tickets --stock-file stock.json --format json"
)]
struct RunArgs {
    #[command(flatten)]
    sale: SaleArgs,
    /// Take the initial stock from this file, such as `{"count": 3}`; the file is not changed
    #[arg(long, value_name = "PATH")]
    stock_file: Option<PathBuf>,
    /// How long a buyer thinks before it reads and again before it writes, on average
    #[arg(long, value_name = "MS", default_value = "20", value_parser = milliseconds)]
    think: Duration,
    /// The seed of the order in which buyers start, and of their pace [default: random]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// How buyers are started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
}

fn lock_parser() -> impl TypedValueParser<Value = LockKind> {
    let names = LOCKS.iter().map(|recipe| PossibleValue::new(recipe.name));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<LockKind>())
}

/// Parses a time in milliseconds.
fn milliseconds(text: &str) -> Result<Duration, String> {
    let ms: Option<f64> = text.parse().ok().filter(|ms| (0.0..=MAX_THINK_MS).contains(ms));
    ms.map(|ms| Duration::from_secs_f64(ms / 1000.0))
        .ok_or_else(|| "milliseconds, from 0 to 60000".to_owned())
}

/// The options of `verb`.
pub(super) fn arguments(verb: Verb) -> Command {
    let command = Command::new("tickets");
    match verb {
        Verb::Run => RunArgs::augment_args(command),
        Verb::Trials => TrialsArgs::augment_args(command),
        Verb::Explore => ExploreArgs::augment_args(command),
    }
}

/// Whether the user chose a store.
pub(super) fn has_store(matches: &ArgMatches) -> bool {
    matches.contains_id("store")
}

impl SaleArgs {
    /// The sale with these options; `base` provides the values of the others.
    fn over(&self, base: Sale) -> Sale {
        Sale {
            buyers: self.buyers.map_or(base.buyers, |buyers| buyers as usize),
            stock: self.stock.unwrap_or(base.stock),
            lock: self.lock.unwrap_or(base.lock),
            search: base.search && !self.no_search,
            store: self.store.unwrap_or(base.store),
            think: base.think,
        }
    }
}

fn named(lock: &str) -> Result<LockKind, ParamsError> {
    lock.parse()
        .map_err(|error: super::locks::UnknownLock| ParamsError::usage(error.to_string(), "see --help"))
}

/// The sale that the options of `verb` describe: by default two buyers and one ticket, without a lock for trials
/// and with the file lock for exploration.
pub(super) fn sale(verb: Verb, matches: &ArgMatches) -> Result<Sale, ParamsError> {
    let (args, lock, think) = match verb {
        Verb::Trials => {
            let args = TrialsArgs::from_arg_matches(matches)?;
            (args.sale, "none", args.think)
        }
        Verb::Run | Verb::Explore => (SaleArgs::from_arg_matches(matches)?, "flock", Duration::ZERO),
    };
    let base = Sale { buyers: 2, stock: 1, lock: named(lock)?, search: true, store: Store::Truncate, think };
    let sale = args.over(base);
    if sale.buyers > MAX_PROCESSES {
        let what = format!("--buyers {}: a schedule has at most {MAX_PROCESSES} processes", sale.buyers);
        return Err(ParamsError::usage(what, "`proclab run tickets` takes up to 1000"));
    }
    Ok(sale)
}

/// The free run that the options of `run` describe: by default ten buyers and the stock of the stock file, first
/// without a lock and then with one.
pub(super) fn tickets(matches: &ArgMatches) -> Result<FreeSale, ParamsError> {
    let args = RunArgs::from_arg_matches(matches)?;
    let stock = match (args.sale.stock, &args.stock_file) {
        (Some(stock), None) => stock,
        (stock, file) => {
            let counted = stock_file::count(file.as_deref());
            stock.unwrap_or(counted.map_err(|error| ParamsError::File(Box::new(error)))?)
        }
    };
    let (none, flock) = (named("none")?, named("flock")?);
    let base =
        Sale { buyers: 10, stock, lock: none, search: true, store: Store::Truncate, think: args.think };
    Ok(FreeSale {
        locks: args.sale.lock.map_or_else(|| vec![none, flock], |lock| vec![lock]),
        sale: args.sale.over(base),
        start_method: args.start_method.into(),
        seed: args.seed.unwrap_or_else(|| rand::random_range(0..1_000_000)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sale_has_a_unique_code() {
        let mut codes = std::collections::BTreeSet::new();
        for lock in LockKind::all() {
            for (search, store) in [(true, Store::Truncate), (false, Store::Truncate), (false, Store::Rename)]
            {
                for (buyers, stock) in [(1, 0), (2, 1), (26, 1_000_000)] {
                    let sale = Sale { buyers, stock, lock, search, store, think: Duration::ZERO };
                    assert_eq!(Sale::from_code(&sale.code()).as_ref(), Some(&sale));
                    assert!(codes.insert(sale.code()));
                }
            }
        }
    }

    #[test]
    fn each_verb_takes_every_lock() {
        for verb in [Verb::Run, Verb::Trials, Verb::Explore] {
            for lock in LockKind::all() {
                let matches = arguments(verb).try_get_matches_from(["tickets", "--lock", lock.name]).unwrap();
                let chosen = if verb == Verb::Run {
                    tickets(&matches).unwrap().locks[0]
                } else {
                    sale(verb, &matches).unwrap().lock
                };
                assert_eq!(chosen, lock);
            }
        }
    }
}

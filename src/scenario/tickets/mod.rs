//! The ticket sale: buyers race for the stock in a file.

/// What the buyers of a free run have told.
mod account;
/// What a buyer does.
pub mod body;
/// All locks, to be compared.
pub mod cabinet;
/// What came of a sale.
pub mod judge;
/// The locks.
pub mod locks;
/// What can be chosen.
pub mod params;
/// The sale in a free run.
pub mod run;
/// The stock file that a run begins from.
pub mod stock_file;

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use serde::{Deserialize, Serialize};

use super::contract::{Act, LockCase, ParamsError, Verb};
use super::contract::{History, Scenario};
use super::run::verdict::Verdict;
use super::world::World;
use crate::explore::engine::Trace;
use crate::shm::region::{Region, RegionError};
use crate::wire::handle::Fd;
use body::Visit;
use locks::{Opened, Opens, Shop};
use params::Sale;

/// Bytes of the memory in which a lock lies.
const MEMORY: usize = 64;

/// The ticket sale.
#[derive(Debug)]
pub struct Tickets;

/// What a buyer's process is sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Share {
    dir: PathBuf,
    opened: Option<Fd>,
}

/// The files of a sale in the directory `dir`, as `process` sees them.
fn shop(dir: &Path, opened: Option<Opened>, process: usize) -> Shop {
    Shop { stock: dir.join("ticket_count"), lock: dir.join("lock"), opened, process }
}

impl Scenario for Tickets {
    const NAME: &'static str = "tickets";
    const ABOUT: &'static str =
        "the ticket sale: buyers race for the stock in a file, with and without a lock";
    const STEPS: &'static [&'static str] = &["search", "lock", "read", "truncate", "write", "unlock"];

    const EXPLORED: &'static str = "; --cabinet for twelve locks";

    type Params = Sale;
    type Resources = Shop;
    type Share = Share;
    type Tools = Shop;
    type End = Visit;
    type Detail = run::TicketsRecord;

    fn code(sale: &Sale) -> String {
        sale.code()
    }

    fn from_code(code: &str) -> Option<Sale> {
        Sale::from_code(code)
    }

    fn options(sale: &Sale) -> String {
        sale.options()
    }

    fn roles(sale: &Sale) -> Vec<&'static str> {
        vec!["buyer"; sale.buyers]
    }

    fn open(sale: &Sale, dir: &Path) -> io::Result<Shop> {
        let opened = match sale.lock.opens {
            Opens::Nothing => None,
            Opens::LockFile => Some(Opened::LockFile(File::create(dir.join("lock"))?)),
            Opens::Memory => {
                Some(Opened::Memory(Region::create(MEMORY as u64, MEMORY).map_err(io::Error::other)?))
            }
        };
        Ok(shop(dir, opened, sale.buyers))
    }

    fn share(_: &Sale, shop: &Shop, _: usize) -> io::Result<Share> {
        let opened = match &shop.opened {
            None => None,
            Some(Opened::LockFile(file)) => Some(Fd::from(file.as_fd().try_clone_to_owned()?)),
            Some(Opened::Memory(region)) => Some(Fd::from(region.file().try_clone_to_owned()?)),
        };
        let dir = shop.stock.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Share { dir, opened })
    }

    fn unpack(sale: &Sale, share: Share, process: usize) -> io::Result<Shop> {
        let opened = match (share.opened, sale.lock.opens) {
            (None, _) => None,
            (Some(fd), Opens::Memory) => {
                let region = Region::open(fd.into_owned(), |_: &[u8; 1], _| Ok::<_, RegionError>(MEMORY));
                Some(Opened::Memory(region.map_err(io::Error::other)?))
            }
            (Some(fd), _) => Some(Opened::LockFile(File::from(fd.into_owned()))),
        };
        Ok(shop(&share.dir, opened, process))
    }

    fn reset(sale: &Sale, shop: &Shop) -> io::Result<()> {
        sale.lock.reset(shop)?;
        fs::write(&shop.stock, body::text(sale.stock))
    }

    fn body<W: World>(world: &mut W, sale: &Sale, shop: &Shop, _: usize) -> io::Result<Visit> {
        body::buy(world, sale, shop)
    }

    fn judge(sale: &Sale, shop: &Shop, history: History<'_, Visit>) -> io::Result<Verdict> {
        let left = body::read(shop, sale.lock)?.count();
        Ok(match history {
            History::Steps(trace) => judge::by_steps(sale, trace, left),
            History::Ends(visits) => judge::by_visits(sale, visits, left),
        })
    }

    fn broken_at(sale: &Sale, trace: &Trace) -> Option<(usize, String)> {
        judge::broken_at(sale, trace)
    }

    fn state(sale: &Sale, shop: &Shop) -> Vec<(&'static str, String)> {
        let stock = match body::read(shop, sale.lock) {
            Ok(reading) => reading.state(),
            Err(error) => error.to_string(),
        };
        vec![("stock", stock)]
    }

    fn slack(sale: &Sale) -> Duration {
        sale.think * 2 * sale.buyers as u32
    }

    fn arguments(verb: Verb) -> Result<clap::Command, &'static str> {
        Ok(params::arguments(verb))
    }

    fn params(verb: Verb, matches: &ArgMatches) -> Result<Sale, ParamsError> {
        params::sale(verb, matches)
    }

    fn act(matches: &ArgMatches) -> Result<Act, ParamsError> {
        let tickets = params::tickets(matches)?;
        Ok(Act::new(move |stage| tickets.run(stage)))
    }

    fn locks(matches: &ArgMatches) -> Result<Vec<LockCase>, ParamsError> {
        Ok(cabinet::cases(&params::sale(Verb::Explore, matches)?, params::has_store(matches)))
    }
}

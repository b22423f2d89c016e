//! The ticket sale: buyers race for the stock in a file.

/// A buyer's code.
pub mod body;
/// All locks, for a comparison.
pub mod cabinet;
/// The verdict on a sale.
pub mod judge;
/// The locks.
pub mod locks;
/// The parameters.
pub mod params;
/// The sale in a free run.
pub mod run;
/// The files and the lock that the buyers share.
mod share;
/// The stock file from which a run starts.
pub mod stock_file;
/// The state of a free sale.
mod tracker;

use std::io;
use std::path::Path;
use std::time::Duration;

use clap::ArgMatches;

use super::contract::{Act, History, LockCase, ParamsError, Scenario, Verb};
use super::run::verdict::Verdict;
use super::world::World;
use crate::explore::engine::Trace;
use crate::explore::step::Event;
use crate::said::Said;
use crate::scenario::world::decode;
use body::{SaleFact, Visit};
use locks::Shop;
use params::Sale;
pub use share::Share;

/// The ticket sale.
#[derive(Debug)]
pub struct Tickets;

impl Scenario for Tickets {
    const NAME: &'static str = params::NAME;
    const ABOUT: &'static str = "a ticket sale: buyers race for the stock in a file, with or without a lock";
    const STEPS: &'static [&'static str] = &["search", "lock", "read", "truncate", "write", "unlock"];

    const EXPLORED: &'static str = "; --cabinet compares twelve locks";

    type Params = Sale;
    type Resources = Shop;
    type Share = Share;
    type Tools = Shop;
    type End = Visit;
    type Detail = run::TicketsRecord;

    fn roles(sale: &Sale) -> Vec<&'static str> {
        vec!["buyer"; sale.buyers]
    }

    fn open(sale: &Sale, dir: &Path) -> io::Result<Shop> {
        share::open(sale, dir)
    }

    fn share(_: &Sale, shop: &Shop, _: usize) -> io::Result<Share> {
        share::share(shop)
    }

    fn unpack(sale: &Sale, share: Share, process: usize) -> io::Result<Shop> {
        share::unpack(sale, share, process)
    }

    fn reset(sale: &Sale, shop: &Shop) -> io::Result<()> {
        share::reset(sale, shop)
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

    fn broken_at(sale: &Sale, trace: &Trace) -> Option<(usize, Said)> {
        judge::broken_at(sale, trace)
    }

    fn said(event: &Event) -> Option<Said> {
        decode(&event.observation).map(SaleFact::said)
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
        Ok(cabinet::cases::<Self>(&params::sale(Verb::Explore, matches)?, params::has_store(matches)))
    }
}

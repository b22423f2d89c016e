//! `proclab explore tickets --cabinet`: all locks, explored and compared.

use std::fs;

use super::explore::{ExploreArgs, Progress, Reach, explore, json};
use super::fault::{Cause, Fault};
use super::lab::{Finding, Format, could_not, width, with_lab};
use crate::explore::statistics::quantile;
use crate::report::cabinet::{Cabinet, LockView};
use crate::report::exploration::Exploration;
use crate::scenario::experiment::Experiment;
use crate::scenario::run::scratch::Scratch;
use crate::scenario::tickets::body::{Sale, Store};
use crate::scenario::tickets::cabinet::{LockKind, Promise};
use crate::scenario::tickets::judge::price;

/// How many free purchases the median is of.
const PURCHASES: usize = 301;

/// Explores every lock. The search is left out, for it is no lock's fault; a kill is tried with the
/// atomic store unless another is said, for no lock mends a file that was left half-written.
pub(super) fn answer(args: &ExploreArgs) -> Result<(String, Finding), Fault> {
    let base = Sale { search: false, ..args.sale.sale() };
    let survivable = if args.sale.store.is_some() { base.store } else { Store::Rename };
    let mut progress = Progress::new();
    let mut locks = Vec::new();
    for lock in LockKind::ALL {
        let sale = Sale { lock, ..base.clone() };
        let plain = one(args, &sale, 0, &mut progress)?;
        let killed = one(args, &Sale { store: survivable, ..sale.clone() }, 1, &mut progress)?;
        let right = plain.is_right() && killed.is_right();
        let median_us = if lock.promise() == Promise::Deadlocks { None } else { Some(median(&sale)?) };
        locks.push(LockView { lock, right, why: lock.why().to_owned(), plain, killed, median_us });
    }
    let notes = Sale { search: true, lock: LockKind::Flock, ..base.clone() };
    let notes = one(args, &notes, 0, &mut progress)?;
    progress.finish();
    let right = locks.iter().all(|view| view.right);
    let cabinet = Cabinet { buyers: base.buyers, stock: base.stock, locks, notes };
    let text = match args.format {
        Format::Text => cabinet.text(width()),
        Format::Json => json(&cabinet),
    };
    Ok((text, Finding::of(right)))
}

fn one(args: &ExploreArgs, sale: &Sale, kills: usize, progress: &mut Progress) -> Result<Exploration, Fault> {
    let experiment = Experiment::Tickets(sale.clone());
    // Three buyers have too many schedules to execute each of them, for every lock.
    let reach = Reach { kills, reduce: args.reduce || sale.buyers > 2 };
    with_lab(&experiment, |bench| {
        let exploration = explore(bench, args, reach, None, progress)?;
        // A table in which locks are missing compares nothing.
        bench.interrupt.received().map_or(Ok(exploration), |signal| Err(Fault::interrupted(signal)))
    })
}

/// The median price of a free purchase by this process alone, in microseconds.
fn median(sale: &Sale) -> Result<f64, Fault> {
    let failed = |error: &Cause| could_not("a purchase cannot be measured", error);
    let scratch = Scratch::new().map_err(|error| failed(&error))?;
    let mut prices = Vec::with_capacity(PURCHASES);
    for purchase in 0..PURCHASES {
        let dir = scratch.path().join(purchase.to_string());
        fs::create_dir(&dir).map_err(|error| failed(&error))?;
        let price = price(sale, &dir).map_err(|error| failed(&error))?;
        prices.push(price.as_secs_f64() * 1e6);
        fs::remove_dir_all(&dir).map_err(|error| failed(&error))?;
    }
    prices.sort_by(f64::total_cmp);
    Ok(quantile(&prices, 0.5).unwrap_or(0.0))
}

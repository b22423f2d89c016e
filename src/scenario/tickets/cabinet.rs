//! All locks of the sale, to explore and compare.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::locks::{LockKind, Promise};
use super::params::{Sale, Store};
use super::{body, share};
use crate::process::Scratch;
use crate::scenario::case::Case;
use crate::scenario::contract::LockCase;
use crate::scenario::contract::Scenario;
use crate::scenario::run::stage::RunError;
use crate::scenario::world::free::Free;

/// The number of purchases from which the median is taken.
const PURCHASES: usize = 301;

/// Every lock, followed by the whole exercise. The locks are tried without the search, whose torn reads no lock
/// prevents, and the kill with the atomic store unless a store was chosen, because no lock repairs a half-written
/// file.
pub(super) fn cases<S: Scenario<Params = Sale>>(chosen: &Sale, has_store: bool) -> Vec<LockCase> {
    let base = Sale { search: false, ..chosen.clone() };
    let survivable = if has_store { base.store } else { Store::Rename };
    let case = |name, sale: Sale| LockCase {
        name,
        why: sale.lock.why,
        buyers: sale.buyers,
        stock: sale.stock,
        plain: Arc::new(Case::<S>::new(sale.clone())),
        killed: Arc::new(Case::<S>::new(Sale { store: survivable, ..sale.clone() })),
        purchase_times: Box::new(move || purchase_times(&sale)),
    };
    let mut cases: Vec<_> =
        LockKind::all().map(|lock| case(Some(lock.name), Sale { lock, ..base.clone() })).collect();
    cases.push(case(None, Sale { search: true, ..base }));
    cases
}

/// The durations of uncontended purchases; empty if they never finish.
fn purchase_times(sale: &Sale) -> Result<Vec<Duration>, RunError> {
    if sale.lock.promise == Promise::Deadlocks {
        return Ok(Vec::new());
    }
    let scratch = Scratch::new()?;
    let purchase_time = |purchase: usize| {
        let dir = scratch.path().join(purchase.to_string());
        fs::create_dir(&dir).map_err(RunError::os("creating a directory"))?;
        let purchase_time = purchase_time(sale, &dir).map_err(RunError::os("a purchase"))?;
        fs::remove_dir_all(&dir).map_err(RunError::os("removing a directory"))?;
        Ok(purchase_time)
    };
    (0..PURCHASES).map(purchase_time).collect()
}

/// The duration of one purchase, in the empty directory `dir`.
fn purchase_time(sale: &Sale, dir: &Path) -> std::io::Result<Duration> {
    let shop = share::open(sale, dir)?;
    share::reset(sale, &shop)?;
    let begin = Instant::now();
    body::buy(&mut Free::default(), sale, &shop)?;
    Ok(begin.elapsed())
}

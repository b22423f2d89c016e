//! All locks of the sale, to be explored and compared.

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

/// How many free purchases the median is of.
const PURCHASES: usize = 301;

/// Every lock, and last the whole exercise. The search is left out of the others, for it is no lock's fault; a
/// kill is tried with the atomic store unless a store was chosen, for no lock mends a file that was left
/// half-written.
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
        prices: Box::new(move || prices(&sale)),
    };
    let mut cases: Vec<_> =
        LockKind::all().map(|lock| case(Some(lock.name), Sale { lock, ..base.clone() })).collect();
    cases.push(case(None, Sale { search: true, ..base }));
    cases
}

/// What free purchases without contention cost; none if they do not come to an end.
fn prices(sale: &Sale) -> Result<Vec<Duration>, RunError> {
    if sale.lock.promise == Promise::Deadlocks {
        return Ok(Vec::new());
    }
    let scratch = Scratch::new()?;
    let price = |purchase: usize| {
        let dir = scratch.path().join(purchase.to_string());
        fs::create_dir(&dir).map_err(RunError::os("making a directory"))?;
        let price = price(sale, &dir).map_err(RunError::os("a purchase"))?;
        fs::remove_dir_all(&dir).map_err(RunError::os("removing a directory"))?;
        Ok(price)
    };
    (0..PURCHASES).map(price).collect()
}

/// What one free purchase costs, in the empty directory `dir`.
fn price(sale: &Sale, dir: &Path) -> std::io::Result<Duration> {
    let shop = share::open(sale, dir)?;
    share::reset(sale, &shop)?;
    let begin = Instant::now();
    body::buy(&mut Free::default(), sale, &shop)?;
    Ok(begin.elapsed())
}

//! A record lock on the stock file itself, which is then opened and closed to read it.

use std::io;

use super::posix::Posix;
use super::{Discipline, Opens, Promise, Recipe, Shop, nothing_to_reset};
use crate::scenario::world::Lock;

pub(super) const RECIPE: Recipe = Recipe {
    name: "posix-closed",
    code: "pc",
    why: "The lock is on the stock file, and reading the stock opens and closes that file once more. Closing any descriptor of a file drops all the record locks that the process has on it, so the lock is gone right after the read.",
    promise: Promise::Broken,
    discipline: Discipline::Guarded,
    opens: Opens::Nothing,
    make,
    reset: nothing_to_reset,
};

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(Posix::new(&shop.stock, "stock")))
}

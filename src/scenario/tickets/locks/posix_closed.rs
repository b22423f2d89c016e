//! A record lock on the stock file itself, which is then opened and closed to read it.

use std::io;

use super::posix::Posix;
use super::recipe::{Recipe, Shop};
use crate::scenario::world::Lock;

pub(super) const RECIPE: Recipe = Recipe {
    why: "The lock is on the stock file, and reading the stock opens and closes that file once more. Closing any descriptor of a file drops all the record locks that the process has on it, so the lock is gone right after the read.",
    ..Recipe::guarded("posix-closed", "pc", make)
};

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(Posix::new(&shop.stock, "stock")))
}

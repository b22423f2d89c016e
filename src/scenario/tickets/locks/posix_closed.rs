//! A record lock on the stock file itself, which is lost when a read opens and closes that file.

use std::io;

use super::posix::Posix;
use super::recipe::{Recipe, Shop};
use crate::scenario::world::Lock;

pub(super) const RECIPE: Recipe = Recipe {
    why: "The lock is on the stock file, and a read opens and closes that file once more. Closing any descriptor of a file drops all record locks of the process on it, so the lock is lost right after the read.",
    ..Recipe::guarded("posix-closed", "pc", make)
};

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(Posix::new(&shop.stock, "stock")))
}

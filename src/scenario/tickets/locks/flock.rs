//! `flock(2)` on a file that only serves as the lock.

use std::io;
use std::path::PathBuf;

use super::recipe::{Promise, Recipe, Shop};
use crate::scenario::world::Lock;
use crate::sync::file_lock::FileLock;

pub(super) const RECIPE: Recipe = Recipe {
    why: "The kernel lets one open file description hold the lock, and each buyer has opened its own. It is released with the holder's last descriptor, so a kill releases it.",
    promise: Promise::Right,
    ..Recipe::guarded("flock", "fl", make)
};

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(Flock { path: shop.lock.clone(), held: None }))
}

/// The file lock; dropping the open file releases it.
struct Flock {
    path: PathBuf,
    held: Option<FileLock>,
}

impl Lock for Flock {
    fn acquire(&mut self) -> io::Result<()> {
        let lock = FileLock::open(&self.path).map_err(io::Error::other)?;
        lock.take().map_err(io::Error::other)?;
        self.held = Some(lock);
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        let lock = FileLock::open(&self.path).map_err(io::Error::other)?;
        let taken = lock.try_take().map_err(io::Error::other)?;
        self.held = taken.then_some(lock);
        Ok(taken)
    }

    fn release(&mut self) -> io::Result<()> {
        if let Some(lock) = self.held.take() {
            lock.give_back();
        }
        Ok(())
    }
}

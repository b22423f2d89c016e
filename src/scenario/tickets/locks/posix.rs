//! A record lock of `fcntl(2)` on a file that only serves as the lock.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::recipe::{Promise, Recipe, Shop, open};
use crate::scenario::world::Lock;
use crate::sys::record_lock;

pub(super) const RECIPE: Recipe = Recipe {
    why: "The kernel lets one process hold the record lock, and each buyer is a process of its own. It is released when the process ends, so a kill releases it.",
    promise: Promise::Right,
    ..Recipe::guarded("posix", "po", make)
};

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(Posix::new(&shop.lock, "lock")))
}

/// A record lock: on the lock file, or on the stock file itself.
pub(super) struct Posix {
    path: PathBuf,
    resource: &'static str,
    file: Option<File>,
}

impl Posix {
    pub(super) fn new(path: &Path, resource: &'static str) -> Self {
        Self { path: path.to_owned(), resource, file: None }
    }
}

impl Lock for Posix {
    fn resource(&self) -> &str {
        self.resource
    }

    fn acquire(&mut self) -> io::Result<()> {
        let file = open(&self.path)?;
        record_lock::lock(&file)?;
        self.file = Some(file);
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        let file = open(&self.path)?;
        let taken = record_lock::try_lock(&file)?;
        self.file = taken.then_some(file);
        Ok(taken)
    }

    fn release(&mut self) -> io::Result<()> {
        self.file.take().map_or(Ok(()), |file| record_lock::unlock(&file))
    }
}

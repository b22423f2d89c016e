//! A file that exists while the lock is held (`O_EXCL`).

use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::recipe::{Promise, Recipe, Shop};
use crate::scenario::world::Lock;

pub(super) const RECIPE: Recipe = Recipe {
    why: "Only one buyer can create a file that must not exist yet (O_EXCL). Nothing removes the file of a killed holder, so after a kill no buyer ever gets the lock again.",
    promise: Promise::RightUntilKilled,
    reset,
    ..Recipe::guarded("exclusive-file", "ex", make)
};

/// How often a waiter checks whether the file is gone.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(ExclusiveFile { path: shop.lock.clone(), held: false }))
}

/// Removes the file that a killed buyer may have left.
fn reset(shop: &Shop) -> io::Result<()> {
    match fs::remove_file(&shop.lock) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The file itself is the lock. Its holder removes it, also when its body unwinds, but not when it is killed.
struct ExclusiveFile {
    path: PathBuf,
    held: bool,
}

impl Lock for ExclusiveFile {
    fn acquire(&mut self) -> io::Result<()> {
        while !self.try_acquire()? {
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        match OpenOptions::new().write(true).create_new(true).open(&self.path) {
            Ok(_) => self.held = true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(self.held)
    }

    fn release(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.held) { fs::remove_file(&self.path) } else { Ok(()) }
    }
}

impl Drop for ExclusiveFile {
    fn drop(&mut self) {
        let _ = self.release();
    }
}

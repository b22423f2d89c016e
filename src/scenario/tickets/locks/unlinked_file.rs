//! `flock(2)` on a file that every buyer deletes and creates again.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::recipe::{Recipe, Shop, open, taken};
use crate::scenario::world::Lock;

pub(super) const RECIPE: Recipe = Recipe {
    why: "Each buyer deletes the lock file, in case it is stale, and creates it again. The lock is on the file, not on its name, so each buyer locks a file of its own.",
    ..Recipe::guarded("unlinked-file", "un", make)
};

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(UnlinkedFile { path: shop.lock.clone(), file: None }))
}

/// Each buyer locks a file that it has just created.
struct UnlinkedFile {
    path: PathBuf,
    file: Option<File>,
}

impl UnlinkedFile {
    fn recreate(&self) -> io::Result<File> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => open(&self.path),
        }
    }
}

impl Lock for UnlinkedFile {
    fn acquire(&mut self) -> io::Result<()> {
        let file = self.recreate()?;
        file.lock()?;
        self.file = Some(file);
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        let file = self.recreate()?;
        let taken = taken(file.try_lock())?;
        self.file = taken.then_some(file);
        Ok(taken)
    }

    fn release(&mut self) -> io::Result<()> {
        self.file.take().map_or(Ok(()), |file| file.unlock())
    }
}

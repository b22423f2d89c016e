//! `flock(2)` on one descriptor, opened before the buyers share it.

use std::fs::File;
use std::io;

use super::recipe::{Opens, Recipe, Shop, taken};
use crate::scenario::world::Lock;

pub(super) const RECIPE: Recipe = Recipe {
    why: "The lock belongs to the open file description, which the parent opened and all children share. To the kernel they are one owner, so it never makes any of them wait.",
    opens: Opens::LockFile,
    reset,
    ..Recipe::guarded("inherited", "in", make)
};

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(Inherited { file: shop.lock_file()?.try_clone()?, held: false }))
}

fn reset(shop: &Shop) -> io::Result<()> {
    shop.lock_file()?.unlock()
}

/// A duplicate of the parent's descriptor: all duplicates are one open file description.
struct Inherited {
    file: File,
    held: bool,
}

impl Lock for Inherited {
    fn acquire(&mut self) -> io::Result<()> {
        self.held = true;
        self.file.lock()
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        self.held = taken(self.file.try_lock())?;
        Ok(self.held)
    }

    fn release(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.held) { self.file.unlock() } else { Ok(()) }
    }
}

impl Drop for Inherited {
    fn drop(&mut self) {
        let _ = self.release();
    }
}

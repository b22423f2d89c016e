//! No lock at all.

use std::io;

use super::recipe::{Discipline, Recipe, Shop};
use crate::scenario::world::Lock;

pub(super) const RECIPE: Recipe = Recipe {
    why: "Nothing prevents two buyers from reading the same stock. Both sell the same ticket, and both write \
          back the same number.",
    discipline: Discipline::Unguarded,
    ..Recipe::guarded("none", "no", no_lock)
};

pub(super) fn no_lock(_: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(NoLock))
}

struct NoLock;

impl Lock for NoLock {
    fn acquire(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn release(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! No lock at all.

use std::io;

use super::{Discipline, Opens, Promise, Recipe, Shop, nothing_to_reset};
use crate::scenario::world::Lock;

pub(super) const RECIPE: Recipe = Recipe {
    name: "none",
    code: "no",
    why: "Nothing prevents two buyers from reading the same stock. Both sell the same ticket, and both write \
          back the same number.",
    promise: Promise::Broken,
    discipline: Discipline::Unguarded,
    opens: Opens::Nothing,
    make: no_lock,
    reset: nothing_to_reset,
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

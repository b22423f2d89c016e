//! A robust mutex in shared memory.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::recipe::{Opens, Promise, Recipe, Shop};
use crate::scenario::world::Lock;
use crate::shm::region::Region;
use crate::sync::robust_mutex;
use crate::sys::poll::Deadline;

pub(super) const RECIPE: Recipe = Recipe {
    why: "One word in shared memory says who holds the lock. The kernel passes it on when the holder dies (a robust futex), so a kill releases it.",
    promise: Promise::Right,
    opens: Opens::Memory,
    reset,
    ..Recipe::guarded("mutex", "mu", make)
};

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(Robust { region: shop.region()?, held: None }))
}

fn reset(shop: &Shop) -> io::Result<()> {
    shop.region()?.word32(0).store(0, Ordering::Release);
    Ok(())
}

/// A robust futex in shared memory.
struct Robust<'a> {
    region: &'a Region,
    held: Option<robust_mutex::Held<'a>>,
}

impl Robust<'_> {
    fn take(&mut self, deadline: Deadline) -> io::Result<bool> {
        match robust_mutex::lock(self.region.words32(0), deadline) {
            Ok(locked) => self.held = Some(locked.held),
            Err(robust_mutex::LockError::TimedOut) => {}
            Err(robust_mutex::LockError::Unwatched(error)) => return Err(error),
        }
        Ok(self.held.is_some())
    }
}

impl Lock for Robust<'_> {
    fn acquire(&mut self) -> io::Result<()> {
        self.take(Deadline::NEVER).map(drop)
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        self.take(Deadline::after(Duration::ZERO))
    }

    fn release(&mut self) -> io::Result<()> {
        self.held = None;
        Ok(())
    }
}

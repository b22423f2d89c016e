//! A mutex for threads; each process has its own.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::recipe::{Recipe, Shop};
use crate::scenario::world::Lock;

pub(super) const RECIPE: Recipe = Recipe {
    why: "The mutex is in the memory of a process, and each process has its own copy. It excludes threads of one process from each other, but not processes.",
    ..Recipe::guarded("thread-mutex", "th", make)
};

fn make(shop: &Shop) -> io::Result<Box<dyn Lock + '_>> {
    Ok(Box::new(ThreadMutex { resource: format!("mutex of {}", shop.process), guard: None }))
}

/// The mutex of this process.
static OWN: Mutex<()> = Mutex::new(());

struct ThreadMutex {
    resource: String,
    guard: Option<MutexGuard<'static, ()>>,
}

impl Lock for ThreadMutex {
    fn resource(&self) -> &str {
        &self.resource
    }

    fn acquire(&mut self) -> io::Result<()> {
        self.guard = Some(OWN.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        self.guard = match OWN.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        Ok(self.guard.is_some())
    }

    fn release(&mut self) -> io::Result<()> {
        self.guard = None;
        Ok(())
    }
}

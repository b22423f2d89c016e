//! The free world: operations happen at once, and races are luck.

use std::io;
use std::time::Duration;

use super::world::{Lock, Seen, Step, World};

/// A body's world in a free run. A step costs nothing but itself.
#[derive(Debug, Default)]
pub struct Free;

impl World for Free {
    #[inline]
    fn step<R: Seen>(&mut self, _: Step, operation: impl FnOnce() -> R) -> R {
        operation()
    }

    #[inline]
    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        lock.acquire()
    }

    #[inline]
    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        lock.release()
    }

    fn think(&mut self, duration: Duration) {
        if !duration.is_zero() {
            std::thread::sleep(duration);
        }
    }
}

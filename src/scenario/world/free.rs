//! The free world: operations happen at once, and races are luck.

use std::io;
use std::time::{Duration, Instant};

use crate::scenario::world::{Lock, Seen, Step, World};

/// A body's world in a free run. A step costs nothing but itself.
#[derive(Debug, Default)]
pub struct Free {
    /// How long it has waited for locks.
    pub waited: Duration,
}

impl World for Free {
    #[inline]
    fn step<R: Seen>(&mut self, _: Step, operation: impl FnOnce() -> R) -> R {
        operation()
    }

    #[inline]
    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        let begin = Instant::now();
        let result = lock.acquire();
        self.waited += begin.elapsed();
        result
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

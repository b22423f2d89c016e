//! The free world: operations happen at once, and races are luck.

use std::io;
use std::time::{Duration, Instant};

use super::{Inlet, Lock, News, Outlet, Parcel, Received, Seen, Sent, Step, World};

/// The longest pause between two attempts of [`World::wait`].
const PAUSE: Duration = Duration::from_millis(1);

/// A body's world in a trial. A step costs nothing but itself.
#[derive(Debug, Default)]
pub struct Free {
    /// How long it has waited, for locks, room and messages.
    pub waited: Duration,
}

impl Free {
    fn waiting<R>(&mut self, operation: impl FnOnce() -> R) -> R {
        let begin = Instant::now();
        let result = operation();
        self.waited += begin.elapsed();
        result
    }
}

/// Tries until something comes of it, at growing intervals.
pub(super) fn poll<R>(mut attempt: impl FnMut() -> io::Result<Option<R>>) -> io::Result<R> {
    let mut pause = Duration::from_micros(10);
    loop {
        if let Some(result) = attempt()? {
            return Ok(result);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE);
    }
}

impl World for Free {
    #[inline]
    fn step<R: Seen>(&mut self, _: Step, operation: impl FnOnce() -> R) -> R {
        operation()
    }

    fn wait<R: Seen>(&mut self, _: Step, attempt: impl FnMut() -> io::Result<Option<R>>) -> io::Result<R> {
        self.waiting(|| poll(attempt))
    }

    #[inline]
    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        self.waiting(|| lock.acquire())
    }

    #[inline]
    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        lock.release()
    }

    fn send<M: Parcel>(&mut self, outlet: &mut dyn Outlet<M>, message: M) -> io::Result<bool> {
        self.waiting(|| Ok(outlet.send(&message)? == Sent::Done))
    }

    fn recv<M: Parcel>(&mut self, inlet: &mut dyn Inlet<M>) -> io::Result<Option<M>> {
        self.waiting(|| match inlet.recv()? {
            Received::Message(message) => Ok(Some(message)),
            Received::Empty | Received::Closed => Ok(None),
        })
    }

    fn think(&mut self, duration: Duration) {
        if !duration.is_zero() {
            std::thread::sleep(duration);
        }
    }

    fn tell(&mut self, _: impl FnOnce() -> News) {}
}

//! The free world: operations happen immediately, and the kernel decides the races.

use std::io;
use std::time::{Duration, Instant};

use super::{Lock, News, Payload, Received, RecvEnd, Seen, SendEnd, Sent, Step, World};

/// The maximum pause between two attempts of [`World::wait`].
const MAX_PAUSE: Duration = Duration::from_millis(1);

/// A body's world in a trial. It adds no cost to a step.
#[derive(Debug, Default)]
pub struct Free {
    /// Total time spent waiting for locks, room and messages.
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

/// Repeats `attempt` at growing intervals until it returns a value.
pub(super) fn poll<R>(mut attempt: impl FnMut() -> io::Result<Option<R>>) -> io::Result<R> {
    let mut pause = Duration::from_micros(10);
    loop {
        if let Some(result) = attempt()? {
            return Ok(result);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
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

    fn send<M: Payload>(&mut self, end: &mut dyn SendEnd<M>, message: M) -> io::Result<bool> {
        self.waiting(|| Ok(end.send(&message)? == Sent::Done))
    }

    fn recv<M: Payload>(&mut self, end: &mut dyn RecvEnd<M>) -> io::Result<Option<M>> {
        self.waiting(|| match end.recv()? {
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

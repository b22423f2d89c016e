//! One wait for many things: children, ends of queues and pipes, locks, descriptors.
//!
//! [`wait_any`] asks each [`Waitable`] whether it is ready. One that is not arranges that a descriptor becomes
//! readable, or a word in shared memory changes, when it may be; then the process sleeps on all of them, and asks again.
//! Descriptors are waited for by `ppoll(2)`, words by `futex_waitv(2)`, and if there are both, by a second thread that
//! sleeps on the words until the wait ends.

/// Descriptors of the standard library, and any other.
mod descriptors;
/// Why a wait failed.
mod error;
/// A thread that sleeps on words.
mod sentry;
/// What ends a sleep.
mod wakers;
/// A wait as a descriptor.
mod watch;
/// The sleep on words.
mod words;

pub use descriptors::{Readable, Writable};
pub use error::WaitAnyError;
pub(crate) use wakers::Wakers;
pub use watch::{Watch, watch};

use words::WordSleep;

use crate::sys::poll::Deadline;
use std::sync::Arc;
use std::time::Duration;

/// Something that [`wait_any`] can wait for.
///
/// Ready means that the operation which it stands for would not wait. It is true of the moment at which it was found:
/// where several processes use a queue or a lock, another one may be faster. So do not wait for long afterwards: use
/// the `try_` form of the operation.
///
/// | what | is ready when |
/// |---|---|
/// | [`Child`](crate::Child), [`Handle`](crate::Handle) | the process has ended |
/// | [`queue::Receiver`](crate::queue::Receiver) | there is a message, or none can arrive any more |
/// | [`queue::Sender`](crate::queue::Sender) | there is room, or no process can receive any more |
/// | [`pipe::Pipe`](crate::pipe::Pipe) | there is a message, or no process has the other end |
/// | [`pool::JobHandle`](crate::pool::JobHandle) | the job is done |
/// | [`sync::Event`](crate::sync::Event) | it is set |
/// | [`sync::Mutex`](crate::sync::Mutex), [`RLock`](crate::sync::RLock), [`Array`](crate::sync::Array) | no thread holds it |
/// | [`sync::Semaphore`](crate::sync::Semaphore), [`BoundedSemaphore`](crate::sync::BoundedSemaphore) | a permit is available |
/// | files, pipes and sockets of the standard library, [`Readable`] | it can be read, or has hung up |
/// | [`Writable`] | it can be written to, or is broken |
///
/// Primitives of [`crate::sync`] have no descriptor but a word in shared memory. A wait for one looks at it three times
/// within 350 microseconds, and then sleeps until the kernel reports that the word has changed; if descriptors are waited
/// for too, a thread that exists during the wait does. A change by a process that is killed just then is noticed within
/// 10 ms. Before Linux 5.16, where no thread can be started, and in [`watch`], the primitive is looked at again at
/// intervals that grow to 2 ms.
pub trait Waitable {
    /// Whether it is ready; if not, adds what ends a sleep once it may be.
    #[doc(hidden)]
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError>;
}

impl<W: Waitable + ?Sized> Waitable for &W {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        (**self).enroll(wakers)
    }
}

impl<W: Waitable + ?Sized> Waitable for Box<W> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        (**self).enroll(wakers)
    }
}

impl<W: Waitable + ?Sized> Waitable for Arc<W> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        (**self).enroll(wakers)
    }
}

/// Waits until at least one of `sources` is ready, at most `timeout`, and returns which are: their indices, in order;
/// none if the timeout expired first. Without a timeout it waits indefinitely; with a timeout of zero, or without
/// sources, it does not wait. Signals do not end it.
///
/// Children that have ended are reaped by it, siblings of those in `sources` included.
///
/// ```
/// use proclab::{Waitable, queue, wait_any};
/// use std::time::Duration;
///
/// let (sender, receiver) = queue::bounded::<u32>(1)?;
/// let stop = proclab::sync::Event::new()?;
/// let sources: [&dyn Waitable; 2] = [&receiver, &stop];
/// assert!(wait_any(&sources, Some(Duration::ZERO))?.is_empty());
/// sender.send(7)?;
/// assert_eq!(wait_any(&sources, None)?, [0]);
/// assert_eq!(receiver.try_recv()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`WaitAnyError`].
pub fn wait_any<W: Waitable>(sources: &[W], timeout: Option<Duration>) -> Result<Vec<usize>, WaitAnyError> {
    wait_until(sources, timeout.map_or(Deadline::NEVER, Deadline::after))
}

pub(crate) fn wait_until<W: Waitable>(sources: &[W], deadline: Deadline) -> Result<Vec<usize>, WaitAnyError> {
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let mut words = WordSleep::default();
    for round in 0.. {
        let (mut ready, mut wakers) = ask(sources, round)?;
        // Only ask for the others.
        let is_last = !ready.is_empty() || deadline.is_over();
        if is_last && wakers.is_empty() {
            return Ok(ready);
        }
        if !is_last {
            if words.sleep(&mut wakers, deadline) {
                continue;
            }
            words.arrange(&mut wakers);
        }
        let woken = wakers.sleep(if is_last { Deadline::now() } else { deadline })?;
        if woken.acted && is_last {
            ready.extend(ask(sources, round)?.0);
        }
        ready.extend(woken.ready);
        if is_last || !ready.is_empty() {
            ready.sort_unstable();
            ready.dedup();
            return Ok(ready);
        }
    }
    unreachable!("the rounds have no end")
}

/// Those that are ready, and what wakes for the others.
fn ask<W: Waitable>(sources: &[W], round: u32) -> Result<(Vec<usize>, Wakers<'_>), WaitAnyError> {
    let mut wakers = Wakers::new(round);
    let mut ready = Vec::new();
    for (place, source) in sources.iter().enumerate() {
        wakers.begin(place);
        if source.enroll(&mut wakers)? {
            ready.push(place);
        }
    }
    Ok((ready, wakers))
}

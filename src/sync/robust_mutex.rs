//! A lock in shared memory that a killed holder cannot keep.
//!
//! The word is 0 when free, or the holder's TID; beside it the bit `WAITERS` when somebody sleeps
//! until it is free, and the bit `OWNER_DIED`, set by the kernel when it has let go of the lock for a
//! holder that ended (`set_robust_list(2)`, `Documentation/locking/robust-futexes.rst`).
//!
//! Why nobody waits for ever, whoever is killed where:
//! - *while it holds the lock, or between taking it and knowing so*: the word holds its TID, and the word
//!   has been announced, so the kernel sets `OWNER_DIED` and wakes a waiter;
//! - *after letting go, before waking the next*: the word holds no TID and is still announced, so the
//!   kernel wakes the next;
//! - *after being woken, before taking the lock*: the same, unless a third has taken the lock without
//!   knowing that others sleep. Therefore a sleep here lasts no longer than `LOOK_AGAIN`.
//!
//! A holder that is only stopped keeps the lock: it may go on at any time.

use crate::sys::futex;
use crate::sys::poll::Deadline;
use crate::sys::robust::{Announced, ThisThread};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const OWNER: u32 = 0x3FFF_FFFF;

/// How often a free lock is looked for before sleeping: about the time that a small critical section
/// of another processor takes.
const SPINS: u32 = 100;
/// A sleeper looks at the lock this often even if nobody wakes it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A lock that is held. Dropping it lets go.
#[derive(Debug)]
pub struct Held<'a> {
    word: &'a AtomicU32,
    announced: Announced,
}

/// A lock that was waited for.
#[derive(Debug)]
pub struct Locked<'a> {
    /// The lock.
    pub held: Held<'a>,
    /// Whether the last holder ended with the lock in its hands: what it guards may be half done.
    pub owner_died: bool,
}

/// The lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process held it until the deadline.
    #[error("another process holds the lock")]
    TimedOut,
    /// The kernel has no robust futexes for this thread.
    #[error("the kernel does not watch this thread's locks")]
    Unwatched(#[from] io::Error),
}

/// Takes the lock whose word lies in shared memory if it is free, and nobody waits for it or died with it.
///
/// A thread holds at most one such lock at a time.
#[inline(always)]
pub fn try_lock(word: &AtomicU32) -> Option<Held<'_>> {
    let thread = ThisThread::get().ok()?;
    let announced = thread.announce(word);
    if word.compare_exchange(0, thread.tid(), Ordering::Acquire, Ordering::Relaxed).is_ok() {
        return Some(Held { word, announced });
    }
    announced.withdraw();
    None
}

/// Takes the lock, however long that takes until the deadline.
///
/// A thread holds at most one such lock at a time.
///
/// # Errors
/// [`LockError`].
#[cold]
pub fn lock(word: &AtomicU32, deadline: Deadline) -> Result<Locked<'_>, LockError> {
    let thread = ThisThread::get()?;
    let announced = thread.announce(word);
    let mut spins = 0;
    // Whoever has slept takes the lock as if others still did: at worst one wake-up too many.
    let mut slept = 0;
    loop {
        let seen = word.load(Ordering::Relaxed);
        if seen & OWNER == 0 {
            let mine = thread.tid() | (seen & WAITERS) | slept;
            if word.compare_exchange(seen, mine, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Ok(Locked { held: Held { word, announced }, owner_died: seen & OWNER_DIED != 0 });
            }
        } else if spins < SPINS {
            spins += 1;
            std::hint::spin_loop();
        } else if deadline.is_over() {
            // A wake-up that was meant for this thread goes on to another.
            futex::wake_one(word);
            announced.withdraw();
            return Err(LockError::TimedOut);
        } else if seen & WAITERS != 0
            || word.compare_exchange(seen, seen | WAITERS, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            let left = deadline.left().map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
            futex::wait(word, seen | WAITERS, left);
            slept = WAITERS;
        }
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.word.swap(0, Ordering::Release) & WAITERS != 0 {
            futex::wake_one(self.word);
        }
        self.announced.withdraw();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn one_thread_at_a_time() {
        let (word, count) = (AtomicU32::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let _held = lock(&word, Deadline::NEVER).unwrap();
                        let seen = count.load(Ordering::Relaxed);
                        count.store(seen + 1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 40_000);
        assert_eq!(word.into_inner() & OWNER, 0);
    }

    #[test]
    fn a_thread_that_ends_with_the_lock_lets_the_next_one_know() {
        let word: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
        std::thread::spawn(|| std::mem::forget(lock(word, Deadline::NEVER).unwrap())).join().unwrap();
        assert!(lock(word, Deadline::after(Duration::from_secs(10))).unwrap().owner_died);
        assert!(!lock(word, Deadline::NEVER).unwrap().owner_died);
        assert!(try_lock(word).is_some());
    }

    #[test]
    fn the_wait_for_a_held_lock_ends_at_the_deadline() {
        let word = AtomicU32::new(0);
        let _held = try_lock(&word).unwrap();
        assert!(try_lock(&word).is_none());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (begin, timeout) = (std::time::Instant::now(), Duration::from_millis(30));
                assert!(matches!(lock(&word, Deadline::after(timeout)), Err(LockError::TimedOut)));
                assert!(begin.elapsed() >= timeout);
            });
        });
    }
}

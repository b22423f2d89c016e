//! A lock in shared memory that a killed holder cannot keep.
//!
//! It consists of two words. The first is 0 if the lock is free, or else the holder's TID, with the bit `WAITERS` if
//! a thread sleeps until the lock is free. The kernel sets the bit `OWNER_DIED` when it releases the lock of a holder
//! that has ended (`set_robust_list(2)`, `Documentation/locking/robust-futexes.rst`). The second is not 0 if a thread
//! may be asleep.
//!
//! Taking the lock costs one atomic exchange, releasing it a plain store, which may overwrite a `WAITERS` that is set
//! at the same time. The sleeper is woken nevertheless:
//! - a release *stores 0 to the first word, then reads the second*; a thread that goes to sleep sets `WAITERS`,
//!   *stores 1 to the second word, has all processors pass a barrier (`membarrier(2)`), then reads the
//!   first*, which the kernel does as part of `futex(2)`. One of them sees what the other stored;
//! - the second word is cleared only by a holder, before it releases the lock and wakes a sleeper. So it stays
//!   set from the moment in which a sleeper has seen a holder until that holder releases the lock.
//!
//! `release_order.rs` goes through every execution of these steps that arm64 and x86-64 allow.
//!
//! No thread waits forever, whichever thread is killed, and wherever:
//! - *while it holds the lock, or has just taken it*: the word contains its TID, and was announced or linked, so the
//!   kernel sets `OWNER_DIED` and wakes a waiter;
//! - *after releasing it, before waking the next; or after being woken, before taking the lock*: the word contains no
//!   TID and is still announced, so the kernel wakes the next one, unless a third thread has just taken the lock,
//!   which may not know that others sleep. Therefore a sleep lasts no longer than `LOOK_AGAIN`, which also bounds it
//!   if the kernel refuses `membarrier(2)`.
//!
//! There are two ways to hold it. A [`Held`] is for a few instructions of this library, and a thread has at most one.
//! A lock that is held while user code runs is linked ([`super::linked`]): a thread may hold many of those, and
//! release them in any order.
//!
//! A stopped holder keeps the lock, because it may continue at any time.

use crate::shm::word::Word32;
use crate::sys::membarrier;
use crate::sys::poll::Deadline;
use crate::sys::robust::{Announced, ThisThread};
use std::io;
use std::sync::atomic::{Ordering, compiler_fence};
use std::time::Duration;

pub(super) const WAITERS: u32 = 0x8000_0000;
pub(super) const OWNER_DIED: u32 = 0x4000_0000;
pub(super) const OWNER: u32 = 0x3FFF_FFFF;

/// How long a thread spins before it sleeps, in pauses of the processor: about as long as a few small critical
/// sections on another processor.
const SPINS: u32 = 200;
/// The most pauses between two checks.
const MOST_PAUSE: u32 = 32;
/// The interval at which a sleeper checks the lock even if it is not woken.
const LOOK_AGAIN: Duration = Duration::from_millis(if cfg!(test) { NEVER_IN_A_TEST } else { 10 });
/// Long enough for the tests to notice a lost wake-up.
const NEVER_IN_A_TEST: u64 = 600_000;

/// A lock that is held. Dropping it releases it.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(super) words: &'a [Word32; 2],
    pub(super) announced: Announced,
}

/// A lock that was acquired by waiting.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    /// The lock.
    pub held: Held<'a>,
    /// Whether the last holder ended while it held the lock, so that what it guards may be incomplete.
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

/// Takes the lock if it is free, no thread waits for it, and its last holder released it.
///
/// A thread holds at most one such lock at a time; a second one is not taken.
#[inline(always)]
pub(crate) fn try_lock(words: &[Word32; 2]) -> Option<Held<'_>> {
    try_lock_as(ThisThread::get().ok()?, words)
}

/// The same for a known thread.
#[inline(always)]
pub(super) fn try_lock_as(thread: ThisThread, words: &[Word32; 2]) -> Option<Held<'_>> {
    let announced = thread.announce(&words[0])?;
    if try_word(thread, words) {
        return Some(Held { words, announced });
    }
    announced.withdraw();
    None
}

/// The exchange alone, of a word that the thread has announced.
#[inline(always)]
pub(super) fn try_word(thread: ThisThread, words: &[Word32; 2]) -> bool {
    words[0].compare_exchange(0, own_tid(thread), Ordering::Acquire, Ordering::Relaxed).is_ok()
}

/// Takes the lock, waiting until the deadline.
///
/// A thread holds at most one such lock at a time; a second one is refused.
///
/// # Errors
/// [`LockError`].
#[cold]
pub(crate) fn lock(words: &[Word32; 2], deadline: Deadline) -> Result<Locked<'_>, LockError> {
    let thread = ThisThread::get()?;
    let [word, asleep] = words;
    let announced = thread.announce(word).ok_or_else(nested)?;
    let mut spins = 0;
    // A thread that has slept takes the lock as if others were asleep: at worst that causes one needless wake-up.
    let mut slept = 0;
    loop {
        let seen = word.load(Ordering::Relaxed);
        if seen & OWNER == 0 {
            let mine = own_tid(thread) | (seen & WAITERS) | slept;
            if word.compare_exchange(seen, mine, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Ok(Locked { held: Held { words, announced }, owner_died: seen & OWNER_DIED != 0 });
            }
        } else if spins < most_spins() {
            // At growing intervals, because each check takes the word's cache line from the holder.
            let pause = (spins + 1).min(MOST_PAUSE);
            (0..pause).for_each(|_| std::hint::spin_loop());
            spins += pause;
        } else if deadline.is_over() {
            // Passes on a wake-up that was meant for this thread.
            word.wake_one();
            announced.withdraw();
            return Err(LockError::TimedOut);
        } else if seen & WAITERS != 0
            || word.compare_exchange(seen, seen | WAITERS, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            // Not before this holder was seen: an earlier one may clear it until it releases the lock.
            asleep.store(1, Ordering::Relaxed);
            barrier_everywhere();
            let left = deadline.left().map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
            word.wait(seen | WAITERS, left);
            slept = WAITERS;
        }
    }
}

/// Prepares a sleep until the lock is released: returns the value that the first word has until then, or `None` if no
/// thread holds it.
///
/// The steps are those of [`lock`]. The wake-up may be meant for a thread that takes the lock, so the caller passes it on.
pub(super) fn prepare_sleep([word, asleep]: &[Word32; 2]) -> Option<u32> {
    loop {
        let seen = word.load(Ordering::Relaxed);
        if seen & OWNER == 0 {
            return None;
        }
        if seen & WAITERS != 0
            || word.compare_exchange(seen, seen | WAITERS, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            asleep.store(1, Ordering::Relaxed);
            barrier_everywhere();
            return Some(seen | WAITERS);
        }
    }
}

/// A thread announces one word: with a second one the kernel would forget the first.
#[cold]
fn nested() -> LockError {
    LockError::Unwatched(io::Error::other("this thread holds another such lock already"))
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        release(self.words);
        self.announced.withdraw();
    }
}

#[inline(always)]
pub(super) fn release([word, asleep]: &[Word32; 2]) {
    let known = word.load(Ordering::Relaxed) & WAITERS != 0 || asleep.load(Ordering::Relaxed) != 0;
    if known {
        asleep.store(0, Ordering::Relaxed);
    }
    word.store(0, Ordering::Release);
    // Store, then read: the processor keeps this order for a sleeper, by `membarrier(2)`; the
    // compiler must not change it.
    compiler_fence(Ordering::SeqCst);
    if known || asleep.load(Ordering::Relaxed) != 0 {
        word.wake_one();
    }
}

fn barrier_everywhere() {
    #[cfg(test)]
    if crate::shm::model::recorder::membarrier() {
        return;
    }
    let _ = membarrier::everywhere();
}

#[inline(always)]
fn own_tid(thread: ThisThread) -> u32 {
    #[cfg(test)]
    if let Some(number) = crate::shm::model::recorder::thread() {
        return number as u32 + 1;
    }
    thread.tid()
}

fn most_spins() -> u32 {
    #[cfg(test)]
    if crate::shm::model::recorder::thread().is_some() {
        return 0;
    }
    SPINS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn new() -> [Word32; 2] {
        [const { Word32::new(0) }; 2]
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[test]
    fn one_thread_at_a_time() {
        let (words, count) = (new(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let _held = lock(&words, soon()).unwrap();
                        let seen = count.load(Ordering::Relaxed);
                        count.store(seen + 1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 40_000);
        assert_eq!(words[0].load(Ordering::Relaxed) & OWNER, 0);
    }

    #[test]
    fn a_second_lock_is_refused_and_the_first_stays_watched() {
        let words: &'static [[Word32; 2]; 2] = Box::leak(Box::new([new(), new()]));
        let inner = std::thread::spawn(|| {
            let outer = lock(&words[0], Deadline::NEVER).unwrap();
            let inner = (try_lock(&words[1]).is_none(), lock(&words[1], soon()).is_err());
            std::mem::forget(outer);
            inner
        });
        assert_eq!(inner.join().unwrap(), (true, true));
        assert!(lock(&words[0], soon()).unwrap().owner_died);
        assert!(try_lock(&words[1]).is_some());
    }

    #[test]
    fn a_thread_that_goes_to_sleep_is_woken() {
        let (words, count) = (new(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 0..20_000 {
                        let _held = lock(&words, soon()).unwrap();
                        // For about as long as the others look before they sleep.
                        (0..SPINS - 20 + round % 64).for_each(|_| std::hint::spin_loop());
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 60_000);
    }

    #[test]
    fn a_thread_that_ends_with_the_lock_lets_the_next_one_know() {
        let words: &'static [Word32; 2] = Box::leak(Box::new(new()));
        std::thread::spawn(|| std::mem::forget(lock(words, Deadline::NEVER).unwrap())).join().unwrap();
        assert!(lock(words, soon()).unwrap().owner_died);
        assert!(!lock(words, soon()).unwrap().owner_died);
        assert!(try_lock(words).is_some());
    }

    #[test]
    fn the_wait_for_a_held_lock_ends_at_the_deadline() {
        let words = new();
        let _held = try_lock(&words).unwrap();
        assert!(try_lock(&words).is_none());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (begin, timeout) = (std::time::Instant::now(), Duration::from_millis(30));
                assert!(matches!(lock(&words, Deadline::after(timeout)), Err(LockError::TimedOut)));
                assert!(begin.elapsed() >= timeout);
            });
        });
    }
}

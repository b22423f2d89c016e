//! What the pool and one of its workers share: a ring of jobs, a ring of results, and the word that says which job the
//! worker has begun.
//!
//! # Who holds which job
//! The pool numbers the jobs that it gives to a worker, from 0. Before the worker runs the next one it *claims* it: it
//! raises BEGUN in the state word. To take back jobs that were not begun, or to be sure that no other job begins in a
//! worker that is about to be killed, the pool raises SKIP in the same word by one compare-and-swap: a job below SKIP
//! cannot be claimed any more. So each job is either the worker's or the pool's, and after a death the state word tells
//! which one job the worker had begun, to the instruction.
//!
//! # Sleeping
//! A side that is about to sleep leaves a note, then looks once more; the other publishes, then looks for the note. The
//! fences between see to it that one of them sees the other. A worker that is killed between its store and its ring is
//! noticed by its death.

use super::ring::{CAPACITY, Corrupt, Ring};
use crate::shm::region::{Region, RegionError};
use crate::shm::word::{Word32, Word64, fence};
use crate::sys::eventfd::Event;
use crate::wire::handle::Fd;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

/// Each word that one side stores has a cache line of its own.
const STATE: usize = 64;
const STARTED: usize = 128;
const READY: usize = 192;
const WORKER_ASLEEP: usize = 256;
const POOL_ASLEEP: usize = 320;
const PAGE: usize = 4096;
pub(super) const JOBS: Ring = Ring { head: 384, tail: 448, bytes: PAGE };
pub(super) const RESULTS: Ring = Ring { head: 512, tail: 576, bytes: PAGE + CAPACITY };
const SIZE: usize = PAGE + 2 * CAPACITY;

/// The pool's or the worker's view of the memory.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) region: Region,
    /// Rings when the pool has something to do.
    pub(super) bell: Event,
}

/// The memory on its way to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Link {
    memory: Fd,
    bell: Fd,
}

impl Link {
    pub(super) fn open(self) -> Result<Memory, RegionError> {
        let mapped = |_: &[u8; 1], len: u64| {
            let needs = SIZE as u64;
            if len == needs { Ok(SIZE) } else { Err(RegionError::TooShort { is: len, needs }) }
        };
        let region = Region::open(self.memory.into_owned(), mapped)?;
        Ok(Memory { region, bell: self.bell.into_owned().into() })
    }
}

/// What the state word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// Jobs below it have been claimed, or skipped.
    pub(super) begun: u32,
    /// Jobs below it that are not claimed never will be.
    pub(super) skip: u32,
}

impl State {
    fn word(self) -> u64 {
        u64::from(self.skip) << 32 | u64::from(self.begun)
    }

    fn from_word(word: u64) -> State {
        State { begun: word as u32, skip: (word >> 32) as u32 }
    }
}

impl Memory {
    /// New memory, and the link by which a worker comes to it.
    pub(super) fn create(bell: &Event) -> Result<(Memory, Link), RegionError> {
        let copy = |fd: std::os::fd::BorrowedFd<'_>| -> Result<OwnedFd, RegionError> {
            Ok(fd.try_clone_to_owned()?)
        };
        let region = Region::create(SIZE as u64, SIZE)?;
        let link = Link { memory: copy(region.file())?.into(), bell: copy(bell.as_fd())?.into() };
        Ok((Memory { region, bell: copy(bell.as_fd())?.into() }, link))
    }

    fn state_word(&self) -> &Word64 {
        self.region.word(STATE)
    }

    pub(super) fn state(&self) -> State {
        // Acquire: what the worker did before it claimed the next job is seen.
        State::from_word(self.state_word().load(Ordering::Acquire))
    }

    /// The worker begins job `number`; false if it was taken back.
    pub(super) fn claim(&self, number: u32, started_ns: impl FnOnce() -> u64) -> bool {
        // Before the claim: the time belongs to a job that the pool sees claimed.
        self.region.word(STARTED).store(started_ns(), Ordering::Relaxed);
        let mut state = self.state();
        loop {
            // Numbers wrap around.
            if number.wrapping_sub(state.skip).cast_signed() < 0 {
                return false;
            }
            let claimed = State { begun: number.wrapping_add(1), ..state };
            let word = self.state_word();
            match word.compare_exchange(state.word(), claimed.word(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(found) => state = State::from_word(found),
            }
        }
    }

    /// Takes back every job below `given` that is not claimed. Those below the answer are the worker's.
    pub(super) fn revoke(&self, given: u32) -> u32 {
        let mut state = self.state();
        loop {
            let revoked = State { skip: given, ..state };
            let word = self.state_word();
            match word.compare_exchange(state.word(), revoked.word(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return state.begun,
                Err(found) => state = State::from_word(found),
            }
        }
    }

    /// When the job that was claimed last began, if it is timed.
    pub(super) fn started_ns(&self) -> u64 {
        self.region.word(STARTED).load(Ordering::Relaxed)
    }

    /// The worker has initialized itself.
    pub(super) fn set_ready(&self) {
        self.region.word(READY).store(1, Ordering::Release);
        self.ring_if_asleep();
    }

    pub(super) fn is_ready(&self) -> bool {
        self.region.word(READY).load(Ordering::Acquire) != 0
    }

    fn worker_asleep(&self) -> &Word32 {
        self.region.word32(WORKER_ASLEEP)
    }

    fn pool_asleep(&self) -> &Word32 {
        self.region.word32(POOL_ASLEEP)
    }

    /// Leaves the note that the worker sleeps, and sleeps unless `condition` has come true.
    pub(super) fn sleep_until(&self, condition: impl Fn() -> bool) {
        const LONG: std::time::Duration = std::time::Duration::from_secs(3600);
        self.worker_asleep().store(1, Ordering::Relaxed);
        // Pairs with the fence in `wake_worker`.
        fence(Ordering::SeqCst);
        if !condition() {
            self.worker_asleep().wait(1, LONG);
        }
        self.worker_asleep().store(0, Ordering::Relaxed);
    }

    /// Wakes the worker if it sleeps, after something was published for it.
    pub(super) fn wake_worker(&self) {
        fence(Ordering::SeqCst);
        if self.worker_asleep().load(Ordering::Relaxed) != 0 {
            self.worker_asleep().store(0, Ordering::Relaxed);
            self.worker_asleep().wake_one();
        }
    }

    /// Leaves the note that the pool is about to sleep. A fence follows, then a last look.
    pub(super) fn note_pool_asleep(&self, asleep: bool) {
        self.pool_asleep().store(u32::from(asleep), Ordering::Relaxed);
    }

    /// Rings for the pool if it sleeps, after something was published for it.
    pub(super) fn ring_if_asleep(&self) {
        // Pairs with the fence in the pool's sleep.
        fence(Ordering::SeqCst);
        if self.pool_asleep().load(Ordering::Relaxed) != 0 {
            self.pool_asleep().store(0, Ordering::Relaxed);
            self.bell.ring();
        }
    }
}

/// The pool's side of a ring is checked against what it stored itself.
pub(super) fn aligned(len: usize) -> u64 {
    (len as u64).next_multiple_of(8)
}

impl From<Corrupt> for std::io::Error {
    fn from(_: Corrupt) -> Self {
        std::io::Error::other("the memory that a worker and its pool share is corrupt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_either_claimed_or_taken_back() {
        let (memory, _link) = Memory::create(&Event::new().unwrap()).unwrap();
        assert!(memory.claim(0, || 7));
        assert_eq!(memory.started_ns(), 7);
        assert_eq!(memory.revoke(5), 1);
        assert!((1..5).all(|number| !memory.claim(number, || 0)));
        assert!(memory.claim(5, || 0));
        assert_eq!(memory.state(), State { begun: 6, skip: 5 });
    }

    #[test]
    fn bytes_wrap_around_the_end_of_a_ring() {
        let (memory, _link) = Memory::create(&Event::new().unwrap()).unwrap();
        let at = 5 * CAPACITY as u64 - 3;
        JOBS.put(&memory.region, at, b"abcdef");
        let mut bytes = Vec::new();
        JOBS.append_to(&memory.region, &mut bytes, at, 6);
        assert_eq!(bytes, b"abcdef");
    }
}

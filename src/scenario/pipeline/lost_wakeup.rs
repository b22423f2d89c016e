//! A queue with the classic mistake: a consumer checks whether there is an item and, if not, goes to sleep until woken;
//! a producer wakes a process that is asleep *now*. A wake-up between the check and the sleep is lost.
//!
//! Each operation is atomic; the mistake is between them.

use std::hint::spin_loop;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use super::item::Item;
use crate::shm::region::{Region, RegionError};
use crate::wire::handle::Fd;

/// The maximum capacity.
pub const PLACES: usize = 256;
/// The maximum number of processes.
pub const MAX_SLEEPERS: usize = 32;

/// Offsets of the words: the number of producers that have finished, then the queue.
mod word {
    pub(super) const FINISHED: usize = 0;
    pub(super) const GUARD: usize = 4;
    pub(super) const FIRST: usize = 8;
    pub(super) const NEXT: usize = 12;
    pub(super) const PLACES: usize = 64;
    pub(super) const SLEEPERS: usize = PLACES + 4 * super::PLACES;
    pub(super) const LEN: usize = SLEEPERS + 4 * super::MAX_SLEEPERS;
}

/// The states of a process: awake, asleep, or woken but not yet running again.
const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const WOKEN: u32 = 2;

/// The memory that all processes of a pipeline share.
#[derive(Debug)]
pub struct Memory(Region);

impl Memory {
    /// Creates the memory in its initial state.
    ///
    /// # Errors
    /// If no memory is available.
    pub fn create() -> io::Result<Memory> {
        Ok(Memory(Region::create(word::LEN as u64, word::LEN).map_err(io::Error::other)?))
    }

    /// Maps the memory of a descriptor that another process sent.
    ///
    /// # Errors
    /// If it cannot be mapped.
    pub fn open(file: Fd) -> io::Result<Memory> {
        let region = Region::open(file.into_owned(), |_: &[u8; 1], _| Ok::<_, RegionError>(word::LEN));
        Ok(Memory(region.map_err(io::Error::other)?))
    }

    /// A descriptor to send to another process.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub fn file(&self) -> io::Result<OwnedFd> {
        self.0.file().try_clone_to_owned()
    }

    /// Restores the initial state, while no process uses the memory.
    pub fn reset(&self) {
        for offset in [word::FINISHED, word::GUARD, word::FIRST, word::NEXT] {
            self.0.word32(offset).store(0, Ordering::Relaxed);
        }
        for process in 0..MAX_SLEEPERS {
            self.sleeper(process).store(AWAKE, Ordering::Release);
        }
    }

    /// Counts one more producer that has put its last item.
    pub fn finish(&self) {
        self.0.word32(word::FINISHED).fetch_add(1, Ordering::AcqRel);
    }

    /// How many producers have put their last item.
    pub fn finished(&self) -> u64 {
        self.0.word32(word::FINISHED).load(Ordering::Acquire).into()
    }

    fn sleeper(&self, process: usize) -> &AtomicU32 {
        self.0.word32(word::SLEEPERS + 4 * (process % MAX_SLEEPERS))
    }

    /// Puts `process` to sleep, whatever has happened since it checked the queue.
    pub fn sleep(&self, process: usize) {
        self.sleeper(process).store(ASLEEP, Ordering::Release);
    }

    /// Whether `process` is asleep and was not woken.
    pub fn sleeps(&self, process: usize) -> bool {
        self.sleeper(process).load(Ordering::Acquire) == ASLEEP
    }

    /// Whether `process` was woken; if so, it is now awake.
    pub fn get_up(&self, process: usize) -> bool {
        let state = self.sleeper(process);
        state.compare_exchange(WOKEN, AWAKE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Wakes one of the first `processes` processes that is asleep now. Returns its index.
    pub fn wake_one(&self, processes: usize) -> Option<usize> {
        let wake = |process: &usize| {
            let state = self.sleeper(*process);
            state.compare_exchange(ASLEEP, WOKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        (0..processes.min(MAX_SLEEPERS)).find(wake)
    }

    /// The number of items in the queue.
    pub fn len(&self) -> usize {
        let next = self.0.word32(word::NEXT).load(Ordering::Acquire);
        next.wrapping_sub(self.0.word32(word::FIRST).load(Ordering::Acquire)) as usize
    }

    /// Whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts an item if the queue has fewer than `capacity`.
    pub fn push(&self, item: Item, capacity: u64) -> bool {
        self.guarded(|| {
            if self.len() as u64 >= capacity.min(PLACES as u64) {
                return false;
            }
            let next = self.0.word32(word::NEXT);
            let place = next.load(Ordering::Relaxed);
            self.place(place).store(item.to_word(), Ordering::Relaxed);
            next.store(place.wrapping_add(1), Ordering::Release);
            true
        })
    }

    /// Takes the first item.
    pub fn pop(&self) -> Option<Item> {
        self.guarded(|| {
            if self.is_empty() {
                return None;
            }
            let first = self.0.word32(word::FIRST);
            let place = first.load(Ordering::Relaxed);
            let item = Item::from_word(self.place(place).load(Ordering::Relaxed));
            first.store(place.wrapping_add(1), Ordering::Release);
            Some(item)
        })
    }

    fn place(&self, place: u32) -> &AtomicU32 {
        self.0.word32(word::PLACES + 4 * (place as usize % PLACES))
    }

    /// Runs a few loads and stores under a spin lock. No process of a pipeline with this queue is ever killed inside.
    fn guarded<R>(&self, operation: impl FnOnce() -> R) -> R {
        let guard = self.0.word32(word::GUARD);
        while guard.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            spin_loop();
            std::thread::yield_now();
        }
        let result = operation();
        guard.store(0, Ordering::Release);
        result
    }
}

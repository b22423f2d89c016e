//! How a sleeping process is woken: an event that stays set until a process that has verified that there is nothing to
//! do resets it.
//!
//! Three rules make it safe against a kill at any instruction. The *condition* is what sleepers wait for, its
//! *lock* is the one under which it becomes true, and the *flag* records that a process may be asleep.
//!
//! 1. A process that makes the condition true holds the lock and **sets the event first**: it sees the flag, sets
//!    the event, clears the flag, and only then performs the single store that makes the condition true. If it is
//!    killed in between, the result is a spurious wake-up.
//! 2. A process that is about to sleep takes the same lock, so that no other process is between setting the event
//!    and storing. It verifies that the condition is false, sets the flag, **then resets** the event, releases the
//!    lock, and sleeps. If it is killed in between, a flag or an event stays set unnecessarily.
//! 3. A process sleeps only while the event is not set (`poll(2)` checks first), and all sleepers wake.
//!
//! So whenever the condition is true and a process sleeps, the event is set: it was set before the condition
//! became true, and no process resets it while the condition holds. Nothing depends on whether the woken process
//! survives.
//!
//! In a queue that several processes use, an event is set in one of these ways:
//!
//! | event | set by | is |
//! |---|---|---|
//! | a message arrives | a sender | a signal in the receivers' end of the line ([`super::line`]) |
//! | | a receiver that returns one | an `eventfd(2)` of the receivers ([`super::inbox`]) |
//! | there is room again | a receiver | a signal in the senders' end of the line |
//! | all is done | a receiver | a count in the memory, which is waited for as a futex |

use super::layout::SETTLED;
use super::memory::Memory;
use crate::shm::word::Word32;
use std::sync::atomic::Ordering;

/// What a process that sleeps waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// A message arrives, or is returned.
    Items,
    /// There is room again.
    Space,
    /// Nothing is queued and nothing is leased.
    Settled,
}

/// How often all was done: the event of those that wait for it.
pub(super) fn settled(memory: &Memory) -> &Word32 {
    memory.region.word32(SETTLED)
}

/// Sets the event that all is done.
pub(super) fn set_settled(memory: &Memory) {
    settled(memory).fetch_add(1, Ordering::Release);
    settled(memory).wake_all();
}

/// The value that a process waits to change. Requires the lock of the event.
pub(super) fn times_settled(memory: &Memory) -> u32 {
    settled(memory).load(Ordering::Acquire)
}

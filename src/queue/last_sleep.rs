//! The sleep of a receiver whose senders are gone: it waits only for messages that other processes have leased, and
//! nothing is sent any more that would wake it when there are none.
//!
//! The receiver *sets the flag of sleepers, then looks at the leases*. A process that settles a lease *stores that,
//! then looks at the flag*. Each executes a fence in between, so at least one of them sees what the other has stored:
//! the receiver does not sleep, or it is woken.

use super::layout::RECEIVERS_ASLEEP;
use super::memory::Memory;
use crate::shm::word::fence;
use std::sync::atomic::Ordering;

/// The receiver's part, after it has set the flag and before it looks at the leases.
pub(super) fn flag_is_set() {
    fence(Ordering::SeqCst);
}

/// The other part, after a lease was settled: whether a receiver may be asleep.
pub(super) fn may_be_asleep(memory: &Memory) -> bool {
    fence(Ordering::SeqCst);
    memory.load(RECEIVERS_ASLEEP) != 0
}
